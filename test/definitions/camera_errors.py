"""The definition of moved_by_cameras of kernels/validation.py (NumPy, float64).

An error of calibration or synchronisation displaces everything that a camera sees: it does not average out over joints
or time, and the covariance of a triangulation, which knows the keypoints' own errors only, does not hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from definitions import robust
from definitions.observations import observations

from pose3d_ros.geometry.triangulation import SIGMA_PX
from pose3d_ros.kernels.constants import MIN_CONDITION
from pose3d_ros.structures import Camera, Floats


def camera_error_covariance(
    cameras: Sequence[Camera],
    xy: Floats,
    xyz: Floats,
    weight: Floats | None = None,
    covariance: Floats | None = None,
    *,
    sigma_px: float = SIGMA_PX,
    delta: float,
) -> Floats:
    """As geometry.camera_errors.camera_error_covariance."""
    count, shape = len(cameras), xyz.shape[:-1]
    weights = None if weight is None else weight.reshape(count, -1)
    spread = None if covariance is None else covariance.reshape(count, -1, 2, 2)
    views = observations(cameras, xy.reshape(count, -1, 2), weights, spread, sigma_px)
    points = xyz.reshape(-1, 3).T
    finite = np.isfinite(points).all(axis=0)
    points = np.where(finite, points, 0.0)
    at = robust.errors(views, points)
    rotation = views.rotation[..., None]
    pinhole = (rotation[:, :2] - at.projected[:, :, None] * rotation[:, 2:]) / at.depth[:, None, None]  # (V, 2, 3, N)
    whiten, seen = views.whiten.transpose(3, 0, 1, 2), views.seen.T  # (N, V, 2, 2), (N, V)
    J = whiten @ pinhole.transpose(3, 0, 1, 2)  # (N, V, 2, 3)
    to_px = np.where(seen[..., None, None], views.to_px.transpose(3, 0, 1, 2), np.eye(2))
    omega = delta / np.maximum(at.size, delta) if np.isfinite(delta) else np.ones_like(at.size)
    pull = omega.T[..., None, None] * J.swapaxes(2, 3)  # (N, V, 3, 2)
    information = (pull @ J).sum(axis=1)
    per_px = pull @ whiten @ np.linalg.inv(to_px)
    eigenvalues = np.linalg.eigvalsh(information)
    fixed = finite & (views.n_views >= 2) & (eigenvalues[:, 0] > MIN_CONDITION * eigenvalues[:, 2])
    inverse = np.linalg.inv(np.where(fixed[:, None, None], information, np.eye(3)))
    moved = inverse @ (per_px @ per_px.swapaxes(2, 3)).sum(axis=1) @ inverse
    return np.where(fixed[:, None, None], moved, np.nan).reshape(*shape, 3, 3)
