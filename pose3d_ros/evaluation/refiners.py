"""The refinement networks of a table's rows, shipped or of --runs, applied to a trial (NumPy and torch)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.estimation.refinement.fusion import fused
from pose3d_ros.evaluation.trials import Trial
from pose3d_ros.networks.cvugcn import CvUgcn
from pose3d_ros.networks.refiner import refine
from pose3d_ros.networks.rig_features import Sight
from pose3d_ros.networks.spread import refined_covariance
from pose3d_ros.simulation.views import SimulatedViews
from pose3d_ros.structures import Floats
from pose3d_ros.training.recipes import load_trained
from pose3d_ros.weights import trained

AT_ONCE = 64  # people; on a CPU a third faster than a thousand


@dataclass(frozen=True, eq=False)
class Refiner:
    """A trained network that refines triangulated poses."""

    net: nn.Module
    recipe: Mapping[str, Any]
    spread: Mapping[str, Tensor] = field(default_factory=dict)  # covariance figures, empty if not fitted

    def refined(self, trial: Trial) -> Floats:
        """(P, 17, 3) m, world; the graph adapts to the number of cameras."""
        return self.from_sight(trial.sight)

    def from_pairs(self, trial: Trial) -> Floats:
        """(P, 17, 3) m: every pair of cameras refined by itself, averaged by its triangulation's information."""
        information, weighted = np.zeros((3, 3)), np.zeros(3)
        for pair in itertools.combinations(range(len(trial.cameras)), 2):
            two = replace(trial, views=some_cameras(trial.views, pair))
            covariance = two.robust().covariance
            known = np.asarray(np.isfinite(covariance).all(axis=(-1, -2)))[..., None, None]
            # A joint that a pair did not triangulate has a standard deviation of 1 m.
            inverse = np.linalg.inv(np.where(known, covariance + 1e-12 * np.eye(3), np.eye(3)))
            information = information + inverse
            weighted = weighted + (inverse @ self.refined(two)[..., None])[..., 0]
        found: Floats = np.asarray(np.linalg.solve(information, weighted[..., None])[..., 0], dtype=np.float64)
        return found

    def from_sight(self, sight: Sight) -> Floats:
        """(P, 17, 3) m, world."""
        views = sight.observed.shape[1]
        net = self.net
        if isinstance(net, CvUgcn) and views != net.options.views:
            net = net.with_views(views).eval()
        parts = zip(*(torch.split(tensor, AT_ONCE) for tensor in sight), strict=True)
        with torch.no_grad():
            found = torch.cat([refine(net, Sight(*part), self.recipe["form"]) for part in parts])
        return np.asarray(found.numpy(), dtype=np.float64)

    def fused(self, trial: Trial) -> tuple[Floats, Floats]:
        """(P, 17, 3) m, world, and (P, 17, 3, 3) m^2: refined joints fused with the triangulated, as in the nodes."""
        solved = trial.robust()
        covariance = self.covariance(trial) if self.spread else solved.covariance
        return fused(solved.xyz, solved.covariance, self.refined(trial), covariance)

    def covariance(self, trial: Trial) -> Floats:
        """(P, 17, 3, 3) m^2 of refined(trial); NaN where the network has no output."""
        matrices: Floats = refined_covariance(self.spread, torch.from_numpy(trial.robust().covariance)).numpy()
        return matrices


def some_cameras(views: SimulatedViews, numbers: Sequence[int]) -> SimulatedViews:
    """The same people seen by some of the cameras only."""
    chosen = list(numbers)
    per_view = ("true_px", "label_px", "xy_px", "score", "biased_px", "learnable_px")
    return replace(
        views,
        cameras=tuple(views.cameras[number] for number in chosen),
        true_cameras=tuple(views.true_cameras[number] for number in chosen),
        **{name: getattr(views, name)[chosen] for name in per_view},
    )


def read_refiner(path: Path) -> Refiner:
    """The network of a checkpoint, with the covariance figures that `pose3d train` saved with it."""
    net, recipe = load_trained(path)
    shipped = path.parent / f"{recipe['network']}{trained.SUFFIX}"
    return Refiner(net, recipe, trained.load(shipped).spread if shipped.is_file() else {})


def shipped_refiner() -> tuple[str, Refiner] | None:
    """The refinement network that ships, and its name."""
    for one in trained.TRAINED:
        if one.network == "cvugcn":
            loaded = trained.load(one.name)
            return one.name, Refiner(loaded.net, loaded.recipe, loaded.spread)
    return None


# What decides a refiner's data and losses, of a recipe's names.
DATA_AND_LOSSES = (
    "form", "views", "pairs", "labels", "losses", "lambda_b", "rigs", "rig_count", "noise", "people", "batch",
    "schedule", "reuse",
)  # fmt: skip


def arguments_of(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Arguments of `pose3d train` that give a recipe's data and losses, but for network, width, length and seed."""
    arguments: list[str] = []
    for name in DATA_AND_LOSSES:
        if name in recipe:
            value = recipe[name]
            arguments += [
                f"--{name.replace('_', '-')}",
                *(map(str, value) if isinstance(value, list) else [str(value)]),
            ]
    return (*arguments, "--side-views") if recipe["side_views"] else tuple(arguments)
