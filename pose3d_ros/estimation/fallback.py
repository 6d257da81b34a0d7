"""What a rig does when one camera only is left: lift its people, and know them for who they were.

One view does not tell a small person from one who is far. But while several cameras see somebody, they tell how far the
network is off for that very person, and that is remembered. NumPy, float64; torch only inside the network.
Axes: T people known, G people seen now, J joints.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.errors import WeightsError
from pose3d_ros.estimation.lifting import MIN_JOINTS, Refusal, lift
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Floats, Keypoints2D

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

CHOICES = ("auto", "never")
# A person is where the image shows it when the expected joints lie this near to the joints' rays, on average: the
# default of match_distance_m.
MATCH_M = 0.6
# While several cameras see people, one camera in turn is lifted too, so often: it takes some milliseconds.
LEARN_NS = 490_000_000
# A mean over so many of them: seconds, in which people turn and move.
MEMORY = 50
# Not of its state: the network is loaded again.
MADE_WITH = ("_choice", "_name", "_lifter", "_why_not")


class MonocularFallback:
    """Lifts the people whom the only camera left sees, as far away as was learned while others saw them too.

    choice auto: where the weights of a lifting network are there; never: people are then missed, as triangulation
    misses them. name as MonocularOptions.lifter; a network that the user named must be there. lifter replaces it.
    """

    def __init__(self, choice: str = "auto", name: str = "", lifter: Loaded | None = None) -> None:
        self._choice, self._name = choice, name
        self._lifter = lifter if choice == "auto" else None
        self._why_not = "" if choice == "auto" else "monocular_fallback is never"
        self._log_ratio: dict[str, tuple[float, int]] = {}  # by id: mean log of true over lifted distance, of how many
        self._turns, self._learnt_ns = 0, 0

    def load(self) -> bool:
        """Load the network if it was not yet; whether there is one.

        Raises WeightsError or InputError where a network that the user named cannot be had.
        """
        if self._lifter is None and not self._why_not:
            # Imported late: it brings torch.
            from pose3d_ros.estimation.monocular import load_lifter

            try:
                self._lifter = load_lifter(self._name)
            except WeightsError as error:
                if self._name:
                    raise
                self._why_not = str(error)
        return self._lifter is not None

    @property
    def described(self) -> str:
        """What it would do, in words, for /diagnostics."""
        if self._lifter is not None:
            return f"ready with {self._lifter.name}"
        return f"off: {self._why_not or 'no network was loaded yet'}"

    def reset(self) -> None:
        """Forget everyone's size."""
        self._log_ratio = {}

    def state_dict(self) -> dict[str, Any]:
        """What was learnt of people, and whether a network was loaded."""
        return {**state_of(self, MADE_WITH), "loaded": self._lifter is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state; raises as load() does."""
        own = dict(state)
        loaded = own.pop("loaded", False)
        load_state(self, own, MADE_WITH)
        if loaded:
            self.load()

    def learn(
        self,
        cameras: Sequence[Camera],
        people: Sequence[Keypoints2D],
        groups: NDArray[np.intp],
        names: Sequence[str],
        observed: Observed3D,
        stamp_ns: int,
    ) -> None:
        """Take in how far the network is off for people whom several cameras see; nothing where it is not loaded.

        people: h36m_17 by camera; groups (G, V): index of each observed person in each view, or -1; names (G): their
        ids, "" for none.
        """
        if self._lifter is None or 0 <= stamp_ns - self._learnt_ns < LEARN_NS:
            return
        self._learnt_ns = stamp_ns
        self._turns += 1
        view = self._turns % len(cameras)
        rows = [row for row, name in enumerate(names) if name and groups[row, view] >= 0]
        if not rows:
            return
        lifted = lift(cameras[view], people[view].select(groups[rows, view]), self._lifter)
        true = np.linalg.norm(observed.xyz[rows] - cameras[view].centre, axis=-1)
        ratio = true / np.linalg.norm(lifted.xyz, axis=-1)  # (G, J)
        for row, one in zip(rows, ratio, strict=True):
            if np.isfinite(one).sum() >= MIN_JOINTS:
                mean, count = self._log_ratio.get(names[row], (0.0, 0))
                count = min(count + 1, MEMORY)
                self._log_ratio[names[row]] = mean + (float(np.log(np.nanmedian(one))) - mean) / count, count

    def forget_all_but(self, names: Collection[str]) -> None:
        """Forget who is gone; ids do not come again."""
        self._log_ratio = {name: self._log_ratio[name] for name in names if name in self._log_ratio}

    def observe(
        self, camera: Camera, keypoints: Keypoints2D, names: Sequence[str], expected: Floats
    ) -> tuple[Observed3D, NDArray[np.intp]]:
        """The 2D people (h36m_17) lifted into the frame that the camera is placed in, and which ones these are, (G,).

        names and expected (T, J, 3) m say who is known, and where their joints are expected.
        """
        from pose3d_ros.estimation.monocular import observed_people

        assert self._lifter is not None, "load() says whether there is a network"
        lifted = lift(camera, keypoints, self._lifter)
        placed = np.flatnonzero(lifted.refusal == Refusal.NONE)
        observed = observed_people(camera, keypoints.select(placed), lifted.select(placed))
        scale = np.ones(len(placed))
        for known, row in seen_again(camera.centre, expected, observed.xyz):
            scale[row] = np.exp(self._log_ratio.get(names[known], (0.0, 0))[0])
        return replace(resized(observed, camera.centre, scale), rejected=lifted.refused), placed


def seen_again(centre: Floats, expected: Floats, xyz: Floats) -> list[tuple[int, int]]:
    """Pairs of a known person (T) and one seen now (G) by the distance of expected joints from the rays to those seen.

    centre (3,) m of the camera; expected (T, J, 3), xyz (G, J, 3) m. How far away somebody was lifted to plays no part.
    """
    if not len(expected) or not len(xyz):
        return []
    ray = xyz - centre
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    towards = (expected - centre)[:, None]  # (T, 1, J, 3)
    along = (towards * ray).sum(-1, keepdims=True)
    across = np.linalg.norm(towards - along * ray, axis=-1)  # (T, G, J)
    shared = np.isfinite(across) & (along[..., 0] > 0)  # who is expected behind the camera is not the one it sees
    distance = np.where(shared, across, 0.0).sum(-1) / np.maximum(shared.sum(-1), 1)
    near = (distance < MATCH_M) & shared.any(-1)
    pairs = zip(*linear_sum_assignment(np.where(near, distance, 1e3)), strict=True)
    return [(int(known), int(row)) for known, row in pairs if near[known, row]]


def resized(observed: Observed3D, centre: Floats, scale: Floats) -> Observed3D:
    """People (G) larger or smaller by scale (G,), and further or nearer: the camera at centre sees the same picture."""
    factor = scale[:, None, None]
    return replace(
        observed,
        xyz=np.asarray(centre + factor * (observed.xyz - centre)),
        covariance=np.asarray(observed.covariance * factor[..., None] ** 2),
    )
