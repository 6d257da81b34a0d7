"""The definition of kernels/association.py: which 2D people, seen by several cameras at one time, are the same person.

Units and method are those of pose3d_ros/geometry/association.py. Axes: N all 2D people of all views, M pairs of them
from different views, G groups, V views, J joints. Vectors lie along the first axis: NumPy's inner loops run over people
and joints. NumPy, float64 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from definitions.distortion import undistort_views
from definitions.robust import solve
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.association import BONE_LENGTH_RANGE_M, ray_mismatch
from pose3d_ros.geometry.distortion import normalised_views
from pose3d_ros.kernels.constants import MIN_SHARED_JOINTS, TRUNCATION
from pose3d_ros.structures import Camera, Floats, Keypoints2D

Ints = NDArray[np.intp]

PAIR_BLOCK = 512  # pairs at a time: 70 kB an array of joints, so that they stay in the processor's cache


def associate(
    cameras: Sequence[Camera],
    keypoints: Sequence[Keypoints2D],
    predicted: Floats | None = None,
    *,
    limit_mrad: float = 25.0,
) -> NDArray[np.intp]:
    """As geometry.association.associate."""
    if len(cameras) != len(keypoints):
        raise InputError(f"association needs one set of keypoints a camera: {len(cameras)} and {len(keypoints)} given")
    view = np.repeat(np.arange(len(keypoints)), [len(k) for k in keypoints])  # (N,)
    if len(view) == 0:
        return np.zeros((0, len(cameras)), dtype=np.intp)
    person = np.concatenate([np.arange(len(k)) for k in keypoints])
    skeleton = keypoints[0].skeleton
    if any(k.skeleton != skeleton for k in keypoints):
        raise InputError("association needs one common skeleton for all views: remap the keypoints first")
    limit = limit_mrad * 1e-3
    sight = _Sight(cameras, keypoints, view)
    affinity = _pair_affinity(sight, np.array(skeleton.bones), limit)
    nodes = view
    if predicted is not None and len(predicted):
        # A track is one more view that sees in 3D: at most one track a group, like any view.
        affinity = _with_predictions(affinity, _prediction_affinity(sight, predicted, limit))
        nodes = np.concatenate([view, np.full(len(predicted), len(cameras))])
    label = _solve(affinity, nodes)
    for _ in range(len(cameras)):
        torn = _members_that_do_not_meet(sight, label[: len(view)], limit)
        if not torn:
            break
        for out, rest in torn:
            affinity[out, rest] = affinity[rest, out] = -float(len(nodes))
        label = _solve(affinity, nodes)
    return _as_table(label[: len(view)], view, person, len(cameras))


class _Sight:
    """Rays of all 2D people: origin (3, N) m, direction (3, N, J) unit, weight (N, J), view (N,)."""

    def __init__(self, cameras: Sequence[Camera], keypoints: Sequence[Keypoints2D], view: Ints) -> None:
        self.view = view
        place = np.concatenate([np.arange(len(k)) for k in keypoints])  # row within the view
        xy = np.concatenate([k.xy for k in keypoints])  # (N, J, 2) px
        # All cameras undistort in one call, side by side, padded with NaN: twice as fast as one by one.
        side_by_side = np.full((len(cameras), place.max() + 1, *xy.shape[1:]), np.nan)
        side_by_side[view, place] = xy
        ideal, _ = undistort_views(cameras, normalised_views(cameras, side_by_side.reshape(len(cameras), -1, 2)))
        ideal = ideal.reshape(side_by_side.shape)[view, place]  # (N, J, 2)
        seen = np.isfinite(ideal[..., 0]) & np.isfinite(ideal[..., 1])
        x, y = np.where(seen, ideal[..., 0], 0.0), np.where(seen, ideal[..., 1], 0.0)
        length = np.sqrt(x * x + y * y + 1.0)
        optical = np.stack([x / length, y / length, 1.0 / length], axis=1)  # (N, 3, J)
        world_from_optical = np.stack([camera.cam_from_world[:3, :3].T for camera in cameras])[view]
        self.origin: Floats = np.stack([camera.centre for camera in cameras], axis=1)[:, view]
        self.direction: Floats = np.ascontiguousarray((world_from_optical @ optical).swapaxes(0, 1))
        self.weight: Floats = np.where(seen, np.concatenate([k.score for k in keypoints]), 0.0)


def _pair_affinity(sight: _Sight, bones: NDArray[Any], limit: float) -> Floats:
    """Affinity (N, N) in [-1, 1] of all people of different views; 0 where nothing can be said."""
    count = len(sight.view)
    first, second = np.nonzero(sight.view[:, None] < sight.view[None, :])  # (M,)
    bone_angle = _bone_angle(sight, bones)
    table = np.zeros((count, count))
    for start in range(0, len(first), PAIR_BLOCK):
        one, other = first[start : start + PAIR_BLOCK], second[start : start + PAIR_BLOCK]
        affinity, depth = _compared(sight, one, other, limit)
        size = depth * bone_angle[one]
        implausible = (size < BONE_LENGTH_RANGE_M[0]) | (size > BONE_LENGTH_RANGE_M[1])
        table[one, other] = np.where(implausible, np.minimum(affinity, -1.0), affinity)
    return np.asarray(table + table.T)


def _compared(sight: _Sight, first: Ints, second: Ints, limit: float) -> tuple[Floats, Floats]:
    """Affinity of pairs of people (M,), and the median distance m at which their rays meet, from the first."""
    r, s = sight.direction[:, first], sight.direction[:, second]  # (3, M, J)
    baseline = (sight.origin[:, second] - sight.origin[:, first])[..., None]  # (3, M, 1)
    weight = np.sqrt(sight.weight[first] * sight.weight[second])  # (M, J)
    mismatch, depth, blind = ray_mismatch(r, s, baseline)
    weight = np.where(blind, 0.0, weight)
    affinity = _affinity(np.where(blind, 0.0, mismatch), weight, limit)
    return affinity, _median(np.where(weight > 0, depth, np.nan))


def _affinity(mismatch_rad: Floats, weight: Floats, limit: float) -> Floats:
    """1 - mean mismatch over limit, times how much of the body was compared; joints on the last axis."""
    total = weight.sum(-1)
    mean = (weight * np.minimum(mismatch_rad, TRUNCATION * limit)).sum(-1) / np.maximum(total, 1e-12)
    # Eight joints are half of a body; more evidence than that does not make a pair more decisive.
    evidence = np.minimum((weight > 0).sum(-1) / 8.0, 1.0)
    enough = (weight > 0).sum(-1) >= MIN_SHARED_JOINTS
    return np.asarray(np.where(enough, evidence * (1.0 - mean / limit), 0.0))


def _prediction_affinity(sight: _Sight, predicted: Floats, limit: float) -> Floats:
    """Affinity (N, T) of 2D people and predicted 3D people, from the angle at which each joint is seen."""
    towards = np.moveaxis(predicted, -1, 0)[:, None] - sight.origin[:, :, None, None]  # (3, N, T, J)
    known = np.asarray(np.isfinite(towards).all(axis=0))
    towards = np.where(known, towards, 1.0)
    direction = sight.direction[:, :, None]
    angle = np.arctan2(_norm(_cross(direction, towards)), _dot(direction, towards))
    weight = np.where(known, sight.weight[:, None, :], 0.0)
    return _affinity(angle, weight, limit)


def _with_predictions(affinity: Floats, to_tracks: Floats) -> Floats:
    tracks = to_tracks.shape[1]
    return np.block([[affinity, to_tracks], [to_tracks.T, np.zeros((tracks, tracks))]])


def _solve(affinity: Floats, view: Ints) -> Ints:
    """Group label (N,) of every node: greedy contraction, then reassignment of one view after another."""
    label = _contract(affinity, view)
    for _ in range(4):
        before = label.copy()
        for one in np.unique(view):
            label = _reassign(affinity, view == one, label)
        # Labels are numbers of convenience: compare who is with whom.
        if ((before[:, None] == before) == (label[:, None] == label)).all():
            break
    return label


def _contract(affinity: Floats, view: Ints) -> Ints:
    """Merge the two groups that like each other most, as long as any do."""
    table = np.where(view[:, None] == view[None, :], -np.inf, affinity)
    label: Ints = np.arange(len(view))
    for _ in range(len(view)):
        a, b = divmod(int(np.argmax(table)), len(table))
        if not table[a, b] > 0:
            return label
        # -inf stays -inf in the sum: who shares a view with either shares it with both.
        table[a] += table[b]
        table[:, a] = table[a]
        table[a, a] = table[b] = table[:, b] = -np.inf
        label[label == label[b]] = label[a]
    raise AssertionError("more merges than there are observations")


def _reassign(affinity: Floats, mine: NDArray[np.bool_], label: Ints) -> Ints:
    """The best assignment of one view's people to the groups of the others, or to none."""
    groups = np.unique(label[~mine])
    member = (label[~mine][:, None] == groups).astype(np.float64)  # (N - n, G)
    gain: Floats = affinity[mine][:, ~mine] @ member  # (n, G)
    count = len(gain)
    # n more columns of 0: to stay alone, under a number that no group has.
    gain = np.hstack([gain, np.zeros((count, count))])
    rows, columns = linear_sum_assignment(gain, maximize=True)
    numbers = np.append(groups, label.max() + 1 + np.arange(count))
    alone = len(groups) + np.arange(count)
    result: Ints = label.copy()
    result[mine] = numbers[np.where(gain[rows, columns] > 0, columns, alone)]
    return result


