"""Joints in space from their pixels in several calibrated cameras (float64, all joints batched)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros import kernels
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.geometry.distortion import lenses_of, undistort_px
from pose3d_ros.geometry.observations import Observations, observations
from pose3d_ros.geometry.validation import Rejection, Triangulation, joined
from pose3d_ros.structures import Camera, Floats

# Standard deviation of a 2D detector's keypoint, px an axis, where none is given: 4.15 px reproduces the
# published 36.0 mm of two-view triangulation on Human3.6M (images of 1000 px).
SIGMA_PX = 4.0
# Huber's threshold in standard deviations: costs 0.6 % over the Cramer-Rao bound on clean data.
HUBER_DELTA = 2.0
# A joint with a larger standard deviation along its worst axis is useless: human limbs are 0.25-0.45 m long.
MAX_STD_M = 0.5
BLOCK = 4096  # points at a time: intermediate results stay in the processor's cache

__all__ = [
    "Rejection",
    "Triangulation",
    "huber_objective",
    "linear_points",
    "triangulate",
    "triangulate_linear",
]


def triangulate_linear(
    cameras: Sequence[Camera],
    xy: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    sigma_px: float = SIGMA_PX,
    max_std_m: float = MAX_STD_M,
) -> Triangulation:
    """Weighted linear triangulation: fast, closed, not robust.

    Arguments as in triangulate. An error counts weight * px * depth (Hartley & Zisserman, Sec. 12.2), so this is
    0-4 % above the Cramer-Rao bound on a Human3.6M rig. The covariance is the inverse Fisher information.
    """
    flat, shape = _flat(cameras, xy, weight, None, sigma_px)
    return _solved(flat, shape, None, max_std_m)


def linear_points(cameras: Sequence[Camera], xy: ArrayLike, weight: ArrayLike | None = None) -> Floats:
    """The positions of triangulate_linear without validation: (..., 3) m, world; many times faster for large batches.

    Arguments as in triangulate. NaN below two views and where the rays fix no point; points behind a camera and
    uncertain points are not rejected.
    """
    flat, shape = _flat(cameras, xy, weight, None, SIGMA_PX)
    if weight is None and not any(c.distortion.any() or c.distortion_model == "equidistant" for c in cameras):
        projections = np.array([camera.K @ camera.cam_from_world[:3] for camera in cameras])
        found: Floats = kernels.solving.linear_px(projections, kernels.plain(flat.xy))
        return found.reshape(*shape, 3)
    out = np.empty((flat.xy.shape[1], 3))
    for block in _blocks(len(out)):
        views = flat.observations(block)
        out[block] = kernels.solving.linear(
            views.rotation, views.translation[..., 0], views.seen, views.xy, views.whiten
        ).T
    return out.reshape(*shape, 3)


def triangulate(
    cameras: Sequence[Camera],
    xy: ArrayLike,
    weight: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    *,
    sigma_px: float = SIGMA_PX,
    delta: float = HUBER_DELTA,
    max_std_m: float = MAX_STD_M,
) -> Triangulation:
    """Huber-robust triangulation: PoseRN (Sayo et al., ICIP 2021), Eq. 3, by Levenberg-Marquardt.

    Of two views alone the linear solution stands: where they disagree nothing tells which is wrong, and a fit puts the
    points of nearly parallel rays far away (two cameras in rooms, noise c: linear 311 mm on average, Huber's fit 406,
    least squares 403; Human3.6M: 95.5, 96.7, 96.3).

    xy (V, ..., 2) px in the original images, NaN where a camera does not see the joint. weight (V, ...) stands
    inside Huber's function and acts as a relative inverse standard deviation; 0 or NaN leaves the view out.
    covariance (V, ..., 2, 2) px^2 of each keypoint; without it sigma_px an axis. delta in standard deviations.
    A joint is rejected, with its reason, by number of views, rank, cheirality and max_std_m.

    The returned covariance is the inverse Fisher information at the solution with each view scaled by its
    Huber weight min(1, delta / residual): on clean data 95 % ellipsoids cover 95 %, and a view that disagrees
    adds little. Raises InputError for shapes that do not fit.
    """
    if not delta > 0:
        raise InputError(f"delta is {delta}, expected a positive number of standard deviations, e.g. {HUBER_DELTA}")
    flat, shape = _flat(cameras, xy, weight, covariance, sigma_px)
    return _solved(flat, shape, delta, max_std_m)


def huber_objective(
    cameras: Sequence[Camera],
    xy: ArrayLike,
    xyz: ArrayLike,
    weight: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
    *,
    sigma_px: float = SIGMA_PX,
    delta: float = HUBER_DELTA,
) -> Floats:
    """What triangulate minimises of three views or more, at points xyz (..., 3) m: (...).

    inf behind a camera that sees the joint.
    """
    flat, shape = _flat(cameras, xy, weight, covariance, sigma_px)
    views = flat.observations()
    points = np.broadcast_to(np.asarray(xyz, dtype=np.float64), (*shape, 3)).reshape(-1, 3).T
    found: Floats = kernels.solving.objectives(
        views.rotation, views.translation[..., 0], views.xy, views.whiten, kernels.plain(points), float(delta)
    )
    return found.reshape(shape)


@dataclass(frozen=True, eq=False)
class _Flat:
    """The arguments, checked, with N joints in one axis."""

    cameras: Sequence[Camera]
    xy: Floats  # (V, N, 2) px
    weight: Floats | None  # (V, N)
    covariance: Floats | None  # (V, N, 2, 2) px^2
    sigma_px: float

    def observations(self, block: slice = slice(None)) -> Observations:
        """Of all or some of the joints."""
        weight = None if self.weight is None else self.weight[:, block]
        covariance = None if self.covariance is None else self.covariance[:, block]
        return observations(self.cameras, self.xy[:, block], weight, covariance, self.sigma_px)


def _flat(
    cameras: Sequence[Camera],
    xy: ArrayLike,
    weight: ArrayLike | None,
    covariance: ArrayLike | None,
    sigma_px: float,
) -> tuple[_Flat, tuple[int, ...]]:
    """The arguments checked and flattened, and the joints' own shape."""
    points = np.asarray(xy, dtype=np.float64)
    if not cameras or points.ndim < 2 or points.shape[0] != len(cameras) or points.shape[-1] != 2:
        raise InputError(f"xy has shape {points.shape}, expected ({len(cameras)}, ..., 2): one entry a camera")
    if not (np.isfinite(sigma_px) and sigma_px > 0):
        raise InputError(f"sigma_px is {sigma_px}, expected a positive number of pixels")
    shape = points.shape[1:-1]
    flat = (len(cameras), int(np.prod(shape)))
    weights = None if weight is None else _shaped("weight", weight, points.shape[:-1]).reshape(flat)
    spread = None if covariance is None else _shaped("covariance", covariance, (*points.shape, 2))
    if spread is not None:
        spread = spread.reshape(*flat, 2, 2)
    return _Flat(cameras, points.reshape(*flat, 2), weights, spread, sigma_px), shape


def _shaped(what: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.shape != shape:
        raise InputError(f"{what} has shape {numbers.shape}, expected {shape} like xy")
    return numbers


def _solved(flat: _Flat, shape: tuple[int, ...], delta: float | None, max_std_m: float) -> Triangulation:
    """Solved and judged, linearly or with Huber's delta, a block at a time."""
    lenses, parts = lenses_of(flat.cameras), []
    for block in _blocks(flat.xy.shape[1]):
        weight = np.empty((0, 0)) if flat.weight is None else kernels.plain(flat.weight[:, block])
        spread = np.empty((0, 0, 0, 0)) if flat.covariance is None else kernels.plain(flat.covariance[:, block])
        found, _ = kernels.validation.triangulated(
            lenses,
            *undistort_px(flat.cameras, flat.xy[:, block]),
            *(weight, spread, float(flat.sigma_px)),
            np.inf if delta is None else float(delta),
            *(float(max_std_m), MIN_BASELINE_M, delta is not None),
        )
        parts.append(Triangulation(*found))
    return joined(parts, shape)


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, max(count, 1), BLOCK)]
