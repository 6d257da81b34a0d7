"""From the arguments of `pose3d train` to a trained network, and from its checkpoint back to the network (torch).

A recipe is what rebuilds the network and its data, of plain values; it is kept in every checkpoint.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, ReduceLROnPlateau

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.load import load_motion
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.networks.build import build
from pose3d_ros.networks.cvugcn import CvUgcn
from pose3d_ros.networks.lifter import AbsPoseLifter
from pose3d_ros.networks.refiner import FORMS
from pose3d_ros.networks.residual_mlp import MlpRefiner
from pose3d_ros.networks.rig_features import Sight
from pose3d_ros.training import bias, lifting, refinement
from pose3d_ros.training.draws import Draws
from pose3d_ros.training.loop import BEST, LAST, Batch, FitOptions, fit, read_checkpoint
from pose3d_ros.training.losses import LossWeights
from pose3d_ros.training.rendered_draws import RenderedDraws
from pose3d_ros.training.spread import PEOPLE as SPREAD_PEOPLE
from pose3d_ros.training.spread import fit_spread
from pose3d_ros.weights.trained import SUFFIX, load, save

# Published by all three.
LEARNING_RATE = 1e-3


def train(args: argparse.Namespace) -> int:
    """Run one recipe; see train_command for the arguments."""
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = recipe_of(args)
    motion = None if recipe.get("rendered") else load_motion(args.data)
    torch.manual_seed(args.seed)
    net = build(recipe)
    options = FitOptions(
        epochs=args.epochs, batch_size=args.batch, seed=args.seed, minutes=args.minutes,
        accelerator=args.accelerator, devices=args.devices, nodes=args.nodes, resume=args.resume,
        precision=args.precision, progress=not args.quiet,
    )  # fmt: skip
    optimiser, schedule = optimiser_of(recipe, net, args.epochs)
    draws = (
        RenderedDraws(recipe["rendered"], recipe["target"]) if motion is None else Draws(recipe, motion, args.people)
    )
    if recipe["start"]:
        _begin_from(net, recipe)
    elif isinstance(net, CvUgcn | MlpRefiner):
        net.norm.measure(refiner_features(draws.epoch(0), recipe["form"]))
    elif isinstance(net, AbsPoseLifter):
        first = lifting.LiftingData(**draws.epoch(0))
        lifting.measure(net, first, canonical=not recipe["plain_depth"], zoom=recipe["zoom"])
    loss_of = loss_for(recipe)
    held_out = draws.validation()
    size = sum(parameter.numel() for parameter in net.parameters())
    people = f"{args.people} people" if motion else f"{len(draws.epoch(0)['xyz'])} views of rendered people"
    _say(f"{args.network}: {size / 1e6:.2f} M parameters, {4 * size / 1e6:.1f} MB; {people} an epoch")

    def validate(current: nn.Module) -> float:
        device = next(current.parameters()).device
        return float(loss_of(current, {name: tensor.to(device) for name, tensor in held_out.items()}))

    history = fit(net, draws.epoch, loss_of, optimiser, schedule, options, args.output, recipe, validate)
    _say(f"epoch {len(history.loss)}: loss {history.loss[-1]:.5g}, on people held out {history.score[-1]:.5g}")
    _say(f"best: {args.output / BEST}; to go on: --resume ({args.output / LAST})")
    if _first() and not args.checkpoints_only:
        export(args.output, motion, args.people)
    return 0


def export(folder: Path, motion: Motion | None, people: int = SPREAD_PEOPLE) -> None:
    """Convert the best checkpoint of a run's folder to weights for the estimators, with the covariance of its poses."""
    net, recipe = load_trained(folder / BEST)
    path = folder / f"{recipe['network']}{SUFFIX}"
    spread = fit_spread(net, recipe, motion, min(people, SPREAD_PEOPLE)) if motion else {}
    digest = save(path, net, recipe, spread)
    print(f"for use: {path} ({path.stat().st_size / 1e6:.1f} MB, SHA-256 {digest})")