def _members_that_do_not_meet(sight: _Sight, label: Ints, limit: float) -> list[tuple[int, Ints]]:
    """(worst member, the rest) of every group whose rays miss their common 3D points by more than the limit."""
    groups, group, size = np.unique(label, return_inverse=True, return_counts=True)
    direction, weight, origin = sight.direction, sight.weight, sight.origin[..., None]  # (3, N, 1)
    # Closest point to weighted rays: sum w (I - d d') X = sum w (I - d d') c, all groups and joints at once.
    member = (group == np.arange(len(groups))[:, None]).astype(np.float64)  # (G, N)
    along = weight * direction  # w d
    left = -((along[:, None] * direction).reshape(9, *weight.shape))
    left[[0, 4, 8]] += weight
    right = weight * origin - along * _dot(direction, origin)
    left, right = member @ left, member @ right  # (9, G, J), (3, G, J)
    left[[0, 4, 8]] += 1e-9
    point = solve(left.reshape(3, 3, *left.shape[1:]), right)  # (3, G, J)
    towards = point[:, group] - origin
    angle = np.arctan2(_norm(_cross(direction, towards)), _dot(direction, towards))
    shared = member @ (weight > 0)
    used = np.where(shared[group] >= 2, weight, 0.0)
    total = np.maximum(used.sum(-1), 1e-12)
    mean = (used * np.minimum(angle, TRUNCATION * limit)).sum(-1) / total
    # Two views share their one-dimensional mismatch, so that each shows half of it.
    allowed = np.where(size == 2, 0.5, 1.0)[group] * limit
    excess = np.where(size[group] >= 2, mean - allowed, -np.inf)
    torn = []
    for number in np.unique(group[excess > 0]):
        members = np.flatnonzero(group == number)
        worst = members[np.argmax(excess[members])]
        torn.append((int(worst), members[members != worst]))
    return torn


