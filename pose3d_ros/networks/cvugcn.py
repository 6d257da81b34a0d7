"""CV-UGCN: refines a triangulated pose as seen from several views (torch, float32).

Hua et al., "Weakly-supervised 3D human pose estimation with cross-view U-shaped graph convolutional network"
(2105.10882), Fig. 3.

| paper | here | |
|---|---|---|
| X~ | coarse (B, V, J, 3) m | the triangulated pose in each view's frame |
| H, Z | h (B, V, N, C) | features of the graph's nodes, N = J, 5 or 1 |
| A_k, D_k | kernels (K, V*N, V*N) | normalised adjacency of the k-th kind of neighbour |
| W_k | weight | K filters, side by side in one linear layer |
| S-GCN, M-GCN | GraphUnit | without and with the kernel "view" |
| G(X~) | shift | X = G(X~) + X~ |

Deviations, all deliberate:
- Where the paper is silent on a unit's inside, it is Cai et al.'s (ICCV 2019): convolution, batch norm, ReLU, dropout,
  linear, batch norm, residual, ReLU; maximum pooling. No bias in front of a batch norm. But the input's mean and
  deviation are measured once and fixed, as a batch's own would jitter, and dropout is 0 (see DROPOUT).
- On the graph of one node a view, the three spatial kernels join nothing and have no weights. So the default has
  4.6 M parameters, 18.3 MB; the paper says 20 MB (dead kernels would add 3 MB).
- `stems="shared"` (rig-conditioned form) uses one stem for all views, so the same weights serve any number of views;
  the kernel "view" then averages over the other views. The paper's form has one stem a view.
- 17 more inputs identify the joint of each node: the weights are the same for all joints, and standardised
  coordinates do not say it.
- Back at the joints a last M-GCN unit joins what the joint and the body say; a linear layer alone would only add them,
  and every joint of a part would be moved alike. One unit on the whole body instead of two keeps the size.
- The last layer speaks decimetres and starts small, so that training starts near the identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.networks.graph import (
    KERNELS,
    PART_GRAPH,
    PARTS,
    SPATIAL,
    WHOLE_GRAPH,
    Graph,
    body_graph,
    normalised_kernels,
    pool,
    unpool,
)
from pose3d_ros.skeletons import H36M_17

# Cai et al.'s 0.05 to 0.25 are for lifting. A correction of 20 mm is 7 % of a feature's spread, and simulated data do
# not run out: after 770 steps on pair P1, L_r fell by 0.68 without and by 0.62 with a dropout of 0.05 (from 5.85).
DROPOUT = 0.0
SHIFT_M = 0.1  # what an output of 1 moves a joint by
WHOLE = (tuple(range(len(PARTS))),)


@dataclass(frozen=True)
class CvUgcnOptions:
    """Form and ablations; the defaults are the paper's network for one pair of cameras."""

    views: int = 2
    features: int = 3  # per joint and view: 3 for coordinates, RIG_FEATURES for the rig-conditioned form
    widths: tuple[int, int, int] = (128, 256, 512)
    stems: str = "separate"  # "separate": one a view; "shared": any number of views; "none": views meet at once
    spatial: bool = True  # False: no physical, second-order and symmetric kernels
    cross_view: bool = True  # False: no kernel "view"

    def __post_init__(self) -> None:
        if self.stems not in ("separate", "shared", "none"):
            raise InputError(f"stems is {self.stems!r}, expected 'separate', 'shared' or 'none'")
        if self.views < 1 or self.features < 3 or len(self.widths) != 3:
            raise InputError(f"expected views >= 1, features >= 3 and three widths, got {self}")

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of the kernels of a multi-view unit."""
        left_out = (() if self.spatial else SPATIAL) + (() if self.cross_view else ("view",))
        return tuple(name for name in KERNELS if name not in left_out)


class GraphConvolution(nn.Module):
    """Z = sum_k D_k^-1/2 A_k D_k^-1/2 H W_k, Eq. 3."""

    kernels: Tensor

    def __init__(self, kernels: Tensor, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("kernels", kernels, persistent=False)
        self.weight = nn.Linear(len(kernels) * inputs, outputs, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """(B, V, N, C) -> (B, V, N, F)."""
        batch, views, nodes, channels = h.shape
        flat = h.reshape(batch, 1, views * nodes, channels)
        gathered = (self.kernels @ flat).transpose(1, 2)  # (B, V*N, K, C)
        z: Tensor = self.weight(gathered.reshape(batch, views, nodes, -1))
        return z


class NodeNorm(nn.BatchNorm1d):
    """Batch norm of each channel over batch, views and nodes."""

    def forward(self, h: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return super().forward(h.flatten(0, -2)).reshape(h.shape)


class InputNorm(nn.Module):
    """Features less their mean, over their standard deviation, both of a sample of training data, then fixed."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        """shape (V, J, C), V = 1 where all views share the figures."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def measure(self, features: Tensor) -> None:
        """Take both from features (B, V, J, C)."""
        sample = features if len(self.mean) > 1 else features.flatten(0, 1)[:, None]
        self.mean.copy_(sample.mean(dim=0))
        self.std.copy_(sample.std(dim=0).clamp(min=1e-3))  # a feature that never varies stays 0

    def forward(self, features: Tensor) -> Tensor:
        """(B, V, J, C) -> (B, V, J, C)."""
        return (features - self.mean) / self.std


