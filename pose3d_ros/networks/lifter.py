"""AbsPoseLifter: the absolute 3D pose of one person from one 2D pose (torch, float32).

Chang, Moon, Lee, "Absolute 3D human pose lifting network from a single noisy 2D human pose" (1910.12029).

| paper | here | |
|---|---|---|
| p_j - c | offset (B, J, 2) px | Eq. 1: 2D pose minus the principal point |
| m, sigma | location (B, 2), scale (B,) px | Eqs. 2-3: mean, and root mean square distance from it |
| (p_j - m) / sigma | normalised (B, J, 2) | Eq. 4 |
| Rz / alpha | canonical depth | root depth over focal length, alpha = sqrt(fx fy) |
| P~ | pose (B, J - 1, 3) m | root-relative, axes of the camera |

The steps outside the network (canonical depth, Eqs. 5-6, flip) is in networks/canonical.py.

Deviations, all deliberate:
- Pixels are first squared: (u - cx) alpha / fx, (v - cy) alpha / fy. For fx = fy that is Eq. 1.
- sigma is the paper's root mean square distance; the authors' code takes the standard deviation of the distances.
- Canonical depth is given times 1000 px: m at a focal length of 1000 px, of the order of 1 to 10. Location and scale
  enter over 1000 px (as in the authors' code).
- A joint that is not visible takes no part in m and sigma and enters as 0, the mean; `mask=True` adds J inputs as
  flags. A joint absent from training (HeadTop, which no detector of ours gives) counts as not visible.
- Inputs and outputs are standardised by figures of the training data (`measure`). sigma / 1000 varies by 0.015 and the
  normalised pose by 1, so that without it sigma drowned: after 1000 steps of batch 256 at width 512, MRPE of people
  held out with true keypoints is 143 mm; after 1500 without it 219 mm, and 535 mm at the paper's dropout of 0.5, which
  is made for a width of 4096 and 300 epochs.
- `any_focal=True` is the form that the nodes use: the image is first brought to a focal length of 1000 px, so that a
  pixel gives a direction; 1 / sigma, to which depth is proportional, enters in place of sigma.
- `height=True` adds one input: whether the person's height is known. If it is, the network estimates a person of mean
  height, and its output is scaled; that is exact, because the same image fits a person half as tall at half the
  distance.
- PyTorch's own initial weights; no bias in a linear layer that only a batch norm follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.networks.canonical import REFERENCE_FOCAL_PX, Lifted, focal, offsets
from pose3d_ros.skeletons import H36M_17

DROPOUT = 0.5
BLOCKS = 2
MIN_SCALE_PX = 1e-3  # one joint alone has no scale; this keeps it finite
FAR_SCALE_PX = 5.0  # sigma of a standing person at about 100 m and f 1000 px: 1 / sigma grows no further
MEAN_HEIGHT_M = 1.7  # until measure() has seen people
CONSTANT = 1e-4  # an input that varies less is constant


@dataclass(frozen=True)
class LifterOptions:
    """Width 4096 is the paper's (67.5 M parameters), 1024 (4.3 M) fits a CPU; Table 1's rows by location and scale.

    mask, height and any_focal are ours, see the top of the file.
    """

    width: int = 4096
    location: bool = True
    scale: bool = True
    mask: bool = False
    height: bool = False
    any_focal: bool = False
    dropout: float = DROPOUT
    joints: int = H36M_17.size

    @property
    def inputs(self) -> int:
        """2J + 3 for the paper's network."""
        return 2 * self.joints + 2 * self.location + self.scale + self.joints * self.mask + self.height


class Normalised(NamedTuple):
    """Output of the normalisation layer."""

    xy: Tensor  # (B, J, 2), 0 where not seen
    location: Tensor  # (B, 2) px
    scale: Tensor  # (B,) px


def normalise(offset: Tensor, seen: Tensor) -> Normalised:
    """Eqs. 2-4 over the visible joints. offset (B, J, 2) px, seen (B, J) bool."""
    weight = seen.to(offset.dtype)[..., None]
    count = weight.sum(dim=1).clamp(min=1.0)  # (B, 1)
    filled = torch.where(seen[..., None], offset, torch.zeros_like(offset))
    mean = filled.sum(dim=1) / count
    centred = (filled - mean[:, None]) * weight
    scale = (centred.square().sum(dim=(1, 2)) / count[:, 0]).sqrt().clamp(min=MIN_SCALE_PX)
    return Normalised(centred / scale[:, None, None], mean, scale)


