"""EM finds the mixture that errors were drawn from."""

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.simulation.gaussian_uniform_mixture import HALF_RANGE_PX, Mixture, fit_mixture

TRUE = Mixture(0.8, np.array([1.5, -0.7]), np.array([[9.0, 2.0], [2.0, 4.0]]))


def drawn(mixture, count, seed):
    random = np.random.default_rng(seed)
    normal = random.multivariate_normal(mixture.mean, mixture.covariance, count)
    uniform = random.uniform(-HALF_RANGE_PX, HALF_RANGE_PX, (count, 2))
    return np.where(random.random(count)[:, None] < mixture.gamma, normal, uniform)


@pytest.mark.parametrize("gamma", [0.5, 0.8, 0.97])
def test_em_recovers_share_mean_and_covariance(gamma):
    true = Mixture(gamma, TRUE.mean, TRUE.covariance)
    found = fit_mixture(drawn(true, 20_000, 1))
    assert found.gamma == pytest.approx(gamma, abs=0.012)
    np.testing.assert_allclose(found.mean, true.mean, atol=0.12)
    np.testing.assert_allclose(found.covariance, true.covariance, rtol=0.06, atol=0.15)


def test_without_outliers_the_share_goes_to_one():
    found = fit_mixture(np.random.default_rng(0).normal(scale=3.0, size=(5000, 2)))
    assert found.gamma > 0.995


def test_paper_as_printed_would_not_find_the_share():
    """With gamma p0 in the numerator of line 7 memberships do not sum to 1, and gamma drifts off."""
    errors, gamma = drawn(TRUE, 20_000, 2), 0.9
    normal = (TRUE.density(errors) - (1 - TRUE.gamma) * 1e-4) / TRUE.gamma
    for _ in range(200):
        both = gamma * normal + (1 - gamma) * 1e-4
        inside, outside = gamma * normal / both, gamma * 1e-4 / both
        gamma = inside.sum() / (inside + outside).sum()
    assert abs(gamma - TRUE.gamma) > 0.05


def test_density_integrates_to_one():
    along = np.linspace(-HALF_RANGE_PX, HALF_RANGE_PX, 401)
    grid = np.stack(np.meshgrid(along, along), axis=-1)
    assert TRUE.density(grid).sum() * (along[1] - along[0]) ** 2 == pytest.approx(1.0, abs=0.005)


def test_missing_errors_are_left_out_and_too_few_are_rejected():
    errors = drawn(TRUE, 500, 3)
    holes = np.concatenate([errors, np.full((300, 2), np.nan)])
    assert fit_mixture(holes).gamma == fit_mixture(errors).gamma
    with pytest.raises(InputError, match="9 errors"):
        fit_mixture(errors[:9])


def test_equal_errors_do_not_collapse():
    assert np.isfinite(fit_mixture(np.ones((50, 2))).covariance).all()
