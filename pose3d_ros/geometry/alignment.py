"""Rigid and similarity alignment of point sets (NumPy, float64).

Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI 1991).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Floats


@dataclass(frozen=True, eq=False)
class Similarity:
    """target = scale * rotation @ source + translation, one a leading index."""

    scale: Floats  # (...)
    rotation: Floats  # (..., 3, 3), determinant +1
    translation: Floats  # (..., 3) in the target's unit

    def apply(self, xyz: ArrayLike) -> Floats:
        """Points (..., J, 3) of the source in the target's frame."""
        points = np.asarray(xyz, dtype=np.float64)
        turned = points @ self.rotation.swapaxes(-1, -2)
        moved: Floats = self.scale[..., None, None] * turned + self.translation[..., None, :]
        return moved

    @property
    def matrix(self) -> Floats:
        """(..., 4, 4) homogeneous."""
        matrix = np.zeros((*self.scale.shape, 4, 4))
        matrix[..., :3, :3] = self.scale[..., None, None] * self.rotation
        matrix[..., :3, 3] = self.translation
        matrix[..., 3, 3] = 1.0
        return matrix


def similarity(source: ArrayLike, target: ArrayLike, *, with_scale: bool = True) -> Similarity:
    """The least-squares similarity (or rigid transform) that takes source to target.

    source, target (..., J, 3), in any unit; a joint that is NaN in either is left out. Each leading index is
    aligned on its own. NaN where fewer than three joints are left, or where all left lie on one line or point
    (the rotation is then not determined). Raises InputError for shapes that differ.
    """
    a, b = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if a.shape != b.shape or a.ndim < 2 or a.shape[-1] != 3:
        raise InputError(f"source {a.shape} and target {b.shape} must both be (..., J, 3)")
    used = np.asarray(np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1))[..., None]
    count = np.maximum(used.sum(axis=-2, keepdims=True), 1)
    mean_a = np.where(used, a, 0.0).sum(axis=-2, keepdims=True) / count
    mean_b = np.where(used, b, 0.0).sum(axis=-2, keepdims=True) / count
    centred_a, centred_b = np.where(used, a - mean_a, 0.0), np.where(used, b - mean_b, 0.0)
    U, S, Vt = np.linalg.svd(centred_b.swapaxes(-1, -2) @ centred_a)
    sign = np.ones_like(S)
    sign[..., 2] = np.sign(np.linalg.det(U) * np.linalg.det(Vt))  # no mirror image
    rotation = (U * sign[..., None, :]) @ Vt
    spread = (centred_a**2).sum(axis=(-2, -1))
    determined = (used.sum(axis=(-2, -1)) >= 3) & (S[..., 1] > 1e-9 * S[..., 0])
    size = (S * sign).sum(axis=-1) / np.where(spread > 0, spread, 1.0) if with_scale else np.ones_like(spread)
    rotation = np.where(determined[..., None, None], rotation, np.nan)
    translation = mean_b[..., 0, :] - size[..., None] * (rotation @ mean_a[..., 0, :, None])[..., 0]
    return Similarity(np.where(determined, size, np.nan), rotation, translation)


def rigid(source: ArrayLike, target: ArrayLike) -> Similarity:
    """The least-squares rotation and translation from source to target; as similarity with scale 1."""
    return similarity(source, target, with_scale=False)


def procrustes(source: ArrayLike, target: ArrayLike) -> Floats:
    """source (..., J, 3) moved, turned and scaled onto target (..., J, 3); NaN as in similarity."""
    return similarity(source, target).apply(source)
