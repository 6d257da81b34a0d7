"""Keypoints as input of triangulation: whitened, ideal image points of N joints in V cameras.

The definition is test/definitions/observations.py. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import kernel
from pose3d_ros.kernels.lenses import CAMERAS

SEEN = "Tuple((b1[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1]))"


@kernel(f"{SEEN}({CAMERAS}, f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1], f8[:, :, :, ::1], f8)")
def sighted(cameras, ideal, lens, weight, covariance, sigma_px):  # type: ignore[no-untyped-def]
    """The arrays of geometry/observations.py from ideal coordinates (V, N, 2) and lens derivatives (V, N, 2, 2).

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
