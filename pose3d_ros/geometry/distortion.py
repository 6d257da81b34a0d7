"""Lens distortion of OpenCV's and ROS's models, with derivatives, for several cameras at once (kernels/lenses.py).

Coordinates here are normalised: ideal ones are x/z and y/z, distorted ones are K^-1 px. A leading axis V holds
the cameras, so that the four cameras of a frame set cost little more than one.

The polynomial models (plumb_bob, rational_polynomial) fold back beyond some radius: a point far outside the
image would be drawn inside it. The radius where the radial part first stops growing bounds the valid range;
beyond it both directions give NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.structures import Camera, Floats

# ideal = tan(angle): beyond 89.9 degrees from the axis x/z is meaningless.
MAX_ANGLE_RAD = np.deg2rad(89.9)
TABLE_SIZE = 512  # starts within 1e-5 of the root for common lenses: two or three Newton steps


# kernels/lenses.py's CAMERAS: kind, coefficients, K, table, its length, largest radius, tilt, rotation, translation,
# centre of each camera.
Lenses = tuple[NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class RadialRange:
    """The valid range of one lens, and a table that inverts its radial part there."""

    max_radius: float  # largest valid ideal radius, may be inf
    angle: Floats  # (TABLE_SIZE,) rad from the axis
    distorted: Floats  # (TABLE_SIZE,) distorted radius, increasing


def lenses_of(cameras: Sequence[Camera]) -> Lenses:
    """The cameras as kernels take them; kept for cameras seen before."""
    return _lenses_of(tuple(cameras))


@lru_cache(maxsize=64)
def _lenses_of(cameras: tuple[Camera, ...]) -> Lenses:
    count = len(cameras)
    kind, coefficients = np.zeros(count, dtype=np.int64), np.zeros((count, 14))
    table, length, largest = np.zeros((count, 2, TABLE_SIZE)), np.zeros(count, dtype=np.int64), np.zeros(count)
    tilt = np.zeros((count, 2, 3, 3))
    for v, camera in enumerate(cameras):
        one = radial_range(camera)
        coefficients[v, : len(camera.distortion)] = camera.distortion
        if camera.distortion_model == "equidistant":  # zeros here still mean a fisheye
            kind[v] = 2
        elif camera.distortion.any():
            kind[v] = 1
        length[v], largest[v] = len(one.distorted), one.max_radius
        table[v, 0, : length[v]], table[v, 1, : length[v]] = one.angle[: length[v]], one.distorted
        tilt[v, 0] = _tilt_matrix(*coefficients[v, 12:])
        tilt[v, 1] = np.linalg.inv(tilt[v, 0])
    transform = np.array([camera.cam_from_world for camera in cameras]).reshape(-1, 4, 4)
    rotation, translation = kernels.plain(transform[:, :3, :3]), kernels.plain(transform[:, :3, 3])
    centre = kernels.plain(-(rotation.swapaxes(1, 2) @ translation[..., None])[..., 0])
    K = np.array([camera.K for camera in cameras]).reshape(-1, 3, 3)
    return kind, coefficients, K, table, length, largest, tilt, rotation, translation, centre


def distort_views(cameras: Sequence[Camera], xy: Floats, *, limit: bool = True) -> tuple[Floats, Floats]:
    """Distorted coordinates (V, N, 2) of the ideal ones in xy (V, N, 2), and the derivative (V, N, 2, 2).

    NaN beyond the valid range of the model unless limit is False.
    """
    found: tuple[Floats, Floats] = kernels.lenses.distorted(lenses_of(cameras), kernels.plain(xy), limit)
    return found


def normalised_views(cameras: Sequence[Camera], xy_px: Floats) -> Floats:
    """K^-1 px, still distorted, (V, N, 2) of pixels xy_px (V, N, 2); K's skew is honoured."""
    K = np.array([camera.K for camera in cameras])[..., None]  # (V, 3, 3, 1)
    xy = np.empty_like(xy_px)
    xy[..., 1] = (xy_px[..., 1] - K[:, 1, 2]) / K[:, 1, 1]
    xy[..., 0] = (xy_px[..., 0] - K[:, 0, 2] - K[:, 0, 1] * xy[..., 1]) / K[:, 0, 0]
    return xy


