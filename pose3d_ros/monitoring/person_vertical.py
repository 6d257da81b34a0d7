"""Which axis of the world is up: people stand with their feet below their heads (NumPy, float64).

How the cameras are held is only a hint: they may lie on their side, or look straight down. One person may lie, bend or
stand on their hands. So an axis is believed where people keep to it while they walk across it, or, where they stay in
one place, for longer and if the hint agrees.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, Rig

# A body counts for an axis that it is within 30 degrees of.
ALONG = 0.87
# Bodies behind a verdict, over how long where they walk and where they do not, and the share that must agree.
LEAST_BODIES, WALKED_S, STOOD_S, AGREEING = 30, 5.0, 10.0, 0.75
# Who keeps upright over so many m across the axis walks: nobody lies and does.
WALKED_M = 1.0
# Joints must be surer than this share of the distance between feet and neck along their worst axis.
SURE = 0.3
# How far along an axis the mean of the images' up must point to hint at it: cameras look 45 degrees down at most.
HINTED = 0.7
KEPT = 600  # bodies: a minute or two
NONE = -1  # of a body that is along no axis; axes are numbered +x, -x, +y, -y, +z, -z
_ANKLES = [H36M_17.index("RAnkle"), H36M_17.index("LAnkle")]
_PELVIS, _THORAX = H36M_17.index("Pelvis"), H36M_17.index("Thorax")


@dataclass(frozen=True)
class Vertical:
    """Which axis people say is up; axis is "" while they do not say."""

    axis: str = ""  # +x, -x, +y, -y, +z, -z
    bodies: int = 0

    def fault(self, frame_id: str) -> str:
        """What is wrong with a frame whose z should be up, with the fix; empty where nothing is."""
        if self.axis in ("", "+z") or frame_id.endswith("_optical"):
            return ""
        world = f"{self.axis[1]}-{'up' if self.axis[0] == '+' else 'down'}"
        return (
            f"people stand along {self.axis} of frame {frame_id[:40]!r}, expected +z (REP-103): turn the cameras' "
            f"places (`pose3d rig convert --world {world}`, or their transforms)"
        )


class PersonVertical:
    """Gathers how people stand; time is that of the stamps, in s.

    kept: bodies that are remembered, None for all. stood_s: how long they must keep to the axis that images hint at.
    """

    def __init__(self, kept: int | None = KEPT, stood_s: float = STOOD_S) -> None:
        self._stood_s = stood_s
        self._bodies: deque[tuple[float, int, bool]] = deque(maxlen=kept)  # stamp, axis, and whether they walked
        self._paths: dict[str, tuple[int, list[float], list[float]]] = {}  # by id: axis, lowest and highest place, m

    def reset(self) -> None:
        """Begin afresh."""
        self._bodies, self._paths = deque(maxlen=self._bodies.maxlen), {}

    def state_dict(self) -> dict[str, Any]:
        """What was gathered."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def add(self, now_s: float, ids: Sequence[str], xyz: Floats, covariance: Floats) -> None:
        """People seen at a stamp: joints (P, 17, 3) m of h36m_17, NaN for none, and covariances (P, 17, 3, 3) m^2."""
        if self._bodies and now_s < self._bodies[-1][0]:  # a bag begins afresh
            self.reset()
        self._paths = {one: path for one, path in self._paths.items() if one in ids}
        for one, body, spread in zip(ids, xyz, covariance, strict=True):
            if (up := _upwards(body, spread)) is None:
                continue
            axis = int(np.argmax(np.abs(up)))
            number = 2 * axis + int(up[axis] < 0) if abs(up[axis]) >= ALONG else NONE
            self._bodies.append((now_s, number, self._walked(one, number, body[_PELVIS], spread[_PELVIS])))

    def _walked(self, one: str, number: int, place: Floats, spread: Floats) -> bool:
        """Whether this person went far across the axis since they began to keep to it."""
        before = self._paths.get(one)
        if number == NONE or not np.isfinite(place).all():
            self._paths.pop(one, None)
            return False
        low, high = place.tolist(), place.tolist()
        if before is not None and before[0] == number:
            low, high = np.minimum(before[1], place).tolist(), np.maximum(before[2], place).tolist()
        self._paths[one] = (number, low, high)
        far = np.delete(np.subtract(high, low), number // 2).max()
        sure_m = np.sqrt(max(float(np.trace(spread)), 0.0))
        return bool(far >= max(WALKED_M, 6.0 * sure_m))

    def vertical(self, hint: int) -> Vertical:
        """The axis that people say is up; hint is the number of the one that the cameras' images say, or NONE."""
        bodies = list(self._bodies)
        if len(bodies) < LEAST_BODIES:
            return Vertical(bodies=len(bodies))
        walked = [one for one in bodies if one[2]]
        for told, least_s in ((walked, WALKED_S), (bodies, self._stood_s)):
            if not told:
                continue
            number, _ = Counter(axis for _, axis, _ in told).most_common(1)[0]
            agreeing = [at_s for at_s, axis, _ in bodies if axis == number]
            lasted = agreeing[-1] - agreeing[0] >= least_s
            if number == NONE or not lasted or len(agreeing) < max(LEAST_BODIES, AGREEING * len(bodies)):
                continue
            if told is walked or number == hint:
                return Vertical(f"{'+-'[number % 2]}{'xyz'[number // 2]}", len(agreeing))
        return Vertical(bodies=len(bodies))


def hinted(rig: Rig) -> int:
    """The number of the axis that the cameras' images clearly say is up, or NONE."""
    up = -np.mean([camera.cam_from_world[1, :3] for camera in rig.cameras], axis=0)
    axis = int(np.argmax(np.abs(up)))
    return 2 * axis + int(up[axis] < 0) if abs(up[axis]) >= HINTED else NONE


def _upwards(body: Floats, spread: Floats) -> Floats | None:
    """Unit vector (3,) from the feet, or else the hips, to the neck; None where it is not known well."""
    feet = [joint for joint in _ANKLES if np.isfinite(body[joint]).all()]
    low = feet or [_PELVIS]
    up = body[_THORAX] - body[low].mean(axis=0)
    length = float(np.linalg.norm(up))
    if not np.isfinite(length) or length == 0:
        return None
    covariance = spread[[_THORAX, *low]]
    if not np.isfinite(covariance).all():
        return None
    if np.sqrt(np.linalg.eigvalsh(covariance)[:, -1].max()) > SURE * length:
        return None
    return np.asarray(up / length)
