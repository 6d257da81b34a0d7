"""The papers' losses, with units fixed (torch). Every one takes masks, because detectors miss joints.

CV-UGCN (Hua et al., 2105.10882): L = L_r + L_s + L_t + 0.1 L_b, and no 3D ground truth in any of them. The paper adds
px to lengths; here all three are in m^2, or m as the paper's plain norms (LossWeights.plain). L_r's image error is in
normalised coordinates (px / focal length) times REFERENCE_DEPTH_M: what it is on a person that far away. L_t counts
each pair of views once (the paper's double sum counts it twice). The paper's weights belong to units that it does not
name; ours are in LossWeights.

PoseRN (Sayo et al., ICIP 2021): mean squared error; ours is the mean error.
AbsPoseLifter (Chang et al., 1910.12029): see canonical_loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pose3d_ros.skeletons import H36M_17

REFERENCE_DEPTH_M = 5.0  # Human3.6M's people are 4-6 m from its cameras
MIN_DEPTH_M = 0.1  # a joint pushed behind a camera is projected as if it were this far: finite, and a large loss
# From here on L_r grows in proportion to the error, no longer squared: 11 px on Human3.6M, whose keypoints are off by
# 4. In the detector's noise 1 % of the joints has 58 % of the squared error; the others are what training is for.
OUTLIER_M = 0.05
# A bone shorter than this has no direction to speak of: joints that were not triangulated enter at one and the same
# point. Without a limit the direction's gradient there is endless, and one such bone in a batch ends the learning.
SHORTEST_BONE_M = 0.05
EPSILON = 1e-12  # keeps the gradient of a root of zero finite

# (left bone, right bone) of h36m_17, each (parent, child).
_MIRROR = {one: other for pair in H36M_17.left_right for one, other in (pair, pair[::-1])}
MIRRORED_BONES = tuple(
    ((parent, child), (_MIRROR.get(parent, parent), _MIRROR[child]))
    for parent, child in H36M_17.bones
    if child in {left for left, _ in H36M_17.left_right}
)


@dataclass(frozen=True)
class LossWeights:
    """Weights of CV-UGCN's losses; 0 leaves one out (Table IV), bone is lambda_b (Fig. 6 b).

    Measured on Human3.6M's pair P1, whose coarse poses have L_r = 6e-4 and L_s = 12e-4: with the paper's weights L_s
    falls and L_r does not (error -5 % after 600 steps); with these both fall (-9 % after 760).
    """

    reprojection: float = 1.0
    symmetry: float = 0.05
    transformation: float = 0.2
    bone: float = 0.002
    plain: bool = False  # norms as published, not squared

    @staticmethod
    def published() -> LossWeights:
        """The paper's: 1, 1, 1 and 0.1 of plain norms."""
        return LossWeights(1.0, 1.0, 1.0, 0.1, plain=True)


def reprojection_loss(xyz: Tensor, labels: Tensor, weight: Tensor, *, plain: bool = False) -> Tensor:
    """L_r: mean squared error of a pose in the image, m^2 at REFERENCE_DEPTH_M; beyond OUTLIER_M pseudo-Huber's.

    plain: the mean error, m there.
    xyz (..., J, 3) m in the camera that the labels belong to; labels (..., J, 2) undistorted and normalised (x / z,
    y / z); weight (..., J), 0 where there is no label (its coordinates may be NaN).
    """
    seen = weight > 0
    projected = xyz[..., :2] / xyz[..., 2:].clamp(min=MIN_DEPTH_M)
    error = torch.where(seen[..., None], projected - torch.nan_to_num(labels), torch.zeros_like(projected))
    squared = (REFERENCE_DEPTH_M * error).square().sum(dim=-1)
    robust = 2.0 * OUTLIER_M**2 * ((1.0 + squared / OUTLIER_M**2).sqrt() - 1.0)
    cost = (squared + EPSILON).sqrt() if plain else robust
    return (weight * cost).sum() / weight.sum().clamp(min=EPSILON)


def symmetry_loss(xyz: Tensor, *, plain: bool = False) -> Tensor:
    """L_s: mean squared difference of a left bone's length from the right one's, m^2; plain: m. xyz (..., 17, 3) m."""
    left = _lengths(xyz, [pair[0] for pair in MIRRORED_BONES])
    right = _lengths(xyz, [pair[1] for pair in MIRRORED_BONES])
    return (left - right).abs().mean() if plain else (left - right).square().mean()


