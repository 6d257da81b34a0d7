"""Lifting by the nearest of many poses (torch, float32): no network, nothing is trained.

Chen and Ramanan, "3D human pose estimation = 2D pose estimation + matching" (CVPR 2017).

| paper, Sec. 3 | here |
|---|---|
| library of 3D poses and virtual cameras, {X_i, M_i} | Exemplars.of, with `turns` cameras round each pose |
| argmin_i of \\|M_i(X_i) - x\\|^2 | Exemplars.nearest |
| the warped exemplar: x and y from the image, depths from X_i | Exemplars.lift |

Deviations: both sides of the comparison are rays without their mean and divided by their spread, for neither the
library's nor the person's place is known; a library's poses are all seen from DISTANCE_M.
"""

from __future__ import annotations

from math import cos, sin, tau
from typing import NamedTuple

import torch
from torch import Tensor

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.lifting import with_depths_of
from pose3d_ros.research.networks.simple_baseline import rays
from pose3d_ros.research.samples import ROOT

DISTANCE_M = 5.0  # the pelvis before Human3.6M's cameras is 3 to 7 m away
CHUNK = 256  # queries at a time: 256 x 100 000 distances are 0.1 GB


class Exemplars(NamedTuple):
    """N poses before their cameras."""

    poses: Tensor  # (N, J, 3) m from the pelvis, in the camera's axes
    shapes: Tensor  # (N, 2 J) their normalised projections

    @classmethod
    def of(cls, poses: Tensor, turns: int = 1) -> Exemplars:
        """From poses (N, J, 3) m in the axes of cameras, each turned `turns` times about y, the camera's vertical.

        Raises InputError for another shape, no pose or a number that is not finite.
        """
        if poses.ndim != 3 or poses.shape[-1] != 3 or len(poses) == 0 or not poses.isfinite().all():
            raise InputError(f"poses {tuple(poses.shape)} must be finite (N, J, 3) m, with N > 0: leave others out")
        angles = [tau * number / turns for number in range(turns)]
        turned = torch.cat([poses @ poses.new_tensor(_about_y(angle)).T for angle in angles])
        turned = turned - turned[:, ROOT : ROOT + 1]
        depth = turned[..., 2:] + DISTANCE_M
        return cls(turned, normalised(turned[..., :2] / depth))

    def nearest(self, xy_px: Tensor, K: Tensor) -> Tensor:
        """The number (B,) of the exemplar whose projection is nearest to joints (B, J, 2) px of cameras K (B, 3, 3).

        Raises InputError for another number of joints, or a joint that is not finite.
        """
        if xy_px.shape[1:] != (self.poses.shape[1], 2) or not xy_px.isfinite().all():
            raise InputError(
                f"xy_px {tuple(xy_px.shape)} must be finite (B, {self.poses.shape[1]}, 2) px: leave out people of whom "
                "a joint is missing"
            )
        chunks = torch.split(normalised(rays(xy_px, K)), CHUNK)
        return torch.cat([torch.cdist(chunk, self.shapes).argmin(dim=1) for chunk in chunks])

    def lift(self, xy_px: Tensor, K: Tensor, root_z: Tensor) -> Tensor:
        """The warped exemplar (B, J, 3) m from the pelvis; root_z (B,) m is the pelvis's distance along the axis."""
        return with_depths_of(xy_px, self.poses[self.nearest(xy_px, K)], root_z, K)


def normalised(xy: Tensor) -> Tensor:
    """(B, 2 J): joints (B, J, 2) without their mean, at a root mean square distance of 1 from it."""
    centred = xy - xy.mean(dim=1, keepdim=True)
    spread = centred.square().sum(dim=-1, keepdim=True).mean(dim=1, keepdim=True).sqrt()
    return (centred / spread.clamp(min=1e-9)).flatten(1)


def _about_y(angle: float) -> list[list[float]]:
    return [[cos(angle), 0.0, sin(angle)], [0.0, 1.0, 0.0], [-sin(angle), 0.0, cos(angle)]]