def _begin_from(net: nn.Module, recipe: Mapping[str, Any]) -> None:
    """Take over the weights that the recipe starts from; raises InputError where they are of another network."""
    given = load(recipe["start"])
    try:
        net.load_state_dict(given.net.state_dict())
    except RuntimeError as error:
        names = ("network", "form", "width", "baseline")
        differing = [name for name in names if given.recipe.get(name) != recipe.get(name)]
        was, now = ({name: one.get(name) for name in differing} for one in (given.recipe, recipe))
        raise InputError(
            f"--start {recipe['start']} holds another network ({was or 'other options'}) than is trained here "
            f"({now}): give the same options as for its training"
        ) from error


def _first() -> bool:
    """Whether this is the first of the processes that Fabric starts."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def _say(line: str) -> None:
    """Warn once."""
    if _first():
        print(line)


def recipe_of(args: argparse.Namespace) -> dict[str, Any]:
    """Plain values only. NaN would differ from itself on resumption: a noise of the rig's own is None."""
    recipe = {
        "network": args.network, "baseline": args.baseline, "width": args.width, "seed": args.seed,
        "schedule": args.schedule, "noise": args.noise, "rigs": list(args.rigs),
        "rig_count": args.rig_count, "people": args.people, "reuse": args.reuse, "batch": args.batch,
        "sigma_px": None if math.isnan(args.sigma_px) else args.sigma_px, "start": args.start or None,
        "even_postures": args.even_postures,
    }  # fmt: skip
    own = {
        "cvugcn": ("form", "joints", "views", "pairs", "side_views", "labels", "without", "losses", "loss", "lambda_b"),
        "lifter": ("form", "dropout", "zoom", "depth_weight", "without", "plain_depth", "true_keypoints"),
        "posern": ("target", "loss", "bias_free", "dropout", "rendered"),
    }
    recipe.update({name: getattr(args, name) for name in own[args.network]})
    return recipe


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
    recipe: Mapping[str, Any], net: nn.Module, epochs: int
) -> tuple[torch.optim.Optimizer, LRScheduler | ReduceLROnPlateau]:
    """As published: Adam with 0.9 on a plateau of 10 epochs (CV-UGCN), RMSprop with a tenth after 2/3, Adam.

    CV-UGCN's is Amsgrad with our own losses. schedule "cosine" falls to nothing over the epochs instead: for runs too
    short for a plateau.
    """
    network, parameters = recipe["network"], list(net.parameters())
    optimiser: torch.optim.Optimizer
    if network == "lifter":
        optimiser = torch.optim.RMSprop(parameters, lr=LEARNING_RATE)
    else:
        ours = network == "cvugcn" and recipe["loss"] != "paper"
        optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, amsgrad=ours)
    if recipe["schedule"] == "cosine":
        return optimiser, CosineAnnealingLR(optimiser, epochs)
    if network == "cvugcn":
        return optimiser, ReduceLROnPlateau(optimiser, factor=0.9, patience=10)
    return optimiser, MultiStepLR(optimiser, [max(1, 2 * epochs // 3)] if network == "lifter" else [])


def loss_for(recipe: Mapping[str, Any]) -> Callable[[nn.Module, Batch], torch.Tensor]:
    """The loss of a recipe."""
    if recipe["network"] == "posern":
        return bias.bias_loss if recipe.get("loss") == "absolute" else bias.squared_bias_loss
    if recipe["network"] == "lifter":
        canonical, heights = not recipe["plain_depth"], recipe["form"] == "any"
        weight = recipe.get("depth_weight", 1.0)
        return lifting.lifting_loss(canonical=canonical, zoom=recipe["zoom"], heights=heights, depth_weight=weight)
    unknown = set(recipe["losses"]) - set("rstb")
    if unknown or "r" not in recipe["losses"]:
        raise InputError(f"--losses is {recipe['losses']!r}, expected r and any of s, t, b, for example rstb")
    full = LossWeights.published() if recipe.get("loss") == "paper" else LossWeights(bone=recipe["lambda_b"])
    on = {letter: float(letter in recipe["losses"]) for letter in "stb"}
    weights = LossWeights(1.0, full.symmetry * on["s"], full.transformation * on["t"], full.bone * on["b"], full.plain)
    return refinement.refinement_loss(recipe["form"], weights)
