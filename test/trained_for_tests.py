"""Networks whose answer is known: real ones with a last layer that gives the same to all people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pose3d_ros.networks.cvugcn import SHIFT_M, CvUgcn
from pose3d_ros.networks.posern import PoseRN
from pose3d_ros.networks.spread import REFINED
from pose3d_ros.weights import trained
from pose3d_ros.weights.trained import Loaded

CVUGCN: Mapping[str, Any] = {
    "network": "cvugcn", "baseline": False, "width": 8, "form": "rig", "views": 2, "without": [], "rigs": ["h36m"],
}  # fmt: skip
POSERN: Mapping[str, Any] = {"network": "posern", "baseline": False, "width": 8}
# The network is as sure as the triangulation, so that both meet halfway; a filled-in joint is known to 10 cm a bone.
# What is not named here plays no part.
FIGURES = {"own": 1.0, "q": 10.0, "floor": 1e-5, "guess": 0.1, "scale": 1.0, "guessed_scale": 1.0}
SPREAD = {name: torch.tensor(FIGURES.get(name, 0.0), dtype=torch.float64) for name in REFINED}


def moving(shift_m: Sequence[float] = (0.0, 0.0, 0.0), **recipe: Any) -> Loaded:
    """CV-UGCN that moves every joint alike, in the rig's frame: x right, y down, z away from the cameras."""
    from pose3d_ros.networks.build import build

    whole = {**CVUGCN, **recipe}
    net = build(whole)
    assert isinstance(net, CvUgcn)
    with torch.no_grad():
        net.shift.weight.zero_()
        net.shift.bias.copy_(torch.tensor(shift_m) / SHIFT_M)
    return Loaded(net.eval().requires_grad_(False), whole, SPREAD, "moving", verified=False)


def biased(bias_units: Sequence[float] = (0.0, 0.0)) -> Loaded:
    """PoseRN that finds the same bias in every joint, in thirds of the spine as it is seen."""
    net = PoseRN(int(POSERN["width"]))
    with torch.no_grad():
        net.out.weight.zero_()
        net.out.bias.copy_(torch.tensor(bias_units).repeat(17))
    return Loaded(net.eval().requires_grad_(False), POSERN, {}, "biased", verified=False)


def file_of(loaded: Loaded, folder: Path) -> str:
    """The path of the network as a user's own file."""
    path = folder / f"{loaded.name}.safetensors"
    trained.save(path, loaded.net, loaded.recipe, loaded.spread)
    return str(path)


class Identity(torch.nn.Module):
    """A refiner that leaves every pose as it was triangulated."""

    def forward(self, features: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        return coarse
