"""Errors of lifted people, of root and pose, compared with an oracle and the analytic root (torch, float32).

MRPE is the mean distance of the root, MPJPE that of the other 16 joints after alignment of the roots, both as in
AbsPoseLifter (1910.12029). The root lies on the ray of its pixel: the detected one, else that of the lifted pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.evaluation.trials import HeldOut, Trial
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.networks import mehta
from pose3d_ros.networks.canonical import (
    ROOT,
    Lifted,
    back_project,
    canonical_depth,
    metric_depth,
    scaled_to_height,
    stature,
    with_root,
)
from pose3d_ros.networks.lifter import AbsPoseLifter
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training.lifting import LiftingData, joined, lifting_data, usable
from pose3d_ros.training.recipes import load_trained

OTHERS = [joint for joint in range(H36M_17.size) if joint != ROOT]
PEOPLE_FOR_HEIGHT = 64  # a subject of the training split, for the mean height of the oracle


@dataclass(frozen=True, eq=False)
class Misses:
    """Errors of N views, mm."""

    root: Tensor  # (N, 3), camera frame
    pose: Tensor  # (N, 16) after alignment of the roots
    absolute: Tensor  # (N, 17)

    @property
    def mrpe(self) -> float:
        """Mean error of the root."""
        return float(self.root.norm(dim=-1).mean())

    @property
    def mrpe_median(self) -> float:
        """Its median."""
        return float(self.root.norm(dim=-1).median())

    @property
    def mpjpe(self) -> float:
        """Mean error of the other joints, root-relative."""
        return float(self.pose.mean())

    @property
    def mpjpe_median(self) -> float:
        """Its median."""
        return float(self.pose.median())

    @property
    def mean_absolute(self) -> float:
        """Mean error of all joints where they are."""
        return float(self.absolute.mean())

    @property
    def axes(self) -> tuple[float, float, float]:
        """Mean error of the root along X, Y and Z."""
        x, y, z = self.root.abs().mean(dim=0).tolist()
        return x, y, z


def usable_views(trials: list[Trial], *, true_keypoints: bool = False) -> LiftingData:
    """The views of all cameras of the trials that a node would accept."""
    return usable(joined([lifting_data(one.views, true_keypoints=true_keypoints) for one in trials]))


def human36m(held_out: HeldOut, noise: str) -> list[Trial]:
    """People in the rigs of S9 and S11."""
    return [held_out.trial("h36m", one, noise) for one in held_out.rigs("h36m", 2)]


@dataclass(frozen=True, eq=False)
class Lifter:
    """A trained network."""

    net: nn.Module
    plain_depth: bool = False  # its output is metres, not canonical depth

    def lifted(self, data: LiftingData, *, height: bool = False) -> Lifted:
        """The network's output; height: with every person's height as input."""
        height_m = stature(data.xyz)
        takes = isinstance(self.net, AbsPoseLifter) and self.net.options.height
        with torch.inference_mode():
            found = self.net(data.xy, data.K, height=height_m) if height and takes else self.net(data.xy, data.K)
            if self.plain_depth:
                found = Lifted(canonical_depth(found.depth, data.K), found.pose)
            return scaled_to_height(found, height_m) if height and not takes else found


def read_lifter(path: Path) -> Lifter:
    """The network of a checkpoint."""
    net, recipe = load_trained(path)
    return Lifter(net, bool(recipe["plain_depth"]))


def misses(lifted: Lifted, data: LiftingData, *, depth: Tensor | None = None) -> Misses:
    """Errors of lifted people; depth (N,) m replaces the lifted root's."""
    pose = with_root(lifted.pose)
    depth = metric_depth(lifted.depth, data.K) if depth is None else depth
    return compared(pose, back_project(root_px(pose, depth, data), depth, data.K), data)


def compared(pose: Tensor, root: Tensor, data: LiftingData) -> Misses:
    """Errors of root-relative poses (N, J, 3) m with roots (N, 3) m."""
    relative = data.xyz - data.xyz[:, ROOT : ROOT + 1]
    found = 1000.0 * (pose - relative)
    gap = 1000.0 * (root - data.xyz[:, ROOT])
    return Misses(gap, found[:, OTHERS].norm(dim=-1), (found + gap[:, None]).norm(dim=-1))


def root_px(pose: Tensor, depth: Tensor, data: LiftingData) -> Tensor:
    """Where the root is seen, (N, 2) px: as detected, else the median of where the other joints put it.

    pose (N, J, 3) m root-relative, depth (N,) m of the root. A joint seen along (x, y, 1) that lies (dx, dy, dz) from
    the root says that the root is at (x (Z + dz) - dx) / Z, and likewise y.
    """
    focal, centre = data.K[:, [0, 1], [0, 1]], data.K[:, :2, 2]
    ray = (data.xy - centre[:, None]) / focal[:, None]
    root_by_joint = (ray * (depth[:, None, None] + pose[..., 2:]) - pose[..., :2]) / depth[:, None, None]
    elsewhere = root_by_joint.nanmedian(dim=1).values * focal + centre
    return torch.where(torch.isfinite(data.xy[:, ROOT]).all(dim=-1)[:, None], data.xy[:, ROOT], elsewhere)


def analytic(lifted: Lifted, data: LiftingData) -> Tensor:
    """Mehta's depth (N,) m of the root of the same pose in the same image."""
    return mehta.root_depth(with_root(lifted.pose), data.xy, data.K)


def oracle(data: LiftingData, mean_height_m: float | None) -> Misses:
    """Who knows the true pose, scaled to the mean height (None: at its true size), and finds the root by least squares.

    The root solves X + T_x = x (Z + T_z), and likewise y, over the joints that are seen: linear in T.
    """
    pose = data.xyz - data.xyz[:, ROOT : ROOT + 1]
    if mean_height_m is not None:
        pose = pose * (mean_height_m / stature(data.xyz))[:, None, None]
    focal, centre = data.K[:, None, [0, 1], [0, 1]], data.K[:, None, :2, 2]
    ray = ((data.xy - centre) / focal).double()  # (N, J, 2)
    visible = torch.isfinite(ray).all(dim=-1)[..., None]
    ray, exact = torch.where(visible, ray, 0.0), pose.double()
    # Per joint: T_x - x T_z = x Z - X.
    one, none = visible[..., 0].double(), torch.zeros_like(ray[..., 0])
    rows = torch.stack(
        (
            torch.stack((one, none, -ray[..., 0]), dim=-1),
            torch.stack((none, one, -ray[..., 1]), dim=-1),
        ),
        dim=2,
    ).flatten(1, 2)  # (N, 2 J, 3)
    right = (torch.where(visible, ray * exact[..., 2:] - exact[..., :2], 0.0)).flatten(1)
    root = torch.linalg.lstsq(rows, right[..., None]).solution[..., 0]
    return compared(pose, root.float(), data)


def mean_height(motion: Motion) -> float:
    """Mean height (m, by the bones) of the training people, every subject counting alike."""
    people = motion.split("train")
    windows = people.even(PEOPLE_FOR_HEIGHT)
    return float(np.mean(stature(torch.from_numpy(people.xyz[windows[:, 0]])).numpy()))
