"""Triangulation of N points, one after the other: PoseRN's Eq. 3 by Levenberg-Marquardt, its covariance, its judgement.

The steps, one whole array at a time, are test/definitions/robust.py. A symmetric 3x3 matrix is its six entries
00 01 02 11 12 22. Cameras are kernels/lenses.py's; R (V, 3, 3), t (V, 3) m; seen (V, N); xy (V, 2, N) ideal; W the
whitening (V, 2, 2, N), 0 where there is no keypoint. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel
from pose3d_ros.kernels.constants import (
    CHEIRALITY,
    DAMPING_DOWN,
    DAMPING_UP,
    DECREASE,
    DECREASE_FLOOR,
    FEW_VIEWS,
    FIRST_DAMPING,
    LAST_DAMPING,
    MAX_STEPS,
    MIN_CONDITION,
    RANK,
    SUSPICIOUS,
    UNCERTAIN,
)
from pose3d_ros.kernels.lenses import CAMERAS

BLOCK = 256  # points whose sums stay in the first-level cache
_CAMERA_ARRAYS = "f8[:, :, ::1], f8[:, ::1]"
_POINTS = "f8[:, :, ::1], f8[:, :, :, ::1]"


@inner
def _solve(a00, a01, a02, a11, a12, a22, b0, b1, b2):  # type: ignore[no-untyped-def]
    """robust.solve for one point."""
    l10, l20 = a01 / a00, a02 / a00
    d1 = a11 - l10 * a01
    below = a12 - l20 * a01
    l21 = below / d1
    d2 = a22 - l20 * a02 - l21 * below
    y1 = b1 - l10 * b0
    x2 = (b2 - l20 * b0 - l21 * y1) / d2
    x1 = y1 / d1 - l21 * x2
    return b0 / a00 - l10 * x1 - l20 * x2, x1, x2


@inner
def _normal(R, t, xy, W, i, v):  # type: ignore[no-untyped-def]
    """One view's A'A and A'b of robust.linear."""
    x, y = xy[v, 0, i], xy[v, 1, i]
    rx, ry = x * t[v, 2] - t[v, 0], y * t[v, 2] - t[v, 1]
    p00, p01, p02 = R[v, 0, 0] - x * R[v, 2, 0], R[v, 0, 1] - x * R[v, 2, 1], R[v, 0, 2] - x * R[v, 2, 2]
    p10, p11, p12 = R[v, 1, 0] - y * R[v, 2, 0], R[v, 1, 1] - y * R[v, 2, 1], R[v, 1, 2] - y * R[v, 2, 2]
    s00 = s01 = s02 = s11 = s12 = s22 = s0 = s1 = s2 = 0.0
    for row in range(2):
        w0, w1 = W[v, row, 0, i], W[v, row, 1, i]
        a0, a1, a2, b = w0 * p00 + w1 * p10, w0 * p01 + w1 * p11, w0 * p02 + w1 * p12, w0 * rx + w1 * ry
        s00 += a0 * a0
        s01 += a0 * a1
        s02 += a0 * a2
        s11 += a1 * a1
        s12 += a1 * a2
        s22 += a2 * a2
        s0 += a0 * b
        s1 += a1 * b
        s2 += a2 * b
    return s00, s01, s02, s11, s12, s22, s0, s1, s2


@inner
def _linear_one(R, t, xy, W, i):  # type: ignore[no-untyped-def]
    s00 = s01 = s02 = s11 = s12 = s22 = s0 = s1 = s2 = 0.0
    for v in range(len(R)):
        a00, a01, a02, a11, a12, a22, b0, b1, b2 = _normal(R, t, xy, W, i, v)
        s00, s01, s02, s11, s12, s22 = s00 + a00, s01 + a01, s02 + a02, s11 + a11, s12 + a12, s22 + a22
        s0, s1, s2 = s0 + b0, s1 + b1, s2 + b2
    return _solve(s00, s01, s02, s11, s12, s22, s0, s1, s2)


@inner
def _finite(x):  # type: ignore[no-untyped-def]
    return x if np.isfinite(x) else np.nan


