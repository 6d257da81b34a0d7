"""The definition of kernels/filtering.py: a constant-velocity Kalman filter, batched (NumPy, float64)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.kalman import PointStates
from pose3d_ros.kernels.constants import (
    ACCELERATION_DENSITY,
    INITIAL_SPEED,
    JUMP_M,
    MIN_STD_M,
    RUNNING_SPEED,
    SURE_STD_M,
    VELOCITY_TIME_CONSTANT_S,
)
from pose3d_ros.structures import Floats


def start(xyz: Floats, covariance: Floats) -> PointStates:
    """States at rest of points (..., 3) m with covariance (..., 3, 3) m^2; NaN points are unknown."""
    mean = np.concatenate([xyz, np.where(np.isfinite(xyz), 0.0, np.nan)], axis=-1)
    spread = np.zeros((*xyz.shape[:-1], 6, 6))
    spread[..., :3, :3] = _measurement(covariance)
    spread[..., 3:, 3:] = INITIAL_SPEED**2 * np.eye(3)
    return PointStates(mean, spread)


def at_rest(states: PointStates) -> PointStates:
    """The same positions with velocity forgotten: after a jump in time or place."""
    return start(states.position, states.position_covariance)


def restarted(states: PointStates, which: NDArray[np.bool_], xyz: Floats, covariance: Floats) -> PointStates:
    """The states, with the selected ones (...) at rest at points (..., 3) m."""
    fresh = start(xyz, covariance)
    return PointStates(
        np.where(which[..., None], fresh.mean, states.mean),
        np.where(which[..., None, None], fresh.covariance, states.covariance),
    )


def predict(states: PointStates, dt_s: float) -> PointStates:
    """States dt_s >= 0 later: velocity decays, covariance grows."""
    decay = np.exp(-dt_s / VELOCITY_TIME_CONSTANT_S)
    travel = VELOCITY_TIME_CONSTANT_S * (1.0 - decay)
    F = np.kron(np.array([[1.0, travel], [0.0, decay]]), np.eye(3))
    # White acceleration (Bar-Shalom, Estimation with Applications to Tracking, 6.2.2).
    noise = np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    Q = ACCELERATION_DENSITY * np.kron(noise, np.eye(3))
    return PointStates(states.mean @ F.T, F @ states.covariance @ F.T + Q)


def update(states: PointStates, xyz: Floats, covariance: Floats) -> PointStates:
    """States corrected by points (..., 3) m; NaN points change nothing, unknown states start there."""
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(xyz).all(-1))
    known: NDArray[np.bool_] = np.asarray(np.isfinite(states.mean).all(-1))
    R = _measurement(covariance)
    P = states.covariance
    S = P[..., :3, :3] + R
    gain = np.swapaxes(np.linalg.solve(S, P[..., :3, :]), -1, -2)  # (..., 6, 3)
    mean = states.mean + (gain @ (xyz - states.position)[..., None])[..., 0]
    spread = P - gain @ P[..., :3, :]
    fresh = start(xyz, covariance)
    corrected, new = seen & known, seen & ~known
    return PointStates(
        np.where(corrected[..., None], mean, np.where(new[..., None], fresh.mean, states.mean)),
        np.where(
            corrected[..., None, None],
            0.5 * (spread + np.swapaxes(spread, -1, -2)),
            np.where(new[..., None, None], fresh.covariance, P),
        ),
    )


def distance(offset: Floats, covariance: Floats) -> Floats:
    """Length (...) m of offsets (..., 3) m from points known to covariance (..., 3, 3) m^2.

    sqrt(d' (I + C / s^2)^-1 d) with s = SURE_STD_M: the Euclidean length where the point is sure, shorter in
    directions where it is not. A covariance that is NaN counts as sure.
    """
    known = np.asarray(np.isfinite(covariance).all((-1, -2)))[..., None, None]
    spread = np.eye(3) + np.where(known, covariance, 0.0) / SURE_STD_M**2
    squared = (offset * np.linalg.solve(spread, offset[..., None])[..., 0]).sum(-1)
    return np.asarray(np.sqrt(squared))


def jumped(expected: Floats, xyz: Floats, dt_s: float, covariance: Floats | None = None) -> bool:
    """Whether a body's joints xyz (J, 3) m are where no body gets to from those expected (J, 3), dt_s after.

    It is a cut in the footage, lost frames or a clock that was set: filters start afresh there instead of making
    a velocity of it. With a covariance (J, 3, 3) m^2 of xyz, distances are those of distance().
    """
    offset = xyz - expected
    apart = np.linalg.norm(offset, axis=-1) if covariance is None else distance(offset, covariance)
    apart = apart[np.isfinite(apart)]
    return bool(apart.size and np.median(apart) > JUMP_M + RUNNING_SPEED * dt_s)


def _measurement(covariance: Floats) -> Floats:
    """Covariance with the floor added; points without one get the floor alone."""
    known = np.asarray(np.isfinite(covariance).all((-1, -2)))[..., None, None]
    return np.where(known, covariance, 0.0) + MIN_STD_M**2 * np.eye(3)
