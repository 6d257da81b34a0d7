"""The constant-velocity filter is right about points and honest about its doubt."""

from __future__ import annotations

import numpy as np

from pose3d_ros.estimation import kalman
from pose3d_ros.kernels import constants

NOISE_M = 0.02
COVARIANCE = NOISE_M**2 * np.eye(3)


def test_errors_are_as_large_as_the_filter_says() -> None:
    # Truth moves as the model says, so the normalised error squared has mean 3 (its degrees of freedom).
    rng = np.random.default_rng(0)
    points, dt = 4000, 1 / 30
    position, velocity = rng.normal(0, 1, (points, 3)), rng.normal(0, constants.INITIAL_SPEED, (points, 3))
    measured = NOISE_M**2 + constants.MIN_STD_M**2
    spread = np.broadcast_to(COVARIANCE, (points, 3, 3))
    states = kalman.start(position + rng.normal(0, measured**0.5, position.shape), spread)
    decay = np.exp(-dt / constants.VELOCITY_TIME_CONSTANT_S)
    root = np.linalg.cholesky(constants.ACCELERATION_DENSITY * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]))
    for _ in range(20):
        noise = rng.normal(0, 1, (points, 3, 2)) @ root.T
        position = position + constants.VELOCITY_TIME_CONSTANT_S * (1 - decay) * velocity + noise[..., 0]
        velocity = decay * velocity + noise[..., 1]
        states = kalman.update(
            kalman.predict(states, dt), position + rng.normal(0, measured**0.5, position.shape), spread
        )
    error = states.position - position
    nees = np.einsum("ni,nij,nj->n", error, np.linalg.inv(states.position_covariance), error)
    assert 2.85 < nees.mean() < 3.15
    assert np.sqrt((error**2).mean()) < 0.8 * measured**0.5


def test_hidden_joints_stay_predicted_and_unseen_ones_stay_unknown() -> None:
    xyz = np.array([[0.0, 0.0, 1.0], [np.nan] * 3])
    spread = np.stack([COVARIANCE, np.full((3, 3), np.nan)])
    states = kalman.predict(kalman.start(xyz, spread), 0.1)
    after = kalman.update(states, np.full((2, 3), np.nan), np.full((2, 3, 3), np.nan))
    np.testing.assert_allclose(after.position[0], states.position[0])
    np.testing.assert_allclose(after.covariance[0], states.covariance[0])
    assert np.isnan(after.position[1]).all()
    found = kalman.update(after, np.array([[np.nan] * 3, [1.0, 2.0, 3.0]]), np.stack([COVARIANCE, COVARIANCE]))
    np.testing.assert_allclose(found.position[1], (1, 2, 3))
    np.testing.assert_allclose(found.velocity[1], 0)


def test_doubt_grows_with_time_alike_in_one_step_or_many() -> None:
    start = kalman.start(np.zeros((1, 3)), COVARIANCE[None])
    once = kalman.predict(start, 0.2)
    many = start
    for _ in range(20):
        many = kalman.predict(many, 0.01)
    np.testing.assert_allclose(once.position_covariance, many.position_covariance, rtol=0.1)
    assert np.trace(once.position_covariance[0]) > np.trace(start.position_covariance[0])
