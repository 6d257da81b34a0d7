"""A lifting network that is wrong in a known way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pose3d_ros.networks.canonical import Lifted


class Flat(nn.Module):
    """Lifts every person to a plane at one depth: wrong, as every network is, by a factor that can be learnt."""

    def forward(self, xy: Tensor, K: Tensor) -> Lifted:
        return Lifted(torch.full((len(xy),), 3.0), torch.zeros(len(xy), 16, 3))


class FlatLoaded:
    """What weights.trained.load gives, as far as estimation cares."""

    net, recipe, spread, name = Flat(), {"network": "lifter"}, {}, "flat"
