"""Triangulation of N points, one after the other: linear, and PoseRN's Eq. 3 by Levenberg-Marquardt.

The steps, one whole array at a time, are test/definitions/robust.py.

A symmetric 3x3 matrix is its six entries 00 01 02 11 12 22. Cameras are kernels/lenses.py's; R (V, 3, 3), t (V, 3) m;
seen (V, N); xy (V, 2, N) ideal; W the whitening (V, 2, 2, N), 0 where there is no keypoint. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel
from pose3d_ros.kernels.constants import (
    DAMPING_DOWN,
    DAMPING_UP,
    DECREASE,
    DECREASE_FLOOR,
    FIRST_DAMPING,
    LAST_DAMPING,
    MAX_STEPS,
    SUSPICIOUS,
)

BLOCK = 256  # points whose sums stay in the first-level cache
CAMERA_ARRAYS = "f8[:, :, ::1], f8[:, ::1]"
POINTS = "f8[:, :, ::1], f8[:, :, :, ::1]"


@inner
def solve(a00, a01, a02, a11, a12, a22, b0, b1, b2):  # type: ignore[no-untyped-def]
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
def projected(R, t, v, X0, X1, X2):  # type: ignore[no-untyped-def]
    """A point's depth m before camera v, and its ideal image coordinates there."""
    z = R[v, 2, 0] * X0 + R[v, 2, 1] * X1 + R[v, 2, 2] * X2 + t[v, 2]
    p0 = (R[v, 0, 0] * X0 + R[v, 0, 1] * X1 + R[v, 0, 2] * X2 + t[v, 0]) / z
    p1 = (R[v, 1, 0] * X0 + R[v, 1, 1] * X1 + R[v, 1, 2] * X2 + t[v, 1]) / z
    return z, p0, p1


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
    return solve(s00, s01, s02, s11, s12, s22, s0, s1, s2)


@inner
def _finite(x):  # type: ignore[no-untyped-def]
    return x if np.isfinite(x) else np.nan


@kernel(f"f8[:, ::1]({CAMERA_ARRAYS}, b1[:, ::1], {POINTS})")
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
            x0, x1, x2 = solve(a[0, i], a[1, i], a[2, i], a[3, i], a[4, i], a[5, i], a[6, i], a[7, i], a[8, i])
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
        z, p0, p1 = projected(R, t, v, X0, X1, X2)
        if not z > 0.0:
            return np.inf
        r0, r1 = xy[v, 0, i] - p0, xy[v, 1, i] - p1
        e0, e1 = w00 * r0 + w01 * r1, w10 * r0 + w11 * r1
        size = np.sqrt(e0 * e0 + e1 * e1)
        inner = min(size, delta)
        total += inner * (size - 0.5 * inner)
    return total


@inner
def linearise(R, t, xy, W, i, X0, X1, X2, delta, out):  # type: ignore[no-untyped-def]
    """robust.linearise for one point: out holds objective, descent, curvature, information (1 + 3 + 6 + 6)."""
    for k in range(16):
        out[k] = 0.0
    for v in range(len(R)):
        w00, w01, w10, w11 = W[v, 0, 0, i], W[v, 0, 1, i], W[v, 1, 0, i], W[v, 1, 1, i]
        if w00 == 0.0 and w11 == 0.0:
            continue  # not seen
        z, p0, p1 = projected(R, t, v, X0, X1, X2)
        if not z > 0.0:
            out[0] = np.inf
            return
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
    linearise(R, t, xy, W, i, X0, X1, X2, delta, here)
    damping = FIRST_DAMPING
    if not np.isfinite(here[0]):
        return X0, X1, X2, np.inf
    for _ in range(MAX_STEPS):
        c, f = here[4:10], here[10:16]
        s0, s1, s2 = solve(
            c[0] + damping * f[0], c[1] + damping * f[1], c[2] + damping * f[2],
            c[3] + damping * f[3], c[4] + damping * f[4], c[5] + damping * f[5],
            here[1], here[2], here[3],
        )  # fmt: skip
        promised = here[1] * s0 + here[2] * s1 + here[3] * s2
        linearise(R, t, xy, W, i, X0 + s0, X1 + s1, X2 + s2, delta, there)
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
            x0, x1, x2 = solve(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])
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
        z, p0, p1 = projected(R, t, v, X0, X1, X2)
        if not z > 0.0:
            return True
        r0, r1 = xy[v, 0, i] - p0, xy[v, 1, i] - p1
        e0, e1 = w00 * r0 + w01 * r1, w10 * r0 + w11 * r1
        if np.sqrt(e0 * e0 + e1 * e1) > SUSPICIOUS:
            return True
    return False


@inner
def fit(R, t, seen, xy, W, delta):  # type: ignore[no-untyped-def]
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
        if n_views == 2:  # nothing tells which is wrong where they disagree, and a fit puts the worst points far away
            out[0, i], out[1, i], out[2, i] = _finite(X0), _finite(X1), _finite(X2)
            continue
        again = _suspicious(R, t, xy, W, i, X0, X1, X2)
        X0, X1, X2, value = _minimise(R, t, xy, W, i, X0, X1, X2, delta, here, there)
        if again:
            Y0, Y1, Y2 = _pair_start(R, t, xy, W, i, delta, normal)
            Y0, Y1, Y2, other = _minimise(R, t, xy, W, i, Y0, Y1, Y2, delta, here, there)
            if other < value:
                X0, X1, X2 = Y0, Y1, Y2
        out[0, i], out[1, i], out[2, i] = X0, X1, X2
    return out


@kernel(f"f8[::1]({CAMERA_ARRAYS}, {POINTS}, f8[:, ::1], f8)")
def objectives(R, t, xy, W, xyz, delta):  # type: ignore[no-untyped-def]
    """Eq. 3's sum at xyz (3, N) m; inf behind a camera that sees the point."""
    out = np.empty(xyz.shape[1])
    for i in range(len(out)):
        out[i] = _objective(R, t, xy, W, i, xyz[0, i], xyz[1, i], xyz[2, i], delta)
    return out
