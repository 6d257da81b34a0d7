"""The main operations of a graph network: rows gathered from their neighbours, and rows times a matrix, in float32.

A BLAS packs the matrix at every call and wakes a thread a core, which for a person's few rows costs more than the sum.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import kernel


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1])", fastmath={"contract", "reassoc"})
def add_product(out, h, weight):  # type: ignore[no-untyped-def]
    """out (M, F) += h (M, C) @ weight (C, F)."""
    M, C = h.shape
    F = weight.shape[1]
    whole = C - C % 8
    # Eight rows of the matrix stay in the nearest cache for all of h.
    for c in range(0, whole, 8):
        for m in range(M):
            a0, a1, a2, a3 = h[m, c], h[m, c + 1], h[m, c + 2], h[m, c + 3]
            a4, a5, a6, a7 = h[m, c + 4], h[m, c + 5], h[m, c + 6], h[m, c + 7]
            for f in range(F):
                out[m, f] += (
                    (a0 * weight[c, f] + a1 * weight[c + 1, f] + a2 * weight[c + 2, f] + a3 * weight[c + 3, f])
                    + (a4 * weight[c + 4, f] + a5 * weight[c + 5, f] + a6 * weight[c + 6, f] + a7 * weight[c + 7, f])
                )  # fmt: skip
    for c in range(whole, C):
        for m in range(M):
            a = h[m, c]
            for f in range(F):
                out[m, f] += a * weight[c, f]


@kernel("f4[:, :, :, ::1](f4[:, :, ::1], f4[:, :, ::1])")
def gathered(h, kernels):  # type: ignore[no-untyped-def]
    """kernels (K, N, N) @ h (B, N, C) as (B, N, K, C); most of the kernels are zeros."""
    B, N, C = h.shape
    K = len(kernels)
    out = np.zeros((B, N, K, C), dtype=np.float32)
    for k in range(K):
        for n in range(N):
            for other in range(N):
                a = kernels[k, n, other]
                if a != 0:
                    for b in range(B):
                        for c in range(C):
                            out[b, n, k, c] += a * h[b, other, c]
    return out
