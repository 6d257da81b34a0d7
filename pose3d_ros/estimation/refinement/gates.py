"""What a network may not do to a pose: the gates behind the learned refinement (NumPy, float64).

A network never sees everything; where it was trained for something else it may put a joint anywhere. So every joint
that it moves is held against the triangulation it came from, and kept where it was when the move is not plausible.
On simulated rigs of all families before detector-like keypoints, as training has them, true joints lie 0.8 standard
deviations from their triangulation (median; 95th percentile 1.9, 99th 4.1, 99.9th 13) and 0.9 from their worst keypoint
(2.3, 7, 15): errors have heavy tails, so limits at a normal distribution's 3 would refuse the very corrections that are
worth most. On rigs held out the gates at 6 and 8 refuse 0.1 to 0.5 % of a well trained network's joints and cost it
0.1 to 0.8 mm of a mean of 35 to 115 mm (at 4 and 6: 0.2 to 1.8 % and 0.2 to 2 mm). Of what a badly trained one moved
beyond 6, nine joints in ten got worse, by 600 mm.
Axes: V views, G people, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.observation import Grouped2D, present
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import project_views
from pose3d_ros.kernels.constants import MIN_STD_M
from pose3d_ros.structures import Camera, Floats

Refusals = NDArray[np.uint8]

# Mahalanobis distance from the triangulated joint, its covariance widened by what no covariance of keypoints knows
# (calibration, joint definition: kernels.constants.MIN_STD_M).
MOVE_STD = 6.0
# Distance in the image from the worst keypoint, in standard deviations; what triangulation itself leaves counts too.
REPROJECTION_STD, REPROJECTION_FACTOR = 8.0, 1.5
# A filled-in joint lies within reach of the placed ones' middle: the arm of a tall adult stretched overhead is 1.3 m
# from the pelvis.
FILL_REACH_M = 1.4
# Further than this from the median of the person's joints, a joint was triangulated from wrong keypoints: it is 1.2 m
# from the middle of a body to its raised hand, and a stereo head at 3 m is off by some 0.2 m (sigma).
ASTRAY_M = 2.0
# Beyond this share of refused joints the network did not understand the person.
PERSON_SHARE = 1 / 3
# PoseRN: the person's RMS distance in the images, in standard deviations, after over before. Two views leave little
# residual however biased, so a floor; 10 % is what chance does to 17 joints.
KEYPOINTS_FACTOR, KEYPOINTS_FLOOR_STD = 1.1, 0.1


class Refusal(IntEnum):
    """Why a joint was kept as triangulated."""

    NONE = 0
    NOT_FINITE = 1
    TOO_FAR = 2  # from where it was triangulated, or filled in out of the body's reach
    REPROJECTION = 3  # it no longer agrees with the keypoints, or lies behind a camera
    PERSON = 4  # too many of the person's other joints were refused
    KEYPOINTS = 5  # PoseRN's keypoints of this person fit together worse than the detector's
    FEW_JOINTS = 6  # too few were triangulated to know the person
    VIEWS = 7  # the weights do not serve so many cameras
    OUT_OF_RANGE = 8  # no person was so near or far in training


def gate_refinement(before: Observed3D, xyz: Floats, cameras: Sequence[Camera], seen: Grouped2D) -> Refusals:
    """Refusal (G, J) of refined joints xyz (G, J, 3) m; NaN is NOT_FINITE where there was something to refine."""
    there = present(before.xyz)
    finite = present(xyz)
    xyz = np.where(finite[..., None], xyz, np.nan)
    count = np.maximum(there.sum(-1), 1)
    middle = np.where(there[..., None], before.xyz, 0.0).sum(axis=1) / count[:, None]  # (G, 3)
    reach = np.linalg.norm(np.where(finite[..., None], xyz - middle[:, None], 0.0), axis=-1)
    far = np.where(there, moved_std(before, xyz) > MOVE_STD, reach > FILL_REACH_M)
    limit = np.maximum(REPROJECTION_STD, REPROJECTION_FACTOR * worst_std(before.xyz, cameras, seen))
    refusal = np.full(there.shape, Refusal.NONE, dtype=np.uint8)  # later lines outrank earlier ones
    refusal[worst_std(xyz, cameras, seen) > limit] = Refusal.REPROJECTION
    refusal[far] = Refusal.TOO_FAR
    refusal[~finite] = np.where(there[~finite], Refusal.NOT_FINITE, Refusal.NONE)
    wrong = ((refusal > 0) & there).sum(-1) > PERSON_SHARE * count
    refusal[wrong[:, None] & (refusal == 0) & (there | finite)] = Refusal.PERSON
    return refusal


def outliers(xyz: Floats) -> NDArray[np.bool_]:
    """Which joints (G, J) of people (G, J, 3) m are nowhere near the others; NaN is not."""
    there = present(xyz)
    # np.nanmedian takes a millisecond for one person; NaN is sorted last.
    count = there.sum(axis=1)[:, None, None]
    in_order = np.sort(np.where(there[..., None], xyz, np.nan), axis=1)
    low, high = (np.take_along_axis(in_order, np.maximum(one, 0), axis=1) for one in ((count - 1) // 2, count // 2))
    middle = (low + high) / 2
    return np.asarray(np.linalg.norm(np.where(there[..., None], xyz - middle, 0.0), axis=-1) > ASTRAY_M)


def moved_std(before: Observed3D, xyz: Floats) -> Floats:
    """How far joints (G, J, 3) m are from the triangulated ones, in standard deviations (G, J); 0 where unknown."""
    offset = xyz - before.xyz
    known = present(offset) & present(before.covariance).all(axis=-1)
    covariance = np.where(known[..., None, None], before.covariance, 0.0) + MIN_STD_M**2 * np.eye(3)
    offset = np.where(known[..., None], offset, 0.0)
    whitened = np.linalg.solve(covariance, offset[..., None])[..., 0]
    return np.asarray(np.sqrt((offset * whitened).sum(axis=-1)))


def worst_std(xyz: Floats, cameras: Sequence[Camera], seen: Grouped2D) -> Floats:
    """Distance (G, J) in standard deviations from joints (G, J, 3) m to the keypoint that they fit worst.

    inf behind a camera that sees the joint; 0 where none does, or the joint is NaN.
    """
    apart, std_px = _distances_px(xyz, cameras, seen), seen.std_px
    known = np.isfinite(std_px) & np.isfinite(apart)
    # Behind a camera that sees it, a joint is wrong however unsure the keypoint.
    otherwise = np.where(np.isinf(apart), np.inf, 0.0)
    return np.asarray(np.where(known, apart / np.where(known, std_px, 1.0), otherwise).max(axis=0))


def reprojection_px(xyz: Floats, cameras: Sequence[Camera], seen: Grouped2D) -> Floats:
    """RMS over the views that see a joint, (G, J) px; NaN where none does."""
    squared = np.where(seen.seen, _distances_px(xyz, cameras, seen) ** 2, 0.0).sum(axis=0)
    count = seen.seen.sum(axis=0)
    usable = (count > 0) & present(xyz)
    return np.where(usable, np.sqrt(squared / np.maximum(count, 1)), np.nan)


def fit_worse(
    before: Observed3D, after: Observed3D, cameras: Sequence[Camera], old: Grouped2D, new: Grouped2D
) -> NDArray[np.bool_]:
    """Whether people's (G,) new keypoints fit together worse than the old ones, each by its own triangulation."""
    both = np.asarray(present(before.xyz) & present(after.xyz))
    was, became = (
        _rms_std(np.where(both[..., None], one.xyz, np.nan), cameras, seen)
        for one, seen in ((before, old), (after, new))
    )
    return np.asarray(became > KEYPOINTS_FACTOR * was + KEYPOINTS_FLOOR_STD)


def _rms_std(xyz: Floats, cameras: Sequence[Camera], seen: Grouped2D) -> Floats:
    """(G,) over all views and joints, in standard deviations."""
    used = seen.seen & present(xyz) & np.isfinite(seen.std_px)
    squared = np.where(used, (_distances_px(xyz, cameras, seen) / np.where(used, seen.std_px, np.inf)) ** 2, 0.0)
    return np.asarray(np.sqrt(squared.sum(axis=(0, 2)) / np.maximum(used.sum(axis=(0, 2)), 1)))


def _distances_px(xyz: Floats, cameras: Sequence[Camera], seen: Grouped2D) -> Floats:
    """(V, G, J) px from keypoints to projections: 0 without a keypoint or a joint, inf behind the camera."""
    finite = present(xyz)
    projected = project_views(cameras, xyz)
    apart = np.linalg.norm(projected - seen.xy, axis=-1)
    return np.where(seen.seen & finite, np.where(present(projected), apart, np.inf), 0.0)
