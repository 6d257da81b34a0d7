"""How well one camera's view of a person fits another's, as lines rather than rays: why a match is rejected.

Association (association.py) only says who belongs together. Here lines of sight may also meet behind the cameras, or at
a distance where the person would be a giant: each points to another mistake in a calibration. NumPy, float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.projection import rays
from pose3d_ros.kernels.constants import MIN_SHARED_JOINTS
from pose3d_ros.structures import Camera, Floats, Keypoints2D


@dataclass(frozen=True, eq=False)
class PairFits:
    """Every person of one view (P) against every person of another (Q)."""

    shared: NDArray[np.intp]  # (P, Q) joints that both views have, whose lines are not parallel
    miss_rad: Floats  # (P, Q) median angle by which the lines miss; NaN where they share too few joints
    in_front: Floats  # (P, Q) share of the joints whose lines meet in front of both cameras
    bone_m: Floats  # (P, Q) median length of a bone where the lines come nearest to each other


def pair_fits(camera: Camera, people: Keypoints2D, other: Camera, others: Keypoints2D) -> PairFits:
    """How the people of two views fit each other; one common skeleton."""
    origin, mine = rays(camera, people.xy)
    place, theirs = rays(other, others.xy)
    r, s = np.broadcast_arrays(mine[:, None], theirs[None])  # (P, Q, J, 3)
    across = origin - place
    cosine = (r * s).sum(-1)
    along_r, along_s = (r * across).sum(-1), (s * across).sum(-1)
    squared = 1.0 - cosine**2  # of the sine of the angle between the lines
    usable = np.isfinite(squared) & (squared > 1e-12)
    usable &= ((people.score > 0)[:, None] & (others.score > 0)[None]) & bool(np.linalg.norm(across) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(usable, (cosine * along_s - along_r) / squared, np.nan)  # m along r, negative behind the camera
        u = np.where(usable, (along_s - cosine * along_r) / squared, np.nan)
        point_r, point_s = origin + t[..., None] * r, place + u[..., None] * s
        miss = np.linalg.norm(point_r - point_s, axis=-1) / np.minimum(np.abs(t), np.abs(u))
    shared = usable.sum(-1)
    enough = shared >= MIN_SHARED_JOINTS
    front = (usable & (np.nan_to_num(t) > 0) & (np.nan_to_num(u) > 0)).sum(-1) / np.maximum(shared, 1)
    start, end = np.array(people.skeleton.bones).T
    middle = (point_r + point_s) / 2
    bones = np.linalg.norm(middle[:, :, start] - middle[:, :, end], axis=-1)
    return PairFits(shared, np.where(enough, _median(miss), np.nan), front, np.where(enough, _median(bones), np.nan))


def _median(values: NDArray[Any]) -> Floats:
    """Median over the last axis without NaN; NaN where nothing is left."""
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(-1)
    middle = np.maximum(count - 1, 0) // 2
    return np.asarray(np.take_along_axis(ordered, middle[..., None], -1)[..., 0])
