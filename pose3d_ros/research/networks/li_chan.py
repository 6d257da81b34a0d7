"""A small convolutional network that regresses the pose and detects joints in windows (torch, float32).

Li and Chan, "3D human pose estimation from monocular images with deep convolutional neural network" (ACCV 2014).

| paper, Sec. 3 | here |
|---|---|
| three convolutions, each with max pooling; local response normalisation | LiChanNet.convolutions |
| regression: three fully connected layers, tanh at the end | Found.relative |
| detection h_p(l): is joint p inside of window l? | Found.windows: logits; in_windows: the labels |
| lambda_R E_R + lambda_D E_D | li_chan_loss |

The sizes of the layers are those of the authors' network definition for their next paper (Li, Zhang and Chan,
"Maximum-margin structured learning with deep networks for 3D human pose estimation", ICCV 2015), the windows (30 of
112 px every 10 px) those of their code. Deviations: local response normalisation follows the second pooling, with
PyTorch's constants; the detection's layers are as wide as the regression's; joints are relative to the pelvis; both
tasks weigh 1. The ACCV paper's own figures for these were not at hand.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pose3d_ros.errors import InputError
from pose3d_ros.networks.canonical import with_root
from pose3d_ros.research.networks.lifting import mean_or_zero
from pose3d_ros.research.samples import Crops
from pose3d_ros.skeletons import H36M_17

SIDE_PX = 112
WIDTH = 32  # channels of the first convolution, half of the others'
HIDDEN = 1024  # of the first fully connected layer, half of the second's
DROPOUT = 0.25
WINDOW_PX, STRIDE_PX, WINDOWS = 30, 10, 10  # of 112 px; the last window of a row crosses the crop's border
REACH_M = 1.5  # a hand above the head is 1.3 m from the pelvis
REGRESSION, DETECTION = 1.0, 1.0  # lambda_R, lambda_D
SMALLEST_PX = 58  # what the convolutions and poolings leave a bin of


class Found(NamedTuple):
    """B people in their crops."""

    relative: Tensor  # (B, J, 3) m from the pelvis, in the camera's axes
    windows: Tensor  # (B, J, WINDOWS, WINDOWS) logits, rows first


class LiChanNet(nn.Module):
    """(B, 3, S, S) as in Crops, for crops of `side` px."""

    def __init__(
        self, side: int = SIDE_PX, width: int = WIDTH, hidden: int = HIDDEN, joints: int = H36M_17.size
    ) -> None:
        super().__init__()
        if side < SMALLEST_PX:
            raise InputError(f"crops of {side} px are too small for this network: use {SMALLEST_PX} px or more")
        self.convolutions = nn.Sequential(
            *_convolution(3, width, 9), *_convolution(width, 2 * width, 5), nn.LocalResponseNorm(5),
            *_convolution(2 * width, 2 * width, 5), nn.Flatten(),
        )  # fmt: skip
        features = 2 * width * _bins(side) ** 2
        self.regression = _fully_connected(features, hidden, 3 * (joints - 1))
        self.detection = _fully_connected(features, hidden, joints * WINDOWS**2)

    def forward(self, image: Tensor) -> Found:
        """As the class says."""
        features = self.convolutions(image)
        pose = REACH_M * torch.tanh(self.regression(features)).reshape(len(image), -1, 3)
        return Found(with_root(pose), self.detection(features).reshape(len(image), -1, WINDOWS, WINDOWS))


def li_chan_loss(found: Found, true: Crops, regression: float = REGRESSION, detection: float = DETECTION) -> Tensor:
    """Mean over images that have depth of the squared distances, m2, summed over joints, plus the mean cross-entropy.

    The windows of joints outside of the crop count nowhere.
    """
    distances = (found.relative - true.relative)[true.has_depth].square().sum(dim=-1)
    labels = in_windows(true.xy, true.image.shape[-1]).to(found.windows.dtype)
    entropy = binary_cross_entropy_with_logits(found.windows, labels, reduction="none")[true.visible]
    return regression * mean_or_zero(distances) * distances.shape[1] + detection * mean_or_zero(entropy)


def in_windows(xy_px: Tensor, side: int) -> Tensor:
    """(B, J, WINDOWS, WINDOWS) bool, rows first: the windows of a crop of `side` px that joints (B, J, 2) lie in."""
    begin = STRIDE_PX * torch.arange(WINDOWS, device=xy_px.device)
    place = ((xy_px + 0.5) * (SIDE_PX / side))[..., None]  # from the crop's corner, not its first pixel's centre
    inside = (place >= begin) & (place < begin + WINDOW_PX)
    return inside[..., 1, :, None] & inside[..., 0, None, :]


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)]


def _fully_connected(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Dropout(DROPOUT),
        nn.Linear(hidden, 2 * hidden), nn.ReLU(inplace=True), nn.Dropout(DROPOUT), nn.Linear(2 * hidden, outputs),
    )  # fmt: skip


def _bins(side: int) -> int:
    """What is left of a side by three convolutions without padding, each with a pooling by two."""
    for kernel in (9, 5, 5):
        side = (side - kernel + 1) // 2
    return side
