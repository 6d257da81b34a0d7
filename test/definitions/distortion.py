"""The definition of kernels/lenses.py: whole arrays of all cameras at once (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.geometry.distortion import radial_range
from pose3d_ros.structures import Camera, Floats

RESIDUAL_LIMIT_PX = 1e-6
NEWTON_STEPS = 12


def distort_views(cameras: Sequence[Camera], xy: Floats, *, limit: bool = True) -> tuple[Floats, Floats]:
    """Distorted coordinates (V, N, 2) of the ideal ones in xy (V, N, 2), and the derivative (V, N, 2, 2).

    NaN beyond the valid range of the model unless limit is False.
    """
    out = xy.copy()
    jacobian = np.broadcast_to(np.eye(2), (*xy.shape, 2)).copy()
    for kind, index in _by_kind(cameras):
        chosen = [cameras[i] for i in index]
        ideal = xy[index]
        if kind == "equidistant":
            out[index], jacobian[index] = _distort_equidistant(_equidistant_coefficients(chosen), ideal)
        else:
            k = _polynomial_coefficients(chosen)
            out[index], jacobian[index] = _tilt(k, *_distort_polynomial(k, ideal))
        if limit:
            ranges = np.array([radial_range(camera).max_radius for camera in chosen])
            outside = ~(np.hypot(ideal[..., 0], ideal[..., 1]) <= ranges[:, None])
            out[index] = np.where(outside[..., None], np.nan, out[index])
    return out, jacobian


def undistort_views(cameras: Sequence[Camera], xy: Floats) -> tuple[Floats, Floats]:
    """Ideal coordinates (V, N, 2) of the distorted ones in xy (V, N, 2), and the derivative of DISTORTING there.

    NaN stays NaN; a point that does not come back to within RESIDUAL_LIMIT_PX, or only on the far side of the
    fold, is NaN.
    """
    out = np.where(np.isfinite(xy).all(axis=-1, keepdims=True), xy, np.nan)
    jacobian = np.broadcast_to(np.eye(2), (*xy.shape, 2)).copy()
    for kind, index in _by_kind(cameras):
        chosen = [cameras[i] for i in index]
        if kind == "equidistant":
            out[index], jacobian[index] = _undistort_equidistant(chosen, xy[index])
        else:
            out[index], jacobian[index] = _undistort_polynomial(chosen, xy[index])
    return out, jacobian


def _by_kind(cameras: Sequence[Camera]) -> list[tuple[str, list[int]]]:
    """Camera indices whose lenses share a formula; cameras without distortion are left out."""
    kinds: dict[str, list[int]] = {}
    for i, camera in enumerate(cameras):
        if camera.distortion_model == "equidistant":  # zeros here still mean a fisheye
            kinds.setdefault("equidistant", []).append(i)
        elif camera.distortion.any():
            kinds.setdefault("polynomial", []).append(i)
    return list(kinds.items())


def _polynomial_coefficients(cameras: Sequence[Camera]) -> Floats:
    """k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tau_x tau_y, (14, V, 1)."""
    k = np.zeros((14, len(cameras), 1))
    for i, camera in enumerate(cameras):
        k[: len(camera.distortion), i, 0] = camera.distortion
    return k


def _equidistant_coefficients(cameras: Sequence[Camera]) -> Floats:
    """k1 k2 k3 k4, (4, V, 1)."""
    k = np.zeros((4, len(cameras), 1))
    for i, camera in enumerate(cameras):
        k[: len(camera.distortion), i, 0] = camera.distortion
    return k


def _distort_polynomial(k: Floats, xy: Floats) -> tuple[Floats, Floats]:
    """OpenCV's radial, tangential and thin-prism terms, before the tilt, and their derivative."""
    x, y = xy[..., 0], xy[..., 1]
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, _, _ = k
    s = x * x + y * y
    above = 1 + s * (k1 + s * (k2 + s * k3))
    slope = k1 + s * (2 * k2 + 3 * s * k3)  # of the radial factor, by s
    radial = above
    if k[5:8].any():
        below = 1 + s * (k4 + s * (k5 + s * k6))
        radial = above / below
        slope = (slope - radial * (k4 + s * (2 * k5 + 3 * s * k6))) / below
    px, py = p1 * x, p2 * y
    cross = 2 * (slope * x * y + p1 * x + p2 * y)
    out = np.empty_like(xy)
    jacobian = np.empty((*xy.shape, 2))
    out[..., 0] = x * radial + 2 * px * y + p2 * (s + 2 * x * x)
    out[..., 1] = y * radial + p1 * (s + 2 * y * y) + 2 * py * x
    jacobian[..., 0, 0] = radial + 2 * (slope * x * x + p1 * y + 3 * p2 * x)
    jacobian[..., 0, 1] = cross
    jacobian[..., 1, 0] = cross
    jacobian[..., 1, 1] = radial + 2 * (slope * y * y + 3 * p1 * y + p2 * x)
    if k[8:12].any():
        out[..., 0] += s * (s1 + s * s2)
        out[..., 1] += s * (s3 + s * s4)
        jacobian[..., 0, :] += (2 * (s1 + 2 * s * s2))[..., None] * xy
        jacobian[..., 1, :] += (2 * (s3 + 2 * s * s4))[..., None] * xy
    return out, jacobian


