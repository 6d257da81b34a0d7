"""Cameras' lenses, point by point: the steps of OpenCV's and ROS's models (geometry/distortion.py), compiled.

Cameras are one tuple of arrays, Lenses of geometry/distortion.py. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel

# kind (V), coefficients (V, 14), K (V, 3, 3), table (V, 2, S), table's length (V), largest ideal radius (V),
# tilt and its inverse (V, 2, 3, 3), rotation (V, 3, 3), translation (V, 3), centre (V, 3)
CAMERAS = (
    "Tuple((i8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], i8[::1], f8[::1], f8[:, :, :, ::1], f8[:, :, ::1], "
    "f8[:, ::1], f8[:, ::1]))"
)
PINHOLE, POLYNOMIAL, EQUIDISTANT = 0, 1, 2
# Undistorting must bring a point back to within this many px. Newton's steps converge quadratically: a point that
# converges at all ends near 1e-12 px, one outside the model's range stays whole pixels away.
RESIDUAL_LIMIT_PX = 1e-6
NEWTON_STEPS = 12


@inner
def interpolated(x, of, values, count):  # type: ignore[no-untyped-def]
    """np.interp."""
    if x <= of[0]:
        return values[0]
    if x >= of[count - 1]:
        return values[count - 1]
    low, high = 0, count - 1
    while high - low > 1:
        middle = (low + high) // 2
        if of[middle] <= x:
            low = middle
        else:
            high = middle
    return values[low] + (values[high] - values[low]) * ((x - of[low]) / (of[high] - of[low]))


@inner
def polynomial(k, x, y):  # type: ignore[no-untyped-def]
    """OpenCV's radial, tangential and thin-prism terms, before the tilt, and their derivative."""
    s = x * x + y * y
    radial = 1 + s * (k[0] + s * (k[1] + s * k[4]))
    slope = k[0] + s * (2 * k[1] + 3 * s * k[4])  # of the radial factor, by s
    if k[5] != 0 or k[6] != 0 or k[7] != 0:
        below = 1 + s * (k[5] + s * (k[6] + s * k[7]))
        radial = radial / below
        slope = (slope - radial * (k[5] + s * (2 * k[6] + 3 * s * k[7]))) / below
    p1, p2 = k[2], k[3]
    u = x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x)
    v = y * radial + p1 * (s + 2 * y * y) + 2 * p2 * y * x
    a = radial + 2 * (slope * x * x + p1 * y + 3 * p2 * x)
    b = 2 * (slope * x * y + p1 * x + p2 * y)
    c = b
    d = radial + 2 * (slope * y * y + 3 * p1 * y + p2 * x)
    if k[8] != 0 or k[9] != 0 or k[10] != 0 or k[11] != 0:
        u += s * (k[8] + s * k[9])
        v += s * (k[10] + s * k[11])
        first, second = 2 * (k[8] + 2 * s * k[9]), 2 * (k[10] + 2 * s * k[11])
        a, b, c, d = a + first * x, b + first * y, c + second * x, d + second * y
    return u, v, a, b, c, d


@inner
def homography(H, x, y):  # type: ignore[no-untyped-def]
    """A point through a homography, and the derivative."""
    w = H[2, 0] * x + H[2, 1] * y + H[2, 2]
    u, v = (H[0, 0] * x + H[0, 1] * y + H[0, 2]) / w, (H[1, 0] * x + H[1, 1] * y + H[1, 2]) / w
    a, b = (H[0, 0] - u * H[2, 0]) / w, (H[0, 1] - u * H[2, 1]) / w
    c, d = (H[1, 0] - v * H[2, 0]) / w, (H[1, 1] - v * H[2, 1]) / w
    return u, v, a, b, c, d


