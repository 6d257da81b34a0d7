"""What cameras that are not quite where, or when, they are taken to be do to triangulated points (float64).

An error of calibration or synchronisation displaces everything that a camera sees: it does not average out over joints
or time, and the covariance of a triangulation, which knows the keypoints' own errors only, does not hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pose3d_ros import kernels
from pose3d_ros.geometry.observations import Observations, observations
from pose3d_ros.geometry.triangulation import SIGMA_PX
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

    The other arguments are those that triangulate gave xyz for: they say how much each camera pulls at a point.
    With A the information of the fit, J_c its whitened derivative, L_c the root of the keypoint's covariance and
    omega_c Huber's weight, a shift d_c px moves the point by A^-1 omega_c J_c' L_c^-1 d_c, so

        A^-1 (sum_c omega_c^2 J_c' L_c^-1 L_c^-T J_c) A^-1

    (the sandwich of misspecified models: White, Econometrica 50(1), 1982). NaN where fewer than two cameras fix the
    point.
    """
    count, shape = len(cameras), xyz.shape[:-1]
    weights = None if weight is None else weight.reshape(count, -1)
    spread = None if covariance is None else covariance.reshape(count, -1, 2, 2)
    views = observations(cameras, xy.reshape(count, -1, 2), weights, spread, sigma_px)
    points = kernels.plain(xyz.reshape(-1, 3).T)
    return moved_points(views, points, delta).reshape(*shape, 3, 3)


def moved_points(views: Observations, xyz: Floats, delta: float) -> Floats:
    """The same (N, 3, 3) m^2 of points xyz (3, N) m whose observations are known."""
    moved: Floats = kernels.validation.moved_by_cameras(
        views.rotation, views.translation[..., 0], views.xy, views.whiten, views.to_px, xyz, float(delta)
    )
    return moved
