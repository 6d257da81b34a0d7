"""Keypoints for which the detector took left for right in a view, told by where a followed person is expected.

From behind, in the dark or half hidden a person's sides look alike. One view that exchanges them pulls both wrists off
by decimetres, for triangulation can only weigh it down. A part of the body (legs, arms) is taken as exchanged where it
lies clearly nearer to the expected one with its sides changed back, and then fits the other views no worse: whoever
turns quickly is not where they are expected. Where more views than not say so, nothing is changed either, and the
expectation mends itself. NumPy, float64. Axes: V views, G groups, T people expected, J joints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.observation import Grouped2D, gathered
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D

Triangulate = Callable[[Sequence[Camera], Grouped2D], Observed3D]

PARTS = tuple(
    tuple(H36M_17.index(side + name) for side in "RL" for name in names)
    for names in (("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist"))
)
OTHER_SIDE = np.array(H36M_17.other_side)
# In the middle of the body, where sides do not matter: they say which group is whom.
MIDDLE = tuple(joint for joint in range(H36M_17.size) if OTHER_SIDE[joint] == joint)
# So many joints of a part must be seen to judge it.
LEAST_SEEN = 4
# By so much the changed part's squared distances from the expected one must be less, in keypoints' variances. Where
# left and right lie s standard deviations apart, six joints that are right gain -6 s^2 +- 4.9 s: 15 are passed by one
# part in 1,000 at most, where s is small and nothing is lost by it. Of the fit, so much is noise.
CLEAR = 15.0
# A keypoint misses by so many variances at most: one that is far off is wrong, however far.
MISFIT = 25.0


def with_sides_told(
    cameras: Sequence[Camera],
    people: list[Keypoints2D],
    groups: NDArray[np.intp],
    expected: Floats,
    triangulate: Triangulate,
) -> tuple[list[Keypoints2D], Grouped2D, NDArray[np.bool_]]:
    """People by view and by group with left and right as expected, and which joints (V, G, J) were changed for it.

    groups (G, V): index of each group's person in each view, or -1; expected (T, J, 3) m, NaN where unknown.
    """
    seen = gathered(people, groups)
    exchanged = mirrored(cameras, seen, expected)
    if exchanged.any():
        after = gathered(changed_back(people, groups, exchanged), groups)
        exchanged &= fits_no_worse(cameras, triangulate, seen, after)[:, None]
        people = changed_back(people, groups, exchanged)
        seen = gathered(people, groups)
    return people, seen, exchanged


def mirrored(cameras: Sequence[Camera], seen: Grouped2D, expected: Floats) -> NDArray[np.bool_]:
    """Which joints (V, G, J) of the groups have their sides exchanged; expected (T, J, 3) m, NaN where unknown."""
    exchanged = np.zeros(seen.score.shape, dtype=bool)
    if not len(expected) or not exchanged.size:
        return exchanged
    px = np.stack([project(camera, expected) for camera in cameras])  # (V, T, J, 2)
    apart = np.linalg.norm(seen.xy[:, :, None, MIDDLE] - px[:, None, :, MIDDLE], axis=-1)  # (V, G, T, M)
    person = np.argmin(_mean(apart.swapaxes(0, 1).swapaxes(1, 2).reshape(*apart.shape[1:3], -1), np.inf), axis=-1)
    there = px[:, person]  # (V, G, J, 2)
    as_seen = np.linalg.norm(seen.xy - there, axis=-1)
    changed = np.linalg.norm(seen.xy[:, :, OTHER_SIDE] - there, axis=-1)
    for part in PARTS:
        both = np.isfinite(as_seen[..., part]) & np.isfinite(changed[..., part])
        known = both.sum(-1) >= LEAST_SEEN  # (V, G)
        gain = (as_seen[..., part] ** 2 - changed[..., part] ** 2) / seen.std_px[..., part] ** 2
        told = known & (np.where(both, gain, 0.0).sum(-1) > CLEAR)
        told &= 2 * told.sum(0) <= known.sum(0)
        exchanged[..., part] = told[..., None]
    return exchanged


def fits_no_worse(
    cameras: Sequence[Camera], triangulate: Triangulate, before: Grouped2D, after: Grouped2D
) -> NDArray[np.bool_]:
    """Whether the keypoints of each group (G,) fit together, by their own triangulation, as well as those before."""
    misfit = []
    for seen in (before, after):
        px = np.stack([project(camera, triangulate(cameras, seen).xyz) for camera in cameras])
        apart = np.sum((px - seen.xy) ** 2, axis=-1) / seen.std_px**2
        misfit.append(np.where(np.isfinite(apart), np.minimum(apart, MISFIT), 0.0).sum(axis=(0, 2)))
    return np.asarray(misfit[1] <= misfit[0] + CLEAR)


def changed_back(
    people: Sequence[Keypoints2D], groups: NDArray[np.intp], exchanged: NDArray[np.bool_]
) -> list[Keypoints2D]:
    """2D people by view with the sides of some joints (V, G, J) changed; groups (G, V): their indices, -1 for none."""
    found = []
    for view, keypoints in enumerate(people):
        order = np.tile(np.arange(H36M_17.size), (len(keypoints), 1))
        for group in np.flatnonzero(exchanged[view].any(-1) & (groups[:, view] >= 0)):
            order[groups[group, view]] = np.where(exchanged[view, group], OTHER_SIDE, np.arange(H36M_17.size))
        rows = np.arange(len(keypoints))[:, None]
        covariance = None if keypoints.covariance is None else keypoints.covariance[rows, order]
        found.append(
            replace(keypoints, xy=keypoints.xy[rows, order], score=keypoints.score[rows, order], covariance=covariance)
        )
    return found


def _mean(values: Floats, without: float) -> Floats:
    """Mean over the last axis of what is finite; without where nothing is."""
    known = np.isfinite(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), without))
