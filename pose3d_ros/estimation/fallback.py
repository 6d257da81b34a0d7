"""What a rig does when one camera only is left: lift its people, and know them for who they were.

NumPy, float64; torch only inside the network. Axes: T people known, G people seen now, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.errors import WeightsError
from pose3d_ros.estimation.body_sizes import BodySizes
from pose3d_ros.estimation.lifting import Refusal, lift
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Pose3D

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

CHOICES = ("auto", "never")
# A person is where the image shows it when the expected joints lie this near to the joints' rays, on average: the
# tracker's own match_distance_m.
MATCH_M = 0.6


class MonocularFallback:
    """Lifts the people whom the only camera left sees, in the size that they had while others saw them too.

    choice auto: where the weights of a lifting network are there; never: people are then missed, as triangulation
    misses them. name as MonocularOptions.lifter; a network that the user named must be there. lifter replaces it.
    """

    def __init__(self, choice: str = "auto", name: str = "", lifter: Loaded | None = None) -> None:
        self._choice, self._name = choice, name
        self._lifter = lifter if choice == "auto" else None
        self._why_not = "" if choice == "auto" else "monocular_fallback is never"
        self._sizes = BodySizes()

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
        return (
            f"ready with {self._lifter.name}" if self._lifter is not None else f"off: {self._why_not or 'not loaded'}"
        )

    def learn(self, pose: Pose3D) -> None:
        """Take in the sizes of people whom several cameras see."""
        self._sizes.learn(pose)

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
            # Joints that the camera sees: what the network made up says nothing of this body.
            body = np.where(observed.n_views[row, :, None] > 0, observed.xyz[row], np.nan)
            scale[row] = self._sizes.scale(names[known], body)
        scaled = resized(observed, camera.centre, scale)
        return replace(scaled, rejected=lifted.refused), placed


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
    shared = np.isfinite(across)
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
