"""The definition of kernels/left_right.py (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.left_right import CLEAR, LEAST_SEEN, OTHER_SIDE, PARTS
from pose3d_ros.estimation.observation import Grouped2D
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats

MIDDLE = tuple(joint for joint in range(H36M_17.size) if OTHER_SIDE[joint] == joint)


def swapped(cameras: Sequence[Camera], seen: Grouped2D, expected: Floats) -> NDArray[np.bool_]:
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
        is_swapped = known & (np.where(both, gain, 0.0).sum(-1) > CLEAR)
        is_swapped &= 2 * is_swapped.sum(0) <= known.sum(0)
        exchanged[..., part] = is_swapped[..., None]
    return exchanged


def _mean(values: Floats, without: float) -> Floats:
    """Mean over the last axis of what is finite; without where nothing is."""
    known = np.isfinite(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), without))
