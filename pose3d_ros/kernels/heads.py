"""The shape of heads, fitted to their points: the loop of geometry/head.py, defined in test/definitions/heads.py.

G people, J points of a head; unknown are a turn about the head's own axes, its place and the logarithm of its size.
float64.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel

# So often the 4x4 matrix is squared whose largest eigenvector is the start of Gauss-Newton: its power 65,536.
_SQUARINGS = 16


@inner
def _start(p, C, seen, model, std, R, t):
    """Weighted least squares of the shape of size 1, into R (3, 3) and t (3,): Davenport's quaternion (Horn 1987)."""
    J = len(p)
    total, middle, centre, B = 0.0, np.zeros(3), np.zeros(3), np.zeros((3, 3))
    weight = np.zeros(J)
    for j in range(J):
        if seen[j]:
            variance = C[j, 0, 0] + C[j, 1, 1] + C[j, 2, 2]
            weight[j] = 1.0 / (variance + std[j, 0] ** 2 + std[j, 1] ** 2 + std[j, 2] ** 2)
            total += weight[j]
            middle += weight[j] * p[j]
            centre += weight[j] * model[j]
    middle, centre = middle / total, centre / total
    for j in range(J):
        if seen[j]:
            for a in range(3):
                for b in range(3):
                    B[a, b] += weight[j] / total * (p[j, a] - middle[a]) * (model[j, b] - centre[b])
    K = np.empty((4, 4))
    K[0, 0] = B[0, 0] + B[1, 1] + B[2, 2]
    K[0, 1], K[0, 2], K[0, 3] = B[2, 1] - B[1, 2], B[0, 2] - B[2, 0], B[1, 0] - B[0, 1]
    for a in range(3):
        K[a + 1, 0] = K[0, a + 1]
        for b in range(3):
            K[a + 1, b + 1] = B[a, b] + B[b, a] - (K[0, 0] if a == b else 0.0)
    # Shifted to be positive and squared again and again, it becomes the product of its largest eigenvector with itself.
    shift, square = np.sqrt((K * K).sum()), np.empty((4, 4))
    for a in range(4):
        K[a, a] += shift
    for _ in range(_SQUARINGS):
        for a in range(4):
            for b in range(4):
                square[a, b] = K[a, 0] * K[0, b] + K[a, 1] * K[1, b] + K[a, 2] * K[2, b] + K[a, 3] * K[3, b]
        K[:] = square / (square[0, 0] + square[1, 1] + square[2, 2] + square[3, 3])
    best = 0
    for a in range(1, 4):
        if K[a, a] > K[best, best]:
            best = a
    q = K[best] / np.sqrt((K[best] * K[best]).sum())
    _matrix(q[0], q[1], q[2], q[3], R)
    for a in range(3):
        t[a] = middle[a] - (R[a, 0] * centre[0] + R[a, 1] * centre[1] + R[a, 2] * centre[2])


