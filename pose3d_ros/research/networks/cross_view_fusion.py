"""Heatmaps of calibrated views that improve each other (torch, float32).

Qiu et al., "Cross view fusion for 3D human pose estimation" (ICCV 2019), Sec. 3: each bin of a view's heatmap gets a
weighted sum of all bins of each other view. The weights, one matrix per ordered pair of views and shared by all joints,
learn the epipolar geometry of one rig: other cameras need weights of their own.

| symbol | name |
|---|---|
| x^v, heatmaps of view v from the CNN | FusedHeatmaps.before |
| omega^(v,u), h w x h w | CrossViewFusion.weight[v], u in the order of the other views |
| x^v + the sum over u of omega^(v,u) x^u | FusedHeatmaps.after |
| MSE of both with Gaussians | fusion_loss |

Own and other heatmaps are added with the public code's factors: 0.4 and 3 times 0.2 at 4 views, here OWN and
(1 - OWN) / (V - 1) at V views. At 80 x 80 bins and 4 views the layers hold 12 x 6400^2 = 491.52 M weights, which begin
uniform in [0, 0.1], as there.

Deviations: heatmaps before fusion are integral.heatmaps_of, where the paper's are a convolution's output, so that a 2D
network trained with integral_loss fits; so are the Gaussians, of 2 of 64 bins (published: 3 of 80). The loss is a mean
over joints where the public code sums (as many times as much).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.integral import IntegralPose, heatmaps_of, sigma_bins
from pose3d_ros.research.samples import Views

OWN = 0.4
LARGEST_WEIGHT = 0.1


class FusedHeatmaps(NamedTuple):
    """B moments before V cameras: (B, V, J, H, W) of height 1."""

    before: Tensor
    after: Tensor


class CrossViewFusion(nn.Module):
    """Heatmaps (B, V, J, size, size) -> the same shape, each with what the other views know."""

    def __init__(self, views: int, size: int) -> None:
        super().__init__()
        if views < 2:
            raise InputError(f"fusion takes two views or more, not {views}")
        self.size = size
        self.weight = nn.Parameter(torch.empty(views, views - 1, size**2, size**2))  # [to, from the others, from, to]
        nn.init.uniform_(self.weight, 0.0, LARGEST_WEIGHT)

    def forward(self, heatmaps: Tensor) -> Tensor:
        """As the class says. Raises InputError for another number of views or bins."""
        views = len(self.weight)
        if heatmaps.shape[1] != views or heatmaps.shape[-2:] != (self.size, self.size):
            raise InputError(
                f"heatmaps {tuple(heatmaps.shape)}: expected {views} views of {self.size} x {self.size} bins"
            )
        rows = heatmaps.flatten(3).transpose(0, 1).flatten(1, 2)  # (V, B * J, size^2)
        others = torch.stack(
            [torch.cat([rows[other] for other in range(views) if other != view], dim=-1) for view in range(views)]
        )
        warped = others @ self.weight.flatten(1, 2)
        fused: Tensor = OWN * rows + (1 - OWN) / (views - 1) * warped
        return fused.reshape(views, len(heatmaps), *heatmaps.shape[2:]).transpose(0, 1)


class FusedPose(nn.Module):
    """Images (B, V, 3, S, S) of always the same V cameras -> FusedHeatmaps, S / 4 bins a side."""

    def __init__(self, pose: IntegralPose, views: int, size: int) -> None:
        super().__init__()
        self.pose = pose
        self.fusion = CrossViewFusion(views, size)

    def forward(self, image: Tensor) -> FusedHeatmaps:
        """As the class says."""
        logits = self.pose.final(self.pose.features(image.flatten(0, 1)))
        before = heatmaps_of(logits).reshape(*image.shape[:2], *logits.shape[1:])
        return FusedHeatmaps(before, self.fusion(before))


def fusion_loss(found: FusedHeatmaps, true: Views) -> Tensor:
    """Mean squared difference from Gaussians, before plus after fusion, of the joints inside of each crop."""
    size = found.after.shape[-1]
    aim = heads.gaussians(heads.to_bins(true.xy, size, true.image.shape[-1]), size, sigma_bins(size))
    before, after = (heads.heatmap_loss(heatmaps, aim, true.visible) for heatmaps in found)
    return before + after
