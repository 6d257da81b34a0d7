"""A constant-velocity Kalman filter for points in space, batched over any leading axes.

The state of a point is position and velocity, (..., 6) in m and m/s; NaN where the point was never seen.
Computed by kernels/filtering.py, float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros import kernels
from pose3d_ros.kernels.constants import JUMP_M, RUNNING_SPEED
from pose3d_ros.structures import Floats


@dataclass(frozen=True, eq=False)
class PointStates:
    """mean (..., 6): position m, velocity m/s; covariance (..., 6, 6)."""

    mean: Floats
    covariance: Floats

    @property
    def position(self) -> Floats:
        """(..., 3) m."""
        return self.mean[..., :3]

    @property
    def velocity(self) -> Floats:
        """(..., 3) m/s."""
        return self.mean[..., 3:]

    @property
    def moving(self) -> NDArray[np.bool_]:
        """Whether velocity is more than the guess that a state starts with, (...)."""
        # Position says something of velocity once time has passed: until then the two are uncorrelated.
        return np.asarray((self.covariance[..., :3, 3:] != 0).any(axis=(-2, -1)))

    @property
    def position_covariance(self) -> Floats:
        """(..., 3, 3) m^2."""
        return self.covariance[..., :3, :3]


def start(xyz: Floats, covariance: Floats) -> PointStates:
    """States at rest of points (..., 3) m with covariance (..., 3, 3) m^2; NaN points are unknown."""
    return _shaped(kernels.filtering.start(_flat(xyz, 1), _flat(covariance, 2)), xyz.shape[:-1])


def at_rest(states: PointStates) -> PointStates:
    """The same positions with velocity forgotten: after a jump in time or place."""
    return start(states.position, states.position_covariance)


def predict(states: PointStates, dt_s: float) -> PointStates:
    """States dt_s >= 0 later: velocity decays, covariance grows."""
    found = kernels.filtering.predict(_flat(states.mean, 1), _flat(states.covariance, 2), float(dt_s))
    return _shaped(found, states.mean.shape[:-1])


def update(states: PointStates, xyz: Floats, covariance: Floats) -> PointStates:
    """States corrected by points (..., 3) m; NaN points change nothing, unknown states start there."""
    flat = _flat(states.mean, 1), _flat(states.covariance, 2), _flat(xyz, 1), _flat(covariance, 2)
    return _shaped(kernels.filtering.update(*flat), states.mean.shape[:-1])


def distance(offset: Floats, covariance: Floats) -> Floats:
    """Length (...) m of offsets (..., 3) m from points known to covariance (..., 3, 3) m^2.

    sqrt(d' (I + C / s^2)^-1 d) with s = SURE_STD_M: the Euclidean length where the point is sure, shorter in
    directions where it is not. A covariance that is NaN counts as sure.
    """
    spread = np.broadcast_to(covariance, (*offset.shape, 3))
    found: Floats = kernels.filtering.distance(_flat(offset, 1), _flat(spread, 2))
    return found.reshape(offset.shape[:-1])


def jumped(expected: Floats, xyz: Floats, dt_s: float, covariance: Floats | None = None) -> bool:
    """Whether a body's joints xyz (J, 3) m are where no body gets to from those expected (J, 3), dt_s after.

    It is a cut in the footage, lost frames or a clock that was set: filters start afresh there instead of making
    a velocity of it. With a covariance (J, 3, 3) m^2 of xyz, distances are those of distance().
    """
    offset = xyz - expected
    apart = np.linalg.norm(offset, axis=-1) if covariance is None else distance(offset, covariance)
    apart = apart[np.isfinite(apart)]
    return bool(apart.size and np.median(apart) > JUMP_M + RUNNING_SPEED * dt_s)


def _flat(values: Floats, axes: int) -> Floats:
    """All leading axes as one, contiguous, before the last axes."""
    return kernels.plain(values).reshape(-1, *values.shape[values.ndim - axes :])


def _shaped(found: tuple[Floats, Floats], shape: tuple[int, ...]) -> PointStates:
    mean, covariance = found
    return PointStates(mean.reshape(*shape, 6), covariance.reshape(*shape, 6, 6))