@inner
def _matrix(w, x, y, z, R):
    """The rotation of a unit quaternion, into R (3, 3)."""
    R[0, 0], R[0, 1], R[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    R[1, 0], R[1, 1], R[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    R[2, 0], R[2, 1], R[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@inner
def _derivatives(R, size, m, D):
    """Of a point m (3,) of the shape by the seven unknowns, into D (3, 7); its place relative to t is D[:, 6]."""
    for a in range(3):
        x, y, z = size * R[a, 0], size * R[a, 1], size * R[a, 2]
        D[a, 0], D[a, 1], D[a, 2] = z * m[1] - y * m[2], x * m[2] - z * m[0], y * m[0] - x * m[1]
        D[a, 3], D[a, 4], D[a, 5] = 0.0, 0.0, 0.0
        D[a, 3 + a] = 1.0
        D[a, 6] = x * m[0] + y * m[1] + z * m[2]


@inner
def _normal(p, seen, W, model, size_std, R, t, size, N, b):
    """Normal equations into N (7, 7) and b (7,); returns the weighted sum of squares."""
    D, r, Wr, WD = np.empty((3, 7)), np.empty(3), np.empty(3), np.empty((3, 7))
    N[:], b[:] = 0.0, 0.0
    s = np.log(size)
    N[6, 6], b[6], squared = 1.0 / size_std**2, -s / size_std**2, (s / size_std) ** 2
    for j in range(len(p)):
        if not seen[j]:
            continue
        _derivatives(R, size, model[j], D)
        for a in range(3):
            r[a] = p[j, a] - t[a] - D[a, 6]
        for a in range(3):
            Wr[a] = W[j, a, 0] * r[0] + W[j, a, 1] * r[1] + W[j, a, 2] * r[2]
            squared += r[a] * Wr[a]
            for k in range(7):
                WD[a, k] = W[j, a, 0] * D[0, k] + W[j, a, 1] * D[1, k] + W[j, a, 2] * D[2, k]
        for k in range(7):
            b[k] += D[0, k] * Wr[0] + D[1, k] * Wr[1] + D[2, k] * Wr[2]
            for q in range(7):
                N[k, q] += D[0, k] * WD[0, q] + D[1, k] * WD[1, q] + D[2, k] * WD[2, q]
    return squared


@inner
def _invert(N, out):
    """The inverse of a symmetric positive matrix, by Gauss-Jordan, into out; N is used up."""
    n = len(N)
    out[:] = 0.0
    for a in range(n):
        out[a, a] = 1.0
    for a in range(n):
        pivot = N[a, a]
        for k in range(n):
            N[a, k] /= pivot
            out[a, k] /= pivot
        for b in range(n):
            if b != a:
                factor = N[b, a]
                for k in range(n):
                    N[b, k] -= factor * N[a, k]
                    out[b, k] -= factor * out[a, k]


@inner
def _turn(R, x, y, z):
    """R (3, 3) after a small turn about its own axes, rad."""
    angle = np.sqrt(x * x + y * y + z * z)
    part = 0.5 if angle < 1e-12 else np.sin(angle / 2) / angle
    turned, out = np.empty((3, 3)), np.empty((3, 3))
    _matrix(np.cos(angle / 2), part * x, part * y, part * z, turned)
    for a in range(3):
        for b in range(3):
            out[a, b] = R[a, 0] * turned[0, b] + R[a, 1] * turned[1, b] + R[a, 2] * turned[2, b]
    return out


@inner
def _second_order(R, size, left, model, out):
    """Twice what the second order of a turn of covariance left[:3, :3] moves the top by about the face's middle."""
    arm, bent = np.empty(3), np.empty(3)
    for a in range(3):
        arm[a] = model[-1, a]
        for j in range(5):
            arm[a] -= model[j, a] / 5.0
    for a in range(3):
        bent[a] = (left[0, 0] + left[1, 1] + left[2, 2]) * arm[a]
        for k in range(3):
            bent[a] -= left[a, k] * arm[k]
    for a in range(3):
        out[a] = size * (R[a, 0] * bent[0] + R[a, 1] * bent[1] + R[a, 2] * bent[2])


_FOUND = "Tuple((f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1]))"


@kernel(f"{_FOUND}(f8[:, :, ::1], f8[:, :, :, ::1], b1[:, ::1], f8[:, ::1], f8[:, ::1], f8, i8, f8, f8)")
def fitted(xyz, covariance, seen, model, model_std, size_std, steps, misfit, max_turn_std):
    """The fields of Heads of points (G, J, 3) m of which some are seen (G, J); NaN of people with none or no head.

    model, model_std (J + 1, 3): the points' and then the top's.
    """
    G, J = seen.shape
    turned, turn_covariance = np.full((G, 3, 3), np.nan), np.full((G, 3, 3), np.nan)
    tops, top_covariance = np.full((G, 3), np.nan), np.full((G, 3, 3), np.nan)
    R, t, N, b = np.empty((3, 3)), np.empty(3), np.empty((7, 7)), np.empty(7)
    W, spread, left, D = np.empty((J, 3, 3)), np.empty((3, 3)), np.empty((7, 7)), np.empty((3, 7))
    bent = np.empty(3)
    for g in range(G):
        count = 0
        for j in range(J):
            count += seen[g, j]
        if count == 0:
            continue
        _start(xyz[g], covariance[g], seen[g], model, model_std, R, t)
        for j in range(J):
            if seen[g, j]:
                for a in range(3):
                    for c in range(3):
                        spread[a, c] = covariance[g, j, a, c]
                        for k in range(3):
                            spread[a, c] += R[a, k] * model_std[j, k] ** 2 * R[c, k]
                _invert(spread, W[j])
        size = 1.0
        for _ in range(steps):
            _normal(xyz[g], seen[g], W, model, size_std, R, t, size, N, b)
            _invert(N, left)
            step = np.zeros(7)
            for a in range(7):
                for c in range(7):
                    step[a] += left[a, c] * b[c]
            R = _turn(R, step[0], step[1], step[2])
            for a in range(3):
                t[a] += step[3 + a]
            size *= np.exp(step[6])
        squared = _normal(xyz[g], seen[g], W, model, size_std, R, t, size, N, b)
        _invert(N, left)
        widest = max(left[0, 0], left[1, 1], left[2, 2])
        # The quantile of chi squared (Wilson and Hilferty 1931); the size has a prior, so it takes no freedom.
        part = 2.0 / (9.0 * (3 * count - 6))
        limit = (3 * count - 6) * (1.0 - part + misfit * np.sqrt(part)) ** 3
        if not (squared <= limit and widest <= max_turn_std**2):
            continue
        _derivatives(R, size, model[J], D)
        _second_order(R, size, left, model, bent)
        for a in range(3):
            tops[g, a] = t[a] + D[a, 6]
            for c in range(3):
                turned[g, a, c], turn_covariance[g, a, c] = R[a, c], left[a, c]
                total = bent[a] * bent[c]
                for k in range(3):
                    total += size**2 * R[a, k] * model_std[J, k] ** 2 * R[c, k]
                for k in range(7):
                    for q in range(7):
                        total += D[a, k] * left[k, q] * D[c, q]
                top_covariance[g, a, c] = total
    return turned, turn_covariance, tops, top_covariance
