"""Every person's keypoints as the body window takes them (NumPy, float64)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pose3d_ros.estimation.body import FLEX_M, JOINTS
from pose3d_ros.estimation.body_window import BodyFrame
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.structures import Floats


def body_frames(rays: Observations, observed: Observed3D, stamp_ns: int) -> tuple[BodyFrame, ...]:
    """One frame for each of the G people observed, from the rays of their joints (V, G * 17)."""
    views, joints = len(rays.rotation), observed.xyz.shape[1]
    xy = rays.xy.reshape(views, 2, -1, joints)[..., JOINTS]
    whiten = rays.whiten.reshape(views, 2, 2, -1, joints)[..., JOINTS]
    return tuple(
        BodyFrame(
            time_s=stamp_ns * 1e-9,
            rotation=rays.rotation,
            translation=rays.translation[..., 0],
            xy=xy[:, :, group],
            whiten=whiten[:, :, :, group],
            calibration_covariance=observed.calibration_covariance[group],
            longer=np.zeros(len(FLEX_M)),
            link_std=FLEX_M,
        )
        for group in range(len(observed))
    )


def moved_rays(rays: Observations, before: Floats, after: Floats) -> Observations:
    """The rays, in each view moved as its image of the joints (G, 17, 3) m moves from before to after.

    What triangulated to `before` then triangulates to `after`, with the same residuals. A joint that has no place in
    one of both stays.
    """
    change = _images(rays, after) - _images(rays, before)
    return replace(rays, xy=rays.xy + np.where(np.isfinite(change), change, 0.0))


def _images(rays: Observations, xyz: Floats) -> Floats:
    """Ideal coordinates (V, 2, N) of points (G, 17, 3) m."""
    point = rays.rotation @ xyz.reshape(-1, 3).T + rays.translation
    images: Floats = point[:, :2] / point[:, 2:]
    return images
