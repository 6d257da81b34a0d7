"""MoveNet Thunder and Lightning: keypoints of the person nearest to the centre of a square crop, batched over crops.

Source: Google, "MoveNet.SinglePose" model card, graph models version 4 (Apache-2.0). The network is the original
graph up to its four heads; the decoder repeats the graph's own nodes, batched over crops.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.detection.graph import GraphNetwork, read_graph

SIZES = {"movenet-thunder": 256, "movenet-lightning": 192}  # px, side of a crop
# Factor on Thunder's standard deviation, for the same crop and score, that brings as many keypoints into the 95 %
# ellipse, against the other cameras' triangulation of Thunder's keypoints: 25 frame sets of the single-person sample,
# shoulders to ankles.
SPREAD = {"movenet-thunder": 1.0, "movenet-lightning": 1.1, "movenet-multipose": 0.85}
CELL = 4  # px of the crop in one cell of the heads
JOINTS = 17
SCALE = 0.00784302  # the graph's own constant: 2 / 255 in fp16
DISTANCE_BIAS = 1.8  # cells; StatefulPartitionedCall/add_5/y
NORMALISED = "StatefulPartitionedCall/sub_1"
HEADS = (
    "StatefulPartitionedCall/center_0/conv2d_4/BiasAdd",
    "StatefulPartitionedCall/kpt_heatmap_0/conv2d_5/BiasAdd",
    "StatefulPartitionedCall/kpt_regress_0/conv2d_6/BiasAdd",
    "StatefulPartitionedCall/kpt_offset_0/conv2d_7/BiasAdd",
)
# On a mirrored crop the original gives 255.5 - x on average (58 crops), not 256 - x: half of the difference. y cannot
# be measured this way and is assumed equal. Lightning (0.36) and MultiPose (0.22) are close enough.
OFF_CENTRE = 0.25  # px of the crop
# In bfloat16, the first layers cost 0.3 px of the crop and those after the backbone 0.1 (median of 58 crops); with
# only the layers in between in bfloat16 it is 0.08, and the network takes half the time.
BFLOAT16_LAYERS = slice(3, 52)
CENTRE_WEIGHT = "ConstantFolding/StatefulPartitionedCall/truediv_2_recip"


class Heads(NamedTuple):
    """The network's raw outputs, float32, on the grid of 64 x 64 cells (Lightning: 48 x 48) of an upright crop."""

    centre: Tensor  # (B, 1, 64, 64) logits
    heatmap: Tensor  # (B, 17, 64, 64) logits
    regression: Tensor  # (B, 34, 64, 64) cells, y and x of each joint from the cell
    offset: Tensor  # (B, 34, 64, 64) cells, y and x within the cell


class MoveNet(nn.Module):
    """Detects keypoints in crops; move it to a device and dtype like any module."""

    centre_weight: Tensor  # (64, 64), highest in the middle

    def __init__(self, topology: Path, size: int) -> None:
        """topology is the graph's json file, with its weights in the same folder; size is one of SIZES."""
        super().__init__()
        self.size = size
        file = read_graph(topology)
        self.network = GraphNetwork(
            file, NORMALISED, HEADS, size, half_turn=True, scale=(SCALE,) * 3, shift=(-1.0,) * 3
        )
        weight = torch.from_numpy(file.constants[CENTRE_WEIGHT].copy())[..., 0]
        self.register_buffer("centre_weight", weight, persistent=False)

    def heads(self, crops: Tensor) -> Heads:
        """Return the raw outputs of crops (B, size, size, 3), RGB, 0 to 255."""
        return Heads(*self.network.heads(crops))

    def decode(self, heads: Heads) -> Tensor:
        """Decode keypoints (B, 17, 3): x, y in px of the crop (0 is its left or upper edge), score, like the graph."""
        batch, cells = len(heads.centre), heads.centre.shape[-1]
        device = heads.centre.device
        every, joints = torch.arange(batch, device=device), torch.arange(JOINTS, device=device)
        weighted = heads.centre[:, 0].sigmoid() * self.centre_weight.float()
        best = weighted.flatten(1).argmax(1)  # (B,)
        row, column = best // cells, best % cells
        guess = heads.regression[every, :, row, column].reshape(batch, JOINTS, 2)  # y, x
        guess_y, guess_x = guess[..., 0] + row[:, None], guess[..., 1] + column[:, None]
        grid = torch.arange(cells, device=device, dtype=torch.float32)
        distance = torch.sqrt(
            (grid[:, None] - guess_y[..., None, None]) ** 2 + (grid[None, :] - guess_x[..., None, None]) ** 2
        )
        score = heads.heatmap.sigmoid()
        peak = (score / (distance + DISTANCE_BIAS)).flatten(2).argmax(2)  # (B, 17)
        row, column = peak // cells, peak % cells
        row_index, joint = every[:, None], joints[None, :]
        offset = heads.offset.reshape(batch, JOINTS, 2, cells, cells)[
            row_index, joint, :, row, column
        ]  # (B, 17, 2) y, x
        y, x = (row + offset[..., 0]) * CELL, (column + offset[..., 1]) * CELL
        return torch.stack((x, y, score[row_index, joint, row, column]), dim=-1)

    def points(self, heads: Heads) -> Tensor:
        """Decode keypoints (B, 17, 3) and apply the centre offset."""
        points = self.decode(heads)
        points[..., :2] += OFF_CENTRE
        return points

    def forward(self, crops: Tensor) -> Tensor:
        """Return keypoints (B, 17, 3) in crops (B, size, size, 3), RGB, 0 to 255."""
        return self.points(self.heads(crops))


def in_bfloat16(network: GraphNetwork) -> GraphNetwork:
    """Convert the middle layers of MoveNet's network to bfloat16, for CPUs with native support."""
    for layer in network.convolutions[BFLOAT16_LAYERS]:
        layer.to(torch.bfloat16)
    return network
