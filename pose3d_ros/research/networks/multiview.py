"""Between points of the world and the maps of several views: what the multi-view networks share (torch).

Projections (B, V, 3, 4) are Views.projection: px of a crop of `side` px from m in the world. A map of any size covers
its whole crop, so heatmaps and features need no projections of their own.

Hartley and Zisserman, "Multiple view geometry in computer vision" (2nd ed., 2004), Sec. 12.2: triangulate.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks import heads

NEAR_M = 0.01  # points closer than this are on no map


def project(projection: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Points (B, N, 3) m of the world -> px (B, V, N, 2) of the crops, and depths (B, V, N) m."""
    image = points[:, None] @ projection[..., :3].mT + projection[..., None, :, 3]
    depth = image[..., 2]
    return image[..., :2] / depth.clamp(min=NEAR_M)[..., None], depth


def sample(maps: Tensor, projection: Tensor, points: Tensor, side: int) -> Tensor:
    """Values (B, V, C, N) of maps (B, V, C, H, W) at the projections of points (B, N, 3) m, bilinear.

    Outside of its crop and behind its camera a map is 0.
    """
    px, depth = project(projection, points)
    # grid_sample counts from -1 to 1 between the outer edges of the first and last bins; 2 is certainly outside.
    place = torch.where((depth > NEAR_M)[..., None], (px + 0.5) * (2 / side) - 1, 2.0).clamp(-2.0, 2.0)
    values: Tensor = grid_sample(maps.flatten(0, 1), place.flatten(0, 1)[:, :, None], align_corners=False)
    return values.reshape(*maps.shape[:3], -1)


def triangulate(projection: Tensor, xy_px: Tensor, weight: Tensor) -> Tensor:
    """World points (B, J, 3) m from px (B, V, J, 2): weighted linear triangulation (DLT), differentiable.

    weight (B, V, J) >= 0 multiplies both equations of a view. Raises InputError for fewer than two views.
    """
    if projection.shape[1] < 2:
        raise InputError(f"triangulation takes two views or more, not {projection.shape[1]}")
    rows, xy = projection.double(), xy_px.double()  # as all geometry of this package
    equations = xy[..., None] * rows[:, :, None, 2:] - rows[:, :, None, :2]  # (B, V, J, 2, 4)
    equations = (equations * weight.double()[..., None, None]).transpose(1, 2).flatten(2, 3)
    homogeneous: Tensor = torch.linalg.svd(equations, full_matrices=False).Vh[..., -1, :]
    return (homogeneous[..., :3] / homogeneous[..., 3:]).to(xy_px.dtype)


def triangulate_peaks(heatmaps: Tensor, projection: Tensor, side: int) -> Tensor:
    """World points (B, J, 3) m from the highest bins of heatmaps (B, V, J, H, W), weighted by their heights."""
    bins, height = heads.argmax(heatmaps.flatten(0, 1))
    xy_px = heads.to_pixels(bins, heatmaps.shape[-1], side).reshape(*heatmaps.shape[:3], 2)
    # A joint that is on no heatmap still gets a place: the caller's metrics are to see it.
    return triangulate(projection, xy_px, height.reshape(heatmaps.shape[:3]).clamp(min=1e-5))
