"""The normal equations of one person's joints and bones over a window of frames.

Axes: K frames, V views, N joints, L links. R (K, V, 3, 3), t (K, V, 3) m; xy (K, V, 2, N) ideal; W the whitening
(K, V, 2, 2, N), 0 where there is no keypoint. The variables are x (K, N, 3) m in this order, 3N of each frame, then the
lengths (L,) m of the links. Acceleration joins equal coordinates of three frames, so no joint reaches farther than 6N
variables: the joints' part of the matrix is a band, with a border for the lengths. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import kernel
from pose3d_ros.kernels.solving import linearise


@kernel(
    "Tuple((f8, f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1]))(f8[:, :, ::1], f8[::1], f8[:, :, :, ::1], "
    "f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, :, ::1], f8, f8[::1], f8[::1], f8[::1], i8[:, ::1], "
    "f8[:, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1], f8[:, ::1], f8)"
)
def normal_equations(  # type: ignore[no-untyped-def]
    x, lengths, R, t, xy, W, delta, share, times, density, pairs, longer, stds, past_x, past_lengths, past, ridge
):
    """Cost, gradients (K, 3N) and (L,), lower band (6N + 1, 3NK), border (3NK, L), corner (L, L) at x and lengths.

    share (K,): weight of each frame's keypoints; times (K,) s; density (N,) m^2/s^3 of the acceleration; pairs (L, 2)
    of the links, by how much longer (K, L) m each is than between x, and stds (K, L) m of that, from frame
    M = len(past_x) on; past (3NM + L, 3NM + L) the information on
    the first M frames and the lengths about past_x (M, N, 3) m and past_lengths; ridge, 1/m^2, holds every joint
    where it is.
    """
    K, N, M, L = x.shape[0], x.shape[1], past_x.shape[0], len(lengths)
    m = 3 * N
    ab, g, gl = np.zeros((2 * m + 1, K * m)), np.zeros((K, m)), np.zeros(L)
    border, corner = np.zeros((K * m, L)), np.zeros((L, L))
    cost, at = 0.0, np.empty(16)
    size = M * m
    off = np.empty(size + L)
    for i in range(size):
        k, n, a = i // m, (i % m) // 3, i % 3
        off[i] = x[k, n, a] - past_x[k, n, a]
    for one in range(L):
        off[size + one] = lengths[one] - past_lengths[one]
    for i in range(size + L):
        pull = 0.0
        for j in range(size + L):
            pull += past[i, j] * off[j]
        cost += 0.5 * pull * off[i]
        if i < size:
            g[i // m, i % m] += pull
            for j in range(i + 1):
                ab[i - j, j] += past[i, j]
            for one in range(L):
                border[i, one] += past[i, size + one]
        else:
            gl[i - size] += pull
            for one in range(L):
                corner[i - size, one] += past[i, size + one]
    for k in range(M, K):
        for n in range(N):
            linearise(R[k], t[k], xy[k], W[k], n, x[k, n, 0], x[k, n, 1], x[k, n, 2], delta, at)
            if not np.isfinite(at[0]):
                return np.inf, g, gl, ab, border, corner
            c, s = k * m + 3 * n, share[k]
            cost += s * at[0]
            ab[0, c] += s * at[10] + ridge
            ab[1, c] += s * at[11]
            ab[2, c] += s * at[12]
            ab[0, c + 1] += s * at[13] + ridge
            ab[1, c + 1] += s * at[14]
            ab[0, c + 2] += s * at[15] + ridge
            for a in range(3):
                g[k, 3 * n + a] -= s * at[1 + a]
        for one in range(L):
            p, q = pairs[one, 0], pairs[one, 1]  # p > q
            w = 1.0 / (stds[k, one] * stds[k, one])
            d0, d1, d2 = x[k, p, 0] - x[k, q, 0], x[k, p, 1] - x[k, q, 1], x[k, p, 2] - x[k, q, 2]
            length = max(np.sqrt(d0 * d0 + d1 * d1 + d2 * d2), 1e-6)
            miss = length + longer[k, one] - lengths[one]
            cost += 0.5 * w * miss * miss
            gl[one] -= w * miss
            corner[one, one] += w
            u = (d0 / length, d1 / length, d2 / length)
            for a in range(3):
                g[k, 3 * p + a] += w * miss * u[a]
                g[k, 3 * q + a] -= w * miss * u[a]
                border[k * m + 3 * p + a, one] -= w * u[a]
                border[k * m + 3 * q + a, one] += w * u[a]
                for b in range(3):
                    value = w * u[a] * u[b]
                    if a >= b:
                        ab[a - b, k * m + 3 * p + b] += value
                        ab[a - b, k * m + 3 * q + b] += value
                    ab[3 * (p - q) + a - b, k * m + 3 * q + b] -= value
    for k in range(2, K):
        before, after = times[k - 1] - times[k - 2], times[k] - times[k - 1]
        whole = 0.5 * (before + after)
        c0, c2 = 1.0 / (before * whole), 1.0 / (after * whole)
        c1 = -(c0 + c2)
        for n in range(N):
            w = whole / density[n]
            for a in range(3):
                i = 3 * n + a
                pull = c0 * x[k - 2, n, a] + c1 * x[k - 1, n, a] + c2 * x[k, n, a]
                cost += 0.5 * w * pull * pull
                g[k - 2, i] += w * c0 * pull
                g[k - 1, i] += w * c1 * pull
                g[k, i] += w * c2 * pull
                j = (k - 2) * m + i
                ab[0, j] += w * c0 * c0
                ab[m, j] += w * c0 * c1
                ab[2 * m, j] += w * c0 * c2
                ab[0, j + m] += w * c1 * c1
                ab[m, j + m] += w * c1 * c2
                ab[0, j + 2 * m] += w * c2 * c2
    return cost, g, gl, ab, border, corner


@kernel("Tuple((f8[:, ::1], f8[:, ::1]))(f8[:, ::1], i8)")
def split(ab, m):  # type: ignore[no-untyped-def]
    """The first m columns (size, m) of a lower band's matrix, and the rest without them (size - m, size - m), whole."""
    size = ab.shape[1]
    gone, kept = np.zeros((size, m)), np.zeros((size - m, size - m))
    for k in range(min(ab.shape[0], size)):
        for j in range(size - k):
            value = ab[k, j]
            if j < m:
                gone[j + k, j] = value
                if j + k < m:
                    gone[j, j + k] = value
            else:
                kept[j + k - m, j - m] = value
                kept[j - m, j + k - m] = value
    return gone, kept
