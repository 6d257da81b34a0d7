"""Stacked hourglasses (torch, float32).

Newell, Yang and Deng, "Stacked hourglass networks for human pose estimation" (ECCV 2016): N hourglasses of four
resolutions, each followed by heatmaps that are learned (mean squared difference from Gaussians of 1 px) and fed back.
width, 256 as published, is the number of channels.

Deviation: residual modules are pre-activated throughout, and one stands at every place, as in the public networks of
25.59 M (N = 8) and 6.73 M (N = 2) parameters for 16 joints.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from pose3d_ros.research.networks import heads
from pose3d_ros.research.samples import Crops
from pose3d_ros.skeletons import H36M_17

WIDTH = 256
DEPTH = 4
SIGMA_BINS = 1.0  # Newell et al., Sec. 3.3


class Residual(nn.Module):
    """1 x 1, 3 x 3, 1 x 1, each after batch norm and ReLU; half of the channels inside."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inner = outputs // 2
        self.body = nn.Sequential(
            *_activated(inputs, inner, 1), *_activated(inner, inner, 3), *_activated(inner, outputs, 1)
        )
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        y: Tensor = self.shortcut(x) + self.body(x)
        return y


class Hourglass(nn.Module):
    """(B, width, H, W) -> the same shape: down by halves `depth` times, and up again with what was left at each."""

    def __init__(self, width: int, depth: int = DEPTH, modules: int = 1) -> None:
        super().__init__()
        self.across = residuals(width, modules)
        self.down = residuals(width, modules)
        self.inner = Hourglass(width, depth - 1, modules) if depth > 1 else residuals(width, modules)
        self.up = residuals(width, modules)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        low = self.up(self.inner(self.down(max_pool2d(x, 2))))
        y: Tensor = self.across(x) + interpolate(low, size=x.shape[-2:], mode="nearest")
        return y


class Maps(NamedTuple):
    """What the hourglasses find, and what may be learned from further."""

    heatmaps: Tensor  # (B, N, J, S / 4, S / 4)
    features: Tensor  # (B, width, S / 4, S / 4) after what is fed back


class StackedHourglass(nn.Module):
    """(B, 3, S, S) -> heatmaps (B, N, J, S / 4, S / 4) of every hourglass, the last one's to be used.

    modules: residual modules at every place; feed_last: the last hourglass too feeds its features and heatmaps back.
    """

    def __init__(
        self, stacks: int = 2, width: int = WIDTH, joints: int = H36M_17.size, modules: int = 1,
        feed_last: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        back = stacks if feed_last else stacks - 1
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 4, 7, 2, 3), nn.BatchNorm2d(width // 4), nn.ReLU(inplace=True),
            Residual(width // 4, width // 2), nn.MaxPool2d(2), Residual(width // 2, width), Residual(width, width),
        )  # fmt: skip
        self.hourglasses = nn.ModuleList(
            nn.Sequential(Hourglass(width, modules=modules), residuals(width, modules)) for _ in range(stacks)
        )
        self.features = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            for _ in range(stacks)
        )
        self.scores = nn.ModuleList(nn.Conv2d(width, joints, 1) for _ in range(stacks))
        self.features_back = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(back))
        self.scores_back = nn.ModuleList(nn.Conv2d(joints, width, 1) for _ in range(back))

    def forward(self, image: Tensor) -> Tensor:
        """As the class says."""
        return self.maps(image).heatmaps

    def maps(self, image: Tensor) -> Maps:
        """(B, 3, S, S): the heatmaps and the features after the last hourglass."""
        x = self.stem(image)
        heatmaps = []
        for number, hourglass in enumerate(self.hourglasses):
            y = self.features[number](hourglass(x))
            heatmaps.append(self.scores[number](y))
            if number < len(self.features_back):
                x = x + self.features_back[number](y) + self.scores_back[number](heatmaps[-1])
        return Maps(torch.stack(heatmaps, dim=1), x)


def hourglass_loss(heatmaps: Tensor, true: Crops) -> Tensor:
    """The sum over hourglasses of the mean squared differences of heatmaps (B, N, J, H, W)."""
    size = heatmaps.shape[-1]
    aim = heads.gaussians(heads.to_bins(true.xy, size, true.image.shape[-1]), size, SIGMA_BINS)
    losses = [heads.heatmap_loss(one, aim, true.visible) for one in heatmaps.unbind(dim=1)]
    return torch.stack(losses).sum()


def residuals(width: int, count: int) -> nn.Module:
    """So many residual modules, one after another."""
    return Residual(width, width) if count == 1 else nn.Sequential(*(Residual(width, width) for _ in range(count)))


def _activated(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
    ]  # fmt: skip
