"""How far estimated joints lie from the truth (NumPy, float64).

estimate and truth are (..., J, 3) in m, in one frame; results are in m or shares of 1.

Missing joints: a joint whose TRUTH is NaN counts nowhere. A joint whose ESTIMATE is NaN is left out of the mean
errors (report how many were), but counts as wrong in PCK and AUC, which thus cannot be raised by leaving
hard joints out. A mean over nothing is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.alignment import procrustes
from pose3d_ros.structures import Floats

# Mehta et al., "Monocular 3D human pose estimation in the wild using improved CNN supervision" (3DV 2017), Sec. 5:
# 150 mm is about half a head; AUC is the mean PCK over 0, 5, ..., 150 mm, as in the data set's evaluation script.
PCK_THRESHOLD_M = 0.150
AUC_THRESHOLDS_M: Floats = np.linspace(0.0, 0.150, 31)


def joint_errors(estimate: ArrayLike, truth: ArrayLike) -> Floats:
    """Euclidean distances (..., J) m; NaN where either joint is. Raises InputError for shapes that differ."""
    a, b = _pair(estimate, truth)
    distance: Floats = np.linalg.norm(a - b, axis=-1)
    return distance


def mpjpe(estimate: ArrayLike, truth: ArrayLike, root: int | None = None) -> float:
    """Mean per-joint position error, m: absolute, or relative to joint number root.

    Relative, a pose whose root is missing is left out. The root itself, always 0, stays in the mean, as
    Human3.6M's protocol 1 counts it (Ionescu et al., PAMI 2014).
    """
    a, b = _pair(estimate, truth)
    if root is not None:
        a, b = a - a[..., root : root + 1, :], b - b[..., root : root + 1, :]
    return _mean(joint_errors(a, b))


def pa_mpjpe(estimate: ArrayLike, truth: ArrayLike) -> float:
    """MPJPE after a similarity alignment of every pose on its own (Human3.6M's protocol 2), m.

    A pose with fewer than three common joints, or with all of them on a line, is left out.
    """
    a, b = _pair(estimate, truth)
    return _mean(joint_errors(procrustes(a, b), b))


def mrpe(estimate: ArrayLike, truth: ArrayLike, root: int = 0) -> float:
    """Mean root position error, m (Moon et al., "Camera distance-aware top-down approach ...", ICCV 2019)."""
    a, b = _pair(estimate, truth)
    return _mean(joint_errors(a[..., root : root + 1, :], b[..., root : root + 1, :]))


def pck(estimate: ArrayLike, truth: ArrayLike, threshold_m: float = PCK_THRESHOLD_M) -> float:
    """3DPCK: the share of joints closer than threshold_m; a joint not estimated counts as wrong."""
    return float(_shares(estimate, truth, np.array([threshold_m]))[0])


def auc(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Mean 3DPCK over the thresholds 0, 5, ..., 150 mm, as MPI-INF-3DHP defines it.

    Nothing is closer than 0 mm, so even a perfect estimate reaches 30/31 = 0.968.
    """
    return float(_shares(estimate, truth, AUC_THRESHOLDS_M).mean())


def _shares(estimate: ArrayLike, truth: ArrayLike, thresholds: Floats) -> Floats:
    """Share of the true joints whose error is below each threshold."""
    error = joint_errors(estimate, truth)
    known = np.isfinite(np.asarray(truth, dtype=np.float64)).all(axis=-1)
    error = np.sort(np.where(np.isnan(error[known]), np.inf, error[known]))
    if error.size == 0:
        return np.full(len(thresholds), np.nan)
    return np.searchsorted(error, thresholds, side="left") / error.size


def _mean(values: Floats) -> float:
    kept: NDArray[np.float64] = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else float("nan")


def _pair(estimate: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(estimate, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape or a.ndim < 2 or a.shape[-1] != 3:
        raise InputError(f"estimate {a.shape} and truth {b.shape} must both be (..., J, 3)")
    return a, b
