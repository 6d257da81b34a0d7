"""The networks for several views, as `pose3d compare` builds, trains and reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.geometry.triangulation import triangulate as robust
from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.comparison import Comparison
from pose3d_ros.research.image_training import PLACED, ImageSystem, decoded
from pose3d_ros.research.lift_training import people_of
from pose3d_ros.research.networks import multiview
from pose3d_ros.research.networks.cross_view_fusion import FusedPose, fusion_loss
from pose3d_ros.research.networks.integral import IntegralPose, heatmaps_of
from pose3d_ros.research.networks.learnable_triangulation import (
    AlgebraicTriangulation,
    Volume,
    VolumetricTriangulation,
    algebraic_loss,
    volumetric_loss,
)
from pose3d_ros.research.networks.pictorial import (
    PictorialOptions,
    limb_lengths,
    pictorial_structure,
    recursive_pictorial_structure,
)
from pose3d_ros.research.samples import ROOT, Views
from pose3d_ros.research.single_view_systems import INTEGRAL
from pose3d_ros.structures import Camera

# The networks for several views begin with a 2D network, as published; together they take as many images as the others.
HALF = replace(INTEGRAL, name="integral-half", share=0.5)


def _pose(budget: Budget) -> IntegralPose:
    return IntegralPose(budget.layers, 0, budget.width, budget.deconvolution)


def _fused_peaks(net: nn.Module, views: Views) -> Tensor:
    """(B, J, 3) m, world: triangulated from the highest bins."""
    return multiview.triangulate_peaks(net(views.image).after, views.projection, views.image.shape[-1])


FUSION = ImageSystem(
    "fusion",
    lambda budget, views: FusedPose(_pose(budget), views, budget.side // 4),
    lambda net, views: fusion_loss(net(views.image), views),
    _fused_peaks,
    all_views=True,
    augmentation=PLACED,
    start=HALF,
    share=0.5,
)


ALGEBRAIC = ImageSystem(
    "algebraic",
    lambda budget, views: AlgebraicTriangulation(_pose(budget)),
    lambda net, views: algebraic_loss(net(views.image, views.projection).xyz, views.world),
    lambda net, views: net(views.image, views.projection).xyz,
    all_views=True,
    start=HALF,
    share=0.5,
)


class InVolume(nn.Module):
    """Volumetric triangulation round the pelvis that the 2D network, as it was at the beginning, triangulates."""

    def __init__(self, pose: IntegralPose, volumetric: VolumetricTriangulation) -> None:
        super().__init__()
        self.pose = pose.requires_grad_(False)
        self.volumetric = volumetric

    def forward(self, views: Views) -> Volume:
        """As VolumetricTriangulation."""
        self.pose.eval()
        with torch.no_grad():
            xy = self.pose(views.image.flatten(0, 1)).xy_px[:, ROOT].reshape(*views.image.shape[:2], 1, 2)
            root = multiview.triangulate(views.projection, xy, torch.ones_like(xy[..., 0]))[:, 0]
        volume: Volume = self.volumetric(views.image, views.projection, root)
        return volume


def _in_volume(budget: Budget, views: int) -> InVolume:
    width = budget.volume_width
    return InVolume(_pose(budget), VolumetricTriangulation(_pose(budget), budget.voxels, channels=width, width=width))


VOLUMETRIC = ImageSystem(
    "volumetric",
    _in_volume,
    lambda net, views: volumetric_loss(net(views), views.world),
    lambda net, views: net(views).xyz,
    all_views=True,
    start=HALF,
    share=0.5,
)


def fused_heatmaps(net: nn.Module, views: Views) -> Tensor:
    """(B, V, J, H, W) of height 1."""
    heatmaps: Tensor = net(views.image).after
    return heatmaps


def own_heatmaps(net: nn.Module, views: Views) -> Tensor:
    """The same of a 2D network, view by view."""
    heatmaps: Tensor = heatmaps_of(net(views.image.flatten(0, 1)).logits)
    return heatmaps.reshape(*views.image.shape[:2], *heatmaps.shape[1:])


def pictorial(run: Comparison, system: ImageSystem, *, recursive: bool = True, true: bool = False) -> Tensor:
    """Poses (N, J, 3) m of the world by pictorial structures on a system's heatmaps, for all test people.

    Root and lengths of limbs are estimated: triangulated, and the training people's medians; true: the person's own.
    """
    read = replace(system, decode=fused_heatmaps if system.all_views else own_heatmaps)
    solve = recursive_pictorial_structure if recursive else pictorial_structure
    limb_m = limb_lengths(people_of(run.crops["train"]).world)
    found = []
    for heatmaps, views in decoded(read, run.net(system), run.crops["test"], run.budget):
        heatmaps, projection = heatmaps.clone(), views.projection
        root = multiview.triangulate_peaks(heatmaps, projection, run.budget.side)[:, 0]
        limbs = limb_m
        if true:
            root = views.world[:, 0]
            limbs = torch.stack([limb_lengths(pose[None]) for pose in views.world])
        found.append(solve(heatmaps, projection, run.budget.side, root, limbs, PictorialOptions()))
    return torch.cat(found)


def triangulated(run: Comparison, system: ImageSystem, *, huber: bool = False) -> Tensor:
    """Poses (N, J, 3) m of the world from a 2D network's joints: linear, or as this package triangulates."""
    people, truth = people_of(run.crops["test"]), run.truth()
    count, views = people.K.shape[:2]
    xy = run.decoded(system).reshape(count, views, -1, 2)
    K = truth.K.reshape(count, views, 3, 3)
    if not huber:
        return multiview.triangulate(K @ people.cam_from_world[..., :3, :], xy, torch.ones_like(xy[..., 0]))
    poses = []
    for moment in range(count):
        cameras = [
            Camera(f"c{view}", (run.budget.side,) * 2, K[moment, view].double().numpy(),
                   cam_from_world=run.crops["test"].moments[moment].cameras[view].cam_from_world)
            for view in range(views)
        ]  # fmt: skip
        poses.append(robust(cameras, xy[moment].double().numpy(), max_std_m=np.inf).xyz)
    return torch.from_numpy(np.stack(poses)).float()
