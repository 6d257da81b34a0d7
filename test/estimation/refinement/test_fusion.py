"""Two correlated estimates of a joint combined: against the truth of drawn errors, and in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose3d_ros.estimation.refinement.fusion import CORRELATION, fused
from pose3d_ros.structures import Floats

INSIDE_95 = 7.815  # squared Mahalanobis distance of 95 % of a normal distribution in space
STDS_M = st.lists(st.floats(0.005, 0.3), min_size=3, max_size=3)
ANGLES = st.lists(st.floats(-3, 3), min_size=3, max_size=3)


def shaped(stds_m: list[float], turn: list[float]) -> Floats:
    """A covariance (3, 3) m^2 of an ellipsoid in any direction."""
    axes = Rotation.from_rotvec(turn).as_matrix()
    return np.asarray(axes @ np.diag(np.square(stds_m)) @ axes.T)


def joint(own: Floats, other: Floats) -> Floats:
    """(6, 6) m^2 of both errors, as the module's docstring has their correlation."""
    cross = 2 * CORRELATION * np.linalg.inv(np.linalg.inv(own) + np.linalg.inv(other))
    return np.block([[own, cross], [cross, other]])


WIDE_PAIR = (0.05, 0.05, 0.05), (0.04, 0.03, 0.05)
STEREO_HEAD = (0.03, 0.03, 0.28), (0.04, 0.04, 0.08)
MANY_VIEWS = (0.01, 0.01, 0.02), (0.05, 0.05, 0.05)


@pytest.mark.parametrize(("own_m", "other_m"), [WIDE_PAIR, STEREO_HEAD, MANY_VIEWS])
def test_fused_joints_err_less_than_both_and_their_covariance_covers_the_truth(
    own_m: tuple[float, ...], other_m: tuple[float, ...]
) -> None:
    own, other = shaped(list(own_m), [0.3, 0.5, -0.2]), shaped(list(other_m), [0.0, 0.4, 0.9])
    rng, truth = np.random.default_rng(0), np.array([1.0, -2.0, 3.0])
    errors = rng.multivariate_normal(np.zeros(6), joint(own, other), size=20_000)
    together, covariance = fused(
        truth + errors[:, :3], np.tile(own, (20_000, 1, 1)), truth + errors[:, 3:], np.tile(other, (20_000, 1, 1))
    )
    miss = together - truth
    assert np.abs(miss.mean(axis=0)).max() < 0.002
    rms = np.sqrt((miss**2).sum(axis=-1).mean())
    assert rms < min(np.sqrt((one**2).sum(axis=-1).mean()) for one in (errors[:, :3], errors[:, 3:]))
    np.testing.assert_allclose(np.cov(miss.T), covariance[0], atol=0.03 * covariance[0].max())
    squared = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(covariance), miss)
    assert 0.945 < (squared <= INSIDE_95).mean() < 0.955


@given(STDS_M, ANGLES, STDS_M, ANGLES)
def test_no_direction_is_less_sure_than_in_either_and_no_weight_of_the_data_beats_the_fusion(
    own_m: list[float], own_turn: list[float], other_m: list[float], other_turn: list[float]
) -> None:
    own, other = shaped(own_m, own_turn), shaped(other_m, other_turn)
    covariance = fused(np.zeros((1, 3)), own[None], np.ones((1, 3)), other[None])[1][0]
    assert np.linalg.eigvalsh(covariance).min() > 0
    for one in (own, other):
        assert np.linalg.eigvalsh(one - covariance).min() > -1e-9
    both = joint(own, other)
    for weight in np.linspace(-0.5, 1.5, 9):
        mixed = np.hstack([(1 - weight) * np.eye(3), weight * np.eye(3)])
        assert np.linalg.eigvalsh(mixed @ both @ mixed.T - covariance).min() > -1e-9


def test_equally_sure_estimates_meet_halfway() -> None:
    covariance = shaped([0.02, 0.05, 0.2], [0.4, 0.2, 0.1])[None]
    together, left = fused(np.zeros((1, 3)), covariance, np.array([[0.1, -0.2, 0.3]]), covariance)
    np.testing.assert_allclose(together, [[0.05, -0.1, 0.15]], atol=1e-6)
    np.testing.assert_allclose(left, (1 + CORRELATION) / 2 * covariance, atol=1e-9)


@pytest.mark.parametrize("surer", ["triangulation", "network"])
def test_a_much_surer_estimate_counts_alone(surer: str) -> None:
    sure, unsure = 1e-4 * np.eye(3)[None], 100 * np.eye(3)[None]
    one, other = (sure, unsure) if surer == "triangulation" else (unsure, sure)
    together, covariance = fused(np.zeros((1, 3)), one, np.ones((1, 3)), other)
    np.testing.assert_allclose(together, 0.0 if surer == "triangulation" else 1.0, atol=1e-5)
    np.testing.assert_allclose(covariance, sure, atol=1e-8)


def test_a_joint_without_triangulation_is_the_networks_and_inputs_stay() -> None:
    nan, eye = np.full((2, 3), np.nan), np.tile(0.01 * np.eye(3), (2, 1, 1))
    refined = np.array([[1.0, 2.0, 3.0], [np.nan] * 3])
    given_xyz, given_covariance = refined.copy(), eye.copy()
    together, covariance = fused(nan, nan[..., None] * np.eye(3), refined, eye)
    np.testing.assert_array_equal(together, refined)
    np.testing.assert_array_equal(covariance, eye)
    assert fused(np.zeros((2, 3)), eye, refined, eye)[0][0, 0] == pytest.approx(0.5)
    np.testing.assert_array_equal(refined, given_xyz)
    np.testing.assert_array_equal(eye, given_covariance)
