"""From heatmaps to coordinates and back: what the networks for images share (torch, float32).

Argmax: Newell, Yang and Deng, "Stacked hourglass networks for human pose estimation" (ECCV 2016). Soft-argmax: Sun et
al., "Integral human pose regression" (ECCV 2018), Eq. 3: the mean of the places of all bins, weighted by the softmax.

Bin i of n, over S px, is the middle of its share of the crop: pixel (i + 1/2) S / n - 1/2.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import mse_loss


def soft_argmax(logits: Tensor) -> Tensor:
    """The mean place (B, J, n), in bins and in the order x, y(, z), of logits (B, J, (D,) H, W)."""
    axes = tuple(range(2, logits.ndim))
    weight = logits.flatten(2).softmax(dim=-1).reshape(logits.shape)
    means = []
    for axis in reversed(axes):  # x is the last axis
        marginal = weight.sum(dim=[other for other in axes if other != axis])
        means.append(marginal @ torch.arange(logits.shape[axis], dtype=logits.dtype, device=logits.device))
    return torch.stack(means, dim=-1)


def argmax(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """The highest bins (B, J, 2), x and y, of heatmaps (B, J, H, W), and their heights (B, J)."""
    height, place = heatmaps.flatten(2).max(dim=-1)
    width = heatmaps.shape[-1]
    return torch.stack([place % width, place // width], dim=-1).float(), height


def gaussians(bins: Tensor, size: int, sigma: float) -> Tensor:
    """Heatmaps (B, J, size, size) of height 1 round places (B, J, 2) in bins; sigma in bins."""
    grid = torch.arange(size, dtype=bins.dtype, device=bins.device)
    x, y = (torch.exp(-((grid - bins[..., axis, None]) ** 2) / (2 * sigma**2)) for axis in (0, 1))
    return y[..., :, None] * x[..., None, :]


def heatmap_loss(heatmaps: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Mean squared difference of (B, J, H, W) over the bins of the joints that are visible (B, J)."""
    if not visible.any():
        return 0.0 * heatmaps.sum()
    return mse_loss(heatmaps[visible], target[visible])


def coordinate_loss(found: Tensor, true: Tensor, counts: Tensor) -> Tensor:
    """Mean absolute difference of (B, J, n) over the coordinates that count (B, J) or (B, J, n)."""
    counts = counts if counts.ndim == found.ndim else counts[..., None]
    counts = counts.expand_as(found).to(found.dtype)
    return ((found - true).abs() * counts).sum() / counts.sum().clamp(min=1.0)


def to_pixels(bins: Tensor, size: int, side: int) -> Tensor:
    """Places in `size` bins -> px of a crop of `side` px."""
    return (bins + 0.5) * (side / size) - 0.5


def to_bins(px: Tensor, size: int, side: int) -> Tensor:
    """Places in px of a crop of `side` px -> `size` bins."""
    return (px + 0.5) * (size / side) - 0.5
