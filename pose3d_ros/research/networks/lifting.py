"""What the networks that find root-relative poses share (torch, float32).

Poses (B, J, 3) m are relative to the pelvis, in the camera's frame. The distance of the pelvis along the camera's axis,
which a root-relative pose does not hold, is the true one or mehta.root_depth's estimate: the caller says which.
"""

from __future__ import annotations

from torch import Tensor

from pose3d_ros.research.samples import ROOT, Crops, camera_points


def from_depths(xy_px: Tensor, depth: Tensor, root_z_m: Tensor, K: Tensor) -> Tensor:
    """(B, J, 3) m: pixels (B, J, 2) back-projected at root_z_m (B,) m plus depths (B, J) m from the pelvis."""
    points = camera_points(xy_px, depth + root_z_m[:, None], K)
    return points - points[:, ROOT : ROOT + 1]


def with_depths_of(xy_px: Tensor, relative: Tensor, root_z_m: Tensor, K: Tensor) -> Tensor:
    """(B, J, 3) m: of a pose only the depths, x and y from the pixels that were detected; K (B, 3, 3) px."""
    return from_depths(xy_px, relative[..., 2], root_z_m, K)


def pose_loss(found: Tensor, true: Crops, squared: bool = False) -> Tensor:
    """Mean absolute (or squared) difference of found (B, J, 3) m over the coordinates of images that have depth."""
    difference = (found - true.relative)[true.has_depth]
    return mean_or_zero(difference.square() if squared else difference.abs())


def mean_or_zero(values: Tensor) -> Tensor:
    """The mean, 0 of nothing, which has gradients too."""
    return values.sum() / max(values.numel(), 1)