def _undistort_polynomial(cameras: Sequence[Camera], xy: Floats) -> tuple[Floats, Floats]:
    k = _polynomial_coefficients(cameras)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(xy).all(axis=-1))
    target = np.where(seen[..., None], xy, 0.0)
    if k[12:14].any():
        untilt: Floats = np.linalg.inv(_tilt_matrices(k)).astype(np.float64)
        target = _apply_homography(untilt, target)[0]
    focal = np.array([max(camera.K[0, 0], camera.K[1, 1]) for camera in cameras])[:, None]
    ranges = [radial_range(camera) for camera in cameras]
    radius = np.hypot(target[..., 0], target[..., 1])
    angle = np.stack([np.interp(r, one.distorted, one.angle) for r, one in zip(radius, ranges, strict=True)])
    ideal = target * np.where(radius > 0, np.tan(angle) / np.where(radius > 0, radius, 1.0), 1.0)[..., None]
    for _ in range(NEWTON_STEPS):
        value, jacobian = _distort_polynomial(k, ideal)
        miss = target - value
        distance = np.abs(miss).max(axis=-1) * focal
        if not (distance > RESIDUAL_LIMIT_PX * 1e-3).any():
            break
        a, b, c, d = jacobian[..., 0, 0], jacobian[..., 0, 1], jacobian[..., 1, 0], jacobian[..., 1, 1]
        # Beyond the fold the determinant changes sign: stand still there rather than jump to another branch.
        determinant = np.where(a * d - b * c > 1e-9, a * d - b * c, np.inf)
        step = np.stack([d * miss[..., 0] - b * miss[..., 1], a * miss[..., 1] - c * miss[..., 0]], axis=-1)
        # A step beyond 1 leaves the neighbourhood where the tangent holds; it only happens outside the range.
        ideal = ideal + np.clip(step / determinant[..., None], -1.0, 1.0)
    else:
        value, jacobian = _distort_polynomial(k, ideal)
        distance = np.abs(target - value).max(axis=-1) * focal
    good = seen & (distance <= RESIDUAL_LIMIT_PX)
    good &= np.hypot(ideal[..., 0], ideal[..., 1]) <= np.array([one.max_radius for one in ranges])[:, None]
    good &= jacobian[..., 0, 0] * jacobian[..., 1, 1] > jacobian[..., 0, 1] * jacobian[..., 1, 0]
    ideal = np.where(good[..., None], ideal, np.nan)
    return ideal, _tilt(k, value, jacobian)[1]


