"""From the world to pixels and back, for one camera (float64).

px means pixels of the original, distorted image; normalised means ideal x/z, y/z in the camera's optical frame.
Every function takes any leading shape, also an empty one, and gives NaN for what cannot be: NaN in, a point not
in front of the camera, a point outside the distortion model's valid range (geometry/distortion.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros import kernels
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.distortion import distort_views, lenses_of, undistort_px
from pose3d_ros.structures import Camera, Floats


def project(camera: Camera, xyz: ArrayLike) -> Floats:
    """Where world points are seen.

    xyz (..., 3) m, world. Returns (..., 2) px in the original image, NaN where z <= 0 in the camera's frame or
    where the lens model has no answer. A point outside the image keeps its pixel outside. Raises InputError for
    a last axis other than 3.
    """
    points = _points("xyz", xyz, 3)
    px: Floats = project_views([camera], points)[0]
    return px


def project_views(cameras: Sequence[Camera], xyz: Floats) -> Floats:
    """The same by several cameras, (V, ..., 2) px."""
    px: Floats = kernels.lenses.projected(lenses_of(cameras), kernels.plain(xyz).reshape(-1, 3))
    return px.reshape(len(cameras), *xyz.shape[:-1], 2)


def undistort(camera: Camera, xy_px: ArrayLike) -> Floats:
    """Normalised ideal coordinates (..., 2) of pixels (..., 2) of the original image.

    NaN stays NaN. A pixel whose ideal point does not come back to within 1e-6 px of it
    (RESIDUAL_LIMIT_PX of kernels/lenses.py) gives NaN: it lies outside the model's valid range.
    """
    px = _points("xy_px", xy_px, 2)
    ideal, _ = undistort_px([camera], px.reshape(1, -1, 2))
    return ideal.reshape(px.shape)


def distort(camera: Camera, xy_normalised: ArrayLike) -> Floats:
    """Pixels (..., 2) of the original image of normalised ideal coordinates (..., 2)."""
    ideal = _points("xy_normalised", xy_normalised, 2)
    distorted, _ = distort_views([camera], ideal.reshape(1, -1, 2))
    px: Floats = distorted.reshape(ideal.shape) @ camera.K[:2, :2].T + camera.K[:2, 2]
    return px


def rays(camera: Camera, xy_px: ArrayLike) -> tuple[Floats, Floats]:
    """The rays of sight of pixels (..., 2): the camera's centre (3,) m and unit directions (..., 3), both world."""
    ideal = undistort(camera, xy_px)
    direction = np.concatenate([ideal, np.ones((*ideal.shape[:-1], 1))], axis=-1)
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    world: Floats = direction @ camera.cam_from_world[:3, :3]
    return camera.centre, world


def project_with_covariance(camera: Camera, xyz: ArrayLike, covariance: ArrayLike) -> tuple[Floats, Floats]:
    """Where uncertain world points are seen, to first order.

    xyz (..., 3) m and covariance (..., 3, 3) m^2, world. Returns (..., 2) px and (..., 2, 2) px^2 in the
    original image; NaN as in project.
    """
    points = _points("xyz", xyz, 3)
    spread = np.broadcast_to(np.asarray(covariance, dtype=np.float64), (*points.shape, 3))
    ideal, z = _to_normalised(camera, points)
    distorted, lens = distort_views([camera], ideal.reshape(1, -1, 2))
    rotation = camera.cam_from_world[:3, :3]
    pinhole = (rotation[:2] - ideal[..., None] * rotation[2]) / z[..., None, None]
    jacobian = camera.K[:2, :2] @ lens.reshape(*ideal.shape, 2) @ pinhole  # (..., 2, 3) px/m
    px = distorted.reshape(ideal.shape) @ camera.K[:2, :2].T + camera.K[:2, 2]
    seen = np.isfinite(px).all(axis=-1)[..., None, None]
    return px, np.where(seen, jacobian @ spread @ jacobian.swapaxes(-1, -2), np.nan)


def _to_normalised(camera: Camera, xyz: Floats) -> tuple[Floats, Floats]:
    """x/z, y/z (..., 2) and depth z (...) m; NaN where z <= 0."""
    in_camera = xyz @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3]
    z = np.where(in_camera[..., 2] > 0, in_camera[..., 2], np.nan)
    return in_camera[..., :2] / z[..., None], z


def _points(what: str, value: ArrayLike, size: int) -> Floats:
    points = np.asarray(value, dtype=np.float64)
    if points.ndim == 0 or points.shape[-1] != size:
        raise InputError(f"{what} has shape {points.shape}, expected (..., {size})")
    return points