class PreActivation(nn.Module):
    """Twice batch norm -> dropout -> ReLU -> linear, with a skip connection (the reverse order of Martinez's)."""

    def __init__(self, width: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        once = [nn.BatchNorm1d(width), nn.Dropout(dropout), nn.ReLU(), nn.Linear(width, width, bias=False)]
        again = [nn.BatchNorm1d(width), nn.Dropout(dropout), nn.ReLU(), nn.Linear(width, width)]
        self.body = nn.Sequential(*once, *again)

    def forward(self, h: Tensor) -> Tensor:
        """(B, width) -> (B, width)."""
        z: Tensor = h + self.body(h)
        return z


class AbsPoseLifter(nn.Module):
    """2D pose and camera -> canonical root depth and root-relative pose."""

    known: Tensor  # (J,) bool, joints that training showed
    input_mean: Tensor  # (inputs,)
    input_std: Tensor
    output_mean: Tensor  # (3J - 2,)
    output_std: Tensor
    mean_height: Tensor  # (), m

    def __init__(self, options: LifterOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or LifterOptions()
        width, outputs = options.width, 3 * options.joints - 2
        blocks = (PreActivation(width, options.dropout) for _ in range(BLOCKS))
        self.layers: nn.Module = nn.Sequential(nn.Linear(options.inputs, width), *blocks, nn.Linear(width, outputs))
        self.register_buffer("known", torch.ones(options.joints, dtype=torch.bool))
        for name, size in (("input", options.inputs), ("output", outputs)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))
        self.register_buffer("mean_height", torch.tensor(MEAN_HEIGHT_M))

    @torch.no_grad()
    def measure(self, xy: Tensor, K: Tensor, wanted: Lifted, height: Tensor) -> None:
        """Standardise inputs and outputs by figures of training data, before training.

        xy (B, J, 2) px, K (B, 3, 3); wanted: what the network should say; height (B,) m of the people.
        """
        seen = torch.isfinite(xy).all(dim=-1)
        self.known.copy_(seen.any(dim=0))
        x = self.inputs(xy, K, seen, torch.full_like(height, torch.nan))
        y = torch.cat((wanted.depth[:, None] / self._per_focal(K)[:, None], wanted.pose.flatten(1)), dim=1)
        std = x.std(dim=0)
        self.input_mean.copy_(x.mean(dim=0))
        self.input_std.copy_(torch.where(std > CONSTANT, std, torch.ones_like(std)))
        self.output_mean.copy_(y.mean(dim=0))
        self.output_std.copy_(torch.cat((y[:, :1].std(dim=0), y[:, 1:].std(dim=0).mean().expand(y.shape[1] - 1))))
        self.mean_height.copy_(height.mean())

    def inputs(self, xy: Tensor, K: Tensor, seen: Tensor, height: Tensor | None = None) -> Tensor:
        """The normalisation layer's output as one row a person, (B, 2J + 3); with ours after it."""
        offset = offsets(xy, K)
        if self.options.any_focal:
            offset = offset * (REFERENCE_FOCAL_PX / focal(K))[:, None, None]
        n = normalise(offset, seen)
        parts = [n.xy.flatten(1)]
        if self.options.location:
            parts.append(n.location / REFERENCE_FOCAL_PX)
        if self.options.scale:
            scale = n.scale[:, None]
            reciprocal = self.options.any_focal
            parts.append(100.0 / scale.clamp(min=FAR_SCALE_PX) if reciprocal else scale / REFERENCE_FOCAL_PX)
        if self.options.mask:
            parts.append(seen.to(xy.dtype))
        if self.options.height:
            has_height = torch.zeros_like(n.scale) if height is None else torch.isfinite(height).to(xy.dtype)
            parts.append(has_height[:, None])
        return torch.cat(parts, dim=1)

    def forward(self, xy: Tensor, K: Tensor, seen: Tensor | None = None, height: Tensor | None = None) -> Lifted:
        """xy (B, J, 2) px undistorted, NaN where not seen; K (B, 3, 3) px; seen (B, J) bool; height (B,) m.

        height is the person's by canonical.stature, NaN where unknown.
        """
        seen = torch.isfinite(xy).all(dim=-1) if seen is None else seen
        x = (self.inputs(xy, K, seen & self.known, height) - self.input_mean) / self.input_std
        out = self.layers(x) * self.output_std + self.output_mean
        depth, pose = out[:, 0] * self._per_focal(K), out[:, 1:].reshape(len(xy), -1, 3)
        if height is not None:
            # Without the input the network assumes the mean height.
            ratio = torch.where(torch.isfinite(height), height / self.mean_height, torch.ones_like(height))
            depth, pose = depth * ratio, pose * ratio[:, None, None]
        return Lifted(depth, pose)

    def _per_focal(self, K: Tensor) -> Tensor:
        """(B,) canonical depth x 1000 px from the last layer: metric depth with any_focal, itself without."""
        return REFERENCE_FOCAL_PX / focal(K) if self.options.any_focal else torch.ones_like(K[:, 0, 0])
