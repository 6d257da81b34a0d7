"""Integral regression in 2D and 3D."""

from __future__ import annotations

import math

import pytest
import torch
from people_in_crops import crops, fall, parameters, without_gradient

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.hourglass import StackedHourglass, hourglass_loss
from pose3d_ros.research.networks.integral import (
    DEPTH_M,
    IntegralPose,
    Joints,
    heatmaps_of,
    integral_loss,
    sigma_bins,
)
from pose3d_ros.research.networks.resnet import ResNet


# torchvision's 11 689 512, 25 557 032 and 60 192 808, less their classifiers of 1000 classes; Xiao et al.'s networks
# for 17 joints have 34.0 M and 68.6 M.
@pytest.mark.parametrize(
    ("layers", "backbone", "pose"),
    [
        (18, 11_689_512 - 513_000, 15_376_721),
        (50, 25_557_032 - 2_049_000, 33_999_697),
        (152, 60_192_808 - 2_049_000, 68_635_473),
    ],
)
def test_published_parameter_counts_of_residual_networks(layers, backbone, pose):
    with torch.device("meta"):
        assert parameters(ResNet(layers)) == backbone
        assert parameters(IntegralPose(layers)) == pose


# The public PyTorch hourglasses for 16 joints: 25.59 M (N = 8) and 6.73 M (N = 2).
@pytest.mark.parametrize(("stacks", "millions"), [(8, 25.59), (2, 6.73)])
def test_published_parameter_counts_of_hourglasses(stacks, millions):
    with torch.device("meta"):
        assert round(parameters(StackedHourglass(stacks, joints=16)) / 1e6, 2) == millions


def test_an_unknown_number_of_layers_is_rejected_with_those_there_are():
    with pytest.raises(InputError, match="ResNet-34 here: use 18, 50, 152"):
        ResNet(34)


def test_the_loss_by_hand():
    true = crops(count=1, side=64)
    true = true._replace(visible=torch.zeros_like(true.visible))
    true.visible[0, 3] = True
    logits = torch.zeros(1, 17, 16, 16)
    xy = true.xy.clone()
    xy[0, 3] += torch.tensor([6.4, -3.2])  # 0.1 and 0.05 of the crop; all other joints count nowhere
    xy[0, 4] += 100.0
    assert integral_loss(Joints(logits, xy, None), true).item() == pytest.approx(0.075, abs=1e-6)
    depth = true.relative[..., 2] + 0.2  # of a range of 2 m: 0.1 for all 17 joints
    both = integral_loss(Joints(logits, xy, depth), true).item()
    assert both == pytest.approx((0.1 + 0.05 + 17 * 0.2 / DEPTH_M) / (2 + 17), abs=1e-6)
    labelled_in_2d = true._replace(has_depth=torch.zeros(1, dtype=torch.bool))
    assert integral_loss(Joints(logits, xy, depth), labelled_in_2d).item() == pytest.approx(0.075, abs=1e-6)


def gaussian_logits(true, size: int, side: int) -> torch.Tensor:
    """Logits whose softmax is a Gaussian of the loss's own width."""
    grid = torch.stack(torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="xy"), dim=-1)
    apart = (grid - heads.to_bins(true.xy, size, side)[:, :, None, None]).square().sum(dim=-1)
    return -apart / (2 * sigma_bins(size) ** 2)


def test_both_losses_vanish_at_the_same_heatmaps():
    true = crops(count=2, side=64)
    inside = ((true.xy > 12) & (true.xy < 52)).all(dim=-1)
    true = true._replace(visible=inside)
    logits = gaussian_logits(true, 32, 64)
    found = heads.to_pixels(heads.soft_argmax(logits), 32, 64)
    assert (found - true.xy)[inside].abs().max() < 0.02
    aim = heads.gaussians(heads.to_bins(true.xy, 32, 64), 32, sigma_bins(32))
    assert (heatmaps_of(logits) - aim)[inside].abs().max() < 0.02
    assert integral_loss(Joints(logits, found, None), true, heatmaps=1.0).item() < 1e-3


def test_heatmaps_are_weighed_by_their_mean_squared_difference():
    true = crops(count=2, side=64)
    flat = torch.zeros(2, 17, 16, 16)
    aim = heads.gaussians(heads.to_bins(true.xy, 16, 64), 16, sigma_bins(16))
    expected = (2 * math.pi * 0.5**2 / 256 - aim).square().mean().item()  # 2 of 64 bins are 0.5 of 16
    assert integral_loss(Joints(flat, true.xy, None), true, heatmaps=3.0).item() == pytest.approx(
        3 * expected, rel=1e-4
    )


def test_a_pose_of_true_pixels_and_depths_is_the_truth():
    true = crops(count=3, side=64)
    joints = Joints(torch.zeros(3, 17, 1, 1, 1), true.xy, true.relative[..., 2])
    assert torch.allclose(joints.relative(true.xyz[:, 0, 2], true.K), true.relative, atol=1e-4)


@pytest.mark.parametrize("bins", [0, 8])
def test_the_network_overfits_a_batch(bins):
    torch.manual_seed(0)
    true = crops(count=4, side=64)
    net = IntegralPose(18, bins, 16, 32)
    assert without_gradient(net, integral_loss(net(true.image), true, 0.0 if bins else 1.0)) == []
    assert fall(net, lambda: integral_loss(net(true.image), true), 100, rate=3e-3) < 0.3


def test_hourglasses_learn_in_every_stack_and_overfit_a_batch():
    torch.manual_seed(0)
    true = crops(count=4, side=64)
    net = StackedHourglass(2, 16)
    assert net(true.image).shape == (4, 2, 17, 16, 16)
    assert without_gradient(net, hourglass_loss(net(true.image), true)) == []
    assert fall(net, lambda: hourglass_loss(net(true.image), true), 60, rate=3e-3) < 0.3


def test_the_hourglass_loss_by_hand():
    true = crops(count=1, side=64)
    aim = heads.gaussians(heads.to_bins(true.xy, 16, 64), 16, 1.0)
    heatmaps = torch.stack([aim, aim + 0.5], dim=1)  # the first hourglass is right, the second 0.5 off everywhere
    assert hourglass_loss(heatmaps, true).item() == pytest.approx(0.25, rel=1e-5)
