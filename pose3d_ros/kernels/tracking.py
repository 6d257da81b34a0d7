"""The update of all joints of all tracked people with each frame set: the loops of estimation/tracking.py.

T people followed, G observed, J joints; their states are kernels/filtering.py's. float64.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from pose3d_ros.kernels.compiling import kernel
from pose3d_ros.kernels.constants import MIN_SHARED_JOINTS, SCORE_HALF_LIFE_S
from pose3d_ros.kernels.filtering import distance_one, jumped_one, known_one, start_one, update_one

_STATES = "f8[:, :, ::1], f8[:, :, :, ::1]"
_POINTS, _MATRICES, _NUMBERS = "f8[:, :, ::1]", "f8[:, :, :, ::1]", "f8[:, ::1]"
_TIMES, _FLAGS = "i8[:, ::1]", "b1[:, ::1]"


@kernel(f"f8[:, ::1]({_POINTS}, {_POINTS}, {_MATRICES}, {_MATRICES})")
def apart(a, b, noise_a, noise_b):
    """Mean joint distances (A, B) m of people (A, J, 3) and (B, J, 3); inf where they share too few joints.

    noise (A, J, 3, 3) and (B, J, 3, 3) m^2, of both together as in kalman.distance; both may be empty.
    """
    out, both = np.empty((len(a), len(b))), np.zeros((3, 3))
    for m in range(len(a)):
        for n in range(len(b)):
            total, count = 0.0, 0
            for j in range(a.shape[1]):
                d0, d1, d2 = a[m, j, 0] - b[n, j, 0], a[m, j, 1] - b[n, j, 1], a[m, j, 2] - b[n, j, 2]
                if not np.isfinite(d0 + d1 + d2):
                    continue
                if len(noise_a):
                    for k in range(3):
                        for q in range(3):
                            both[k, q] = noise_a[m, j, k, q] + noise_b[n, j, k, q]
                total += distance_one(d0, d1, d2, both)
                count += 1
            out[m, n] = total / count if count >= MIN_SHARED_JOINTS else np.inf
    return out


@kernel(
    f"{_FLAGS}({_STATES}, {_TIMES}, {_NUMBERS}, {_MATRICES}, b1[::1], i8[::1], "
    f"{_POINTS}, {_MATRICES}, {_NUMBERS}, {_MATRICES}, {_MATRICES}, {_FLAGS}, i8, i8)"
)
def observe(
    mean, covariance, joint_seen_ns, joint_score, calibration_covariance, before_jump, seen_ns,
    xyz, spread, score, depth_noise, new_calibration_covariance, guessed, stamp_ns, gone_ns,
):  # fmt: skip
    """Update with the observed people (T): modifies the first five arrays.

    Returns joints (T, J) that were passed over: a network guesses them though the track still knows them better.
    """
    T, J = score.shape
    passed = np.zeros((T, J), dtype=np.bool_)
    measured, space, gain = np.empty((J, 3)), np.empty(J), np.empty((6, 3))
    used = np.empty((J, 3))
    for p in range(T):
        for j in range(J):
            if guessed[p, j] and known_one(mean[p, j, :3]) and stamp_ns - joint_seen_ns[p, j] < gone_ns:
                own = covariance[p, j, 0, 0] + covariance[p, j, 1, 1] + covariance[p, j, 2, 2]
                passed[p, j] = own < spread[p, j, 0, 0] + spread[p, j, 1, 1] + spread[p, j, 2, 2]
            for k in range(3):
                used[j, k] = np.nan if passed[p, j] else xyz[p, j, k]
                measured[j, k] = np.nan if guessed[p, j] else used[j, k]
        dt_s = (stamp_ns - seen_ns[p]) * 1e-9
        again = before_jump[p] or jumped_one(mean[p], measured, dt_s, depth_noise[p], space)
        for j in range(J):
            seen = known_one(used[j])
            # Guesses of one body err alike from frame to frame: a filter would take them for ever surer.
            if again or (seen and guessed[p, j]):
                start_one(used[j], spread[p, j], mean[p, j], covariance[p, j])
            elif seen:
                update_one(mean[p, j], covariance[p, j], used[j], spread[p, j], gain)
            if seen:
                joint_seen_ns[p, j], joint_score[p, j] = stamp_ns, score[p, j]
                for a in range(3):
                    for b in range(3):
                        calibration_covariance[p, j, a, b] = new_calibration_covariance[p, j, a, b]
    return passed


_ROWS = "Tuple((f8[:, :, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1], u1[:, ::1], f8[:, ::1], u1[:, ::1]))"


@kernel(
    f"{_ROWS}({_STATES}, {_TIMES}, {_NUMBERS}, {_MATRICES}, {_FLAGS}, i8[::1], "
    f"{_POINTS}, {_MATRICES}, {_NUMBERS}, u1[:, ::1], {_NUMBERS}, u1[:, ::1], {_MATRICES}, i8, i8, u1)"
)
def rows(
    mean, covariance, joint_seen_ns, joint_score, calibration_covariance, passed, observed,
    xyz, spread, score, n_views, px, source, new_calibration_covariance, stamp_ns, gone_ns, predicted,
):  # fmt: skip
    """Rows of Pose3D: xyz, velocity, covariance, score, n_views, reprojection_px, source of people followed (T).

    What was observed, row observed (T,) of G or -1, as it was; the rest as predicted, which is the source's number.
    """
    T, J = joint_score.shape
    out, velocity, out_spread = np.full((T, J, 3), np.nan), np.full((T, J, 3), np.nan), np.full((T, J, 3, 3), np.nan)
    out_score, out_px = np.zeros((T, J)), np.full((T, J), np.nan)
    views, out_source = np.zeros((T, J), dtype=np.uint8), np.zeros((T, J), dtype=np.uint8)
    for p in range(T):
        g = observed[p]
        for j in range(J):
            unseen_ns = stamp_ns - joint_seen_ns[p, j]
            if g >= 0 and not passed[p, j] and known_one(xyz[g, j]):
                out_score[p, j], views[p, j], out_px[p, j] = score[g, j], n_views[g, j], px[g, j]
                out_source[p, j] = source[g, j]
                for a in range(3):
                    out[p, j, a] = xyz[g, j, a]
                    for b in range(3):
                        out_spread[p, j, a, b] = spread[g, j, a, b] + new_calibration_covariance[g, j, a, b]
            elif known_one(mean[p, j, :3]) and 0 < unseen_ns < gone_ns:
                out_score[p, j] = joint_score[p, j] * 0.5 ** (unseen_ns * 1e-9 / SCORE_HALF_LIFE_S)
                out_source[p, j] = predicted
                for a in range(3):
                    out[p, j, a] = mean[p, j, a]
                    for b in range(3):
                        out_spread[p, j, a, b] = covariance[p, j, a, b] + calibration_covariance[p, j, a, b]
            else:
                continue
            # Position says something of velocity once time has passed: until then the two are uncorrelated.
            moving = False
            for a in range(3):
                for b in range(3):
                    moving |= covariance[p, j, a, 3 + b] != 0
            if moving:
                for a in range(3):
                    velocity[p, j, a] = mean[p, j, 3 + a]
    return out, velocity, out_spread, out_score, views, out_px, out_source
