"""A ResNet, three deconvolutions, a 1 x 1 convolution and soft-argmax, in 2D or in 3D (torch, float32).

Xiao, Wu and Wei, "Simple baselines for human pose estimation and tracking" (ECCV 2018): the network. Sun et al.,
"Integral human pose regression" (ECCV 2018): the head, over W x H or over W x H x D bins, and learning from images with
2D labels next to images with 3D labels. Shin, Lee and Lee, "AbsPoseLifter" (2023), Sec. 4.1: the 2D network's loss,
mean squared heatmaps and mean absolute coordinates.

| symbol | name |
|---|---|
| H~_k = softmax(H_k) | soft_argmax of the logits |
| J_k = sum of p H~_k(p), Eq. 3 | Joints.xy_px, Joints.depth |
| H, whose mean squared difference from a Gaussian is L_HM | heatmaps_of |
| L_HM + L_1 | integral_loss |

Deviation: a softmax over the bins of a heatmap of height 1 is nearly flat, and one over a multiple of it is not its
mean. So a heatmap is the softmax itself, scaled so that a Gaussian's has height 1: both losses have the same optimum.
"""

from __future__ import annotations

from math import tau
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.resnet import WIDTH, ResNet
from pose3d_ros.research.samples import Crops, camera_points
from pose3d_ros.skeletons import H36M_17

DECONVOLUTION = 256  # channels; Xiao et al., Sec. 2
SIGMA_BINS = 2.0  # of 64 bins; Xiao et al.'s for 256 px
# Sun et al., Sec. 3: depths of joints lie within 1 m of the pelvis.
DEPTH_M = 2.0


class Joints(NamedTuple):
    """B people in their crops."""

    logits: Tensor  # (B, J, (D,) H, W)
    xy_px: Tensor  # (B, J, 2) of the crop
    depth: Tensor | None  # (B, J) m from the pelvis along the camera's axis; None: a 2D network

    def relative(self, root_m: Tensor, K: Tensor) -> Tensor:
        """(B, J, 3) m from the pelvis, in the camera's frame, for pelvises root_m (B,) m before cameras K (B, 3, 3)."""
        assert self.depth is not None, "a 2D network has no depths"
        points = camera_points(self.xy_px, self.depth + root_m[:, None], K)
        return points - points[:, :1]


class IntegralPose(nn.Module):
    """bins=0: 2D; else 3D with so many bins of depth. Heatmaps have a quarter of the crop's side."""

    def __init__(
        self, layers: int = 50, bins: int = 0, width: int = WIDTH, deconvolution: int = DECONVOLUTION,
        joints: int = H36M_17.size,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bins, self.joints = bins, joints
        self.backbone = ResNet(layers, width)
        self.deconvolutions = deconvolutions(self.backbone.channels, deconvolution)
        self.final = nn.Conv2d(deconvolution, joints * max(bins, 1), 1)

    def features(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, deconvolution, S / 4, S / 4), before the last convolution."""
        features: Tensor = self.deconvolutions(self.backbone(image))
        return features

    def forward(self, image: Tensor) -> Joints:
        """(B, 3, S, S) as in Crops."""
        logits = self.final(self.features(image))
        if self.bins:
            logits = logits.unflatten(1, (self.joints, self.bins))
        place = heads.soft_argmax(logits)
        xy_px = heads.to_pixels(place[..., :2], logits.shape[-1], image.shape[-1])
        depth = heads.to_pixels(place[..., 2], self.bins, 1) * DEPTH_M if self.bins else None
        return Joints(logits, xy_px, depth)


def integral_loss(found: Joints, true: Crops, heatmaps: float = 0.0) -> Tensor:
    """Mean absolute coordinates, in shares of the crop and of DEPTH_M, plus `heatmaps` times their mean square (2D).

    x and y count for joints inside of the crop, depth for images that have it.
    """
    side = true.image.shape[-1]
    place, target = found.xy_px / side, true.xy / side
    counts = true.visible[..., None].expand(-1, -1, 2)
    if found.depth is not None:
        place = torch.cat([place, found.depth[..., None] / DEPTH_M], dim=-1)
        target = torch.cat([target, true.relative[..., 2:] / DEPTH_M], dim=-1)
        counts = torch.cat([counts, true.has_depth[:, None, None].expand(-1, counts.shape[1], 1)], dim=-1)
    loss = heads.coordinate_loss(place, target, counts)
    if heatmaps:
        size = found.logits.shape[-1]
        aim = heads.gaussians(heads.to_bins(true.xy, size, side), size, sigma_bins(size))
        loss = loss + heatmaps * heads.heatmap_loss(heatmaps_of(found.logits), aim, true.visible)
    return loss


def heatmaps_of(logits: Tensor) -> Tensor:
    """Heatmaps (..., H, W) of logits (..., H, W) of a 2D network: a Gaussian's height is 1, a sharper peak's more."""
    weight = logits.flatten(-2).softmax(dim=-1).reshape(logits.shape)
    return weight * (tau * sigma_bins(logits.shape[-1]) ** 2)


def sigma_bins(size: int) -> float:
    """Of the Gaussians of heatmaps of `size` bins, in bins."""
    return SIGMA_BINS * size / 64


def deconvolutions(inputs: int, width: int, count: int = 3) -> nn.Sequential:
    """Each doubles the resolution: 4 x 4 of stride 2, batch norm, ReLU."""
    layers: list[nn.Module] = []
    for number in range(count):
        deconvolution = nn.ConvTranspose2d(inputs if number == 0 else width, width, 4, 2, 1, bias=False)
        nn.init.normal_(deconvolution.weight, std=0.001)  # Xiao et al.'s code
        layers += [deconvolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