def undistort_views(cameras: Sequence[Camera], xy: Floats) -> tuple[Floats, Floats]:
    """Ideal coordinates (V, N, 2) of the distorted ones in xy (V, N, 2), and the derivative of DISTORTING there.

    NaN stays NaN; a point that does not come back to within RESIDUAL_LIMIT_PX, or only on the far side of the
    fold, is NaN.
    """
    return _undistorted(cameras, np.arange(len(cameras)), xy, False)


def undistort_px(
    cameras: Sequence[Camera], xy_px: Floats, view: NDArray[np.intp] | None = None
) -> tuple[Floats, Floats]:
    """The same of pixels of the original images: of each camera, or (N, M, 2) of the cameras view (N,)."""
    return _undistorted(cameras, np.arange(len(cameras)) if view is None else view, xy_px, True)


def _undistorted(cameras: Sequence[Camera], view: NDArray[np.intp], xy: Floats, px: bool) -> tuple[Floats, Floats]:
    found: tuple[Floats, Floats] = kernels.lenses.undistorted(lenses_of(cameras), view, kernels.plain(xy), px)
    return found


def radial_range(camera: Camera) -> RadialRange:
    """The valid range of a camera's lens; kept for lenses seen before."""
    return _radial_range(camera.distortion_model == "equidistant", tuple(camera.distortion.tolist()))


@lru_cache(maxsize=256)
def _radial_range(equidistant: bool, coefficients: tuple[float, ...]) -> RadialRange:
    if equidistant:
        # d/da (a + k1 a^3 + ...) = 1 + 3 k1 s + 5 k2 s^2 + ..., s = a^2
        slope = [1.0, *((2 * i + 3) * k for i, k in enumerate(coefficients))]
        limit = min(np.sqrt(_first_positive_root(slope)), MAX_ANGLE_RAD)
        angle = np.linspace(0.0, limit, TABLE_SIZE)
        return RadialRange(float(np.tan(limit)), angle, angle * _polynomial([1.0, *coefficients], angle**2))
    k = np.zeros(14)
    k[: len(coefficients)] = coefficients
    above = np.array([1.0, k[0], k[1], k[4]])  # numerator in s = r^2, lowest power first
    below = np.array([1.0, k[5], k[6], k[7]])
    times = np.polynomial.polynomial.polymul
    # d/dr (r N/D) = (N D + 2 s (N' D - N D')) / D^2
    power = np.arange(4)
    slope = times(above, below) + 2 * (times(above * power, below) - times(above, below * power))
    limit_squared = min(_first_positive_root(slope), _first_positive_root(below))
    max_radius = float(np.sqrt(limit_squared))
    angle = np.linspace(0.0, min(np.arctan(max_radius), MAX_ANGLE_RAD), TABLE_SIZE)
    radius = np.tan(angle)
    with np.errstate(divide="ignore", invalid="ignore"):
        distorted = radius * _polynomial(above, radius**2) / _polynomial(below, radius**2)
    whole = np.isfinite(distorted)
    return RadialRange(max_radius, angle[whole], np.maximum.accumulate(distorted[whole]))


def _first_positive_root(coefficients: Sequence[float] | Floats) -> float:
    """Smallest positive real root of a polynomial, lowest power first; inf if there is none."""
    roots = np.polynomial.polynomial.polyroots(np.trim_zeros(np.asarray(coefficients, dtype=np.float64), "b"))
    # A double root splits into a pair with imaginary parts near 1e-8; the lens has a kink there too.
    real = roots.real[np.abs(roots.imag) <= 1e-7 * np.abs(roots.real)]
    return float(min(real[real > 0], default=np.inf))


def _polynomial(coefficients: Sequence[float] | Floats, s: Floats) -> Floats:
    value: Floats = np.polynomial.polynomial.polyval(s, np.asarray(coefficients))
    return value


def _tilt_matrix(tau_x: float, tau_y: float) -> Floats:
    """OpenCV's tilted sensor (Scheimpflug) as a homography (3, 3)."""
    cx, sx, cy, sy = np.cos(tau_x), np.sin(tau_x), np.cos(tau_y), np.sin(tau_y)
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    r = about_y @ about_x
    tilt: Floats = np.array([[r[2, 2], 0, -r[0, 2]], [0, r[2, 2], -r[1, 2]], [0, 0, 1]]) @ r
    return tilt
