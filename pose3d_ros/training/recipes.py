"""From the arguments of `pose3d train` to a trained network, and from its checkpoint back to the network (torch).

A recipe is what rebuilds the network and its data, of plain values; it is kept in every checkpoint.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, ReduceLROnPlateau

from pose3d_ros.data.augmentation import augmented, hidden, placed
from pose3d_ros.data.detector_bias import TRAIN_SEEDS, DetectorBias
from pose3d_ros.data.detector_noise import default_noise
from pose3d_ros.data.motion import Motion, load_motion
from pose3d_ros.data.noise import GaussianNoise, Noise
from pose3d_ros.data.simulated_rigs import SimulatedRig, side_views, simulated_rig
from pose3d_ros.data.simulation import SimulatedViews, simulate, with_cameras
from pose3d_ros.errors import InputError
from pose3d_ros.networks.cvugcn import CvUgcn, CvUgcnOptions
from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions
from pose3d_ros.networks.posern import PoseRN
from pose3d_ros.networks.refiner import FEATURES, FORMS
from pose3d_ros.networks.residual_mlp import LifterMlp, MlpRefiner, ResidualMlp
from pose3d_ros.networks.rig_features import Sight
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.training import bias, lifting, refinement
from pose3d_ros.training.loop import BEST, LAST, Batch, FitOptions, fit, read_checkpoint
from pose3d_ros.training.losses import LossWeights

# Published by all three.
LEARNING_RATE = 1e-3
VALIDATION_PEOPLE = 1024
VALIDATION_DETECTORS = 4  # of the biased detectors that training has
J = H36M_17.size


def train(args: argparse.Namespace) -> int:
    """Run one recipe; see train_command for the arguments."""
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = recipe_of(args)
    motion = load_motion(args.data)
    torch.manual_seed(args.seed)
    net = build(recipe)
    options = FitOptions(
        epochs=args.epochs, batch_size=args.batch, seed=args.seed, minutes=args.minutes,
        accelerator=args.accelerator, devices=args.devices, nodes=args.nodes, resume=args.resume,
        progress=not args.quiet,
    )  # fmt: skip
    optimiser, schedule = optimiser_of(args.network, net, args.epochs, args.schedule)
    draws = Draws(recipe, motion, args.people)
    if isinstance(net, CvUgcn | MlpRefiner):
        net.norm.measure(refiner_features(draws.epoch(0), recipe["form"]))
    loss_of = loss_for(recipe)
    held_out = draws.validation()
    size = sum(parameter.numel() for parameter in net.parameters())
    _say(f"{args.network}: {size / 1e6:.2f} M parameters, {4 * size / 1e6:.1f} MB; {args.people} people an epoch")

    def validate(current: nn.Module) -> float:
        device = next(current.parameters()).device
        return float(loss_of(current, {name: tensor.to(device) for name, tensor in held_out.items()}))

    history = fit(net, draws.epoch, loss_of, optimiser, schedule, options, args.output, recipe, validate)
    _say(f"epoch {len(history.loss)}: loss {history.loss[-1]:.5g}, on people held out {history.score[-1]:.5g}")
    _say(f"best: {args.output / BEST}; to go on: --resume ({args.output / LAST})")
    return 0


def _say(line: str) -> None:
    """Told once, not by every process that Fabric starts."""
    if os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0":
        print(line)


def recipe_of(args: argparse.Namespace) -> dict[str, Any]:
    """Plain values only. NaN would differ from itself on resumption: a noise of the rig's own is None."""
    recipe = {
        "network": args.network, "baseline": args.baseline, "width": args.width, "seed": args.seed,
        "schedule": args.schedule, "noise": args.noise, "rigs": list(args.rigs),
        "rig_count": args.rig_count, "people": args.people, "batch": args.batch,
        "sigma_px": None if math.isnan(args.sigma_px) else args.sigma_px,
    }  # fmt: skip
    own = {
        "cvugcn": ("form", "views", "pairs", "side_views", "labels", "without", "losses", "lambda_b"),
        "lifter": ("without", "plain_depth", "true_keypoints"),
        "posern": (),
    }
    recipe.update({name: getattr(args, name) for name in own[args.network]})
    return recipe


