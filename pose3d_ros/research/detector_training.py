"""2D networks for the nodes' detector: trained on rendered people, read and written as checkpoints (torch).

Shin, Lee and Lee, "AbsPoseLifter" (2023), Sec. 4.1: a ResNet with deconvolutions and soft-argmax, 60 epochs of batches
of 48, RMSprop at 1e-4, from half of them on at 1e-5; image_training.py trains that way with the budget "full". Newell
et al., "Stacked hourglass networks" (ECCV 2016), Sec. 3.3: RMSprop at 2.5e-4; deviation: its rate falls at half of the
epochs too, not when validation stops getting better.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.files.archives import checked_checkpoint
from pose3d_ros.files.door import NETWORK, reading
from pose3d_ros.research.budgets import FULL, Budget
from pose3d_ros.research.crops import CropSet, Moment
from pose3d_ros.research.image_training import ImageSystem
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.hourglass import StackedHourglass
from pose3d_ros.research.networks.integral import IntegralPose
from pose3d_ros.research.single_view_systems import HOURGLASS, INTEGRAL
from pose3d_ros.training.loop import read_checkpoint

# Layers of the ResNets, stacks of the hourglasses.
RESNETS = {"resnet18": 18, "resnet50": 50, "resnet152": 152}
HOURGLASSES = {"hourglass2": 2, "hourglass8": 8}
EPOCHS, BATCH = 60, 48  # AbsPoseLifter, Sec. 4.1
HOURGLASS_RATE = 2.5e-4  # Newell et al., Sec. 3.3
SIDE_STEP = 32  # the networks halve the side five times
HELD_OUT = 10  # of so many scenes one chooses the best epoch
Network2D = IntegralPose | StackedHourglass


class Trained2D(NamedTuple):
    """A 2D network and what rebuilds it."""

    network: Network2D
    side: int  # px of its crops
    recipe: Mapping[str, Any]


def system_and_budget(
    network: str, width: int, side: int, epochs: int, batch: int, rate: float, images: int
) -> tuple[ImageSystem, Budget]:
    """What image_training.train is given; 0: as published. images: of an epoch. Raises InputError for other sides."""
    if side % SIDE_STEP or side < SIDE_STEP:
        raise InputError(f"--side {side}: give a multiple of {SIDE_STEP} px, because the networks halve it five times")
    budget = replace(
        FULL, side=side, batch=batch or BATCH, epoch_images=images, passes=(epochs or EPOCHS) * images,
        learning_rate=rate or (FULL.learning_rate if network in RESNETS else HOURGLASS_RATE),
    )  # fmt: skip
    if network in RESNETS:
        return INTEGRAL, replace(budget, layers=RESNETS[network], width=width or FULL.width)
    return HOURGLASS, replace(budget, stacks=HOURGLASSES[network], hourglass_width=width or FULL.hourglass_width)


def with_held_out(moments: Sequence[Moment], side: int) -> tuple[CropSet, CropSet]:
    """Crops to train on, and those of one in HELD_OUT scenes that choose the best epoch; raises InputError for one."""
    scenes = sorted({moment.group for moment in moments})
    if len(scenes) < 2:
        raise InputError(f"there is {len(scenes)} scene, expected two or more: one of them chooses the best epoch")
    chosen = set(scenes[:: max(2, min(HELD_OUT, len(scenes)))])
    return (
        CropSet([moment for moment in moments if moment.group not in chosen], side, "training crops"),
        CropSet([moment for moment in moments if moment.group in chosen], side, "validation crops"),
    )


def read_detector(path: Path | str) -> Trained2D:
    """A 2D network's checkpoint, in eval mode; raises InputError for any other."""
    checkpoint = read_checkpoint(path)
    recipe = checkpoint["recipe"]
    try:
        network: Network2D
        if recipe["system"] == HOURGLASS.name:
            network = StackedHourglass(int(recipe["stacks"]), int(recipe["hourglass_width"]))
        elif recipe["system"] == INTEGRAL.name:
            network = IntegralPose(
                int(recipe["layers"]), 0, int(recipe["width"]), int(recipe["deconvolution"])
            )  # fmt: skip
        else:
            raise ValueError(f"it is of {recipe['system']}, expected {INTEGRAL.name} or {HOURGLASS.name}")
        network.load_state_dict(checkpoint["net"])
        return Trained2D(network.eval(), int(recipe["side"]), recipe)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is no checkpoint of a 2D network ({str(error)[:300]}): give a best.ckpt of `pose3d train detector`"
        ) from error


def write_detector(path: Path, network: Network2D, recipe: Mapping[str, Any]) -> None:
    """A checkpoint that read_detector reads, whole or not at all."""
    partial = path.with_suffix(".partial")
    content = {"recipe": dict(recipe), "net": network.state_dict(), "epoch": 0, "loss": [], "score": []}
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def pretrained(path: Path, system: ImageSystem, budget: Budget) -> Network2D:
    """A network whose ResNet has torchvision's ImageNet weights; raises InputError where they do not fit."""
    network = system.build(budget, 1)
    if not isinstance(network, IntegralPose):
        raise InputError(f"--pretrained {path}: a stacked hourglass begins with random weights: leave it out")
    whole = checked_checkpoint(path, NETWORK)
    with reading(path, NETWORK):
        state = torch.load(whole, map_location="cpu", weights_only=True)
        layers = {name: value for name, value in state.items() if not name.startswith("fc.")}
    try:
        network.backbone.load_state_dict(layers)
    except RuntimeError as error:
        raise InputError(
            f"--pretrained {path}: it does not fit ({str(error)[:300]}): give torchvision's file of the same network, "
            "and no --width"
        ) from error
    return network


def joints_px(network: nn.Module, image: Tensor) -> Tensor:
    """Joints (B, J, 2) px of crops (B, 3, S, S)."""
    found = network(image)
    if isinstance(found, Tensor):
        return heads.to_pixels(heads.argmax(found[:, -1])[0], found.shape[-1], image.shape[-1])
    xy: Tensor = found.xy_px
    return xy
