"""What the networks of this folder are given and learn from (torch, float32).

A crop is a pinhole camera of its own: square, S px a side, without distortion, axes as its camera's (x right, y down,
z forward), (0, 0) the centre of the first pixel. Joints are h36m_17's, the pelvis first.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# torchvision's, for networks that begin with weights trained on ImageNet: mean and standard deviation of RGB in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ROOT = 0  # h36m_17's pelvis


class Crops(NamedTuple):
    """B crops of one person each."""

    image: Tensor  # (B, 3, S, S) RGB, less IMAGENET_MEAN, over IMAGENET_STD
    xy: Tensor  # (B, J, 2) px, also of joints outside of the crop
    xyz: Tensor  # (B, J, 3) m in the camera's frame
    visible: Tensor  # (B, J) bool: inside of the crop
    K: Tensor  # (B, 3, 3) px
    has_depth: Tensor  # (B,) bool: xyz may be learned from; else the image has 2D labels only

    @property
    def relative(self) -> Tensor:
        """(B, J, 3) m from the pelvis."""
        return self.xyz - self.xyz[:, ROOT : ROOT + 1]


class Views(NamedTuple):
    """B moments of one person each, before V cameras in an order that is always the same."""

    image: Tensor  # (B, V, 3, S, S) as in Crops
    xy: Tensor  # (B, V, J, 2) px
    xyz: Tensor  # (B, V, J, 3) m, in the frame of each camera
    visible: Tensor  # (B, V, J) bool
    K: Tensor  # (B, V, 3, 3) px
    cam_from_world: Tensor  # (B, V, 4, 4) m

    @property
    def world(self) -> Tensor:
        """(B, J, 3) m in the world's frame."""
        R, t = self.cam_from_world[:, 0, :3, :3], self.cam_from_world[:, 0, :3, 3]
        return (self.xyz[:, 0] - t[:, None]) @ R

    @property
    def projection(self) -> Tensor:
        """(B, V, 3, 4) px of a crop from m in the world."""
        return self.K @ self.cam_from_world[..., :3, :]

    def crops(self) -> Crops:
        """The same images one by one, (B * V)."""
        image, xy, xyz, visible, K = (tensor.flatten(0, 1) for tensor in self[:5])
        return Crops(image, xy, xyz, visible, K, torch.ones(len(image), dtype=torch.bool, device=image.device))


def normalised(image: Tensor) -> Tensor:
    """uint8 BGR (..., S, S, 3) -> float32 RGB (..., 3, S, S), less ImageNet's mean, over its standard deviation."""
    rgb = image.flip(-1).movedim(-1, -3).float() / 255
    mean, std = (torch.tensor(values, device=image.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (rgb - mean) / std


def camera_points(xy: Tensor, depth: Tensor, K: Tensor) -> Tensor:
    """(B, J, 3) m in the camera's frame, from pixels (B, J, 2), distances along the axis (B, J) m and K (B, 3, 3)."""
    focal, centre = K[:, None, (0, 1), (0, 1)], K[:, None, :2, 2]
    return torch.cat([(xy - centre) / focal * depth[..., None], depth[..., None]], dim=-1)
