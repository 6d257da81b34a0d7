"""MoveNet MultiPose: boxes and joints of up to six people in one image, in one pass.

Source: Google, "MoveNet.MultiPose" model card, graph model version 1 (Apache-2.0). The network is the original graph
up to its six heads; the decoder repeats the graph's own nodes. Axes: P people, J joints, h and w cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose3d_ros.detection.graph import GraphNetwork, read_graph
from pose3d_ros.detection.movenet import CELL, JOINTS, NORMALISED, OFF_CENTRE, SCALE

SIZE = 256  # px, the longer side that the network was trained at
WIDE_HW = 160, 256  # px, the input for images of 16:9
MULTIPLE = 32  # px, the sides of the input are multiples of it
MAX_PEOPLE = 6
HEADS = (
    "StatefulPartitionedCall/center_0/conv2d_4/BiasAdd",
    "StatefulPartitionedCall/box_scale_0/conv2d_5/BiasAdd",
    "StatefulPartitionedCall/box_offset_0/conv2d_6/BiasAdd",
    "StatefulPartitionedCall/kpt_heatmap_0/conv2d_7/BiasAdd",
    "StatefulPartitionedCall/kpt_regress_0/conv2d_8/BiasAdd",
    "StatefulPartitionedCall/kpt_offset_0/conv2d_9/BiasAdd",
)
NEIGHBOURS = 5  # cells, MaxPool's window: a person's centre is its maximum
SAME = 1.01327896e-6  # Less/y: maximum difference from the window's maximum
JOINT_VISIBLE = 0.126953125  # Greater_1/y: joints above this score count towards a person's score
REACH = 0.300048828125  # mul_6/y: a joint is weighted by exp(-distance^2 / (REACH * the shorter side)), in cells


@dataclass(frozen=True)
class Heads:
    """Raw outputs of one upright image, float32, on a grid of h x w cells; pairs are y, x in cells."""

    centre: Tensor  # (1, h, w) logits
    box_scale: Tensor  # (2, h, w)
    box_offset: Tensor  # (2, h, w)
    heatmap: Tensor  # (17, h, w) logits
    regression: Tensor  # (34, h, w)
    offset: Tensor  # (34, h, w)


class MultiPose(nn.Module):
    """Detects people in an image; move it to a device and dtype like any module."""

    def __init__(self, topology: Path) -> None:
        """topology is the graph's json file, with its weights in the same folder."""
        super().__init__()
        self.network = GraphNetwork(
            read_graph(topology), NORMALISED, HEADS, SIZE, half_turn=True, scale=(SCALE,) * 3, shift=(-1.0,) * 3
        )

    def heads(self, image: Tensor) -> Heads:
        """Raw outputs of an image (H, W, 3), RGB, 0 to 255; H and W are multiples of 32."""
        return Heads(*(output[0] for output in self.network.heads(image[None])))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """People in an image (H, W, 3), RGB, 0 to 255."""
        return people(self.heads(image))


def people(heads: Heads) -> tuple[Tensor, Tensor]:
    """Decode keypoints and boxes, with the centre offset of MoveNet applied to the keypoints."""
    points, boxes = decode(heads)
    points[..., :2] += OFF_CENTRE
    return points, boxes


def decode(heads: Heads) -> tuple[Tensor, Tensor]:
    """Keypoints (6, 17, 3) x, y in px of the image's edges and score; boxes (6, 5) left, top, right, bottom, score."""
    centre = heads.centre.sigmoid()
    highest = functional.max_pool2d(centre[None], NEIGHBOURS, stride=1, padding=NEIGHBOURS // 2)[0]
    height, width = centre.shape[-2:]
    centre_score, cell = (centre * ((centre - highest).abs() < SAME)).flatten().topk(MAX_PEOPLE)
    row, column = cell // width, cell % width  # (P,)
    yx = torch.stack((row, column), dim=-1).float()  # (P, 2)
    middle = yx + heads.box_offset[:, row, column].T
    half = heads.box_scale[:, row, column].T.clamp(min=0) / 2
    end = torch.tensor([height, width], device=yx.device)
    low, high = (middle - half).clamp(min=0).minimum(end), (middle + half).clamp(min=0).minimum(end)  # (P, 2)
    guess = yx[:, None] + heads.regression[:, row, column].T.reshape(-1, JOINTS, 2)  # (P, J, 2)
    y, x = (torch.arange(n, device=yx.device, dtype=torch.float32) for n in (height, width))
    squared = (y[:, None] - guess[..., 0, None, None]) ** 2 + (x - guess[..., 1, None, None]) ** 2  # (P, J, h, w)
    score = heads.heatmap.sigmoid() * torch.exp(-squared / (REACH * min(height, width)))
    in_y = (y >= low[:, :1]) & (y < high[:, :1])  # (P, h)
    in_x = (x >= low[:, 1:]) & (x < high[:, 1:])  # (P, w)
    score = score * (in_y[:, :, None] & in_x[:, None, :])[:, None]
    peak = score.flatten(2).argmax(2)  # (P, J)
    row, column = peak // width, peak % width
    joint = torch.arange(JOINTS, device=yx.device)
    offset = heads.offset.reshape(JOINTS, 2, height, width)[joint, :, row, column]  # (P, J, 2)
    # The graph uses the best person's score of that cell, not this person's own.
    best = score.amax(0)[joint, row, column]
    visible = best > JOINT_VISIBLE
    person_score = centre_score * (best * visible).sum(1) / visible.sum(1).clamp(min=1)
    points = torch.stack(((column + offset[..., 1]) * CELL, (row + offset[..., 0]) * CELL, best), dim=-1)
    return points, torch.cat((low.flip(1) * CELL, high.flip(1) * CELL, person_score[:, None]), dim=1)
