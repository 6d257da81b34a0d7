"""People before cameras that are drawn, for lifters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scenes_of_jpegs import write_jpegs

from pose3d_ros.research.budgets import SMALL
from pose3d_ros.research.crops import CropSet, rendered_moments, views_of
from pose3d_ros.research.lift_systems import ABSPOSELIFTER, BASELINE
from pose3d_ros.research.lift_training import cropped, people_of, train_lifter, virtual_views
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training.loop import FitOptions

SIDE = 64
BONES = list(zip(*H36M_17.bones, strict=True))


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    return CropSet(rendered_moments(write_jpegs(tmp_path_factory.mktemp("jpegs"), frames=4)), SIDE)


def lengths(xyz: torch.Tensor) -> torch.Tensor:
    return (xyz[:, BONES[0]] - xyz[:, BONES[1]]).norm(dim=-1)


def test_cropped_joints_are_those_of_the_images_crops(crops):
    views = views_of(crops.take(), SIDE)
    people = people_of(crops)
    xy, K = cropped(views.xyz.flatten(0, 1), people.K.flatten(0, 1), SIDE)
    assert (xy - views.xy.flatten(0, 1)).abs().max() < 0.01
    assert (K - views.K.flatten(0, 1)).abs().max() < 0.01


def test_virtual_people_have_training_peoples_bones_and_lie_on_their_pixels(crops):
    torch.manual_seed(0)
    people = people_of(crops)
    drawn = virtual_views(people, 300, SIDE)
    image = drawn.xyz @ drawn.K.transpose(1, 2)
    assert (image[..., :2] / image[..., 2:] - drawn.xy).abs().max() < 0.01
    assert drawn.xy.min() > 0
    assert drawn.xy.max() < SIDE
    # Left and right bones may be exchanged: sums of both are not.
    own = lengths(people.world).sum(dim=1)
    nearest = (lengths(drawn.xyz).sum(dim=1)[:, None] - own).abs().min(dim=1).values
    assert nearest.max() < 1e-3


def test_virtual_people_are_turned_and_mirrored(crops):
    torch.manual_seed(0)
    people = people_of(crops)
    one = people._replace(world=people.world[:1], K=people.K[:1, :1], cam_from_world=people.cam_from_world[:1, :1])
    drawn = virtual_views(one, 400, SIDE)
    left, right = H36M_17.index("LHip"), H36M_17.index("RHip")
    up = drawn.xyz[:, H36M_17.index("HeadTop")] - drawn.xyz[:, 0]
    across = drawn.xyz[:, left] - drawn.xyz[:, right]
    R = one.cam_from_world[0, 0, :3, :3]
    assert (torch.einsum("ij,ni->nj", R, up)[:, 2] - (one.world[0, 10, 2] - one.world[0, 0, 2])).abs().max() < 1e-4
    heading = torch.atan2(*torch.einsum("ij,ni->nj", R, across)[:, :2].T)
    counts = torch.histc(heading, 8, -torch.pi, torch.pi)
    assert counts.min() > 20  # of 50: all directions


def test_residuals_of_whole_people_are_added(crops):
    torch.manual_seed(0)
    plain = virtual_views(people_of(crops), 50, SIDE)
    residuals = torch.stack([torch.full((17, 2), 1.0), torch.full((17, 2), -3.0)])
    torch.manual_seed(0)
    noisy = virtual_views(people_of(crops), 50, SIDE, residuals)
    apart = (noisy.xy - plain.xy).flatten(1)
    assert torch.allclose(apart, apart[:, :1].expand_as(apart), atol=1e-4)
    assert {round(float(value)) for value in apart[:, 0]} == {1, -3}


@pytest.mark.parametrize("system", [BASELINE, ABSPOSELIFTER])
def test_a_lifter_learns_resumes_and_is_read_back(crops, tmp_path, system):
    budget = replace(SMALL, side=SIDE, lifter_width=64, lifter_people=1024, lifter_epochs=40, lifter_batch=64)
    people = people_of(crops)
    torch.manual_seed(1)
    validation = virtual_views(people, 200, SIDE)
    options = FitOptions(epochs=1, batch_size=1, accelerator="cpu", resume=True, progress=False)
    net = train_lifter(system, budget, crops, validation, None, tmp_path, options)
    truth = validation.xyz - validation.xyz[:, :1]
    with torch.inference_mode():
        found = system.lift(net, validation.xy, validation.K)
    error = (found - truth).norm(dim=-1).mean()
    mean = (truth - truth.mean(dim=0)).norm(dim=-1).mean()
    assert error < 0.7 * mean
    again = train_lifter(system, budget, crops, validation, None, tmp_path, options)  # nothing is left to train
    with torch.inference_mode():
        assert torch.equal(system.lift(again, validation.xy, validation.K), found)
