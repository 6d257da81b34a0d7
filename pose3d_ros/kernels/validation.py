"""Validation of triangulated points: covariance, rejection, score, and the effect of camera errors.

The definitions are test/definitions/validation.py and camera_errors.py.

A symmetric 3x3 matrix is its six entries 00 01 02 11 12 22. Cameras are kernels/lenses.py's; R (V, 3, 3), t (V, 3) m;
seen (V, N); xy (V, 2, N) ideal; W the whitening (V, 2, 2, N), 0 where there is no keypoint. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel
from pose3d_ros.kernels.constants import (
    CHEIRALITY,
    FEW_VIEWS,
    MIN_CONDITION,
    RANK,
    UNCERTAIN,
)
from pose3d_ros.kernels.lenses import CAMERAS
from pose3d_ros.kernels.observations import SEEN, sighted
from pose3d_ros.kernels.solving import CAMERA_ARRAYS, POINTS, fit, linear, linearise, projected, solve

_FOUND = "Tuple((f8[:, ::1], f8[:, :, ::1], u1[::1], f8[::1], u1[::1]))"


@inner
def _eigenvalues(a00, a01, a02, a11, a12, a22):  # type: ignore[no-untyped-def]
    """Smallest and largest eigenvalue of a symmetric matrix, by Jacobi rotations."""
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
def _inverse(a00, a01, a02, a11, a12, a22):  # type: ignore[no-untyped-def]
    c00, c01, c02 = solve(a00, a01, a02, a11, a12, a22, 1.0, 0.0, 0.0)
    _, c11, c12 = solve(a00, a01, a02, a11, a12, a22, 0.0, 1.0, 0.0)
    _, _, c22 = solve(a00, a01, a02, a11, a12, a22, 0.0, 0.0, 1.0)
    return c00, c01, c02, c11, c12, c22


@inner
def _validate(R, t, centres, seen, xy, W, to_px, xyz, delta, max_std_m, min_baseline_m):  # type: ignore[no-untyped-def]
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
        linearise(R, t, xy, W, i, X0, X1, X2, delta, at)
        if at[0] == np.inf:
            rejection[i] = CHEIRALITY
            continue
        f00, f01, f02, f11, f12, f22 = at[10], at[11], at[12], at[13], at[14], at[15]
        c00, c01, c02, c11, c12, c22 = _inverse(f00, f01, f02, f11, f12, f22)
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
                _, p0, p1 = projected(R, t, v, X0, X1, X2)
                r0, r1 = xy[v, 0, i] - p0, xy[v, 1, i] - p1
                squared += (to_px[v, 0, 0, i] * r0 + to_px[v, 0, 1, i] * r1) ** 2
                squared += (to_px[v, 1, 0, i] * r0 + to_px[v, 1, 1, i] * r1) ** 2
        reprojection_px[i] = np.sqrt(squared / n_views)
        points[i, 0], points[i, 1], points[i, 2] = X0, X1, X2
        C = covariance[i]
        C[0, 0], C[0, 1], C[0, 2], C[1, 0], C[1, 1] = c00, c01, c02, c01, c11
        C[1, 2], C[2, 0], C[2, 1], C[2, 2] = c12, c02, c12, c22
    return points, covariance, counts, reprojection_px, rejection


@kernel(
    f"Tuple(({_FOUND}, {SEEN}))({CAMERAS}, f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1], f8[:, :, :, ::1], "
    "f8, f8, f8, f8, b1)"
)
def triangulated(cameras, ideal, lens, weight, covariance, sigma_px, delta, max_std_m, min_baseline_m, robust):  # type: ignore[no-untyped-def]
    """N points from ideal coordinates (V, N, 2) and lens derivatives; weight (V, N) and covariance may be empty.

    Returns the fields of Triangulation (geometry/validation.py), then what sighted returns.
    """
    R, t, centres = cameras[7], cameras[8], cameras[9]
    seen, xy, to_px, W = sighted(cameras, ideal, lens, weight, covariance, sigma_px)
    found = fit(R, t, seen, xy, W, delta) if robust else linear(R, t, seen, xy, W)
    return _validate(R, t, centres, seen, xy, W, to_px, found, delta, max_std_m, min_baseline_m), (seen, xy, to_px, W)


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
        z, p0, p1 = projected(R, t, v, X0, X1, X2)
        if not z > 0:  # as the definition has it: taken as 1 m in front of the camera
            p0, p1, z = p0 * z, p1 * z, 1.0
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
    c00, c01, c02, c11, c12, c22 = _inverse(f00, f01, f02, f11, f12, f22)
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


@kernel(f"f8[:, :, ::1]({CAMERA_ARRAYS}, {POINTS}, f8[:, :, :, ::1], f8[:, ::1], f8)")
def moved_by_cameras(R, t, xy, W, to_px, xyz, delta):  # type: ignore[no-untyped-def]
    """Covariance (N, 3, 3) m^2 of points xyz (3, N) m whose cameras are each off by 1 px an axis, independently."""
    N = xyz.shape[1]
    out, F, M, J = np.full((N, 3, 3), np.nan), np.empty((3, 3)), np.empty((3, 3)), np.empty((4, 3))
    for i in range(N):
        if np.isfinite(xyz[0, i] + xyz[1, i] + xyz[2, i]):
            _moved(R, t, xy, W, to_px, i, xyz[0, i], xyz[1, i], xyz[2, i], delta, F, M, J, out[i])
    return out


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