@kernel(f"f8[:, ::1]({_CAMERA_ARRAYS}, b1[:, ::1], {_POINTS})")
def linear(R, t, seen, xy, W):  # type: ignore[no-untyped-def]
    out = np.full((3, xy.shape[2]), np.nan)
    for i in range(xy.shape[2]):
        n_views = 0
        for v in range(len(seen)):
            n_views += seen[v, i]
        if n_views < 2:
            continue
        x0, x1, x2 = _linear_one(R, t, xy, W, i)
        out[0, i], out[1, i], out[2, i] = _finite(x0), _finite(x1), _finite(x2)
    return out


@kernel("f8[:, ::1](f8[:, :, ::1], f8[:, :, ::1])")
def linear_px(P, px):  # type: ignore[no-untyped-def]
    out = np.empty((px.shape[1], 3))
    a = np.empty((10, BLOCK))  # A'A, A'b and the number of views; the inner loops run over the points, vectorised
    for start in range(0, px.shape[1], BLOCK):
        n = min(BLOCK, px.shape[1] - start)
        a[:] = 0.0
        for v in range(len(P)):
            p00, p01, p02, p03 = P[v, 0, 0], P[v, 0, 1], P[v, 0, 2], P[v, 0, 3]
            p10, p11, p12, p13 = P[v, 1, 0], P[v, 1, 1], P[v, 1, 2], P[v, 1, 3]
            p20, p21, p22, p23 = P[v, 2, 0], P[v, 2, 1], P[v, 2, 2], P[v, 2, 3]
            for i in range(n):
                x, y = px[v, start + i, 0], px[v, start + i, 1]
                seen = 1.0 if abs(x) < np.inf and abs(y) < np.inf else 0.0
                x, y = (x if seen else 0.0), (y if seen else 0.0)
                a0, a1, a2, b = seen * (p00 - x * p20), seen * (p01 - x * p21), seen * (p02 - x * p22), x * p23 - p03
                c0, c1, c2, d = seen * (p10 - y * p20), seen * (p11 - y * p21), seen * (p12 - y * p22), y * p23 - p13
                a[0, i] += a0 * a0 + c0 * c0
                a[1, i] += a0 * a1 + c0 * c1
                a[2, i] += a0 * a2 + c0 * c2
                a[3, i] += a1 * a1 + c1 * c1
                a[4, i] += a1 * a2 + c1 * c2
                a[5, i] += a2 * a2 + c2 * c2
                a[6, i] += a0 * b + c0 * d
                a[7, i] += a1 * b + c1 * d
                a[8, i] += a2 * b + c2 * d
                a[9, i] += seen
        for i in range(n):
            x0, x1, x2 = _solve(a[0, i], a[1, i], a[2, i], a[3, i], a[4, i], a[5, i], a[6, i], a[7, i], a[8, i])
            good = a[9, i] > 1.5 and abs(x0 + x1 + x2) < np.inf
            out[start + i, 0] = x0 if good else np.nan
            out[start + i, 1] = x1 if good else np.nan
            out[start + i, 2] = x2 if good else np.nan
    return out


@inner
def _objective(R, t, xy, W, i, X0, X1, X2, delta):  # type: ignore[no-untyped-def]
    """robust.objective for one point."""
    total = 0.0
    for v in range(len(R)):
        w00, w01, w10, w11 = W[v, 0, 0, i], W[v, 0, 1, i], W[v, 1, 0, i], W[v, 1, 1, i]
        if w00 == 0.0 and w11 == 0.0:
            continue  # not seen
        z = R[v, 2, 0] * X0 + R[v, 2, 1] * X1 + R[v, 2, 2] * X2 + t[v, 2]
        if not z > 0.0:
            return np.inf
        r0 = xy[v, 0, i] - (R[v, 0, 0] * X0 + R[v, 0, 1] * X1 + R[v, 0, 2] * X2 + t[v, 0]) / z
        r1 = xy[v, 1, i] - (R[v, 1, 0] * X0 + R[v, 1, 1] * X1 + R[v, 1, 2] * X2 + t[v, 1]) / z
        e0, e1 = w00 * r0 + w01 * r1, w10 * r0 + w11 * r1
        size = np.sqrt(e0 * e0 + e1 * e1)
        inner = min(size, delta)
        total += inner * (size - 0.5 * inner)
    return total