def _tilt(k: Floats, xy: Floats, jacobian: Floats) -> tuple[Floats, Floats]:
    """The sensor's tilt after the other terms, with its derivative."""
    if not k[12:14].any():
        return xy, jacobian
    tilted, slope = _apply_homography(_tilt_matrices(k), xy)
    return tilted, slope @ jacobian


def _tilt_matrices(k: Floats) -> Floats:
    """OpenCV's tilted sensor (Scheimpflug) as homographies (V, 3, 3)."""
    matrices = []
    for tau_x, tau_y in zip(k[12, :, 0], k[13, :, 0], strict=True):
        cx, sx, cy, sy = np.cos(tau_x), np.sin(tau_x), np.cos(tau_y), np.sin(tau_y)
        about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
        about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        r = about_y @ about_x
        matrices.append(np.array([[r[2, 2], 0, -r[0, 2]], [0, r[2, 2], -r[1, 2]], [0, 0, 1]]) @ r)
    return np.array(matrices)


def _apply_homography(matrices: Floats, xy: Floats) -> tuple[Floats, Floats]:
    """xy (V, N, 2) through (V, 3, 3), and the derivative (V, N, 2, 2)."""
    h = xy @ matrices[:, :, :2].swapaxes(-1, -2) + matrices[:, None, :, 2]
    out = h[..., :2] / h[..., 2:]
    slope = (matrices[:, None, :2, :2] - out[..., None] * matrices[:, None, 2:, :2]) / h[..., 2:, None]
    return out, slope


def _distort_equidistant(k: Floats, xy: Floats) -> tuple[Floats, Floats]:
    """Kannala-Brandt: the radius becomes a + k1 a^3 + k2 a^5 + ..., a = angle from the axis."""
    radius = np.hypot(xy[..., 0], xy[..., 1])
    angle = np.arctan(radius)
    s = angle * angle
    distorted = angle * (1 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3]))))
    slope = 1 + s * (3 * k[0] + s * (5 * k[1] + s * (7 * k[2] + 9 * s * k[3])))
    near = radius < 1e-4  # series there; the next terms are of order r^4 = 1e-16
    safe = np.where(near, 1.0, radius)
    scale = np.where(near, 1 + (k[0] - 1 / 3) * radius**2, distorted / safe)
    bend = np.where(near, 2 * (k[0] - 1 / 3), (slope / (1 + safe**2) - scale) / safe**2)
    jacobian = scale[..., None, None] * np.eye(2) + bend[..., None, None] * xy[..., :, None] * xy[..., None, :]
    return scale[..., None] * xy, jacobian


def _undistort_equidistant(cameras: Sequence[Camera], xy: Floats) -> tuple[Floats, Floats]:
    k = _equidistant_coefficients(cameras)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(xy).all(axis=-1))
    target = np.where(seen[..., None], xy, 0.0)
    ranges = [radial_range(camera) for camera in cameras]
    radius = np.hypot(target[..., 0], target[..., 1])
    limit = np.array([one.angle[-1] for one in ranges])[:, None]
    angle = np.stack([np.interp(r, one.distorted, one.angle) for r, one in zip(radius, ranges, strict=True)])
    for _ in range(NEWTON_STEPS):
        s = angle * angle
        miss = radius - angle * (1 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3]))))
        if not (np.abs(miss) > 1e-14).any():
            break
        slope = 1 + s * (3 * k[0] + s * (5 * k[1] + s * (7 * k[2] + 9 * s * k[3])))
        angle = np.clip(angle + miss / np.maximum(slope, 1e-9), 0.0, limit)
    ideal = target * np.where(radius > 0, np.tan(angle) / np.where(radius > 0, radius, 1.0), 1.0)[..., None]
    value, jacobian = _distort_equidistant(k, ideal)
    focal = np.array([max(camera.K[0, 0], camera.K[1, 1]) for camera in cameras])[:, None]
    good = seen & (np.abs(target - value).max(axis=-1) * focal <= RESIDUAL_LIMIT_PX)
    return np.where(good[..., None], ideal, np.nan), jacobian
