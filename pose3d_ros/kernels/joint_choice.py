"""Which views' keypoints of one joint to trust, with a bone and a prediction as further witnesses.

R (V, 3, 3), t (V, 3) m; xy (V, 2, 1) ideal; W the whitening (V, 2, 2, 1), 0 where there is no keypoint. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel
from pose3d_ros.kernels.constants import DAMPING_DOWN, DAMPING_UP, FIRST_DAMPING
from pose3d_ros.kernels.solving import CAMERA_ARRAYS, POINTS, linearise, solve

STEPS = 15
STEP_M = 1e-3  # steps shorter than this end the iteration
SURE_BONE_M = 1e-6


@inner
def _at(R, t, xy, W, X, expected, information, parent, spread, length, variance, out):  # type: ignore[no-untyped-def]
    """Cost, pull (3) and Hessian 00 01 02 11 12 22 of keypoints, prediction and bone at X, into out (16,)."""
    linearise(R, t, xy, W, 0, X[0], X[1], X[2], np.inf, out)
    for a in range(3):
        force = 0.0
        for b in range(3):
            force += information[a, b] * (expected[b] - X[b])
        out[0] += 0.5 * force * (expected[a] - X[a])
        out[1 + a] += force
    out[10] += information[0, 0]
    out[11] += information[0, 1]
    out[12] += information[0, 2]
    out[13] += information[1, 1]
    out[14] += information[1, 2]
    out[15] += information[2, 2]
    if variance == np.inf:
        return
    d0, d1, d2 = X[0] - parent[0], X[1] - parent[1], X[2] - parent[2]
    size = max(np.sqrt(d0 * d0 + d1 * d1 + d2 * d2), SURE_BONE_M)
    u = (d0 / size, d1 / size, d2 / size)
    total = variance
    for a in range(3):
        for b in range(3):
            total += u[a] * spread[a, b] * u[b]
    miss = length - size
    out[0] += 0.5 * miss * miss / total
    k = 10
    for a in range(3):
        out[1 + a] += u[a] * miss / total
        for b in range(a, 3):
            out[k] += u[a] * u[b] / total
            k += 1


@inner
def _above(at, limit):  # type: ignore[no-untyped-def]
    """Whether the least eigenvalue of the Hessian in _at's numbers is above a limit."""
    a, b, c, d, e, f = at[10] - limit, at[11], at[12], at[13] - limit, at[14], at[15] - limit
    first = a * d - b * b
    return a > 0 and first > 0 and a * (d * f - e * e) - b * (b * f - e * c) + c * (b * e - d * c) > 0


@kernel(
    f"Tuple((i8, f8, f8[::1], f8[:, ::1]))({CAMERA_ARRAYS}, {POINTS}, b1[:, ::1], "
    "f8[::1], f8[::1], f8[:, ::1], f8[::1], f8[:, ::1], f8, f8, f8, f8)"
)
def best_subset(  # type: ignore[no-untyped-def]
    R, t, xy, W, subsets, start, expected, information, parent, spread, length, variance, outlier, least_known
):
    """The best of the subsets (H, V) of views, its cost, where it puts the joint, (3,) m, and the information on that.

    A view left out costs `outlier`; one alone must leave the joint known by at least least_known 1/m^2. expected (3,)
    m with information (3, 3) 1/m^2; the bone from parent (3,) m of covariance spread (3, 3) m^2 is length m long, with
    a variance m^2, inf where there is no bone.
    """
    here, there, X, Y = np.empty(16), np.empty(16), np.empty(3), np.empty(3)
    kept = np.empty_like(W)
    best, lowest, found, known = -1, np.inf, np.full(3, np.nan), np.empty((3, 3))
    for h in range(len(subsets)):
        missing, count = 0.0, 0
        for v in range(len(R)):
            kept[v] = W[v] * subsets[h, v]
            if W[v, 0, 0, 0] != 0.0 or W[v, 1, 1, 0] != 0.0:
                count += subsets[h, v]
                missing += 0.0 if subsets[h, v] else outlier
        X[:] = start
        _at(R, t, xy, kept, X, expected, information, parent, spread, length, variance, here)
        damping = FIRST_DAMPING
        for _ in range(STEPS):
            if not np.isfinite(here[0]):
                break
            more = 1.0 + damping
            s0, s1, s2 = solve(
                here[10] * more, here[11], here[12], here[13] * more, here[14], here[15] * more,
                here[1], here[2], here[3],
            )  # fmt: skip
            Y[0], Y[1], Y[2] = X[0] + s0, X[1] + s1, X[2] + s2
            _at(R, t, xy, kept, Y, expected, information, parent, spread, length, variance, there)
            if there[0] <= here[0]:
                X[:] = Y
                here, there = there, here
                damping *= DAMPING_DOWN
                if max(abs(s0), abs(s1), abs(s2)) < STEP_M:
                    break
            else:
                damping *= DAMPING_UP
        if here[0] + missing < lowest and (count != 1 or _above(here, least_known)):
            best, lowest = h, here[0] + missing
            found[:] = X
            k = 10
            for a in range(3):
                for b in range(a, 3):
                    known[a, b] = known[b, a] = here[k]
                    k += 1
    return best, lowest, found, known
