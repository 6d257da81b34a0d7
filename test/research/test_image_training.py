"""Networks for images, trained by one loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes_of_jpegs import write_jpegs

from pose3d_ros.errors import InputError
from pose3d_ros.research.budgets import BUDGETS, SMALL
from pose3d_ros.research.crops import CropSet, rendered_moments
from pose3d_ros.research.image_training import _rows, curve, decoded, errors, train
from pose3d_ros.research.multi_view_systems import ALGEBRAIC, VOLUMETRIC
from pose3d_ros.research.representation_systems import REPRESENTATION, REPRESENTED
from pose3d_ros.research.single_view_systems import INTEGRAL, INTEGRAL_3D, REGRESSION, half_labelled
from pose3d_ros.training.loop import FitOptions

BUDGET = replace(
    SMALL, side=64, width=8, deconvolution=8, bins=4, hourglass_width=16, zhou_width=16,
    synthesis_width=8, latent_points=8, fully_connected=16,
    voxels=8, volume_width=8, passes=96, epoch_images=48, batch=16,
)  # fmt: skip
OPTIONS = FitOptions(epochs=1, batch_size=1, accelerator="cpu", resume=True, progress=False)


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    return CropSet(rendered_moments(write_jpegs(tmp_path_factory.mktemp("jpegs"), frames=6)), BUDGET.side)


@pytest.mark.parametrize("system", [INTEGRAL, INTEGRAL_3D, REGRESSION, REPRESENTATION])
def test_a_stopped_run_ends_with_the_same_network(crops, tmp_path, system):
    whole = train(system, BUDGET, crops, crops, tmp_path / "whole", OPTIONS)
    half = replace(OPTIONS, minutes=1e-9)  # ends after the first epoch
    train(system, BUDGET, crops, crops, tmp_path / "stopped", half)
    assert len(curve(tmp_path / "stopped")[0]) == 1
    resumed = train(system, BUDGET, crops, crops, tmp_path / "stopped", OPTIONS)
    assert len(curve(tmp_path / "stopped")[0]) == round(system.share * 2)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_other_people_or_sizes_are_not_mixed_into_a_folder(crops, tmp_path):
    train(REGRESSION, BUDGET, crops, crops, tmp_path, OPTIONS)
    with pytest.raises(InputError, match="images was"):
        train(REGRESSION, BUDGET, CropSet(crops.moments[:-1], BUDGET.side), crops, tmp_path, OPTIONS)
    with pytest.raises(InputError, match="passes was 96, is 192"):
        train(REGRESSION, replace(BUDGET, passes=192), crops, crops, tmp_path, OPTIONS)


def test_all_people_are_read_in_the_order_of_the_truth(crops):
    """A network that says where the true joints are is right for every person in every view."""
    perfect = replace(INTEGRAL, decode=lambda net, views: views.xy.flatten(0, 1))
    net = torch.nn.Linear(1, 1)
    assert errors(perfect, net, crops, BUDGET).shape == (len(crops) * 4,)
    assert errors(perfect, net, crops, BUDGET).max() == 0.0
    five = replace(INTEGRAL, decode=lambda net, views: views.xy.flatten(0, 1) + torch.tensor([3.0, -4.0]))
    assert errors(five, net, crops, BUDGET) == pytest.approx(5.0, abs=1e-3)
    metres = replace(INTEGRAL_3D, decode=lambda net, views: 1.01 * (views.xyz - views.xyz[..., :1, :]).flatten(0, 1))
    truth = torch.cat([views.xyz for _, views in decoded(metres, net, crops, BUDGET)]).flatten(0, 1)
    expected = 10 * (truth - truth[:, :1]).norm(dim=-1).mean(dim=-1)
    assert errors(metres, net, crops, BUDGET) == pytest.approx(expected.numpy(), rel=1e-2)


def test_epochs_take_equal_shares_of_moments_and_pairs_are_of_one_scene(crops):
    rng = np.random.default_rng(0)
    rows = _rows(REGRESSION, crops, 2 * len(crops), rng)
    assert np.bincount(rows).tolist() == [2] * len(crops)
    tenth = _rows(replace(REGRESSION, moments=0.25), crops, 40, rng)
    assert set(tenth) == {0, 1, 2}  # of 12
    two_scenes = [replace(moment, group=f"scene {number % 3}") for number, moment in enumerate(crops.moments)]
    pairs = _rows(REPRESENTATION, CropSet(two_scenes, BUDGET.side), 30, rng).reshape(-1, 2)
    assert all(two_scenes[a].group == two_scenes[b].group and a != b for a, b in pairs)


def test_networks_for_images_take_equally_many_images():
    for budget in BUDGETS.values():
        for system in (INTEGRAL, INTEGRAL_3D, REGRESSION, *REPRESENTED):
            assert system.passes(budget) == budget.passes, system.name


def test_a_head_on_a_representation_leaves_it_as_it_is(crops, tmp_path):
    start = train(REPRESENTATION, BUDGET, crops, crops, tmp_path / "start", OPTIONS)
    net = train(REPRESENTED[-1], BUDGET, crops, crops, tmp_path / "head", OPTIONS, start)
    for name, value in start.state_dict().items():
        assert torch.equal(value, net.state_dict()[f"pose.{name}"]), name


@pytest.mark.parametrize("system", [INTEGRAL, ALGEBRAIC, VOLUMETRIC])
def test_training_begins_with_the_weights_that_it_is_given(crops, tmp_path, system):
    torch.manual_seed(5)
    start = INTEGRAL.build(BUDGET, 4)
    still = replace(BUDGET, learning_rate=0.0)
    net = train(system, still, crops, crops, tmp_path, OPTIONS, start)
    whole = net.state_dict()
    for name, value in start.named_parameters():
        copies = [other for other in whole if other == name or other.endswith(f"pose.{name}")]
        assert copies
        assert all(torch.equal(whole[other], value) for other in copies), name


def test_half_of_the_images_lose_their_depths(crops):
    for _, views in decoded(replace(INTEGRAL, decode=lambda net, views: views.xy.flatten(0, 1)),
                            torch.nn.Linear(1, 1), crops, BUDGET):  # fmt: skip
        assert half_labelled(views.crops()).has_depth.float().mean().item() == 0.5