@inner
def equidistant(k, x, y):  # type: ignore[no-untyped-def]
    """Kannala-Brandt: the radius becomes a + k1 a^3 + k2 a^5 + ..., a = angle from the axis; and the derivative."""
    radius = np.sqrt(x * x + y * y)
    angle = np.arctan(radius)
    s = angle * angle
    if radius < 1e-4:  # series there; the next terms are of order r^4 = 1e-16
        scale, bend = 1 + (k[0] - 1 / 3) * radius**2, 2 * (k[0] - 1 / 3)
    else:
        slope = 1 + s * (3 * k[0] + s * (5 * k[1] + s * (7 * k[2] + 9 * s * k[3])))
        scale = angle * (1 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3])))) / radius
        bend = (slope / (1 + radius**2) - scale) / radius**2
    return scale * x, scale * y, scale + bend * x * x, bend * x * y, bend * x * y, scale + bend * y * y


@inner
def distort_one(cameras, v, x, y, limit):  # type: ignore[no-untyped-def]
    """Distorted coordinates of ideal ones, and the derivative; NaN beyond the model's range where limit is True."""
    kind, coefficients, radius, tilt = cameras[0][v], cameras[1][v], cameras[5][v], cameras[6]
    if kind == PINHOLE:
        return x, y, 1.0, 0.0, 0.0, 1.0
    if kind == EQUIDISTANT:
        u, w, a, b, c, d = equidistant(coefficients, x, y)
    else:
        u, w, a, b, c, d = polynomial(coefficients, x, y)
        if coefficients[12] != 0 or coefficients[13] != 0:
            u, w, e, f, g, h = homography(tilt[v, 0], u, w)
            a, b, c, d = e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d
    if limit and not np.sqrt(x * x + y * y) <= radius:
        return np.nan, np.nan, a, b, c, d
    return u, w, a, b, c, d


@inner
def undistort_one(cameras, v, px, py):  # type: ignore[no-untyped-def]
    """Ideal coordinates of distorted, normalised ones, and the derivative of distorting there; NaN out of range."""
    kind, k, K = cameras[0][v], cameras[1][v], cameras[2][v]
    table, length, limit = cameras[3][v], cameras[4][v], cameras[5][v]
    if not (np.isfinite(px) and np.isfinite(py)):
        return np.nan, np.nan, 1.0, 0.0, 0.0, 1.0
    if kind == PINHOLE:
        return px, py, 1.0, 0.0, 0.0, 1.0
    focal = max(K[0, 0], K[1, 1])
    tilted = kind == POLYNOMIAL and (k[12] != 0 or k[13] != 0)
    tx, ty = px, py
    if tilted:
        tx, ty, _, _, _, _ = homography(cameras[6][v, 1], px, py)
    radius = np.sqrt(tx * tx + ty * ty)
    angle = interpolated(radius, table[1], table[0], length)
    if kind == EQUIDISTANT:
        largest = table[0, length - 1]
        for _ in range(NEWTON_STEPS):
            s = angle * angle
            miss = radius - angle * (1 + s * (k[0] + s * (k[1] + s * (k[2] + s * k[3]))))
            if not abs(miss) > 1e-14:
                break
            slope = 1 + s * (3 * k[0] + s * (5 * k[1] + s * (7 * k[2] + 9 * s * k[3])))
            angle = min(max(angle + miss / max(slope, 1e-9), 0.0), largest)
        scale = np.tan(angle) / radius if radius > 0 else 1.0
        x, y = tx * scale, ty * scale
        u, w, a, b, c, d = equidistant(k, x, y)
        if max(abs(tx - u), abs(ty - w)) * focal <= RESIDUAL_LIMIT_PX:
            return x, y, a, b, c, d
        return np.nan, np.nan, a, b, c, d
    scale = np.tan(angle) / radius if radius > 0 else 1.0
    x, y = tx * scale, ty * scale
    u, w, a, b, c, d = polynomial(k, x, y)
    for _ in range(NEWTON_STEPS):
        miss_x, miss_y = tx - u, ty - w
        if not max(abs(miss_x), abs(miss_y)) * focal > RESIDUAL_LIMIT_PX * 1e-3:
            break
        # Beyond the fold the determinant changes sign: stand still there rather than jump to another branch.
        determinant = a * d - b * c
        if determinant > 1e-9:
            # A step beyond 1 leaves the neighbourhood where the tangent holds; it only happens outside the range.
            x += min(max((d * miss_x - b * miss_y) / determinant, -1.0), 1.0)
            y += min(max((a * miss_y - c * miss_x) / determinant, -1.0), 1.0)
        u, w, a, b, c, d = polynomial(k, x, y)
    good = max(abs(tx - u), abs(ty - w)) * focal <= RESIDUAL_LIMIT_PX
    good = good and np.sqrt(x * x + y * y) <= limit and a * d > b * c
    if tilted:
        _, _, e, f, g, h = homography(cameras[6][v, 0], u, w)
        a, b, c, d = e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d
    if good:
        return x, y, a, b, c, d
    return np.nan, np.nan, a, b, c, d


