"""2D networks for the detector: recipes as published, checkpoints, ImageNet's weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_people import STANDING, h36m_rig

from pose3d_ros.errors import InputError
from pose3d_ros.research.crops import Moment
from pose3d_ros.research.detector_training import (
    joints_px,
    pretrained,
    read_detector,
    system_and_budget,
    with_held_out,
    write_detector,
)
from pose3d_ros.research.image_training import ImageSystem
from pose3d_ros.research.networks.hourglass import StackedHourglass
from pose3d_ros.research.networks.integral import IntegralPose
from pose3d_ros.research.networks.resnet import ResNet

INTEGRAL = {"system": "integral", "layers": 18, "width": 4, "deconvolution": 8, "side": 64}
HOURGLASS = {"system": "hourglass", "stacks": 1, "hourglass_width": 8, "side": 128}


def test_defaults_are_abspose_lifters_and_the_hourglasses() -> None:
    system, budget = system_and_budget("resnet152", 0, 256, 0, 0, 0.0, 1000)
    network = system.build(budget, 4)
    assert isinstance(network, IntegralPose)
    # ResNet-152 has 60.2 M parameters, 2.05 M of them in its classifier (He et al.'s published counts).
    assert sum(one.numel() for one in network.backbone.parameters()) == pytest.approx(58.1e6, rel=0.005)
    assert (budget.batch, budget.learning_rate, budget.passes / budget.epoch_images) == (48, 1e-4, 60)
    system, budget = system_and_budget("hourglass8", 0, 256, 0, 0, 0.0, 1000)
    network = system.build(budget, 4)
    assert isinstance(network, StackedHourglass)
    assert len(network.hourglasses) == 8
    assert budget.learning_rate == 2.5e-4


def test_options_replace_what_was_published() -> None:
    system, budget = system_and_budget("hourglass2", 16, 128, 5, 8, 1e-3, 100)
    assert (budget.side, budget.batch, budget.learning_rate, budget.passes) == (128, 8, 1e-3, 500)
    assert system.build(budget, 1)(torch.zeros(1, 3, 128, 128)).shape == (1, 2, 17, 32, 32)
    for side in (0, 16, 100):
        with pytest.raises(InputError, match="multiple of 32"):
            system_and_budget("resnet18", 0, side, 0, 0, 0.0, 1)


def test_whole_scenes_are_held_out() -> None:
    rig = h36m_rig()
    moments = [
        Moment((Path("a.jpg"),) * 4, rig.cameras, STANDING, f"scene_{scene:03d}") for scene in 2 * list(range(23))
    ]
    taught, held_out = with_held_out(moments, 64)
    groups = [{moment.group for moment in crops.moments} for crops in (taught, held_out)]
    assert not groups[0] & groups[1]
    assert len(groups[0]) + len(groups[1]) == 23
    assert len(groups[1]) == 3
    with pytest.raises(InputError, match="1 scene, expected two"):
        with_held_out(moments[:1], 64)


@pytest.mark.parametrize("recipe", [INTEGRAL, HOURGLASS], ids=["integral", "hourglass"])
def test_a_checkpoint_gives_the_same_joints(recipe: dict, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = IntegralPose(18, 0, 4, 8) if recipe is INTEGRAL else StackedHourglass(1, 8)
    write_detector(tmp_path / "best.ckpt", network.eval(), recipe)
    back = read_detector(tmp_path / "best.ckpt")
    assert back.side == recipe["side"]
    image = torch.randn(2, 3, back.side, back.side)
    with torch.no_grad():
        assert torch.equal(joints_px(back.network, image), joints_px(network, image))
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    "recipe",
    [
        {}, {**INTEGRAL, "system": "integral-3d"}, {**INTEGRAL, "width": 8}, {**INTEGRAL, "layers": 5},
        {**INTEGRAL, "side": "x"},
    ],
)  # fmt: skip
def test_checkpoints_of_other_networks_are_rejected(recipe: dict, tmp_path: Path) -> None:
    write_detector(tmp_path / "best.ckpt", IntegralPose(18, 0, 4, 8), recipe)
    with pytest.raises(InputError, match="no checkpoint of a 2D network"):
        read_detector(tmp_path / "best.ckpt")


def test_hourglass_joints_are_where_the_last_heatmap_is_highest() -> None:
    heatmaps = torch.zeros(1, 2, 17, 16, 16)
    heatmaps[0, 0, :, 3, 3] = heatmaps[0, 1, :, 5, 9] = 1.0
    found = joints_px(lambda image: heatmaps, torch.zeros(1, 3, 64, 64))  # type: ignore[arg-type]
    assert np.unique(found.numpy().reshape(-1, 2), axis=0).tolist() == [[9.5 * 4 - 0.5, 5.5 * 4 - 0.5]]


def resnet(width: int = 64) -> tuple[ImageSystem, object]:
    return system_and_budget("resnet18", width, 64, 0, 0, 0.0, 1)


def test_imagenets_weights_are_taken_without_their_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = ResNet(18).state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(source, tmp_path / "resnet18.pth")
    network = pretrained(tmp_path / "resnet18.pth", *resnet())
    assert isinstance(network, IntegralPose)
    assert all(torch.equal(value, source[name]) for name, value in network.backbone.state_dict().items())


def test_weights_that_do_not_fit_are_rejected(tmp_path: Path) -> None:
    torch.save(ResNet(18).state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match=r"(?s)does not fit .* no --width"):
        pretrained(tmp_path / "resnet18.pth", *resnet(32))
    with pytest.raises(InputError, match="hourglass begins with random weights"):
        pretrained(tmp_path / "resnet18.pth", *system_and_budget("hourglass2", 16, 64, 0, 0, 0.0, 1))
