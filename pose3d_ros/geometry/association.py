"""Which 2D people, seen by several cameras at one time, are the same person.

All geometry is done on rays, so the unit of mismatch is an angle. Errors of a keypoint detector, of a
calibration and of synchronisation are all about constant in pixels of a given camera, and a pixel is
1/f rad: a limit in mrad means the same for a wide and a long lens, for a full image and its half-size
copy. At a focal length of 1000 px, 1 mrad is 1 px.

Axes: N all 2D people of all views, G groups, V views, J joints. float64 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.distortion import lenses_of, undistort_px
from pose3d_ros.kernels.constants import LONGEST_BONE_M, SHORTEST_BONE_M
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Skeleton

Ints = NDArray[np.intp]
BONE_LENGTH_RANGE_M = (SHORTEST_BONE_M, LONGEST_BONE_M)


def associate(
    cameras: Sequence[Camera],
    keypoints: Sequence[Keypoints2D],
    predicted: Floats | None = None,
    *,
    limit_mrad: float = 25.0,
) -> NDArray[np.intp]:
    """Group the 2D people of all views; every one of them lies in exactly one group.

    cameras and keypoints are parallel (one a view, one common skeleton). predicted (T, J, 3) m holds the
    3D people expected at this time, in the cameras' world frame: a prior that keeps groups stable; it
    never joins views that contradict each other. limit_mrad is the mean angle by which two views of one
    person may miss each other.

    Returns indices (G, V) of the 2D person in each view, or -1; larger groups come first. A group of one
    view is a person whom one camera only sees. Raises InputError for lists of different length.

    Method: signed affinities between all pairs of people (1 for a perfect fit, 0 at the limit), greedy
    additive edge contraction (Keuper et al., ICCV 2015) under "at most one a view", then view by view the
    optimal reassignment (Hungarian) to the groups of the other views; groups whose rays do not meet in
    3D are split and solved again. Work grows with the square of the cameras.
    """
    if len(cameras) != len(keypoints):
        raise InputError(f"association needs one set of keypoints a camera: {len(cameras)} and {len(keypoints)} given")
    view = np.repeat(np.arange(len(keypoints)), [len(k) for k in keypoints])  # (N,)
    if len(view) == 0:
        return np.zeros((0, len(cameras)), dtype=np.intp)
    person = np.concatenate([np.arange(len(k)) for k in keypoints])
    skeleton = keypoints[0].skeleton
    if any(k.skeleton != skeleton for k in keypoints):
        raise InputError("association needs one common skeleton for all views: remap the keypoints first")
    rows = grouped(
        cameras,
        view,
        undistort_px(cameras, np.concatenate([k.xy for k in keypoints]), view)[0],
        np.concatenate([k.score for k in keypoints]),
        predicted,
        skeleton,
        limit_mrad,
    )
    return np.where(rows >= 0, person[rows], -1)


def grouped(
    cameras: Sequence[Camera],
    view: Ints,
    ideal: Floats,
    score: Floats,
    predicted: Floats | None,
    skeleton: Skeleton,
    limit_mrad: float,
) -> Ints:
    """The same of N 2D people of the cameras view (N,), ascending, at ideal coordinates (N, J, 2): rows of N, or -1."""
    expected = np.empty((0, skeleton.size, 3)) if predicted is None else kernels.plain(predicted)
    found: Ints = kernels.association.grouped(
        lenses_of(cameras), view, ideal, score, expected, _bones(skeleton), limit_mrad * 1e-3
    )
    return found


@lru_cache(maxsize=16)
def _bones(skeleton: Skeleton) -> Ints:
    return np.array(skeleton.bones, dtype=np.intp).reshape(-1, 2)


def ray_mismatch(r: Floats, s: Floats, baseline: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """How far rays r and s (3, ...), unit, miss each other; baseline (3, ...) m leads from r's origin to s's.

    Returns the angle rad (its sine), the distance m along r at which they meet (inf where they diverge), and where a
    ray lies along the baseline or there is none, so that nothing is said; (...) each.
    """
    length = _norm(baseline)
    b_x_r, b_x_s = _cross(baseline, r), _cross(baseline, s)
    area_r, area_s = _norm(b_x_r), _norm(b_x_s)
    # Sine of the angle between one ray and the other's epipolar plane, the mean of both ways.
    with np.errstate(divide="ignore", invalid="ignore"):
        volume = np.abs(_dot(b_x_r, s))
        mismatch = 0.5 * (volume / area_r + volume / area_s)
        # Sine of the angle at which the rays converge in the plane; negative if they diverge.
        parallax = _dot(b_x_r, _cross(r, s)) / area_r
        depth = np.where(parallax > 0, area_s / np.abs(parallax), np.inf)  # m along r
        # Diverging rays miss by what makes them parallel (a point at infinity); rays on opposite sides
        # of the baseline by what turns one of them into it.
        mismatch = np.hypot(mismatch, np.maximum(-parallax, 0.0))
        opposite = _dot(b_x_r, b_x_s) < 0
        mismatch = np.where(opposite, np.minimum(area_r, area_s) / length, mismatch)
    blind = ~(np.minimum(area_r, area_s) > 1e-6 * np.maximum(length, 1e-6))
    return mismatch, depth, blind


def _cross(a: Floats, b: Floats) -> Floats:
    """Cross product on the first axis; np.cross costs several times more."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _norm(a: Floats) -> Floats:
    return np.asarray(np.sqrt(_dot(a, a)))
