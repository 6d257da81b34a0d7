"""Rows of refinement against known answers: a network that knows the truth, and one that changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_motion import tiny_motion
from torch import nn
from trained_for_tests import Identity

from pose3d_ros.evaluation.comparison import COLUMNS, Compared, Group
from pose3d_ros.evaluation.missing_joints import coverage_of, hidden_from_all
from pose3d_ros.evaluation.multiview_sweeps import noised_in_space
from pose3d_ros.evaluation.refiners import Refiner, arguments_of, some_cameras
from pose3d_ros.evaluation.trials import HeldOut, errors
from pose3d_ros.networks.cvugcn import CvUgcn, CvUgcnOptions
from pose3d_ros.networks.rig_features import RIG_FEATURES
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.training.rows import NOT_TRAINED, differences

RECIPE = {"network": "cvugcn", "form": "rig"}


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    return HeldOut(tiny_motion().split("test"), people=60, seed=0)


@pytest.fixture(scope="module")
def compared(held_out) -> Compared:
    return Compared(tuple(held_out.trial("h36m", one) for one in held_out.pairs("P1")))


def named(row):
    return dict(zip(("row", *COLUMNS), row, strict=True))


def test_oracle_refiner_has_no_error(compared):
    figures = compared.errors(lambda trial: trial.truth).figures()
    assert figures.mean == figures.relative_mean == 0.0
    assert figures.count == 2 * 60 * GIVEN.sum()


def test_identity_network_gains_nothing(compared):
    row = named(Group((compared,)).same("identity", [Refiner(Identity(), RECIPE)]))
    robust = compared.robust.figures()
    assert row["mean mm"] == pytest.approx(robust.mean, rel=1e-4)  # the network works in single precision
    assert row["relative mean mm"] == pytest.approx(robust.relative_mean, rel=1e-4)
    assert -0.01 <= row["gain %"] < 3.0  # Huber's fit may be the worse of both
    assert row["RMS mm"] == pytest.approx(row["bound mm"], rel=0.1)


def test_reference_is_the_better_triangulation(compared):
    group = Group((compared,))
    assert group.reference.mean == min(compared.linear.figures().mean, compared.robust.figures().mean)
    rows = [named(row) for row in group.triangulated()]
    assert min(row["gain %"] for row in rows) == 0.0


def test_row_without_a_network_explains_how_to_train_it(compared):
    row = Group((compared,)).same("CV-UGCN", [], 27.4)
    assert row[0] == f"CV-UGCN: {NOT_TRAINED}"
    assert row[1] == 27.4
    assert set(row[2:]) == {None}


def test_seeds_are_averaged_with_their_spread(compared):
    class Shifted(Identity):
        def __init__(self, by_m: float) -> None:
            super().__init__()
            self.by_m = by_m

        def forward(self, features: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
            return coarse + self.by_m

    far, further = (Refiner(Shifted(by), RECIPE) for by in (1.0, 2.0))
    group = Group((compared,))
    one, other, both = (named(group.same("row", found)) for found in ([far], [further], [far, further]))
    assert one["seeds +- mm"] is None
    assert both["mean mm"] == pytest.approx((one["mean mm"] + other["mean mm"]) / 2)
    assert both["seeds +- mm"] == pytest.approx((other["mean mm"] - one["mean mm"]) / 2)


def test_pairs_that_agree_average_to_about_what_all_views_give(held_out):
    trial = held_out.trial("room3", held_out.rigs("room3", 1)[0])
    found = errors(Refiner(Identity(), RECIPE).from_pairs(trial), trial.truth).figures()
    all_views = errors(trial.robust().xyz, trial.truth).figures()
    one_pair = replace(trial, views=some_cameras(trial.views, (0, 1)))
    assert found.mean < errors(one_pair.robust().xyz, trial.truth).figures().mean
    assert found.mean == pytest.approx(all_views.mean, rel=0.15)


def test_rig_network_serves_more_views_than_it_was_trained_on(held_out):
    net = CvUgcn(CvUgcnOptions(features=RIG_FEATURES, widths=(8, 16, 32), stems="shared")).eval()
    nn.init.zeros_(net.shift.weight)
    trial = held_out.trial("room4", held_out.rigs("room4", 1)[0])
    found = Refiner(net, RECIPE).refined(trial)
    np.testing.assert_allclose(found[:, GIVEN], trial.robust().xyz[:, GIVEN], atol=1e-4)


def test_errors_put_on_joints_in_space_come_back_as_triangulated(held_out):
    clean = held_out.trial("h36m", held_out.pairs("P3")[0], GaussianNoise(0.0))
    noisy = noised_in_space(clean, 0.02, np.random.default_rng(0))
    figures = errors(noisy.robust().xyz, noisy.truth).figures()
    assert figures.rms == pytest.approx(20.0 * np.sqrt(3.0), rel=0.05)
    same = noised_in_space(clean, 0.0, np.random.default_rng(0))
    assert errors(same.robust().xyz, same.truth).figures().mean < 0.01


def test_hidden_joints_are_gone_in_every_camera(held_out):
    rng = np.random.default_rng(0)
    hide = hidden_from_all("4 joints", 2, 50, rng)
    assert hide.shape == (2, 50, 1, COCO_17.size)
    assert (hide.sum(axis=-1) == 4).all()
    assert (hide[0] == hide[1]).all()
    legs = hidden_from_all("legs", 2, held_out.people, rng)
    trial = held_out.trial("h36m", held_out.pairs("P1")[0], hide=legs)
    lost = np.isnan(trial.robust().xyz).all(axis=(0, 2))
    assert set(np.flatnonzero(lost)) == {2, 3, 5, 6, 10}  # knees and ankles; HeadTop no detector gives


def test_coverage_is_that_of_the_covariance(held_out):
    trial = held_out.trial("h36m", held_out.pairs("P1")[0])
    solved = trial.robust()
    present, guessed = coverage_of([trial], [solved.xyz], [solved.covariance])
    assert 93.0 < present <= 100.0  # scores of 0.8 widen it
    assert np.isnan(guessed)  # no joint was guessed
    assert coverage_of([trial], [solved.xyz], [1e-6 * solved.covariance])[0] < 1.0


def test_a_network_as_unsure_as_the_triangulation_is_fused_halfway_to_it(held_out):
    class Away(Identity):
        def forward(self, features: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
            return coarse + 1.0

    trial = held_out.trial("h36m", held_out.pairs("P1")[0])
    refiner, compared = Refiner(Away(), RECIPE), Compared((trial,))
    xyz, covariance = refiner.fused(trial)
    halfway = (trial.robust().xyz + refiner.refined(trial)) / 2
    np.testing.assert_allclose(xyz[:, GIVEN], halfway[:, GIVEN], atol=1e-5)
    assert (np.trace(covariance, axis1=-2, axis2=-1) < np.trace(trial.robust().covariance, axis1=-2, axis2=-1))[
        :, GIVEN
    ].all()
    fused, network = (compared.refined(refiner, way).absolute.mean() for way in ("fused", "network"))
    assert fused == pytest.approx(network / 2, rel=0.05)


def test_arguments_of_a_recipe_lead_to_the_same_data_and_losses():
    recipe = {
        "network": "cvugcn", "form": "rig", "views": 2, "pairs": ["P1"], "labels": "annotated", "losses": "rstb",
        "lambda_b": 0.02, "rigs": ["h36m", "room2"], "rig_count": 20, "noise": "detector", "people": 64, "batch": 256,
        "schedule": "cosine", "side_views": True, "width": 128, "baseline": False,
    }  # fmt: skip
    arguments = ("cvugcn", *arguments_of(recipe))
    assert differences(recipe, arguments) == []
    assert "--side-views" in arguments
    assert "--side-views" not in arguments_of(recipe | {"side_views": False})
