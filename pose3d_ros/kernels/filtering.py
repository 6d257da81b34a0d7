"""The constant-velocity filter of estimation/kalman.py for N points, one after the other.

mean (N, 6) m and m/s, covariance (N, 6, 6); definitions of the same names are in test/definitions/kalman.py. float64.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import inner, kernel
from pose3d_ros.kernels.constants import (
    ACCELERATION_DENSITY,
    INITIAL_SPEED,
    JUMP_M,
    MIN_STD_M,
    RUNNING_SPEED,
    SURE_STD_M,
    VELOCITY_TIME_CONSTANT_S,
)
from pose3d_ros.kernels.solving import solve

STATES = "f8[:, ::1], f8[:, :, ::1]"
_BOTH = "Tuple((f8[:, ::1], f8[:, :, ::1]))"


@inner
def finite(values):  # type: ignore[no-untyped-def]
    """Whether all of a matrix are numbers."""
    total = 0.0
    for a in range(values.shape[0]):
        for b in range(values.shape[1]):
            total += 0.0 * values[a, b]
    return total == 0.0


@inner
def known_one(values):  # type: ignore[no-untyped-def]
    """Whether all of a vector are numbers."""
    total = 0.0
    for a in range(len(values)):
        total += 0.0 * values[a]
    return total == 0.0


@inner
def start_one(xyz, covariance, mean, spread):  # type: ignore[no-untyped-def]
    """A state at rest at a point (3,) with covariance (3, 3), into mean (6,) and spread (6, 6)."""
    known = finite(covariance)
    for a in range(6):
        for b in range(6):
            spread[a, b] = 0.0
    for a in range(3):
        mean[a], mean[3 + a] = xyz[a], (0.0 if np.isfinite(xyz[a]) else np.nan)
        for b in range(3):
            spread[a, b] = covariance[a, b] if known else 0.0
        spread[a, a] += MIN_STD_M**2
        spread[3 + a, 3 + a] = INITIAL_SPEED**2


@inner
def update_one(mean, P, xyz, covariance, gain):  # type: ignore[no-untyped-def]
    """Correct a state by an observed point, in place; an unknown state starts there. gain: space for (6, 3)."""
    if not known_one(mean):
        start_one(xyz, covariance, mean, P)
        return
    known = finite(covariance)
    s00, s11, s22 = P[0, 0] + MIN_STD_M**2, P[1, 1] + MIN_STD_M**2, P[2, 2] + MIN_STD_M**2
    s01, s02, s12 = P[0, 1], P[0, 2], P[1, 2]
    if known:
        s00, s11, s22 = s00 + covariance[0, 0], s11 + covariance[1, 1], s22 + covariance[2, 2]
        s01, s02, s12 = s01 + covariance[0, 1], s02 + covariance[0, 2], s12 + covariance[1, 2]
    for k in range(6):
        gain[k, 0], gain[k, 1], gain[k, 2] = solve(s00, s01, s02, s11, s12, s22, P[0, k], P[1, k], P[2, k])
    d0, d1, d2 = xyz[0] - mean[0], xyz[1] - mean[1], xyz[2] - mean[2]
    # Column by column below the diagonal, so that the rows of P that the gain multiplies are still as they were.
    for a in range(6):
        mean[a] += gain[a, 0] * d0 + gain[a, 1] * d1 + gain[a, 2] * d2
        p0, p1, p2 = P[0, a], P[1, a], P[2, a]
        for b in range(a, 6):
            P[b, a] -= gain[b, 0] * p0 + gain[b, 1] * p1 + gain[b, 2] * p2
    for a in range(6):
        for b in range(a):
            P[b, a] = P[a, b]


@inner
def distance_one(d0, d1, d2, C):  # type: ignore[no-untyped-def]
    """Length m of an offset from a point with covariance C (3, 3) m^2; an unknown C counts as zero."""
    if not finite(C):
        return np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
    s = SURE_STD_M**2
    x, y, z = solve(
        1 + C[0, 0] / s, C[0, 1] / s, C[0, 2] / s, 1 + C[1, 1] / s, C[1, 2] / s, 1 + C[2, 2] / s, d0, d1, d2
    )
    return np.sqrt(d0 * x + d1 * y + d2 * z)


@inner
def jumped_one(expected, xyz, dt_s, covariance, space):  # type: ignore[no-untyped-def]
    """Whether joints xyz (J, 3) are out of a body's reach from those expected (J, 3); space for J numbers."""
    count = 0
    for j in range(len(xyz)):
        d0, d1, d2 = xyz[j, 0] - expected[j, 0], xyz[j, 1] - expected[j, 1], xyz[j, 2] - expected[j, 2]
        apart = distance_one(d0, d1, d2, covariance[j])
        if np.isfinite(apart):
            space[count] = apart
            count += 1
    for a in range(1, count):
        one, b = space[a], a - 1
        while b >= 0 and space[b] > one:
            space[b + 1] = space[b]
            b -= 1
        space[b + 1] = one
    return count > 0 and 0.5 * (space[(count - 1) // 2] + space[count // 2]) > JUMP_M + RUNNING_SPEED * dt_s


@kernel(f"{_BOTH}(f8[:, ::1], f8[:, :, ::1])")
def start(xyz, covariance):  # type: ignore[no-untyped-def]
    """States at rest of points (N, 3) m with covariance (N, 3, 3) m^2; NaN points are unknown."""
    mean, spread = np.empty((len(xyz), 6)), np.empty((len(xyz), 6, 6))
    for i in range(len(xyz)):
        start_one(xyz[i], covariance[i], mean[i], spread[i])
    return mean, spread


@kernel(f"{_BOTH}({STATES}, f8)")
def predict(mean, covariance, dt_s):  # type: ignore[no-untyped-def]
    """States dt_s >= 0 later: velocity decays, covariance grows."""
    decay = np.exp(-dt_s / VELOCITY_TIME_CONSTANT_S)
    travel = VELOCITY_TIME_CONSTANT_S * (1.0 - decay)
    # White acceleration (Bar-Shalom, Estimation with Applications to Tracking, 6.2.2).
    place, both, speed = dt_s**3 / 3, dt_s**2 / 2, dt_s
    later, spread = np.empty_like(mean), np.empty_like(covariance)
    for i in range(len(mean)):
        P, Q = covariance[i], spread[i]
        for a in range(3):
            later[i, a], later[i, 3 + a] = mean[i, a] + travel * mean[i, 3 + a], decay * mean[i, 3 + a]
            for b in range(3):
                added = ACCELERATION_DENSITY if a == b else 0.0
                pv, vp, vv = P[a, 3 + b], P[3 + a, b], P[3 + a, 3 + b]
                Q[a, b] = P[a, b] + travel * (pv + vp + travel * vv) + added * place
                Q[a, 3 + b] = decay * (pv + travel * vv) + added * both
                Q[3 + a, b] = decay * (vp + travel * vv) + added * both
                Q[3 + a, 3 + b] = decay * decay * vv + added * speed
    return later, spread


@kernel(f"{_BOTH}({STATES}, f8[:, ::1], f8[:, :, ::1])")
def update(mean, covariance, xyz, spread):  # type: ignore[no-untyped-def]
    """States corrected by points (N, 3) m; NaN points change nothing, unknown states start there."""
    mean, covariance, gain = mean.copy(), covariance.copy(), np.empty((6, 3))
    for i in range(len(xyz)):
        if known_one(xyz[i]):
            update_one(mean[i], covariance[i], xyz[i], spread[i], gain)
    return mean, covariance


@kernel("f8[::1](f8[:, ::1], f8[:, :, ::1])")
def distance(offset, covariance):  # type: ignore[no-untyped-def]
    """Lengths (N,) m of offsets (N, 3) m from points known to covariance (N, 3, 3) m^2."""
    out = np.empty(len(offset))
    for i in range(len(out)):
        out[i] = distance_one(offset[i, 0], offset[i, 1], offset[i, 2], covariance[i])
    return out