def transformation_loss(world: Tensor, *, plain: bool = False) -> Tensor:
    """L_t: mean squared distance of the poses refined in two views, m^2, each pair once; plain: the distance, m.

    world (B, V, J, 3) m: every view's pose taken to one frame. A rigid transform keeps distances, so this is the
    paper's |X_i - T_ij X_j|^2. Zero for a single view.
    """
    one, other = _pairs(world)
    if not one.numel():
        return world.sum() * 0.0
    squared = (one - other).square().sum(dim=-1)
    return (squared + EPSILON).sqrt().mean() if plain else squared.mean()


def bone_direction_loss(world: Tensor) -> Tensor:
    """L_b: mean cosine distance (1 - cos) of a bone in one view from the same bone in another, each pair once.

    world (B, V, 17, 3) m in one frame. Bone direction consistency across views is how we read the paper. Bones shorter
    than SHORTEST_BONE_M count less.
    """
    parents, children = zip(*H36M_17.bones, strict=True)
    bones = world[..., list(children), :] - world[..., list(parents), :]
    one, other = _pairs(torch.nn.functional.normalize(bones, dim=-1, eps=SHORTEST_BONE_M))
    # Half the squared distance of unit vectors is 1 - cos, and 0 for equal bones of any length.
    return 0.5 * (one - other).square().sum(dim=-1).mean() if one.numel() else world.sum() * 0.0


def posern_loss(predicted: Tensor, bias: Tensor, seen: Tensor) -> Tensor:
    """Mean squared error over the coordinates of the visible joints: predicted, bias (B, J, 2); seen (B, J)."""
    error = torch.where(seen[..., None], predicted - torch.nan_to_num(bias), torch.zeros_like(predicted))
    return error.square().sum() / (2.0 * seen.sum()).clamp(min=1.0)


def posern_absolute_loss(predicted: Tensor, bias: Tensor, seen: Tensor) -> Tensor:
    """Mean length of the error over the visible joints; shapes as in posern_loss.

    Keypoints have gross errors, in the input and in the paper's target; squared they drown the bias. Left in a frame of
    a learnable bias of 19.4 mm, on validation detectors after six epochs: with the paper's target 17.8 mm squared and
    9.9 mm so; with the bias alone as target 4.8 and 4.4 mm.
    """
    error = torch.where(seen[..., None], predicted - torch.nan_to_num(bias), torch.zeros_like(predicted))
    return ((error.square().sum(dim=-1) + EPSILON).sqrt() * seen).sum() / seen.sum().clamp(min=1.0)


def canonical_loss(
    depth: Tensor, pose: Tensor, true_depth: Tensor, true_pose: Tensor, depth_weight: float = 1.0
) -> Tensor:
    """AbsPoseLifter's Eq. 7: L1 of the root-relative pose (summed over joints) plus L1 of the canonical root depth, m.

    depth, true_depth (B,): canonical depth x 1000 px, that is m at a focal length of 1000 px; pose, true_pose
    (B, J - 1, 3) m, a joint whose truth is NaN left out. Eq. 7's factor 1e3 lies in these units: the authors' code
    weighs a pose in mm and |1000 Rz / f - prediction| with Rz in mm alike, and so does this.
    """
    error = torch.where(torch.isfinite(true_pose), pose - torch.nan_to_num(true_pose), torch.zeros_like(pose))
    return error.abs().sum(dim=(-1, -2)).mean() + depth_weight * (depth - true_depth).abs().mean()


def _lengths(xyz: Tensor, bones: list[tuple[int, int]]) -> Tensor:
    parents, children = [bone[0] for bone in bones], [bone[1] for bone in bones]
    return ((xyz[..., children, :] - xyz[..., parents, :]).square().sum(dim=-1) + EPSILON).sqrt()


def _pairs(world: Tensor) -> tuple[Tensor, Tensor]:
    """Both sides of every unordered pair of views: (B, V (V - 1) / 2, J, 3)."""
    one, other = torch.triu_indices(world.shape[1], world.shape[1], offset=1)
    return world[:, one], world[:, other]