def _as_table(label: Ints, view: Ints, person: Ints, views: int) -> Ints:
    """Labels as indices (G, V), larger groups first, then in the order of views and people."""
    _, start, group, size = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    table = np.full((len(start), views), -1, dtype=np.intp)
    table[group, view] = person
    return np.asarray(table[np.lexsort((start, -size))])


def _bone_angle(sight: _Sight, bones: NDArray[Any]) -> Floats:
    """Median angle (N,) in rad under which a person's bones are seen; NaN if none is."""
    start, end = bones.T
    both = (sight.weight[:, start] > 0) & (sight.weight[:, end] > 0)
    return _median(np.where(both, _norm(sight.direction[:, :, start] - sight.direction[:, :, end]), np.nan))


def _median(values: Floats) -> Floats:
    """Lower median over the last axis without the NaN; NaN if nothing is left (nanmedian is 20 times slower)."""
    ordered = np.sort(values, axis=-1)  # NaN last
    middle = np.maximum(np.isfinite(values).sum(-1) - 1, 0) // 2
    return np.asarray(np.take_along_axis(ordered, middle[..., None], -1)[..., 0])


def _cross(a: Floats, b: Floats) -> Floats:
    """Cross product on the first axis; np.cross costs several times more."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _norm(a: Floats) -> Floats:
    return np.asarray(np.sqrt(_dot(a, a)))
