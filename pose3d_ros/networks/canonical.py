"""From a canonical root depth to metres and back: what surrounds AbsPoseLifter's network (torch, float32).

Chang, Moon, Lee, "Absolute 3D human pose lifting network from a single noisy 2D human pose" (1910.12029), Eqs. 1, 5, 6.
Images are undistorted; after rectification K is P's left part. K (B, 3, 3) px belongs to the image at hand: cropping
shifts its c, resizing by s scales its f and c, and so the canonical depth by 1 / s.
fx and fy may differ: alpha = sqrt(fx fy) is for Z, while X and Y of the root use fx and fy themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pose3d_ros.skeletons import H36M_17

REFERENCE_FOCAL_PX = 1000.0
ROOT = H36M_17.index("Pelvis")
# Height of the ankle joint over the sole: 0.039 of stature (Winter, Biomechanics and Motor Control of Human Movement).
SOLE_M = 0.07

MIRROR = list(range(H36M_17.size))
for _left, _right in H36M_17.left_right:
    MIRROR[_left], MIRROR[_right] = _right, _left


class Lifted(NamedTuple):
    """The output of the network; absolute() converts it to metres."""

    depth: Tensor  # (B,) canonical root depth x 1000 px: m at a focal length of 1000 px
    pose: Tensor  # (B, J - 1, 3) m, root-relative, without the root


def focal(K: Tensor) -> Tensor:
    """alpha = sqrt(fx fy), px, of K (..., 3, 3)."""
    return (K[..., 0, 0] * K[..., 1, 1]).sqrt()


def offsets(xy: Tensor, K: Tensor) -> Tensor:
    """Eq. 1: (B, J, 2) px from the principal point, squared to alpha in both axes.

    xy (B, J, 2) px of the undistorted image that K (B, 3, 3) belongs to (after rectification: P's left part).
    """
    centred = xy - K[:, None, :2, 2]
    return centred * (focal(K)[:, None] / torch.stack((K[:, 0, 0], K[:, 1, 1]), dim=-1))[:, None]


def canonical_depth(depth: Tensor, K: Tensor) -> Tensor:
    """Root depth (B,) m -> canonical depth x 1000 px, (B,): what the same image would mean at 1000 px."""
    return depth * REFERENCE_FOCAL_PX / focal(K)


def metric_depth(canonical: Tensor, K: Tensor) -> Tensor:
    """The inverse of canonical_depth: m."""
    return canonical * focal(K) / REFERENCE_FOCAL_PX


def back_project(xy: Tensor, depth: Tensor, K: Tensor) -> Tensor:
    """Eqs. 5-6 with fx != fy: a pixel (B, 2) of the undistorted image at depth (B,) m -> (B, 3) m, camera frame."""
    x = (xy[:, 0] - K[:, 0, 2]) * depth / K[:, 0, 0]
    y = (xy[:, 1] - K[:, 1, 2]) * depth / K[:, 1, 1]
    return torch.stack((x, y, depth), dim=-1)


def with_root(pose: Tensor) -> Tensor:
    """Root-relative pose with the root put back as zeros: (B, J - 1, 3) -> (B, J, 3)."""
    return torch.cat((pose[:, :ROOT], torch.zeros_like(pose[:, :1]), pose[:, ROOT:]), dim=1)


def absolute(lifted: Lifted, root_xy: Tensor, K: Tensor) -> Tensor:
    """The pose in the camera frame, (B, J, 3) m; root_xy (B, 2) px is the pelvis in the undistorted image."""
    root = back_project(root_xy, metric_depth(lifted.depth, K), K)
    return root[:, None] + with_root(lifted.pose)


def targets(xyz: Tensor, K: Tensor) -> Lifted:
    """The target of the network for a pose xyz (B, J, 3) m in the camera frame."""
    relative = xyz - xyz[:, ROOT : ROOT + 1]
    pose = torch.cat((relative[:, :ROOT], relative[:, ROOT + 1 :]), dim=1)
    return Lifted(canonical_depth(xyz[:, ROOT, 2], K), pose)


def flip(xy: Tensor, xyz: Tensor, K: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mirrored person in the mirrored image: u -> W - 1 - u, cx -> W - 1 - cx, X -> -X, left <-> right.

    xy (B, J, 2) px, xyz (B, J, 3) m in the camera frame, K (B, 3, 3), width (B,) px.
    """
    xy, xyz, K = xy[:, MIRROR].clone(), xyz[:, MIRROR].clone(), K.clone()
    xy[..., 0] = width[:, None] - 1 - xy[..., 0]
    K[:, 0, 2] = width - 1 - K[:, 0, 2]
    K[:, 0, 1] = -K[:, 0, 1]
    xyz[..., 0] = -xyz[..., 0]
    return xy, xyz, K


def stature(xyz: Tensor) -> Tensor:
    """Height of a body by its bones, whatever its posture: (..., 17, 3) m -> (...,) m."""
    bones = H36M_17.index
    chain = [("Pelvis", "Spine"), ("Spine", "Thorax"), ("Thorax", "Nose"), ("Nose", "HeadTop")]
    limbs = [(f"{side}{a}", f"{side}{b}") for side in "LR" for a, b in (("Hip", "Knee"), ("Knee", "Ankle"))]
    length = torch.zeros_like(xyz[..., 0, 0])
    for weight, pairs in ((1.0, chain), (0.5, limbs)):
        for a, b in pairs:
            length = length + weight * (xyz[..., bones(a), :] - xyz[..., bones(b), :]).norm(dim=-1)
    return length + SOLE_M


def scaled_to_height(lifted: Lifted, body_height_m: Tensor) -> Lifted:
    """The same picture of a person of known height: pose and depth scaled alike, so the 2D pose stays.

    body_height_m (B,), NaN where unknown. Height is compared with stature(), which runs along the bones.
    """
    ratio = body_height_m / stature(with_root(lifted.pose))
    ratio = torch.where(torch.isfinite(ratio), ratio, torch.ones_like(ratio))
    return Lifted(lifted.depth * ratio, lifted.pose * ratio[:, None, None])