@inner
def _linearise(R, t, xy, W, i, X0, X1, X2, delta, out):  # type: ignore[no-untyped-def]
    """robust.linearise for one point: out holds objective, descent, curvature, information (1 + 3 + 6 + 6)."""
    for k in range(16):
        out[k] = 0.0
    for v in range(len(R)):
        w00, w01, w10, w11 = W[v, 0, 0, i], W[v, 0, 1, i], W[v, 1, 0, i], W[v, 1, 1, i]
        if w00 == 0.0 and w11 == 0.0:
            continue  # not seen
        z = R[v, 2, 0] * X0 + R[v, 2, 1] * X1 + R[v, 2, 2] * X2 + t[v, 2]
        if not z > 0.0:
            out[0] = np.inf
            return
        p0 = (R[v, 0, 0] * X0 + R[v, 0, 1] * X1 + R[v, 0, 2] * X2 + t[v, 0]) / z
        p1 = (R[v, 1, 0] * X0 + R[v, 1, 1] * X1 + R[v, 1, 2] * X2 + t[v, 1]) / z
        r0, r1 = xy[v, 0, i] - p0, xy[v, 1, i] - p1
        e0, e1 = w00 * r0 + w01 * r1, w10 * r0 + w11 * r1
        size = np.sqrt(e0 * e0 + e1 * e1)
        inner = min(size, delta)
        out[0] += inner * (size - 0.5 * inner)
        omega, radial = 1.0, 0.0
        if size > delta:
            omega = delta / size
            radial = omega / (size * size)
        m00, m01 = w00 / z, w01 / z
        m10, m11 = w10 / z, w11 / z
        g0, g1, g2 = R[v, 0, 0] - p0 * R[v, 2, 0], R[v, 0, 1] - p0 * R[v, 2, 1], R[v, 0, 2] - p0 * R[v, 2, 2]
        h0, h1, h2 = R[v, 1, 0] - p1 * R[v, 2, 0], R[v, 1, 1] - p1 * R[v, 2, 1], R[v, 1, 2] - p1 * R[v, 2, 2]
        j00, j01, j02 = m00 * g0 + m01 * h0, m00 * g1 + m01 * h1, m00 * g2 + m01 * h2
        j10, j11, j12 = m10 * g0 + m11 * h0, m10 * g1 + m11 * h1, m10 * g2 + m11 * h2
        pull0, pull1, pull2 = j00 * e0 + j10 * e1, j01 * e0 + j11 * e1, j02 * e0 + j12 * e1
        out[1] += omega * pull0
        out[2] += omega * pull1
        out[3] += omega * pull2
        f00, f01, f02 = (
            omega * (j00 * j00 + j10 * j10),
            omega * (j00 * j01 + j10 * j11),
            omega * (j00 * j02 + j10 * j12),
        )
        f11, f12, f22 = (
            omega * (j01 * j01 + j11 * j11),
            omega * (j01 * j02 + j11 * j12),
            omega * (j02 * j02 + j12 * j12),
        )
        out[4] += f00 - radial * pull0 * pull0
        out[5] += f01 - radial * pull0 * pull1
        out[6] += f02 - radial * pull0 * pull2
        out[7] += f11 - radial * pull1 * pull1
        out[8] += f12 - radial * pull1 * pull2
        out[9] += f22 - radial * pull2 * pull2
        out[10] += f00
        out[11] += f01
        out[12] += f02
        out[13] += f11
        out[14] += f12
        out[15] += f22


@inner
def _minimise(R, t, xy, W, i, X0, X1, X2, delta, here, there):  # type: ignore[no-untyped-def]
    """robust.minimise for one point; here and there are space for 16 numbers each."""
    _linearise(R, t, xy, W, i, X0, X1, X2, delta, here)
    damping = FIRST_DAMPING
    if not np.isfinite(here[0]):
        return X0, X1, X2, np.inf
    for _ in range(MAX_STEPS):
        c, f = here[4:10], here[10:16]
        s0, s1, s2 = _solve(
            c[0] + damping * f[0], c[1] + damping * f[1], c[2] + damping * f[2],
            c[3] + damping * f[3], c[4] + damping * f[4], c[5] + damping * f[5],
            here[1], here[2], here[3],
        )  # fmt: skip
        promised = here[1] * s0 + here[2] * s1 + here[3] * s2
        _linearise(R, t, xy, W, i, X0 + s0, X1 + s1, X2 + s2, delta, there)
        gain = (here[0] - there[0]) / max(0.5 * promised, 1e-300)
        if there[0] <= here[0]:
            X0, X1, X2 = X0 + s0, X1 + s1, X2 + s2
            here, there = there, here
        damping = min(damping * (DAMPING_DOWN if gain > 0.75 else 1.0 if gain > 0.25 else DAMPING_UP), LAST_DAMPING)
        if promised * (1.0 + damping) <= DECREASE * here[0] + DECREASE_FLOOR or damping >= LAST_DAMPING:
            break
    return X0, X1, X2, here[0]


