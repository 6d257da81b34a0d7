"""Which axis of the world is up: people stand with their feet below their heads (NumPy, float64).

The orientation of the cameras is only a hint: they may lie on their side, or point straight down. A person may lie,
bend or stand on their hands. An axis is therefore accepted if people keep to it while they walk across it, or, if they
stay in place, for longer and if the hint agrees.
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

# A body counts for an axis within 30 degrees of it.
ALONG = 0.87
# Bodies required for a verdict, over how long if they walk and if they do not, and the share that must agree.
MIN_BODIES, WALKED_S, STOOD_S, AGREEING = 30, 5.0, 10.0, 0.75
# A person who stays upright over so many m across the axis walks: no lying person does.
WALKED_M = 1.0
# The standard deviation of joints along their worst axis must be below this share of the distance from feet to neck.
SURE = 0.3
# Cosine between an axis and the mean up of the images that hints at it: cameras point 45 degrees down at most.
HINTED = 0.7
KEPT = 600  # bodies: a minute or two
NONE = -1  # a body along no axis; axes are numbered +x, -x, +y, -y, +z, -z
_ANKLES = [H36M_17.index("RAnkle"), H36M_17.index("LAnkle")]
_PELVIS, _THORAX = H36M_17.index("Pelvis"), H36M_17.index("Thorax")


@dataclass(frozen=True)
class Vertical:
    """The axis that is up by the people; axis is "" while it is unknown."""

    axis: str = ""  # +x, -x, +y, -y, +z, -z
    bodies: int = 0

    def fault(self, frame_id: str) -> str:
        """The fault of a frame whose z should be up, with its fix; empty if there is none."""
        if self.axis in ("", "+z") or frame_id.endswith("_optical"):
            return ""
        world = f"{self.axis[1]}-{'up' if self.axis[0] == '+' else 'down'}"
        return (
            f"people stand along {self.axis} of frame {frame_id[:40]!r}, expected +z (REP-103): rotate the cameras' "
            f"poses (`pose3d rig convert --world {world}`, or their transforms)"
        )


class PersonVertical:
    """Collects the directions of bodies; time is that of the stamps, in s.

    kept: how many bodies to keep, None for all. stood_s: how long they must keep to the axis that images hint at.
    """

    def __init__(self, kept: int | None = KEPT, stood_s: float = STOOD_S) -> None:
        self._stood_s = stood_s
        self._bodies: deque[tuple[float, int, bool]] = deque(maxlen=kept)  # stamp, axis, and whether they walked
        self._paths: dict[str, tuple[int, list[float], list[float]]] = {}  # by id: axis, lowest and highest position, m

    def reset(self) -> None:
        """Drop everything."""
        self._bodies, self._paths = deque(maxlen=self._bodies.maxlen), {}

    def state_dict(self) -> dict[str, Any]:
        """The collected measurements."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from another one's state."""
        load_state(self, state)

    def add(self, now_s: float, ids: Sequence[str], xyz: Floats, covariance: Floats) -> None:
        """Add people at a stamp: joints (P, 17, 3) m of h36m_17, NaN for none, and covariances (P, 17, 3, 3) m^2."""
        if self._bodies and now_s < self._bodies[-1][0]:  # a bag starts again
            self.reset()
        self._paths = {one: path for one, path in self._paths.items() if one in ids}
        for one, body, spread in zip(ids, xyz, covariance, strict=True):
            if (up := _upwards(body, spread)) is None:
                continue
            axis = int(np.argmax(np.abs(up)))
            number = 2 * axis + int(up[axis] < 0) if abs(up[axis]) >= ALONG else NONE
            self._bodies.append((now_s, number, self._walked(one, number, body[_PELVIS], spread[_PELVIS])))

    def _walked(self, person: str, number: int, position: Floats, spread: Floats) -> bool:
        """Whether this person has moved far across the axis while keeping to it."""
        before = self._paths.get(person)
        if number == NONE or not np.isfinite(position).all():
            self._paths.pop(person, None)
            return False
        low, high = position.tolist(), position.tolist()
        if before is not None and before[0] == number:
            low, high = np.minimum(before[1], position).tolist(), np.maximum(before[2], position).tolist()
        self._paths[person] = (number, low, high)
        far = np.delete(np.subtract(high, low), number // 2).max()
        sure_m = np.sqrt(max(float(np.trace(spread)), 0.0))
        return bool(far >= max(WALKED_M, 6.0 * sure_m))

    def vertical(self, hint: int) -> Vertical:
        """The axis that is up by the people; hint is the number of the one by the cameras' images, or NONE."""
        bodies = list(self._bodies)
        if len(bodies) < MIN_BODIES:
            return Vertical(bodies=len(bodies))
        walked = [one for one in bodies if one[2]]
        for candidates, least_s in ((walked, WALKED_S), (bodies, self._stood_s)):
            if not candidates:
                continue
            number, _ = Counter(axis for _, axis, _ in candidates).most_common(1)[0]
            agreeing = [at_s for at_s, axis, _ in bodies if axis == number]
            lasted = agreeing[-1] - agreeing[0] >= least_s
            if number == NONE or not lasted or len(agreeing) < max(MIN_BODIES, AGREEING * len(bodies)):
                continue
            if candidates is walked or number == hint:
                return Vertical(f"{'+-'[number % 2]}{'xyz'[number // 2]}", len(agreeing))
        return Vertical(bodies=len(bodies))


def up_hint(rig: Rig) -> int:
    """The number of the axis that is clearly up by the cameras' images, or NONE."""
    up = -np.mean([camera.cam_from_world[1, :3] for camera in rig.cameras], axis=0)
    axis = int(np.argmax(np.abs(up)))
    return 2 * axis + int(up[axis] < 0) if abs(up[axis]) >= HINTED else NONE


def _upwards(body: Floats, spread: Floats) -> Floats | None:
    """Unit vector (3,) from the feet, or else the hips, to the neck; None if it is too uncertain."""
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
