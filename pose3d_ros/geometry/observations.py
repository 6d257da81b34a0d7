"""Observations of N points by the cameras, prepared for triangulation (float64).

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

from pose3d_ros import kernels
from pose3d_ros.geometry.distortion import lenses_of, undistort_px
from pose3d_ros.structures import Camera, Floats


@dataclass(frozen=True, eq=False)
class Observations:
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

    def take(self, points: NDArray[np.intp] | slice) -> Observations:
        """Some of the points only."""
        return Observations(
            self.rotation,
            self.translation,
            self.centres,
            self.seen[:, points],
            self.xy[:, :, points],
            self.to_px[..., points],
            self.whiten[..., points],
        )


def observations(
    cameras: Sequence[Camera],
    xy_px: Floats,
    weight: Floats | None,
    covariance_px2: Floats | None,
    sigma_px: float,
) -> Observations:
    """Keypoints xy_px (V, N, 2), weight (V, N), covariance_px2 (V, N, 2, 2) as Observations.

    A keypoint counts as seen when its coordinates and weight are finite, its weight is positive and the lens
    model can undistort it. A covariance that is not finite and positive definite is replaced by sigma_px^2 I.
    """
    ideal, lens = undistort_px(cameras, xy_px)
    seen, xy, to_px, whiten = kernels.observations.sighted(
        lenses := lenses_of(cameras),
        ideal,
        lens,
        np.empty((0, 0)) if weight is None else kernels.plain(weight),
        np.empty((0, 0, 0, 0)) if covariance_px2 is None else kernels.plain(covariance_px2),
        float(sigma_px),
    )
    return Observations(lenses[7], lenses[8][..., None], lenses[9], seen, xy, to_px, whiten)
