"""PoseRN: predicts a detector's bias in one camera from the initial 3D pose and that camera's 2D pose (torch, float32).

Sayo, Thomas, Kawasaki, Nakashima, Ikeuchi, "PoseRN: a 2D pose refinement network for bias-free multi-view 3D human pose
estimation" (ICIP 2021).

| paper | here | |
|---|---|---|
| J2D | xy (B, J, 2) px | detected 2D pose, undistorted |
| J3D | xyz (B, J, 3) m | initial pose, by the paper's Eq. 3, here in the camera frame |
| beta | bias (B, J, 2) px | J2D - proj(J3D of the truth) |
| - | unit (B,) px | what one unit of 2D is in px |

Pass 1 triangulates J2D, the network predicts beta, pass 2 triangulates J2D - beta.

Deviations, all deliberate:
- Eq. 4 adds the prediction; with beta defined as above it must be SUBTRACTED: an oracle beta then leaves no residual.
- The unit: a third of the spine (pelvis to thorax) as it is seen in the image; min(width, height), which the paper also
  divides by, cancels against it and only bounds the unit from below, for a spine seen end-on.
- The 3D pose is in m in the axes of the camera, root at the origin: a bias depends on the direction of view.
- Width and dropout are not published: 1024 and 0.1 (0.3 is alike on validation detectors).
- It learns the bias alone, as far as a simulation knows it, with absolute errors (training/bias.py, losses.py). With
  the paper's target, which holds the noise of one detection too, it learns to smooth poses, and leaves more bias.
- A joint that was not seen enters as 0 and `seen` (J inputs) says so; its bias is 0.
- No bias in the linear layers in front of a batch norm.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from pose3d_ros.networks.canonical import ROOT
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

Points = TypeVar("Points", Tensor, Floats)

WIDTH = 1024
DROPOUT = 0.1
THORAX = H36M_17.index("Thorax")
MIN_UNIT = 0.01  # of min(width, height): 10 px in a 1000 px image, a spine of 30 px


class PoseRNInput(NamedTuple):
    """One camera's view of one person, made ready."""

    features: Tensor  # (B, 6J): 3D, 2D, seen
    unit: Tensor  # (B,) px
    seen: Tensor  # (B, J) bool


class PoseRN(nn.Module):
    """Two blocks of linear -> batch norm -> ReLU -> dropout, then linear: (B, 6J) -> bias (B, J, 2) in units."""

    def __init__(self, width: int = WIDTH, dropout: float = DROPOUT, joints: int = H36M_17.size) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(6 * joints, width, dropout), _block(width, width, dropout))
        self.out = nn.Linear(width, 2 * joints)

    def forward(self, features: Tensor) -> Tensor:
        """(B, 6J) -> (B, J, 2) in units of PoseRNInput.unit."""
        bias: Tensor = self.out(self.blocks(features))
        return bias.reshape(len(features), -1, 2)


def prepare(xyz: Tensor, xy: Tensor, size_wh: Tensor) -> PoseRNInput:
    """Both poses with the pelvis at the origin, the 2D one rescaled.

    xyz (B, J, 3) m in the camera frame, NaN where absent; xy (B, J, 2) px undistorted, NaN where not seen; size_wh
    (B, 2) px. Where the pelvis itself was not seen, the mean of the seen joints stands in for it.
    """
    seen = torch.isfinite(xy).all(dim=-1)
    solid = torch.isfinite(xyz).all(dim=-1)
    flat = torch.where(seen[..., None], xy - _origin(xy, seen), torch.zeros_like(xy))
    deep = torch.where(solid[..., None], xyz - _origin(xyz, solid), torch.zeros_like(xyz))
    spine = torch.where(seen[:, [ROOT, THORAX]].all(dim=1), (flat[:, THORAX] - flat[:, ROOT]).norm(dim=-1), 0.0)
    unit = torch.maximum(spine / 3, MIN_UNIT * size_wh.amin(dim=-1))
    features = torch.cat((deep.flatten(1), (flat / unit[:, None, None]).flatten(1), seen.to(xy.dtype)), dim=1)
    return PoseRNInput(features, unit, seen)


def bias_of(xy: Points, projected: Points) -> Points:
    """beta = J2D - proj(J3D of the truth), (B, J, 2) px: the target. Tensors or arrays."""
    return xy - projected


def refine(xy: Tensor, bias: Tensor, unit: Tensor, seen: Tensor) -> Tensor:
    """J2D - beta, px; bias (B, J, 2) in units. NaN stays NaN."""
    shift = torch.where(seen[..., None], bias * unit[:, None, None], torch.zeros_like(bias))
    return xy - shift


def _origin(points: Tensor, present: Tensor) -> Tensor:
    """The pelvis, or the mean of what is present: (B, 1, C)."""
    weight = present.to(points.dtype)[..., None]
    mean = torch.nan_to_num(points * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
    return torch.where(present[:, [ROOT]], points[:, ROOT], mean)[:, None]


def _block(inputs: int, outputs: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)
    )
