"""Figures of covariance, fitted to errors whose size is known."""

import math

import numpy as np
import pytest
import torch
from synthetic_motion import write

from pose3d_ros.mocap.load import load_motion
from pose3d_ros.networks.build import build
from pose3d_ros.networks.spread import LIFTED, REFINED, refined_covariance
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.training.spread import (
    FEWEST,
    INSIDE_95,
    REFINED_AIM,
    coverage,
    fit_refined,
    fit_spread,
    mahalanobis,
    refined_errors,
    scales,
    start,
    validation_views,
)

J = 17
CHI2_AIM = 9.348  # within which 97.5 % of a normal distribution in space lie
BASE = {"seed": 0, "noise": "detector", "sigma_px": None, "rigs": ["h36m", "head530"], "rig_count": 2, "width": 16,
        "without": []}  # fmt: skip
CVUGCN = BASE | {"network": "cvugcn", "form": "rig", "views": 2, "pairs": ["P1", "P4"], "side_views": True}
LIFTER = BASE | {"network": "lifter", "plain_depth": False, "true_keypoints": False, "form": "any",
                 "dropout": 0.1, "zoom": None}  # fmt: skip


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    return load_motion(write(tmp_path_factory.mktemp("motion") / "motion.npz"))


def triangulated(people, generator):
    """Covariances (people, J, 3, 3) m^2: 1 cm across, 1 to 20 cm along an axis."""
    along = 10 ** torch.empty(people, 1, dtype=torch.float64).uniform_(-2, math.log10(0.2), generator=generator)
    sigma = torch.stack((torch.full_like(along, 0.01), torch.full_like(along, 0.01), along), dim=-1)
    return torch.diag_embed(sigma**2).expand(people, J, 3, 3).clone()


def drawn(covariance, generator, freedom=math.inf):
    """Errors of these covariances, of Student's t for finite degrees of freedom."""
    shape = covariance.shape[:-1]
    plain = torch.randn(shape, generator=generator, dtype=torch.float64)
    if math.isfinite(freedom):
        normal = torch.randn(*shape[:-1], int(freedom), generator=generator, dtype=torch.float64)
        plain = plain / normal.square().mean(dim=-1, keepdim=True).sqrt()
    return (torch.linalg.cholesky(covariance) @ plain[..., None])[..., 0]


@pytest.mark.parametrize("freedom", [math.inf, 3])
def test_fitted_ellipsoids_cover_fresh_errors_as_aimed_at_whatever_their_tails(freedom):
    generator = torch.Generator().manual_seed(0)
    truth = start(REFINED) | {"q": torch.full((J,), 0.03, dtype=torch.float64), "own": torch.tensor([0.7])}
    for number, seed in enumerate((1, 2)):
        generator.manual_seed(seed)
        given = triangulated(600, generator)
        given[::3, 6] = torch.nan
        miss = drawn(refined_covariance(truth, given), generator, freedom)
        if number == 0:
            found = fit_refined(miss, given)
    covariance = refined_covariance(found, given)
    assert coverage(miss, covariance) == pytest.approx(REFINED_AIM, abs=0.01)
    thin = given[:, 0, 2, 2] < 0.03**2
    for people in (thin, ~thin):
        assert coverage(miss[people], covariance[people]) == pytest.approx(REFINED_AIM, abs=0.02)
    assert coverage(miss[::3, 6], covariance[::3, 6]) == pytest.approx(REFINED_AIM, abs=0.05)
    assert torch.isnan(found["scale"][10])  # HeadTop, which refiners are not taught


def test_fit_recovers_the_figures_of_simulated_errors():
    generator = torch.Generator().manual_seed(3)
    truth = start(REFINED) | {
        "q": torch.full((J,), 0.05, dtype=torch.float64),
        "own": torch.tensor([0.6]),
        "body": torch.tensor([1.5]),
    }
    given = triangulated(1500, generator)
    found = refined_covariance(fit_refined(drawn(refined_covariance(truth, given), generator), given), given)
    expected = refined_covariance(truth, given)
    found = found * (INSIDE_95 / CHI2_AIM)  # what scaling to REFINED_AIM adds with errors without tails
    ratio = (torch.linalg.det(found) / torch.linalg.det(expected))[:, GIVEN] ** (1 / 6)
    assert ratio.min() > 0.85
    assert ratio.max() < 1.15


