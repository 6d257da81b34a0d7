"""For which rigs and people a refinement network was trained, in metres (NumPy, float64).

The families are those of simulation/simulated_rigs.py; a recipe of `pose3d train cvugcn` names them. Two things fix how
well a rig sees a person, and so what there is to refine: how far the outermost cameras stand apart, and how far the
person is from each. The resolution of the images does not: the error of a detector that works on crops of people scales
with the size of a person in the image, and so did the noise in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.refinement.tuned_rig import TunedRig
from pose3d_ros.simulation import simulated_rigs as simulated
from pose3d_ros.skeletons import COCO_17, H36M_17, map_matrix
from pose3d_ros.structures import Camera, Floats

Between = tuple[float, float]

# How far beyond the trained figures a rig or a person may lie, as a factor: a tape measure's worth, no more.
MARGIN = 1.1
# Cameras at a time: what training takes of every rig. The rig-conditioned form serves more with the same weights
# (networks/cvugcn.py, with_views), but little is won. The shipped ones, rooms never seen (`pose3d evaluate multiview
# --tables unseen`), noise (a) / (b): three cameras gain 6 / 12 %, four lose 8 / 3 %; on real footage pairs agree better
# with its reference (51.0 for 53.0 mm), three cameras do not (45.7 for 44.8 mm).
VIEWS = (2, 2)
# (17,) which joints of h36m_17 training labelled: what a COCO-17 detector gives, at first hand or derived.
TRAINED_JOINTS: NDArray[np.bool_] = np.asarray(map_matrix(COCO_17, H36M_17).sum(axis=1) > 0)
# Training hides a person's legs or arms, so that nine of the sixteen are left; with fewer the body is not known.
MIN_JOINTS = 8


@dataclass(frozen=True)
class Family:
    """What the rigs of one family have in common."""

    baseline_m: Between  # from camera to camera, of all pairs that training takes
    distance_m: Between  # from the cameras to a person
    px_per_m: Between  # focal length over that distance


def _heads(focal_px: int) -> Family:
    near, far = simulated.HEAD_DISTANCE_M
    return Family((simulated.HEAD_BASELINE_M,) * 2, (near, far), (focal_px / far, focal_px / near))


# Human3.6M: 3.2 and 11.3 m are the extremes of 200 jittered rigs; cameras stand 4.2 to 5.7 m from the middle of the
# floor and people up to 1 m from it; 1147 px. Rooms: neighbours as far apart as ROOM_NEIGHBOUR_M says, and of 200 rigs
# of four the outermost 10.3 m; people up to 0.8 m from the middle; 490 to 1000 px.
_ROOM = Family((simulated.ROOM_NEIGHBOUR_M[0], 10.3), (2.0, 6.3), (111.0, 350.0))
FAMILIES: Mapping[str, Family] = {
    "h36m": Family((3.2, 11.3), (3.2, 6.7), (171.0, 358.0)),
    "head530": _heads(530),
    "head1060": _heads(1060),
    "room2": Family(simulated.ROOM_NEIGHBOUR_M, _ROOM.distance_m, _ROOM.px_per_m),
    "room3": _ROOM,
    "room4": _ROOM,
}


@dataclass(frozen=True)
class RigRange:
    """The rigs and people that some weights know; the default is that of no weights at all."""

    families: tuple[Family, ...] = ()
    views: tuple[int, int] = VIEWS
    any_rig: bool = True  # False: the paper's forms, which know the very cameras of training and no others
    tuned: TunedRig | None = None  # the only rig that the weights are for, where they were tuned on one

    @staticmethod
    def of(recipe: Mapping[str, Any]) -> RigRange:
        """The range of a recipe of `pose3d train cvugcn`; families that are not known here count for nothing."""
        names = recipe.get("rigs")
        known = [one for one in names if isinstance(one, str)] if isinstance(names, list) else []
        any_rig, views = recipe.get("form") == "rig", recipe.get("views", 2)
        families = tuple(FAMILIES[one] for one in known if one in FAMILIES)
        return RigRange(families, VIEWS if any_rig else (views, views), any_rig, TunedRig.of(recipe))

    def why_not(self, cameras: tuple[Camera, ...]) -> str:
        """Why a rig lies outside, in words; empty where it lies inside."""
        if self.tuned is not None:
            return self.tuned.why_not(cameras)
        if not self.any_rig:
            return "its weights know the cameras that they were trained for only, and not where cameras stand"
        fewest, most = self.views
        if not fewest <= len(cameras) <= most:
            return f"the rig has {len(cameras)} cameras, the weights were trained for {_words(self.views, '')}"
        apart = baseline_m(np.stack([camera.centre for camera in cameras]))
        if not self._matching(apart):
            known = ", ".join(dict.fromkeys(_words(one.baseline_m, " m") for one in self.families)) or "unknown rigs"
            return f"the rig's outermost cameras stand {apart:.2f} m apart, the weights were trained for {known}"
        return ""

    def knows(self, centres: Floats, person: Floats) -> bool:
        """Whether a person at (3,) m stands as far from cameras at (N, 3) m as people did in training, on average.

        On average: a person who walks through a room comes near to one camera and far from another.
        """
        distance = float(np.linalg.norm(centres - person, axis=-1).mean())
        if self.tuned is not None and _within(distance, self.tuned.distance_m):
            return True
        return any(_within(distance, one.distance_m) for one in self._matching(baseline_m(centres)))

    def told_focal_px(self, cameras: Sequence[Camera], person: Floats) -> Floats:
        """Focal lengths (N,) px of cameras as a network takes them, for a person at (3,) m.

        As they are, sqrt(fx fy), but no more pixels a metre than training had on rigs as wide: an image that shows
        people larger says no more to a detector that works on crops, so it passes for the same image at a lower
        resolution.
        """
        centres = np.stack([camera.centre for camera in cameras])
        most = max((one.px_per_m[1] for one in self._matching(baseline_m(centres))), default=np.inf)
        focal = np.array([np.sqrt(camera.K[0, 0] * camera.K[1, 1]) for camera in cameras])
        return np.asarray(np.minimum(focal, most * np.linalg.norm(centres - person, axis=-1)))

    def _matching(self, apart_m: float) -> list[Family]:
        return [one for one in self.families if _within(apart_m, one.baseline_m)]


def baseline_m(centres: Floats) -> float:
    """Largest distance between two of N points (N, 3) m."""
    return max((float(np.linalg.norm(a - b)) for a, b in combinations(centres, 2)), default=0.0)


def _within(value: float, between: Between) -> bool:
    return between[0] / MARGIN <= value <= between[1] * MARGIN


def _words(between: Between | tuple[int, int], unit: str) -> str:
    low, high = between
    return f"{low:g}{unit}" if low == high else f"{low:g} to {high:g}{unit}"
