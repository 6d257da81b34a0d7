"""The body as a graph, over several views: the five kernels of CV-UGCN, pooling to body parts and back (torch).

Hua et al., "Weakly-supervised 3D human pose estimation with cross-view U-shaped graph convolutional network"
(2105.10882), Fig. 4 and Eq. 3 (Eq. 2 of its first version). A node is a joint in a view; node v * J + j is joint j
in view v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pose3d_ros.structures import Skeleton

Pairs = Sequence[tuple[int, int]]

# The kernels in order; a single-view unit has all but the last.
SPATIAL = ("physical", "second_order", "symmetric")
KERNELS = ("self", *SPATIAL, "view")

# Human3.6M's 17 joints in five parts: left arm, right arm, left leg, right leg, trunk. Cai et al., "Exploiting
# spatial-temporal relationships for 3D pose estimation via graph convolutional networks" (ICCV 2019).
PARTS = ((11, 12, 13), (14, 15, 16), (4, 5, 6), (1, 2, 3), (0, 7, 8, 9, 10))


@dataclass(frozen=True)
class Graph:
    """One view's nodes, what joins them and which of them mirror each other."""

    size: int
    edges: Pairs
    mirrored: Pairs


PART_GRAPH = Graph(size=5, edges=((0, 4), (1, 4), (2, 4), (3, 4)), mirrored=((0, 1), (2, 3)))
WHOLE_GRAPH = Graph(size=1, edges=(), mirrored=())


def body_graph(skeleton: Skeleton) -> Graph:
    """Joints joined by bones."""
    return Graph(skeleton.size, skeleton.bones, skeleton.left_right)


def adjacency(graph: Graph, views: int) -> dict[str, Tensor]:
    """Kernel name -> its (V*N, V*N) adjacency of zeros and ones, symmetric; the kernels do not overlap.

    A mirrored pair is left out of the other kernels: both hips are two bones apart, yet only symmetric.
    """
    size = graph.size
    symmetric = _symmetric(size, graph.mirrored)
    physical = _symmetric(size, graph.edges) * (1 - symmetric)
    joined = _symmetric(size, graph.edges)
    two_steps = (joined @ joined > 0).float() * (1 - torch.eye(size)) * (1 - joined)
    inside = {
        "self": torch.eye(size),
        "physical": physical,
        "second_order": two_steps * (1 - symmetric),
        "symmetric": symmetric,
    }
    spread = {name: torch.kron(torch.eye(views), kernel) for name, kernel in inside.items()}
    spread["view"] = torch.kron(1 - torch.eye(views), torch.eye(size))  # the same joint in every other view
    return spread


def normalised(kernel: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 with D the row sums: CV-UGCN's Eq. 3. A node without neighbours keeps a row of zeros."""
    degree = kernel.sum(dim=1)
    root = torch.where(degree > 0, degree.clamp(min=1e-12).rsqrt(), torch.zeros_like(degree))
    return root[:, None] * kernel * root[None, :]


def normalised_kernels(graph: Graph, views: int, names: Sequence[str] = KERNELS) -> Tensor:
    """The named kernels that join any nodes here, normalised: (K, V*N, V*N).

    A kernel without an edge (all spatial ones on one node, "view" in one view) would only carry dead weights.
    """
    kernels = adjacency(graph, views)
    return torch.stack([normalised(kernels[name]) for name in names if kernels[name].any()])


def pool(h: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Maximum over each group of nodes: (B, V, N, C) -> (B, V, groups, C)."""
    return torch.stack([h[:, :, list(group)].amax(dim=2) for group in groups], dim=2)


def unpool(h: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Every node of a group gets the group's features: (B, V, groups, C) -> (B, V, N, C)."""
    part_of = {node: number for number, group in enumerate(groups) for node in group}
    return h[:, :, [part_of[node] for node in range(len(part_of))]]


def _symmetric(size: int, pairs: Pairs) -> Tensor:
    matrix = torch.zeros(size, size)
    for one, other in pairs:
        matrix[one, other] = matrix[other, one] = 1.0
    return matrix
