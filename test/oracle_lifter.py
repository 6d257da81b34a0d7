"""A lifting network that knows the truth, for tests of the geometry around it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.networks.canonical import Lifted, targets
from pose3d_ros.structures import Floats


class Oracle(nn.Module):
    """Finds each person by the image, and says the true canonical depth and pose.

    people (P, 17, 3) m in the camera's frame; depth_error multiplies what it says of the depth.
    """

    def __init__(self, people: Floats, depth_error: float = 1.0) -> None:
        super().__init__()
        self.people = torch.as_tensor(people, dtype=torch.float32)
        self.depth_error = depth_error
        self.called_with: tuple[Tensor, Tensor] | None = None

    def forward(self, xy: Tensor, K: Tensor) -> Lifted:
        """xy (B, 17, 2) px, K (B, 3, 3)."""
        self.called_with = xy, K
        expected = self.people @ K[0].T  # (P, 17, 3)
        expected = expected[..., :2] / expected[..., 2:]
        apart = (xy[:, None] - expected[None]).norm(dim=-1).nanmean(dim=-1)  # (B, P)
        truth = targets(self.people[apart.argmin(dim=1)], K)
        return Lifted(truth.depth * self.depth_error, truth.pose)


class OracleLoaded(NamedTuple):
    """What weights.trained.load gives, as far as estimation cares."""

    net: nn.Module
    recipe: dict[str, str] = {"network": "lifter"}  # noqa: RUF012
    spread: dict[str, Tensor] = {}  # noqa: RUF012
    name: str = "oracle"
