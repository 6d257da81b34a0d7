"""The one way in which networks for images are trained: crops of a budget's size, the same number for each (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.crops import Augmentation, CropSet, Cut, single_views, views_of
from pose3d_ros.research.samples import Views
from pose3d_ros.training.loop import BEST, LAST, Batch, FitOptions, fit, read_checkpoint

ALL = Augmentation(shift=True, flip=True, colour=True)
# Views of a moment keep their places: what is learned of them must not be mirrored.
PLACED = Augmentation(shift=True, colour=True)


@dataclass(frozen=True)
class ImageSystem:
    """A network for images: how it is built, what it learns from, and what it says of people."""

    name: str
    build: Callable[[Budget, int], nn.Module]  # budget, cameras
    loss: Callable[[nn.Module, Views], Tensor]
    # (B * V, J, 2) px, (B * V, J, 3) m from the pelvis in each camera, or (B, J, 3) m in the world.
    # None: nothing; its validation figure is the loss.
    decode: Callable[[nn.Module, Views], Tensor] | None
    all_views: bool = False  # takes all views of a moment together
    augmentation: Augmentation = ALL
    start: ImageSystem | None = None  # whose weights each member `pose` begins with
    share: float = 1.0  # of the budget's images
    batch: float = 1.0  # of the budget's: smaller ones are more steps
    rate: float = 1.0  # of the budget's learning rate
    moments: float = 1.0  # share of the training moments that it may learn from
    pairs: bool = False  # takes moments in pairs of one person: numbers 2 k and 2 k + 1 of a batch
    unit: str = "mm"  # of its validation figure

    def passes(self, budget: Budget) -> int:
        """Images that it is trained on, with those of the network that it begins with."""
        return round(self.share * budget.passes) + (self.start.passes(budget) if self.start else 0)


def train(
    system: ImageSystem, budget: Budget, training: CropSet, validation: CropSet, folder: Path, options: FitOptions,
    start: nn.Module | None = None,
) -> nn.Module:  # fmt: skip
    """The best epoch's network, trained in `folder` or taken from there; a stopped run goes on.

    start: a network whose weights every member `pose` begins with, or the whole if there is none. Raises InputError for
    a folder that was trained with other options or images.
    """
    torch.manual_seed(options.seed)
    net = system.build(budget, training.views)
    if start is not None:
        members = [module for name, module in net.named_modules() if name.rpartition(".")[2] == "pose"]
        for module in members or [net]:
            module.load_state_dict(start.state_dict())
    per_row = (training.views if system.all_views else 1) * (2 if system.pairs else 1)
    epochs = max(round(system.share * budget.passes / budget.epoch_images), 1)
    options = replace(options, epochs=epochs, batch_size=max(round(system.batch * budget.batch) // per_row, 2))
    optimiser, schedule = _optimiser(net, system.rate * budget.learning_rate, budget, epochs)
    recipe = {"system": system.name, "images": training.identity, "seed": options.seed, "unit": system.unit}
    recipe |= asdict(budget)

    def data_of(epoch: int) -> Batch:
        rows = _rows(
            system, training, budget.epoch_images // training.views, np.random.default_rng((options.seed, epoch))
        )
        cut = training.take(rows)
        cut = cut if system.all_views else single_views(cut)
        if not system.pairs:
            return cut._asdict()
        return {name: tensor.reshape(-1, 2, *tensor.shape[1:]) for name, tensor in cut._asdict().items()}

    def loss_of(current: nn.Module, batch: Batch) -> Tensor:
        cut = Cut(*(batch[name].flatten(0, 1) if system.pairs else batch[name] for name in Cut._fields))
        return system.loss(current, views_of(cut, budget.side, system.augmentation))

    fit(
        net, data_of, loss_of, optimiser, schedule, options, folder, recipe,
        lambda current: float(np.mean(errors(system, current, validation, budget))),
    )  # fmt: skip
    return load(system, budget, training.views, folder)


def load(system: ImageSystem, budget: Budget, views: int, folder: Path) -> nn.Module:
    """The best epoch's network of a folder."""
    net = system.build(budget, views)
    net.load_state_dict(read_checkpoint(folder / BEST)["net"])
    return net.eval()


def curve(folder: Path) -> tuple[list[float], list[float]]:
    """Loss and validation figure of every epoch."""
    checkpoint = read_checkpoint(folder / LAST)
    return checkpoint["loss"], checkpoint["score"]


def decoded(system: ImageSystem, net: nn.Module, crops: CropSet, budget: Budget) -> Iterator[tuple[Tensor, Views]]:
    """What the network says of batches of moments, and these moments."""
    assert system.decode is not None, f"{system.name} says nothing of poses"
    for views in _batches(net, crops, budget):
        with torch.inference_mode():
            yield system.decode(net, views).cpu(), Views(*(tensor.cpu() for tensor in views))


def _batches(net: nn.Module, crops: CropSet, budget: Budget) -> Iterator[Views]:
    """All moments in order, on the network's device."""
    device = next(net.parameters()).device
    step = max(4 * budget.batch // crops.views, 1)
    for begin in range(0, len(crops), step):
        cut = crops.take(np.arange(begin, min(begin + step, len(crops))))
        yield views_of(Cut(*(tensor.to(device) for tensor in cut)), budget.side)


def errors(system: ImageSystem, net: nn.Module, crops: CropSet, budget: Budget) -> Any:
    """Mean error of every person, (N,): px of the crop, or mm from the pelvis; or the losses of batches."""
    if system.decode is None:
        return np.array([float(system.loss(net, views)) for views in _batches(net, crops, budget)])
    means = []
    for found, views in decoded(system, net, crops, budget):
        if found.shape[-1] == 2:
            apart = (found - views.xy.flatten(0, 1)).norm(dim=-1)
        else:
            truth = views.world if system.all_views else views.xyz.flatten(0, 1)
            apart = 1000 * (found - found[:, :1] - truth + truth[:, :1]).norm(dim=-1)
        means.append(apart.mean(dim=-1))
    return torch.cat(means).numpy()


def _rows(system: ImageSystem, training: CropSet, wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Numbers of the moments of an epoch; with pairs every two neighbours are of one scene."""
    count = max(round(system.moments * len(training)), 1)
    if system.pairs:
        by_group: dict[str, list[int]] = {}
        for number in range(count):
            by_group.setdefault(training.moments[number].group, []).append(number)
        groups = [rows for rows in by_group.values() if len(rows) > 1]
        drawn = [rng.choice(groups[number], 2, replace=False) for number in rng.integers(len(groups), size=wanted // 2)]
    else:
        drawn = [rng.permutation(count) for _ in range(-(-wanted // count))]
    rows: NDArray[np.intp] = np.concatenate(drawn)[:wanted].astype(np.intp)
    return rows


def _optimiser(net: nn.Module, rate: float, budget: Budget, epochs: int) -> tuple[torch.optim.Optimizer, LRScheduler]:
    if budget.name == "full":
        optimiser: torch.optim.Optimizer = torch.optim.RMSprop(net.parameters(), lr=rate)
        return optimiser, MultiStepLR(optimiser, [max(epochs // 2, 1)], gamma=0.1)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    return optimiser, CosineAnnealingLR(optimiser, epochs)
