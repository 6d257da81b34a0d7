"""What the cameras say of N points, made ready for triangulation (NumPy, float64).

The pinhole relation holds in ideal coordinates, the detector's errors live in the distorted image. So a residual
is formed in ideal coordinates and carried to pixels by the derivative D of the lens model at the keypoint:
r_px = K D (xy_ideal - x/z), the original image's residual to first order. Whitening it with the keypoint's
covariance S = L L' (or sigma^2 I) is the same as carrying S through the derivative of undistortion.

The last axis of every array is the points, so that NumPy's inner loops run over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.distortion import normalised_views, undistort_views
from pose3d_ros.structures import Camera, Floats


@dataclass(frozen=True, eq=False)
class Sightings:
    """N points seen by V cameras; what is not seen has zero coordinates and zero whitening."""

    rotation: Floats  # (V, 3, 3) camera from world
    translation: Floats  # (V, 3, 1) m
    centres: Floats  # (V, 3) m, world
    seen: NDArray[np.bool_]  # (V, N)
    xy: Floats  # (V, 2, N) ideal, normalised
    to_px: Floats  # (V, 2, 2, N) normalised residual -> px of the original image
    whiten: Floats  # (V, 2, 2, N) normalised residual -> multiples of the standard deviation, times the weight

    @property
    def n_views(self) -> NDArray[np.uint8]:
        """Cameras that see each point, (N,)."""
        return np.asarray(self.seen.sum(axis=0), dtype=np.uint8)

    def take(self, points: NDArray[np.intp] | slice) -> Sightings:
        """Some of the points only."""
        return Sightings(
            self.rotation,
            self.translation,
            self.centres,
            self.seen[:, points],
            self.xy[:, :, points],
            self.to_px[..., points],
            self.whiten[..., points],
        )

    def depths(self, xyz: Floats) -> Floats:
        """Depth of xyz (3, N) m in every camera, (V, N) m."""
        z: Floats = self.rotation[:, 2] @ xyz + self.translation[:, 2]
        return z

    def in_front(self, xyz: Floats) -> NDArray[np.bool_]:
        """Whether xyz (3, N) lies in front of every camera that sees it, (N,)."""
        return np.asarray(((self.depths(xyz) > 0) | ~self.seen).all(axis=0))


def sightings(
    cameras: Sequence[Camera],
    xy_px: Floats,
    weight: Floats | None,
    covariance_px2: Floats | None,
    sigma_px: float,
) -> Sightings:
    """Keypoints xy_px (V, N, 2), weight (V, N), covariance_px2 (V, N, 2, 2) as Sightings.

    A keypoint counts as seen when its coordinates and weight are finite, its weight is positive and the lens
    model can undistort it. A covariance that is not finite and positive definite is replaced by sigma_px^2 I.
    """
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
    return Sightings(
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