def build(recipe: Mapping[str, Any]) -> nn.Module:
    """The untrained network of a recipe; raises InputError for an unknown one."""
    kind, width, baseline = recipe.get("network"), int(recipe.get("width", 0)), bool(recipe.get("baseline"))
    if kind == "cvugcn":
        features = FEATURES[recipe["form"]]
        if baseline:
            return MlpRefiner(recipe["views"], features)
        stems = "none" if "stems" in recipe["without"] else "shared" if recipe["form"] == "rig" else "separate"
        return CvUgcn(
            CvUgcnOptions(
                views=recipe["views"], features=features, widths=(width, 2 * width, 4 * width),
                stems=stems, spatial="spatial" not in recipe["without"], cross_view="view" not in recipe["without"],
            )
        )  # fmt: skip
    if kind == "lifter":
        chosen = LifterOptions(width, "location" not in recipe["without"], "scale" not in recipe["without"])
        return LifterMlp(chosen) if baseline else AbsPoseLifter(chosen)
    if kind == "posern":
        return ResidualMlp(6 * J, 2 * J, width) if baseline else PoseRN(width)
    raise InputError(f"there is no network {kind!r}: use posern, cvugcn or lifter")


def load_trained(path: Path | str) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a checkpoint, ready for use, and its recipe."""
    content = read_checkpoint(path)
    net = build(content["recipe"])
    net.load_state_dict(content["net"])
    return net.eval(), content["recipe"]


def refiner_features(data: Batch, form: str) -> torch.Tensor:
    """The features (N, V, J, C) of refinement data."""
    return FORMS[form](Sight(*(data[name] for name in refinement.SIGHT))).features


def optimiser_of(
    network: str, net: nn.Module, epochs: int, schedule: str = "paper"
) -> tuple[torch.optim.Optimizer, LRScheduler | ReduceLROnPlateau]:
    """As published: Amsgrad with 0.9 on a plateau of 10 epochs; RMSprop with a tenth after 2/3; Adam.

    schedule "cosine" falls to nothing over the epochs instead: for runs too short for a plateau.
    """
    parameters = list(net.parameters())
    optimiser: torch.optim.Optimizer
    if network == "lifter":
        optimiser = torch.optim.RMSprop(parameters, lr=LEARNING_RATE)
    else:
        optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, amsgrad=network == "cvugcn")
    if schedule == "cosine":
        return optimiser, CosineAnnealingLR(optimiser, epochs)
    if network == "cvugcn":
        return optimiser, ReduceLROnPlateau(optimiser, factor=0.9, patience=10)
    return optimiser, MultiStepLR(optimiser, [max(1, 2 * epochs // 3)] if network == "lifter" else [])


def loss_for(recipe: Mapping[str, Any]) -> Callable[[nn.Module, Batch], torch.Tensor]:
    """The loss of a recipe."""
    if recipe["network"] == "posern":
        return bias.bias_loss
    if recipe["network"] == "lifter":
        return lifting.lifting_loss(canonical=not recipe["plain_depth"])
    unknown = set(recipe["losses"]) - set("rstb")
    if unknown or "r" not in recipe["losses"]:
        raise InputError(f"--losses is {recipe['losses']!r}, expected r and any of s, t, b, for example rstb")
    full = LossWeights(bone=recipe["lambda_b"])
    on = {letter: float(letter in recipe["losses"]) for letter in "stb"}
    weights = LossWeights(1.0, full.symmetry * on["s"], full.transformation * on["t"], full.bone * on["b"])
    return refinement.refinement_loss(recipe["form"], weights)


class Draws:
    """Fresh people before the recipe's rigs, the same ones for the same epoch."""

    def __init__(self, recipe: Mapping[str, Any], motion: Motion, people: int) -> None:
        self.recipe, self.motion, self.people = recipe, motion, people
        self.rigs = list(rigs_of(recipe))

    def epoch(self, number: int) -> Batch:
        """Training data of an epoch: mirrored, of any build, some of their joints hidden."""
        rng = np.random.default_rng([self.recipe["seed"], number + 1, 17])
        return self._draw(self.motion.split("train"), self.people, rng, training=True)

    def validation(self) -> Batch:
        """People of the validation split as they are, before the same rigs (rigs of the test stay unseen)."""
        rng = np.random.default_rng([self.recipe["seed"], 0, 17])
        return self._draw(self.motion.split("val"), VALIDATION_PEOPLE, rng, training=False)

    def _draw(self, motion: Motion, people: int, rng: np.random.Generator, training: bool) -> Batch:
        share = max(2, people // len(self.rigs))
        parts: list[Any] = []
        for one in self.rigs:
            xyz = motion.xyz[motion.draw(share, 1, rng)]
            xyz = placed(augmented(xyz, rng) if training else xyz, one.floor, rng)
            # The paper's form has no way to tell a missing joint.
            hide = training and self.recipe.get("form") not in ("paper", "pair")
            hiding = hidden(len(one.rig.cameras), share, 1, rng) if hide else None
            detector = self._bias(rng, training)
            parts.append(self._data(simulate(xyz, one, self._noise(one), rng, hide=hiding, bias=detector)))
        joined = {"cvugcn": refinement.joined, "lifter": lifting.joined, "posern": bias.joined}
        data = joined[self.recipe["network"]](parts)  # type: ignore[operator]
        return dict(data._asdict())

    def _data(self, views: SimulatedViews) -> Any:
        if self.recipe["network"] == "cvugcn":
            return refinement.refinement_data(views, self.recipe["views"], labels=self.recipe["labels"])
        if self.recipe["network"] == "lifter":
            return lifting.lifting_data(views, true_keypoints=self.recipe["true_keypoints"])
        return bias.bias_data(views)

    def _bias(self, rng: np.random.Generator, training: bool) -> DetectorBias | None:
        """PoseRN only: a training detector of the population, drawn anew for every rig; the last ones validate."""
        if self.recipe["network"] != "posern":
            return None
        seeds = TRAIN_SEEDS[:-VALIDATION_DETECTORS] if training else TRAIN_SEEDS[-VALIDATION_DETECTORS:]
        return DetectorBias.draw(int(rng.choice(seeds)))

    def _noise(self, one: SimulatedRig) -> Noise:
        """Independent Gaussian, or the fitted detector's."""
        if self.recipe["noise"] == "detector":
            return default_noise()
        given = self.recipe["sigma_px"]
        return GaussianNoise(one.sigma_px if given is None else float(given))


def rigs_of(recipe: Mapping[str, Any]) -> Iterator[SimulatedRig]:
    """The training rigs of a recipe; cvugcn takes `views` cameras of each."""
    for family, number in itertools.product(recipe["rigs"], range(recipe["rig_count"])):
        whole = simulated_rig(family, number, held_out=False)
        if recipe["network"] != "cvugcn":
            yield whole
        elif family == "h36m" and recipe["views"] == 2:
            for pair in recipe["pairs"]:
                yield _with_sides(whole.pair(pair), number, recipe)
        else:
            names = whole.rig.names
            if len(names) < recipe["views"]:
                raise InputError(f"rigs of family {family!r} have {len(names)} cameras, fewer than --views")
            for chosen in itertools.combinations(names, recipe["views"]):
                yield _with_sides(replace(whole, rig=whole.rig.subset(chosen)), number, recipe)


def _with_sides(one: SimulatedRig, number: int, recipe: Mapping[str, Any]) -> SimulatedRig:
    return with_cameras(one, side_views(one, number, held_out=False)) if recipe["side_views"] else one
