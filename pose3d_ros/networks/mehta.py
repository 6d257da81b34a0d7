"""The analytic root of a root-relative pose: no network, a formula to compare with AbsPoseLifter (torch).

Mehta et al., "Monocular 3D human pose estimation in the wild using improved CNN supervision" (3DV 2017), supplement;
used by AbsPoseLifter (1910.12029), Sec. 5.4, for Z only, with X and Y by back-projection.

| paper | here | |
|---|---|---|
| P | pose (B, J, 3) m | root-relative, axes of the camera, root included |
| K | offset (B, J, 2) px | 2D pose minus the principal point (the paper's K is no camera matrix) |
| f | alpha px | sqrt(fx fy), with pixels squared to it |
| T | root (B, 3) m | s (mean K_x, mean K_y, f) - mean P with s = sqrt(sum |P_xy - mean|^2 / sum |K - mean|^2) |

Exact for a scaled-orthographic person (all joints projected at one depth); a real one is seen too large where near.
Deviation: joints that were not seen are left out of every sum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pose3d_ros.networks.canonical import ROOT, back_project, focal, offsets


def root_depth(pose: Tensor, xy: Tensor, K: Tensor, seen: Tensor | None = None) -> Tensor:
    """Z of the root, (B,) m.

    pose (B, J, 3) m root-relative, axes of the camera; xy (B, J, 2) px undistorted, NaN where not seen; K (B, 3, 3).
    """
    seen = torch.isfinite(xy).all(dim=-1) if seen is None else seen
    weight = (seen & torch.isfinite(pose).all(dim=-1)).to(pose.dtype)[..., None]
    mean_depth = _mean(pose, weight)[:, 2]
    return focal(K) * _spread(pose[..., :2], weight) / _spread(offsets(xy, K), weight) - mean_depth


def root(pose: Tensor, xy: Tensor, K: Tensor, seen: Tensor | None = None) -> Tensor:
    """The root (B, 3) m in the camera frame: analytic Z, back-projected X and Y."""
    return back_project(xy[:, ROOT], root_depth(pose, xy, K, seen), K)


def _mean(points: Tensor, weight: Tensor) -> Tensor:
    filled = torch.where(weight > 0, points, torch.zeros_like(points))
    return filled.sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


def _spread(points: Tensor, weight: Tensor) -> Tensor:
    """Root of the summed squared distances from the mean, (B,)."""
    filled = torch.where(weight > 0, points, torch.zeros_like(points))
    centred = (filled - _mean(points, weight)[:, None]) * weight
    return centred.square().sum(dim=(1, 2)).sqrt().clamp(min=1e-9)