@inner
def _pair_start(R, t, xy, W, i, delta, normal):  # type: ignore[no-untyped-def]
    """robust._pair_start for one point; normal is space for (V, 9) numbers."""
    for v in range(len(R)):
        a = _normal(R, t, xy, W, i, v)
        for k in range(9):
            normal[v, k] = a[k]
    best, b0, b1, b2 = np.inf, np.nan, np.nan, np.nan
    for v in range(len(R)):
        for u in range(v + 1, len(R)):
            s = normal[v] + normal[u]
            x0, x1, x2 = _solve(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])
            value = _objective(R, t, xy, W, i, x0, x1, x2, delta)
            if value < best:
                best, b0, b1, b2 = value, x0, x1, x2
    return b0, b1, b2


@inner
def _suspicious(R, t, xy, W, i, X0, X1, X2):  # type: ignore[no-untyped-def]
    """Whether robust.fit would try a second start."""
    for v in range(len(R)):
        w00, w01, w10, w11 = W[v, 0, 0, i], W[v, 0, 1, i], W[v, 1, 0, i], W[v, 1, 1, i]
        if w00 == 0.0 and w11 == 0.0:
            continue  # not seen
        z = R[v, 2, 0] * X0 + R[v, 2, 1] * X1 + R[v, 2, 2] * X2 + t[v, 2]
        if not z > 0.0:
            return True
        r0 = xy[v, 0, i] - (R[v, 0, 0] * X0 + R[v, 0, 1] * X1 + R[v, 0, 2] * X2 + t[v, 0]) / z
        r1 = xy[v, 1, i] - (R[v, 1, 0] * X0 + R[v, 1, 1] * X1 + R[v, 1, 2] * X2 + t[v, 1]) / z
        e0, e1 = w00 * r0 + w01 * r1, w10 * r0 + w11 * r1
        if np.sqrt(e0 * e0 + e1 * e1) > SUSPICIOUS:
            return True
    return False


@inner
def _fit(R, t, seen, xy, W, delta):  # type: ignore[no-untyped-def]
    V, N = seen.shape
    out = np.full((3, N), np.nan)
    here, there, normal = np.empty(16), np.empty(16), np.empty((V, 9))
    for i in range(N):
        n_views = 0
        for v in range(V):
            n_views += seen[v, i]
        if n_views < 2:
            continue
        X0, X1, X2 = _linear_one(R, t, xy, W, i)
        again = n_views >= 3 and _suspicious(R, t, xy, W, i, X0, X1, X2)
        X0, X1, X2, value = _minimise(R, t, xy, W, i, X0, X1, X2, delta, here, there)
        if again:
            Y0, Y1, Y2 = _pair_start(R, t, xy, W, i, delta, normal)
            Y0, Y1, Y2, other = _minimise(R, t, xy, W, i, Y0, Y1, Y2, delta, here, there)
            if other < value:
                X0, X1, X2 = Y0, Y1, Y2
        out[0, i], out[1, i], out[2, i] = X0, X1, X2
    return out


@inner
def _eigenvalues(a00, a01, a02, a11, a12, a22):  # type: ignore[no-untyped-def]
    """Smallest and largest eigenvalue of a symmetric matrix, by Jacobi's rotations."""
    for _ in range(8):
        if abs(a01) + abs(a02) + abs(a12) <= 1e-18 * (abs(a00) + abs(a11) + abs(a22)):
            break
        if a01 != 0.0:
            c, s, t = _rotation(a00, a11, a01)
            a00, a11, a02, a12, a01 = a00 - t * a01, a11 + t * a01, c * a02 - s * a12, s * a02 + c * a12, 0.0
        if a02 != 0.0:
            c, s, t = _rotation(a00, a22, a02)
            a00, a22, a01, a12, a02 = a00 - t * a02, a22 + t * a02, c * a01 - s * a12, s * a01 + c * a12, 0.0
        if a12 != 0.0:
            c, s, t = _rotation(a11, a22, a12)
            a11, a22, a01, a02, a12 = a11 - t * a12, a22 + t * a12, c * a01 - s * a02, s * a01 + c * a02, 0.0
    return min(a00, a11, a22), max(a00, a11, a22)


