"""Undoes left-right swaps of the detector in a view, found by where a tracked person is expected.

From behind, in the dark or half hidden a person's sides look alike. One view with swapped sides pulls both wrists off
by decimetres, because triangulation can only down-weight it. A part of the body (legs, arms) is taken as swapped where
it lies clearly nearer to the expected one with the swap undone, and then fits the other views no worse: a person who
turns quickly is not where they are expected. Where most views say so, nothing is changed either, and the expectation
corrects itself. NumPy, float64. Axes: V views, G groups, T people expected, J joints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.estimation.observation import Grouped2D, People2D
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.distortion import lenses_of
from pose3d_ros.geometry.projection import project_views
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Skeleton

Triangulate = Callable[[Sequence[Camera], Grouped2D], Observed3D]

PARTS = tuple(
    tuple(H36M_17.index(side + name) for side in "RL" for name in names)
    for names in (("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist"))
)
OTHER_SIDE = np.array(H36M_17.other_side)
_PARTS = np.array(PARTS)
# So many joints of a part must be seen to judge it.
LEAST_SEEN = 4
# By so much the changed part's squared distances from the expected one must be less, in keypoints' variances. Where
# left and right lie s standard deviations apart, six joints that are right gain -6 s^2 +- 4.9 s: 15 are passed by one
# part in 1,000 at most, where s is small and nothing is lost by it. Of the fit, so much is noise.
CLEAR = 15.0
# A keypoint misses by so many variances at most: one that is far off is wrong, however far.
MISFIT = 25.0


def unswap_left_right(
    cameras: Sequence[Camera],
    people: People2D,
    rows: NDArray[np.intp],
    expected: Floats,
    triangulate: Triangulate,
) -> tuple[Grouped2D, NDArray[np.bool_]]:
    """2D people by group with left and right as expected, and which joints (V, G, J) were changed for it.

    rows (G, V) of people of each group, or -1; expected (T, J, 3) m, NaN where unknown.
    """
    seen = people.grouped(rows)
    exchanged = swapped(cameras, seen, expected)
    if exchanged.any():
        there = np.flatnonzero(exchanged.any(axis=(0, 2)))  # groups in question
        after = people.with_joints(joint_order(len(people.xy), rows, exchanged)).grouped(rows[there])
        exchanged[:, there] &= fits_no_worse(cameras, triangulate, seen.select(there), after)[:, None]
        seen = people.with_joints(joint_order(len(people.xy), rows, exchanged)).grouped(rows)
    return seen, exchanged


def swapped(cameras: Sequence[Camera], seen: Grouped2D, expected: Floats) -> NDArray[np.bool_]:
    """Which joints (V, G, J) of the groups have their sides exchanged; expected (T, J, 3) m, NaN where unknown."""
    if not len(expected) or not seen.score.size:
        return np.zeros(seen.score.shape, dtype=bool)
    found: NDArray[np.bool_] = kernels.left_right.swapped(
        *(lenses_of(cameras), seen.xy, seen.std_px, kernels.plain(expected)),
        *(OTHER_SIDE, _PARTS, LEAST_SEEN, CLEAR),
    )
    return found


def fits_no_worse(
    cameras: Sequence[Camera], triangulate: Triangulate, before: Grouped2D, after: Grouped2D
) -> NDArray[np.bool_]:
    """Whether the keypoints of each group (G,) fit together, by their own triangulation, as well as those before."""
    misfit = []
    for seen in (before, after):
        px = project_views(cameras, triangulate(cameras, seen).xyz)
        apart = np.sum((px - seen.xy) ** 2, axis=-1) / seen.std_px**2
        misfit.append(np.where(np.isfinite(apart), np.minimum(apart, MISFIT), 0.0).sum(axis=(0, 2)))
    return np.asarray(misfit[1] <= misfit[0] + CLEAR)


def joint_order(
    count: int,
    rows: NDArray[np.intp],
    exchanged: NDArray[np.bool_],
    other_side: NDArray[np.intp] = OTHER_SIDE,
) -> NDArray[np.intp]:
    """Where each joint of count 2D people comes from once some joints (V, G, J) change sides; rows (G, V) or -1.

    other_side (J,) is that of their skeleton.
    """
    same = np.arange(len(other_side))
    order = np.tile(same, (count, 1))
    view, group = np.nonzero(exchanged.any(-1) & (rows.T >= 0))
    order[rows[group, view]] = np.where(exchanged[view, group], other_side, same)
    return order


@lru_cache(maxsize=64)
def part_of_joints(skeleton: Skeleton) -> tuple[int, ...]:
    """For every joint (J,) the part of PARTS that it belongs to, by itself or by a parent; len(PARTS) for the rest."""
    where = {H36M_17.joint_names[joint]: number for number, part in enumerate(PARTS) for joint in part}
    found = []
    for joint in range(skeleton.size):
        while joint >= 0 and skeleton.joint_names[joint] not in where:
            joint = skeleton.parents[joint]
        found.append(where[skeleton.joint_names[joint]] if joint >= 0 else len(PARTS))
    return tuple(found)
