"""Stacked hourglasses and the depths of their joints, from images with 3D or with 2D labels only (torch, float32).

Zhou, Huang, Sun, Xue and Wei, "Towards 3D human pose estimation in the wild: a weakly-supervised approach" (ICCV 2017).

| symbol | name |
|---|---|
| Y_2D, Y_dep | Joints25D.xy_px, Joints25D.depth |
| L_2D, lambda_reg, lambda_geo | hourglass_loss, DEPTH_WEIGHT, GEOMETRY_WEIGHT |
| R_arm, R_leg, R_shoulder, R_hip; l_e / l-bar_e | GROUPS: bones, and the factors of their lengths |
| L_geo = sum over groups of the variance of l_e / l-bar_e | bone_ratio_loss |

Depths are in half crops from the pelvis, as x and y of the loss, at the scale of the pelvis: metres take the pelvis's
distance (true or estimated). The paper takes the sum of the bones' lengths instead. The parameters at 256 px and for 16
joints are those of the authors' PyTorch network, 14.43 M, but for the stem, where hourglass.py's residual modules have
128 -> 256 and 256 -> 256 channels and theirs 128 -> 128 and 128 -> 256 (0.16 M).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from pose3d_ros.errors import InputError
from pose3d_ros.networks.canonical import focal
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.hourglass import WIDTH, StackedHourglass, hourglass_loss, residuals
from pose3d_ros.research.networks.lifting import from_depths
from pose3d_ros.research.samples import Crops
from pose3d_ros.skeletons import H36M_17

MODULES = 2  # residual modules at every place of the hourglasses and of the depth module
POOLS = 4
SIDE_PX = 256
DEPTH_WEIGHT = 0.1
GEOMETRY_WEIGHT = 0.01
# Mean thigh over mean shin, mean upper arm over mean forearm, of Human3.6M's subjects (the authors' code).
SHIN, FOREARM = 1.0085885, 1.1375361

# Bones of one length, but for their factors, each named by its joint that is farther from the pelvis.
GROUPS: tuple[dict[str, float], ...] = (
    {"LElbow": 1.0, "RElbow": 1.0, "LWrist": FOREARM, "RWrist": FOREARM},
    {"LKnee": 1.0, "RKnee": 1.0, "LAnkle": SHIN, "RAnkle": SHIN},
    {"LShoulder": 1.0, "RShoulder": 1.0},
    {"LHip": 1.0, "RHip": 1.0},
)


class Joints25D(NamedTuple):
    """B people in their crops."""

    heatmaps: Tensor  # (B, N, J, S / 4, S / 4)
    xy_px: Tensor  # (B, J, 2) of the crop, the last hourglass's highest bins
    depth: Tensor  # (B, J) half crops from the pelvis
    side: int  # S, px

    def relative(self, root_m: Tensor, K: Tensor) -> Tensor:
        """(B, J, 3) m from the pelvis, in the camera's frame, for pelvises root_m (B,) m before cameras K (B, 3, 3)."""
        metres = self.depth / _half_crops_per_m(root_m, K, self.side)[:, None]
        return from_depths(self.xy_px, metres - metres[:, :1], root_m, K)


class ZhouNet(nn.Module):
    """(B, 3, S, S) as in Crops, for crops of `side` px; heatmaps have a quarter of it."""

    def __init__(
        self, side: int = SIDE_PX, stacks: int = 2, width: int = WIDTH, modules: int = MODULES,
        joints: int = H36M_17.size,
    ) -> None:  # fmt: skip
        super().__init__()
        bins = side // 4 >> POOLS
        if bins == 0:
            raise InputError(f"crops of {side} px are too small for this network: use {4 << POOLS} px or more")
        self.hourglass = StackedHourglass(stacks, width, joints, modules, feed_last=True)
        self.depth = nn.ModuleList(residuals(width, modules) for _ in range(POOLS))
        self.linear = nn.Linear(bins * bins * width, joints)

    def forward(self, image: Tensor) -> Joints25D:
        """As the class says."""
        side = image.shape[-1]
        heatmaps, x = self.hourglass.maps(image)
        for module in self.depth:
            x = max_pool2d(module(x), 2)
        xy_px = heads.to_pixels(heads.argmax(heatmaps[:, -1])[0], heatmaps.shape[-1], side)
        return Joints25D(heatmaps, xy_px, self.linear(x.flatten(1)), side)


def zhou_loss(found: Joints25D, true: Crops, geometry: float = GEOMETRY_WEIGHT) -> Tensor:
    """Heatmaps, depths of images that have them, ratios of bones in the others; the paper begins with geometry=0."""
    loss = hourglass_loss(found.heatmaps, true) + DEPTH_WEIGHT * depth_loss(found.depth, true)
    return loss + geometry * bone_ratio_loss(found.depth, true) if geometry else loss


def depth_loss(depth: Tensor, true: Crops) -> Tensor:
    """Mean squared difference of depths (B, J), in half crops; an image without depth adds 0 to the mean."""
    has = true.has_depth
    scale = _half_crops_per_m(true.xyz[has, 0, 2], true.K[has], true.image.shape[-1])
    return (depth[has] - true.relative[has][..., 2] * scale[:, None]).square().sum() / depth.numel()


def bone_ratio_loss(depth: Tensor, true: Crops) -> Tensor:
    """The variances of bones' lengths within GROUPS, summed, of x and y as labelled and depths (B, J) as found.

    The mean over images; one with depth adds 0, as does a bone of which a joint is outside of the crop.
    """
    points = torch.cat([true.xy * (2 / true.image.shape[-1]), depth[..., None]], dim=-1)
    total = depth.new_zeros(len(depth))
    for group in GROUPS:
        children = [H36M_17.index(name) for name in group]
        parents = [H36M_17.parents[child] for child in children]
        counts = (true.visible[:, children] & true.visible[:, parents]).to(depth.dtype)
        square = (points[:, children] - points[:, parents]).square().sum(dim=-1)
        length = square.clamp(min=1e-12).sqrt() * depth.new_tensor(list(group.values()))
        number = counts.sum(dim=1).clamp(min=1.0)
        mean = (length * counts).sum(dim=1) / number
        total = total + ((length - mean[:, None]).square() * counts).sum(dim=1) / number
    return (total * ~true.has_depth).mean()


def _half_crops_per_m(root_m: Tensor, K: Tensor, side: int) -> Tensor:
    """(B,): how many half crops of `side` px a metre is at the pelvis's distance (B,) m."""
    return focal(K) / root_m * (2 / side)