def test_scales_put_the_share_aimed_at_inside_and_are_shared_by_left_and_right():
    generator = torch.Generator().manual_seed(4)
    squared = torch.randn(4000, J, 3, generator=generator, dtype=torch.float64).square().sum(dim=-1)
    squared[:, 3] *= 4.0  # RAnkle, whose mirror image is LAnkle (6)
    found = scales(squared, 0.95)
    assert found[0] == pytest.approx(1.0, abs=0.06)
    assert found[3] == found[6]
    both = torch.cat((squared[:, 3], squared[:, 6])) / found[3]
    assert float((both <= INSIDE_95).double().mean()) == pytest.approx(0.95, abs=0.002)


def test_joint_with_few_errors_is_scaled_as_the_others_are():
    squared = torch.full((FEWEST * 10, J), 2 * INSIDE_95, dtype=torch.float64)
    squared[FEWEST // 2 - 1 :, 0] = torch.nan
    squared[:, 0] *= 100.0
    assert scales(squared, 0.9)[0] == scales(squared, 0.9)[1] == 2.0


def test_mahalanobis_distance_is_in_standard_deviations():
    covariance = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)).expand(3, 3, 3).clone()
    miss = torch.tensor([[1.0, 2.0, 3.0], [torch.nan, 0, 0], [0, 2.0, 0]], dtype=torch.float64)
    torch.testing.assert_close(
        mahalanobis(miss, covariance), torch.tensor([3.0, torch.nan, 1.0], dtype=torch.float64), equal_nan=True
    )


def test_refiner_that_changes_nothing_is_covered_on_people_and_noise_it_was_not_fitted_to(motion):
    """Untrained, CV-UGCN leaves the triangulated pose nearly as it is."""
    torch.manual_seed(0)
    net = build(CVUGCN).eval()
    figures = fit_spread(net, CVUGCN, motion, people=600)
    fresh = validation_views(CVUGCN | {"seed": 5, "noise": "gaussian"}, motion, 600)
    miss, given = refined_errors(net, CVUGCN, fresh)
    placed = torch.isfinite(given).all(dim=-1).all(dim=-1)
    assert 0.90 < coverage(torch.where(placed[..., None], miss, torch.nan), refined_covariance(figures, given)) <= 1.0
    assert coverage(miss, given) > 0.9
    guessed = torch.where(placed[..., None], torch.nan, miss)
    assert torch.isfinite(guessed[:, GIVEN]).any()
    assert coverage(guessed, refined_covariance(figures, given)) > 0.85


def test_lifter_gets_finite_figures_for_every_joint(motion):
    torch.manual_seed(0)
    net = build(LIFTER)
    net.layers[-1].bias.data[0] = 3.0  # m: an untrained network gives impossible positions
    figures = fit_spread(net.eval(), LIFTER, motion, people=64)
    assert set(figures) == set(LIFTED)
    assert all(bool((torch.isfinite(one) & (one > 0)).all()) for one in figures.values())


def test_figures_stay_at_the_start_without_errors():
    nothing = torch.full((4, J, 3), torch.nan, dtype=torch.float64)
    found = fit_refined(nothing, torch.full((4, J, 3, 3), torch.nan, dtype=torch.float64))
    torch.testing.assert_close(found["q"], start(REFINED)["q"])
    torch.testing.assert_close(found["scale"][GIVEN], torch.ones(16, dtype=torch.float64))


def test_networks_whose_poses_are_not_used_have_no_figures(motion):
    assert fit_spread(build({"network": "posern", "width": 8}), {"network": "posern"}, motion) == {}
    plain = LIFTER | {"plain_depth": True}
    assert fit_spread(build(plain), plain, motion) == {}


def test_same_recipe_meets_the_same_people(motion):
    first, again, other = (validation_views(CVUGCN | {"seed": seed}, motion, 40) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.xy_px, two.xy_px)
    assert not np.array_equal(first[0].truth, other[0].truth)
