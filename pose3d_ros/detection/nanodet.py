"""NanoDet: detects boxes of people in images.

Source: RangiLyu, NanoDet 416 (Apache-2.0); boxes as distributions over distances after Li et al., "Generalized
Focal Loss", NeurIPS 2020. The network is the original graph up to its heads, the decoder is batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pose3d_ros.detection.graph import GraphNetwork, read_graph

SIZE = 416  # px, the longer side that the network was trained at
WIDE_HW = 256, 416  # px, the input for images of 16:9
MULTIPLE = 32  # px, coarsest stride: sides of the input are multiples of it
STRIDES = (8, 16, 32)  # px
CLASSES = 80  # COCO's; the first is the person
BINS = 11  # distances of 0 to 10 strides
MEAN = (103.53, 116.28, 123.675)  # of BGR, 0 to 255
DEVIATION = (57.375, 57.12, 58.395)
HEADS = ("PartitionedCall/transpose_99", "PartitionedCall/transpose_105", "PartitionedCall/transpose_111")


class NanoDet(nn.Module):
    """Detects people's boxes and scores in images; move it to a device and dtype like any module."""

    def __init__(self, topology: Path) -> None:
        """topology is the graph's json file, with its weights in the same folder."""
        super().__init__()
        scale = [1 / deviation for deviation in DEVIATION]
        shift = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
        self.network = GraphNetwork(read_graph(topology), "input_1", HEADS, SIZE, scale=scale, shift=shift)

    def heads(self, images: Tensor) -> tuple[Tensor, ...]:
        """Raw outputs (B, 124, H / stride, W / stride), float32, of images (B, H, W, 3), BGR, 0 to 255."""
        return self.network.heads(images)

    def forward(self, images: Tensor) -> Tensor:
        """Return boxes in images (B, H, W, 3), BGR, 0 to 255."""
        return boxes(self.heads(images))


def boxes(heads: Sequence[Tensor]) -> Tensor:
    """Return every cell's box (B, N, 5): left, top, right, bottom in px from the image's edges, person score."""
    return torch.cat([decode(head, stride) for head, stride in zip(heads, STRIDES, strict=True)], 1)


def decode(head: Tensor, stride: int) -> Tensor:
    """Decode boxes (B, H * W, 5) of one head (B, 124, H, W): expected distances from each cell's centre."""
    height, width = head.shape[-2:]
    score = head[:, 0].sigmoid().flatten(1)  # (B, N)
    bins = head[:, CLASSES:].reshape(-1, 4, BINS, height, width).softmax(2)  # (B, 4, 11, H, W)
    steps = torch.arange(BINS, device=head.device, dtype=head.dtype)[:, None, None]
    left, top, right, bottom = ((bins * steps).sum(2) * stride).flatten(2).unbind(1)  # (B, N) px each
    y = ((torch.arange(height, device=head.device) + 0.5) * stride)[:, None].expand(height, width).flatten()
    x = ((torch.arange(width, device=head.device) + 0.5) * stride)[None, :].expand(height, width).flatten()
    return torch.stack((x - left, y - top, x + right, y + bottom, score), dim=-1)


def in_bfloat16(network: GraphNetwork) -> GraphNetwork:
    """Convert NanoDet's network to bfloat16, for CPUs with native support."""
    return network.to(torch.bfloat16)