@inner
def project_one(cameras, v, X, Y, Z):  # type: ignore[no-untyped-def]
    """The projection of a world point, px; NaN if it has none."""
    K, R, t = cameras[2][v], cameras[7][v], cameras[8][v]
    z = R[2, 0] * X + R[2, 1] * Y + R[2, 2] * Z + t[2]
    if not z > 0:
        return np.nan, np.nan
    x = (R[0, 0] * X + R[0, 1] * Y + R[0, 2] * Z + t[0]) / z
    y = (R[1, 0] * X + R[1, 1] * Y + R[1, 2] * Z + t[1]) / z
    u, w, _, _, _, _ = distort_one(cameras, v, x, y, True)
    return K[0, 0] * u + K[0, 1] * w + K[0, 2], K[1, 1] * w + K[1, 2]


@kernel(f"Tuple((f8[:, :, ::1], f8[:, :, :, ::1]))({CAMERAS}, i8[::1], f8[:, :, ::1], b1)")
def undistorted(cameras, view, xy, pixels):  # type: ignore[no-untyped-def]
    """Ideal coordinates (N, M, 2) and lens derivatives (N, M, 2, 2) of points (N, M, 2) of the cameras view (N,).

    pixels: the points are px of the original images; otherwise normalised, distorted coordinates.
    """
    ideal, lens = np.empty(xy.shape), np.empty((*xy.shape, 2))
    for n in range(len(xy)):
        v = view[n]
        K = cameras[2][v]
        for m in range(xy.shape[1]):
            x, y = xy[n, m, 0], xy[n, m, 1]
            if pixels:
                y = (y - K[1, 2]) / K[1, 1]
                x = (x - K[0, 2] - K[0, 1] * y) / K[0, 0]
            found = undistort_one(cameras, v, x, y)
            ideal[n, m, 0], ideal[n, m, 1] = found[0], found[1]
            lens[n, m, 0, 0], lens[n, m, 0, 1] = found[2], found[3]
            lens[n, m, 1, 0], lens[n, m, 1, 1] = found[4], found[5]
    return ideal, lens


@kernel(f"Tuple((f8[:, :, ::1], f8[:, :, :, ::1]))({CAMERAS}, f8[:, :, ::1], b1)")
def distorted(cameras, xy, limit):  # type: ignore[no-untyped-def]
    """Distorted coordinates (V, N, 2) and derivatives (V, N, 2, 2) of ideal ones (V, N, 2)."""
    out, jacobian = np.empty(xy.shape), np.empty((*xy.shape, 2))
    for v in range(len(xy)):
        for n in range(xy.shape[1]):
            found = distort_one(cameras, v, xy[v, n, 0], xy[v, n, 1], limit)
            out[v, n, 0], out[v, n, 1] = found[0], found[1]
            jacobian[v, n, 0, 0], jacobian[v, n, 0, 1] = found[2], found[3]
            jacobian[v, n, 1, 0], jacobian[v, n, 1, 1] = found[4], found[5]
    return out, jacobian


@kernel(f"f8[:, :, ::1]({CAMERAS}, f8[:, ::1])")
def projected(cameras, xyz):  # type: ignore[no-untyped-def]
    """Projections of world points (N, 3) m into every camera: (V, N, 2) px, NaN if there is none."""
    out = np.empty((len(cameras[0]), len(xyz), 2))
    for v in range(len(out)):
        for n in range(len(xyz)):
            out[v, n, 0], out[v, n, 1] = project_one(cameras, v, xyz[n, 0], xyz[n, 1], xyz[n, 2])
    return out
