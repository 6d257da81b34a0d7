"""How far triangulated points move when a camera is not quite where, or when, it is taken to be (NumPy, float64).

An error of calibration or synchronisation displaces everything that a camera sees: it does not average out over joints
or time, and the covariance of a triangulation, which knows the keypoints' own errors only, does not hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose3d_ros.geometry import robust
from pose3d_ros.geometry.sightings import sightings
from pose3d_ros.geometry.triangulation import MIN_CONDITION, SIGMA_PX
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
    """Covariance (..., 3, 3) m^2 of points xyz (..., 3) m whose cameras are each off by 1 px an axis, independently.

    The other arguments are those that triangulate was called with: they say how much each camera pulls at a point.
    With A the information of the fit, J_c its whitened derivative, L_c the root of the keypoint's covariance and
    omega_c Huber's weight, a shift d_c px moves the point by A^-1 omega_c J_c' L_c^-1 d_c, so

        S = A^-1 (sum_c omega_c^2 J_c' L_c^-1 L_c^-T J_c) A^-1

    (the sandwich of misspecified models: White, Econometrica 50(1), 1982). NaN where fewer than two cameras fix
    the point.
    """
    count, shape = len(cameras), xyz.shape[:-1]
    weights = None if weight is None else weight.reshape(count, -1)
    spread = None if covariance is None else covariance.reshape(count, -1, 2, 2)
    views = sightings(cameras, xy.reshape(count, -1, 2), weights, spread, sigma_px)
    points = xyz.reshape(-1, 3).T
    finite = np.isfinite(points).all(axis=0)
    points = np.where(finite, points, 0.0)
    at = robust.errors(views, points)
    rotation = views.rotation[..., None]
    pinhole = (rotation[:, :2] - at.projected[:, :, None] * rotation[:, 2:]) / at.depth[:, None, None]  # (V, 2, 3, N)
    J = np.einsum("vijn,vjkn->vikn", views.whiten, pinhole)
    omega = delta / np.maximum(at.size, delta) if np.isfinite(delta) else np.ones_like(at.size)
    information = np.einsum("vn,vian,vibn->nab", omega, J, J)
    eye = np.eye(2)[:, :, None]
    per_px = np.linalg.inv(np.where(views.seen[:, None, None], views.to_px, eye).transpose(0, 3, 1, 2))
    pull = np.einsum("vn,vian,vijn,vnjk->vnak", omega, J, views.whiten, per_px, optimize=True)  # (V, N, 3, 2) per px
    eigenvalues = np.linalg.eigvalsh(information)
    fixed = finite & (views.n_views >= 2) & (eigenvalues[:, 0] > MIN_CONDITION * eigenvalues[:, 2])
    inverse = np.linalg.inv(np.where(fixed[:, None, None], information, np.eye(3)))
    moved = inverse @ np.einsum("vnak,vnbk->nab", pull, pull) @ inverse
    return np.where(fixed[:, None, None], moved, np.nan).reshape(*shape, 3, 3)