class GraphUnit(nn.Module):
    """An S-GCN or M-GCN unit, by its kernels."""

    def __init__(
        self, kernels: Tensor, inputs: int, outputs: int, residual: bool = True, dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            GraphConvolution(kernels, inputs, outputs),
            NodeNorm(outputs),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(outputs, outputs, bias=False),
            NodeNorm(outputs),
            nn.Dropout(DROPOUT),
        )
        self.residual: nn.Module | None = None
        if residual:
            widened = nn.Sequential(nn.Linear(inputs, outputs, bias=False), NodeNorm(outputs))
            self.residual = nn.Identity() if inputs == outputs else widened

    def forward(self, h: Tensor) -> Tensor:
        """(B, V, N, C) -> (B, V, N, F)."""
        z: Tensor = self.body(h)
        return torch.relu(z if self.residual is None else z + self.residual(h))


class CvUgcn(nn.Module):
    """features (B, V, J, C) and coarse (B, V, J, 3) m -> refined (B, V, J, 3) m in the same frames."""

    def __init__(self, options: CvUgcnOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or CvUgcnOptions()
        views, (narrow, middle, wide) = options.views, options.widths
        body, joints = body_graph(H36M_17), H36M_17.size
        separate = options.stems == "separate"
        self.norm = InputNorm((views if separate else 1, joints, options.features))
        meet = options.stems == "none"
        stem_kernels = self._kernels(body, views if meet else 1)
        self.stems = nn.ModuleList(
            _stem(stem_kernels, options.features + joints, narrow) for _ in range(views if separate else 1)
        )
        parts, whole = self._kernels(PART_GRAPH, views), self._kernels(WHOLE_GRAPH, views)
        self.joints_unit = GraphUnit(self._kernels(body, views), narrow, middle)
        self.parts_units = nn.Sequential(GraphUnit(parts, middle, wide), GraphUnit(parts, wide, wide))
        self.whole_unit = GraphUnit(whole, wide, wide)
        self.parts_out = nn.Sequential(
            nn.Linear(2 * wide, middle, bias=False), NodeNorm(middle), nn.ReLU(), nn.Dropout(DROPOUT)
        )
        self.joints_out = GraphUnit(self._kernels(body, views), 2 * middle + joints, narrow)
        self.shift = nn.Linear(narrow, 3)
        nn.init.normal_(self.shift.weight, std=1e-3)
        nn.init.zeros_(self.shift.bias)

    def _kernels(self, graph: Graph, views: int) -> Tensor:
        return normalised_kernels(graph, views, self.options.kernels)

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """The refined pose; every number must be finite (see networks/rig_features.py for missing joints)."""
        h = self.stem(features)
        at_joints = self.joints_unit(h)  # (B, V, J, 256)
        at_parts = self.parts_units(pool(at_joints, PARTS))  # (B, V, 5, 512)
        at_whole = self.whole_unit(pool(at_parts, WHOLE))  # (B, V, 1, 512)
        back = self.parts_out(torch.cat((unpool(at_whole, WHOLE), at_parts), dim=-1))
        shift: Tensor = self.shift(self.joints_out(named(torch.cat((at_joints, unpool(back, PARTS)), dim=-1))))
        return coarse + SHIFT_M * shift

    def stem(self, features: Tensor) -> Tensor:
        """(B, V, J, C) -> (B, V, J, 128): each view alone, then fused by stacking them."""
        batch, views, joints, channels = features.shape
        if views != self.options.views or channels != self.options.features:
            raise InputError(
                f"features {tuple(features.shape)} do not fit a network for {self.options.views} views with "
                f"{self.options.features} features: expected (B, V, {joints}, features)"
            )
        h = named(self.norm(features))
        if self.options.stems == "none":
            fused: Tensor = self.stems[0](h)
        elif self.options.stems == "shared":
            fused = self.stems[0](h.reshape(batch * views, 1, joints, -1)).reshape(batch, views, joints, -1)
        else:
            fused = torch.cat([stem(h[:, [view]]) for view, stem in enumerate(self.stems)], dim=1)
        return fused

    def with_views(self, views: int) -> CvUgcn:
        """The same weights for another number of views (more than one); raises InputError for separate stems."""
        if self.options.stems == "separate" or min(views, self.options.views) < 2:
            raise InputError(
                f"a network with {self.options.stems} stems for {self.options.views} views cannot serve {views}: "
                "train the rig-conditioned form on at least two views"
            )
        other = CvUgcn(replace(self.options, views=views))
        other.load_state_dict(self.state_dict())
        return other.to(self.shift.weight.device).train(self.training)


def named(h: Tensor) -> Tensor:
    """(..., J, C) -> (..., J, C + J): every joint with a unit vector of its own."""
    names = torch.eye(h.shape[-2], dtype=h.dtype, device=h.device)
    return torch.cat((h, names.expand(*h.shape[:-1], h.shape[-2])), dim=-1)


def _stem(kernels: Tensor, inputs: int, width: int) -> nn.Module:
    return nn.Sequential(GraphUnit(kernels, inputs, width, residual=False), GraphUnit(kernels, width, width))


def fuse_views(world: Tensor, weight: Sequence[float] | Tensor | None = None) -> Tensor:
    """One pose of the V refined ones (B, V, J, 3) in one frame: their mean, or weighted by view."""
    if weight is None:
        return world.mean(dim=1)
    share = torch.as_tensor(weight, dtype=world.dtype, device=world.device)
    return torch.einsum("v,bvjc->bjc", share / share.sum(), world)