@inner
def _rotation(a, b, off):  # type: ignore[no-untyped-def]
    """Cosine, sine and tangent of the rotation that takes off, between the diagonal's a and b, to 0."""
    theta = (b - a) / (2.0 * off)
    t = (1.0 if theta >= 0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
    c = 1.0 / np.sqrt(t * t + 1.0)
    return c, t * c, t


@inner
def _judge(R, t, centres, seen, xy, W, to_px, xyz, delta, max_std_m, min_baseline_m):  # type: ignore[no-untyped-def]
    V, N = seen.shape
    points, covariance = np.full((N, 3), np.nan), np.full((N, 3, 3), np.nan)
    reprojection_px, rejection = np.full(N, np.nan), np.zeros(N, dtype=np.uint8)
    counts = np.zeros(N, dtype=np.uint8)
    at = np.empty(16)
    for i in range(N):
        n_views, m0, m1, m2 = 0, 0.0, 0.0, 0.0
        for v in range(V):
            if seen[v, i]:
                n_views += 1
                m0, m1, m2 = m0 + centres[v, 0], m1 + centres[v, 1], m2 + centres[v, 2]
        counts[i] = n_views
        if n_views < 2:
            rejection[i] = FEW_VIEWS
            continue
        apart = 0.0
        for v in range(V):
            if seen[v, i]:
                d0, d1, d2 = centres[v, 0] - m0 / n_views, centres[v, 1] - m1 / n_views, centres[v, 2] - m2 / n_views
                apart = max(apart, np.sqrt(d0 * d0 + d1 * d1 + d2 * d2))
        X0, X1, X2 = xyz[0, i], xyz[1, i], xyz[2, i]
        if not np.isfinite(X0 + X1 + X2) or 2 * apart < min_baseline_m:
            rejection[i] = RANK
            continue
        _linearise(R, t, xy, W, i, X0, X1, X2, delta, at)
        if at[0] == np.inf:
            rejection[i] = CHEIRALITY
            continue
        f00, f01, f02, f11, f12, f22 = at[10], at[11], at[12], at[13], at[14], at[15]
        c00, c01, c02 = _solve(f00, f01, f02, f11, f12, f22, 1.0, 0.0, 0.0)
        _, c11, c12 = _solve(f00, f01, f02, f11, f12, f22, 0.0, 1.0, 0.0)
        _, _, c22 = _solve(f00, f01, f02, f11, f12, f22, 0.0, 0.0, 1.0)
        longest, largest = c00 + c11 + c22, f00 + f11 + f22
        if not (longest > 0 and longest * largest < 0.5 / MIN_CONDITION and longest < 0.999 * max_std_m**2):
            least, most = _eigenvalues(f00, f01, f02, f11, f12, f22)
            if least <= MIN_CONDITION * most:
                rejection[i] = RANK
                continue
            if least * max_std_m**2 < 1.0:
                rejection[i] = UNCERTAIN
                continue
        squared = 0.0
        for v in range(V):
            if seen[v, i]:
                z = R[v, 2, 0] * X0 + R[v, 2, 1] * X1 + R[v, 2, 2] * X2 + t[v, 2]
                r0 = xy[v, 0, i] - (R[v, 0, 0] * X0 + R[v, 0, 1] * X1 + R[v, 0, 2] * X2 + t[v, 0]) / z
                r1 = xy[v, 1, i] - (R[v, 1, 0] * X0 + R[v, 1, 1] * X1 + R[v, 1, 2] * X2 + t[v, 1]) / z
                squared += (to_px[v, 0, 0, i] * r0 + to_px[v, 0, 1, i] * r1) ** 2
                squared += (to_px[v, 1, 0, i] * r0 + to_px[v, 1, 1, i] * r1) ** 2
        reprojection_px[i] = np.sqrt(squared / n_views)
        points[i, 0], points[i, 1], points[i, 2] = X0, X1, X2
        C = covariance[i]
        C[0, 0], C[0, 1], C[0, 2], C[1, 0], C[1, 1] = c00, c01, c02, c01, c11
        C[1, 2], C[2, 0], C[2, 1], C[2, 2] = c12, c02, c12, c22
    return points, covariance, counts, reprojection_px, rejection


@kernel(f"f8[::1]({_CAMERA_ARRAYS}, {_POINTS}, f8[:, ::1], f8)")
def objectives(R, t, xy, W, xyz, delta):  # type: ignore[no-untyped-def]
    """Eq. 3's sum at xyz (3, N) m; inf behind a camera that sees the point."""
    out = np.empty(xyz.shape[1])
    for i in range(len(out)):
        out[i] = _objective(R, t, xy, W, i, xyz[0, i], xyz[1, i], xyz[2, i], delta)
    return out


_SEEN = "Tuple((b1[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1]))"


@kernel(f"{_SEEN}({CAMERAS}, f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1], f8[:, :, :, ::1], f8)")
def sighted(cameras, ideal, lens, weight, covariance, sigma_px):  # type: ignore[no-untyped-def]
    """What geometry/sightings.py makes of ideal coordinates (V, N, 2) and lens derivatives (V, N, 2, 2).

    weight (V, N) and covariance (V, N, 2, 2) px^2 may be empty.
    """
    V, N = ideal.shape[:2]
    seen, xy = np.zeros((V, N), dtype=np.bool_), np.zeros((V, 2, N))
    to_px, whiten = np.zeros((V, 2, 2, N)), np.zeros((V, 2, 2, N))
    for v in range(V):
        K = cameras[2][v]
        for i in range(N):
            x, y, w = ideal[v, i, 0], ideal[v, i, 1], weight[v, i] if len(weight) else 1.0
            if not (np.isfinite(x) and np.isfinite(y) and np.isfinite(w) and w > 0):
                continue
            seen[v, i], xy[v, 0, i], xy[v, 1, i] = True, x, y
            p00 = K[0, 0] * lens[v, i, 0, 0] + K[0, 1] * lens[v, i, 1, 0]
            p01 = K[0, 0] * lens[v, i, 0, 1] + K[0, 1] * lens[v, i, 1, 1]
            p10, p11 = K[1, 1] * lens[v, i, 1, 0], K[1, 1] * lens[v, i, 1, 1]
            to_px[v, 0, 0, i], to_px[v, 0, 1, i], to_px[v, 1, 0, i], to_px[v, 1, 1, i] = p00, p01, p10, p11
            a, b, c = sigma_px * sigma_px, 0.0, sigma_px * sigma_px
            if len(covariance):
                d, e, f = covariance[v, i, 0, 0], covariance[v, i, 0, 1], covariance[v, i, 1, 1]
                if d > 0 and d * f - e * e > 0 and np.isfinite(d + e + f):
                    a, b, c = d, e, f
            l00 = np.sqrt(a)
            l10 = b / l00
            l11 = np.sqrt(c - l10 * l10)
            q00, q01 = p00 / l00, p01 / l00
            whiten[v, 0, 0, i], whiten[v, 0, 1, i] = w * q00, w * q01
            whiten[v, 1, 0, i], whiten[v, 1, 1, i] = w * (p10 - l10 * q00) / l11, w * (p11 - l10 * q01) / l11
    return seen, xy, to_px, whiten


@inner
def _moved(R, t, xy, W, to_px, i, X0, X1, X2, delta, F, M, J, out):  # type: ignore[no-untyped-def]
    """test/definitions/camera_errors.py for one point, into out (3, 3); F, M (3, 3) and J (4, 3) are space."""
    for a in range(3):
        for b in range(3):
            F[a, b], M[a, b], out[a, b] = 0.0, 0.0, np.nan
    n_views = 0
    for v in range(len(R)):
        w00, w01, w10, w11 = W[v, 0, 0, i], W[v, 0, 1, i], W[v, 1, 0, i], W[v, 1, 1, i]
        if w00 == 0.0 and w11 == 0.0:
            continue  # not seen
        n_views += 1
        z = R[v, 2, 0] * X0 + R[v, 2, 1] * X1 + R[v, 2, 2] * X2 + t[v, 2]
        z = z if z > 0 else 1.0
        p0 = (R[v, 0, 0] * X0 + R[v, 0, 1] * X1 + R[v, 0, 2] * X2 + t[v, 0]) / z
        p1 = (R[v, 1, 0] * X0 + R[v, 1, 1] * X1 + R[v, 1, 2] * X2 + t[v, 1]) / z
        r0, r1 = xy[v, 0, i] - p0, xy[v, 1, i] - p1
        e0, e1 = w00 * r0 + w01 * r1, w10 * r0 + w11 * r1
        size = np.sqrt(e0 * e0 + e1 * e1)
        omega = delta / size if size > delta else 1.0
        # A shift in px counts L^-1 = W to_px^-1 standard deviations.
        d00, d01, d10, d11 = to_px[v, 0, 0, i], to_px[v, 0, 1, i], to_px[v, 1, 0, i], to_px[v, 1, 1, i]
        determinant = d00 * d11 - d01 * d10
        l00, l01 = (w00 * d11 - w01 * d10) / determinant, (w01 * d00 - w00 * d01) / determinant
        l10, l11 = (w10 * d11 - w11 * d10) / determinant, (w11 * d00 - w10 * d01) / determinant
        for a in range(3):
            g, h = (R[v, 0, a] - p0 * R[v, 2, a]) / z, (R[v, 1, a] - p1 * R[v, 2, a]) / z
            j0, j1 = w00 * g + w01 * h, w10 * g + w11 * h
            J[0, a], J[1, a], J[2, a], J[3, a] = j0, j1, omega * (j0 * l00 + j1 * l10), omega * (j0 * l01 + j1 * l11)
        for a in range(3):
            for b in range(a, 3):
                F[a, b] += omega * (J[0, a] * J[0, b] + J[1, a] * J[1, b])
                M[a, b] += J[2, a] * J[2, b] + J[3, a] * J[3, b]
    if n_views < 2:
        return
    f00, f01, f02, f11, f12, f22 = F[0, 0], F[0, 1], F[0, 2], F[1, 1], F[1, 2], F[2, 2]
    c00, c01, c02 = _solve(f00, f01, f02, f11, f12, f22, 1.0, 0.0, 0.0)
    _, c11, c12 = _solve(f00, f01, f02, f11, f12, f22, 0.0, 1.0, 0.0)
    _, _, c22 = _solve(f00, f01, f02, f11, f12, f22, 0.0, 0.0, 1.0)
    longest, largest = c00 + c11 + c22, f00 + f11 + f22
    if not (longest > 0 and longest * largest < 0.5 / MIN_CONDITION):
        least, most = _eigenvalues(f00, f01, f02, f11, f12, f22)
        if not least > MIN_CONDITION * most:
            return
    F[0, 0], F[0, 1], F[0, 2], F[1, 0], F[1, 1] = c00, c01, c02, c01, c11
    F[1, 2], F[2, 0], F[2, 1], F[2, 2] = c12, c02, c12, c22
    M[1, 0], M[2, 0], M[2, 1] = M[0, 1], M[0, 2], M[1, 2]
    for a in range(3):
        for b in range(3):
            total = 0.0
            for c in range(3):
                for d in range(3):
                    total += F[a, c] * M[c, d] * F[d, b]
            out[a, b] = total


@kernel(f"f8[:, :, ::1]({_CAMERA_ARRAYS}, {_POINTS}, f8[:, :, :, ::1], f8[:, ::1], f8)")
def moved_by_cameras(R, t, xy, W, to_px, xyz, delta):  # type: ignore[no-untyped-def]
    """Covariance (N, 3, 3) m^2 of points xyz (3, N) m whose cameras are each off by 1 px an axis, independently."""
    N = xyz.shape[1]
    out, F, M, J = np.full((N, 3, 3), np.nan), np.empty((3, 3)), np.empty((3, 3)), np.empty((4, 3))
    for i in range(N):
        if np.isfinite(xyz[0, i] + xyz[1, i] + xyz[2, i]):
            _moved(R, t, xy, W, to_px, i, xyz[0, i], xyz[1, i], xyz[2, i], delta, F, M, J, out[i])
    return out


_FOUND = "Tuple((f8[:, ::1], f8[:, :, ::1], u1[::1], f8[::1], u1[::1]))"


@kernel(
    f"Tuple(({_FOUND}, {_SEEN}))({CAMERAS}, f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1], f8[:, :, :, ::1], "
    "f8, f8, f8, f8, b1)"
)
def triangulated(cameras, ideal, lens, weight, covariance, sigma_px, delta, max_std_m, min_baseline_m, robust):  # type: ignore[no-untyped-def]
    """N points from ideal coordinates (V, N, 2) and lens derivatives; weight (V, N) and covariance may be empty.

    Returns the fields of Triangulation (geometry/judgement.py), then what sighted returns.
    """
    R, t, centres = cameras[7], cameras[8], cameras[9]
    seen, xy, to_px, W = sighted(cameras, ideal, lens, weight, covariance, sigma_px)
    found = _fit(R, t, seen, xy, W, delta) if robust else linear(R, t, seen, xy, W)
    return _judge(R, t, centres, seen, xy, W, to_px, found, delta, max_std_m, min_baseline_m), (seen, xy, to_px, W)


@kernel("f8[::1](f8[:, ::1], i8, f8[:, ::1], f8[:, :, ::1], u1[::1], f8[::1], u1[::1])")
def scored(score, min_views, xyz, covariance, n_views, px, rejection):  # type: ignore[no-untyped-def]
    """Scores (N,) of triangulated joints from their keypoints' score (V, N).

    Changes the other arrays: joints of fewer than min_views views are rejected, and have no views then; a joint that no
    camera saw has no rejection.
    """
    total = np.zeros(len(xyz))
    for i in range(len(xyz)):
        used, mean = 0, 0.0
        for v in range(len(score)):
            mean += score[v, i]
            used += score[v, i] > 0
        if rejection[i] == 0 and n_views[i] < min_views:
            rejection[i] = FEW_VIEWS
            px[i] = np.nan
            for a in range(3):
                xyz[i, a] = np.nan
                for b in range(3):
                    covariance[i, a, b] = np.nan
        if rejection[i] != 0:
            n_views[i] = 0
            if used == 0:
                rejection[i] = 0
            continue
        # Two views give the mean m of their scores; each further view confirms it independently.
        total[i] = 1.0 - (1.0 - mean / max(used, 1)) ** max(used - 1, 0)
    return total


@kernel("b1[::1](f8[:, :, ::1], f8)")
def wider(covariance, std_m):  # type: ignore[no-untyped-def]
    """Which covariances (N, 3, 3) m^2 have a standard deviation above std_m along their worst axis; NaN has none."""
    out, limit = np.zeros(len(covariance), dtype=np.bool_), std_m * std_m
    for i in range(len(covariance)):
        C = covariance[i]
        a, b, c, d, e, f = C[0, 0], C[0, 1], C[0, 2], C[1, 1], C[1, 2], C[2, 2]
        if a + d + f < limit or not np.isfinite(a + b + c + d + e + f):
            continue  # the trace bounds the largest eigenvalue of a covariance
        # The largest eigenvalue is below the limit where limit I - C is positive definite.
        p, q, r = limit - a, limit - d, limit - f
        first = p * q - b * b
        out[i] = not (p > 0 and first > 0 and p * (q * r - e * e) - b * (b * r + e * c) - c * (b * e + q * c) > 0)
    return out


@kernel("f8[:, :, :, ::1](f8[:, :, :, ::1], f8[:, ::1])")
def weighed(covariance, score):  # type: ignore[no-untyped-def]
    """Covariances (N, J, 2, 2) px^2 as weighed_by_score of estimation/observation.py makes them."""
    N, J = score.shape
    out, product, ordered = np.empty(covariance.shape), np.empty(J), np.empty(J)
    for n in range(N):
        count = 0
        for j in range(J):
            variance = (covariance[n, j, 0, 0] + covariance[n, j, 1, 1]) / 2
            product[j] = np.nan
            if variance > 0 and np.isfinite(variance) and score[n, j] > 0:
                product[j] = np.sqrt(variance) * score[n, j]
                b = count - 1
                while b >= 0 and ordered[b] > product[j]:
                    ordered[b + 1] = ordered[b]
                    b -= 1
                ordered[b + 1] = product[j]
                count += 1
        level = 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2]) if count else np.nan
        for j in range(J):
            share = level / product[j]
            for a in range(2):
                for b in range(2):
                    out[n, j, a, b] = covariance[n, j, a, b] * share * share
    return out
