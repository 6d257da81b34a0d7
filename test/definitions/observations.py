"""The definition of kernels/observations.py's sighted (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from definitions.distortion import undistort_views

from pose3d_ros.geometry.distortion import normalised_views
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.structures import Camera, Floats


def observations(
    cameras: Sequence[Camera],
    xy_px: Floats,
    weight: Floats | None,
    covariance_px2: Floats | None,
    sigma_px: float,
) -> Observations:
    """As geometry.observations.observations."""
    ideal, lens = undistort_views(cameras, normalised_views(cameras, xy_px))
    seen = np.asarray(np.isfinite(ideal[..., 0]) & np.isfinite(ideal[..., 1]))
    scale = seen / sigma_px
    if weight is not None:
        seen &= np.isfinite(weight) & (weight > 0)
        scale = np.where(seen, weight, 0.0) / sigma_px
    K = np.array([camera.K[:2, :2] for camera in cameras])  # (V, 2, 2)
    to_px = np.ascontiguousarray((K[:, None] @ lens).transpose(0, 2, 3, 1))
    to_px = np.where(seen[:, None, None], to_px, 0.0)
    whiten = to_px * scale[:, None, None]
    if covariance_px2 is not None:
        whiten = _whiten(to_px, scale * sigma_px, covariance_px2, sigma_px)
    transform = np.array([camera.cam_from_world for camera in cameras])
    rotation, translation = transform[:, :3, :3], transform[:, :3, 3:]
    return Observations(
        rotation=rotation,
        translation=translation,
        centres=-(rotation.swapaxes(1, 2) @ translation)[..., 0],
        seen=seen,
        xy=np.where(seen[:, None], np.moveaxis(ideal, -1, 1), 0.0),
        to_px=to_px,
        whiten=whiten,
    )


def _whiten(to_px: Floats, weight: Floats, covariance: Floats, sigma_px: float) -> Floats:
    """weight L^-1 to_px, with covariance = L L'."""
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    with np.errstate(invalid="ignore"):
        good = (a > 0) & (a * c - b * b > 0) & np.isfinite(a + b + c)
    a, b, c = np.where(good, a, sigma_px**2), np.where(good, b, 0.0), np.where(good, c, sigma_px**2)
    l00 = np.sqrt(a)
    l10 = b / l00
    l11 = np.sqrt(c - l10 * l10)
    first = to_px[:, 0] / l00[:, None]
    second = (to_px[:, 1] - l10[:, None] * first) / l11[:, None]
    return np.stack([first, second], axis=1) * weight[:, None, None]
