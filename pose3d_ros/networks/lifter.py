"""AbsPoseLifter: the absolute 3D pose of one person from one 2D pose (torch, float32).

Chang, Moon, Lee, "Absolute 3D human pose lifting network from a single noisy 2D human pose" (1910.12029).

| paper | here | |
|---|---|---|
| p_j - c | offset (B, J, 2) px | Eq. 1: 2D pose minus the principal point |
| m, sigma | location (B, 2), scale (B,) px | Eqs. 2-3: mean, and root mean square distance from it |
| (p_j - m) / sigma | normalised (B, J, 2) | Eq. 4 |
| Rz / alpha | canonical depth | root depth over focal length, alpha = sqrt(fx fy) |
| P~ | pose (B, J - 1, 3) m | root-relative, axes of the camera |

What happens outside the network (canonical depth, Eqs. 5-6, flip) is in networks/canonical.py.

Deviations, all deliberate:
- Pixels are first squared: (u - cx) alpha / fx, (v - cy) alpha / fy. For fx = fy that is Eq. 1.
- sigma is the paper's root mean square distance; the authors' code takes the standard deviation of the distances.
- Canonical depth is given times 1000 px: m at a focal length of 1000 px, of the order of 1 to 10. Location and scale
  enter over 1000 px (as in the authors' code).
- A joint that was not seen takes no part in m and sigma and enters as 0, the mean; `mask=True` adds J inputs that
  say so.
- PyTorch's own initial weights; no bias in a linear layer that only a batch norm follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.networks.canonical import REFERENCE_FOCAL_PX, Lifted, offsets
from pose3d_ros.skeletons import H36M_17

DROPOUT = 0.5
BLOCKS = 2
MIN_SCALE_PX = 1e-3  # one joint alone has no scale; this keeps it finite


@dataclass(frozen=True)
class LifterOptions:
    """Width 4096 is the paper's (67.5 M parameters), 1024 (4.3 M) fits a CPU; Table 1's rows by location and scale."""

    width: int = 4096
    location: bool = True
    scale: bool = True
    mask: bool = False
    joints: int = H36M_17.size

    @property
    def inputs(self) -> int:
        """2J + 3 for the paper's network."""
        return 2 * self.joints + 2 * self.location + self.scale + self.joints * self.mask


class Normalised(NamedTuple):
    """Output of the normalisation layer."""

    xy: Tensor  # (B, J, 2), 0 where not seen
    location: Tensor  # (B, 2) px
    scale: Tensor  # (B,) px


def normalise(offset: Tensor, seen: Tensor) -> Normalised:
    """Eqs. 2-4 over the joints that were seen. offset (B, J, 2) px, seen (B, J) bool."""
    weight = seen.to(offset.dtype)[..., None]
    count = weight.sum(dim=1).clamp(min=1.0)  # (B, 1)
    filled = torch.where(seen[..., None], offset, torch.zeros_like(offset))
    mean = filled.sum(dim=1) / count
    centred = (filled - mean[:, None]) * weight
    scale = (centred.square().sum(dim=(1, 2)) / count[:, 0]).sqrt().clamp(min=MIN_SCALE_PX)
    return Normalised(centred / scale[:, None, None], mean, scale)


class PreActivation(nn.Module):
    """Twice batch norm -> dropout -> ReLU -> linear, around which the input is carried (the reverse of Martinez's)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        once = [nn.BatchNorm1d(width), nn.Dropout(DROPOUT), nn.ReLU(), nn.Linear(width, width, bias=False)]
        again = [nn.BatchNorm1d(width), nn.Dropout(DROPOUT), nn.ReLU(), nn.Linear(width, width)]
        self.body = nn.Sequential(*once, *again)

    def forward(self, h: Tensor) -> Tensor:
        """(B, width) -> (B, width)."""
        z: Tensor = h + self.body(h)
        return z


class AbsPoseLifter(nn.Module):
    """2D pose and camera -> canonical root depth and root-relative pose."""

    def __init__(self, options: LifterOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or LifterOptions()
        width, outputs = options.width, 3 * options.joints - 2
        self.layers: nn.Module = nn.Sequential(
            nn.Linear(options.inputs, width), *(PreActivation(width) for _ in range(BLOCKS)), nn.Linear(width, outputs)
        )

    def inputs(self, xy: Tensor, K: Tensor, seen: Tensor) -> Tensor:
        """The normalisation layer's output as one row a person, (B, 2J + 3)."""
        n = normalise(offsets(xy, K), seen)
        parts = [n.xy.flatten(1)]
        if self.options.location:
            parts.append(n.location / REFERENCE_FOCAL_PX)
        if self.options.scale:
            parts.append(n.scale[:, None] / REFERENCE_FOCAL_PX)
        if self.options.mask:
            parts.append(seen.to(xy.dtype))
        return torch.cat(parts, dim=1)

    def forward(self, xy: Tensor, K: Tensor, seen: Tensor | None = None) -> Lifted:
        """xy (B, J, 2) px undistorted, NaN where not seen; K (B, 3, 3) px; seen (B, J) bool."""
        seen = torch.isfinite(xy).all(dim=-1) if seen is None else seen
        out = self.layers(self.inputs(xy, K, seen))
        return Lifted(out[:, 0], out[:, 1:].reshape(len(xy), -1, 3))
