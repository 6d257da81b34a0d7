"""The one training loop: seeded, resumable, on CPU, several GPUs or several machines (torch, Lightning Fabric).

Every epoch draws its data and its order from (seed, epoch) alone, so a run that was stopped and resumed goes through
the same numbers as one that was not. Checkpoints hold tensors and plain values and are read with weights_only=True.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from tqdm import tqdm

from pose3d_ros.errors import DependencyError, InputError, shown
from pose3d_ros.files.archives import checked_checkpoint
from pose3d_ros.files.door import CHECKPOINT, reading

Batch = Mapping[str, Tensor]
LAST, BEST = "last.ckpt", "best.ckpt"


@dataclass(frozen=True)
class FitOptions:
    """Duration, batch size and hardware."""

    epochs: int
    batch_size: int  # a process
    seed: int = 0
    minutes: float = math.inf  # no epoch begins after this; the run can be resumed
    accelerator: str = "auto"  # cpu, gpu, auto
    devices: int = 1
    nodes: int = 1
    precision: str = "32-true"
    resume: bool = False
    progress: bool = True


@dataclass
class History:
    """One entry per epoch."""

    loss: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)  # validation, lower is better; empty without validation


def fit(
    net: nn.Module,
    data_of: Callable[[int], Batch],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    optimiser: Optimizer,
    schedule: LRScheduler | ReduceLROnPlateau,
    options: FitOptions,
    folder: Path,
    recipe: Mapping[str, Any],
    validate: Callable[[nn.Module], float] | None = None,
) -> History:
    """Train `net` in place and write LAST (to resume) and BEST (to use) to folder.

    data_of(epoch) gives tensors of one length N, the same ones for the same epoch; loss_of(net, batch) a scalar.
    recipe, of plain values, rebuilds the network and must not change between a run and its resumption. Raises
    InputError for a checkpoint of another recipe and a loss that is not finite, DependencyError without Fabric.
    """
    fabric = _fabric(options)
    net, optimiser = fabric.setup(net, optimiser)
    history, begin = History(), 0
    state: dict[str, Any] = {"net": net, "optimiser": optimiser, "schedule": schedule}
    path = folder / LAST
    if options.resume and path.is_file():
        checked_checkpoint(path, CHECKPOINT)
        with reading(path, CHECKPOINT):
            rest = fabric.load(path, state, weights_only=True)
            _check_recipe(rest["recipe"], recipe, path)
            begin, history = int(rest["epoch"]), History(list(rest["loss"]), list(rest["score"]))
    elif path.is_file() and not options.resume:
        raise InputError(f"{path} is there already: use --resume to continue it, or another folder")
    end = time.monotonic() + 60 * options.minutes
    with tqdm(
        total=options.epochs, initial=begin, unit="epoch", disable=not options.progress or not _first(fabric)
    ) as bar:
        for epoch in range(begin, options.epochs):
            # Ranks differ, or all of them would drop the same units.
            torch.manual_seed(_seed(options.seed, epoch) + fabric.global_rank)
            history.loss.append(_epoch(fabric, net, data_of(epoch), loss_of, optimiser, options, epoch))
            if validate is not None:  # processes keep batch norm figures of their own; one of them decides
                history.score.append(float(fabric.broadcast(validated(net, validate))))
            plateau = isinstance(schedule, ReduceLROnPlateau)
            schedule.step(history.loss[-1]) if plateau else schedule.step()  # type: ignore[call-arg, arg-type]
            values = {"epoch": epoch + 1, "loss": history.loss, "score": history.score, "recipe": dict(recipe)}
            fabric.save(path, {**state, **values})
            ranked = history.score or history.loss
            if ranked[-1] == min(ranked):
                fabric.save(folder / BEST, {"net": net, **values})
            bar.update()
            bar.set_postfix(loss=f"{history.loss[-1]:.4g}", **({"score": f"{ranked[-1]:.4g}"} if history.score else {}))
            if fabric.broadcast(time.monotonic() > end):  # every process must stop after the same epoch
                break
    return history


def validated(net: nn.Module, validate: Callable[[nn.Module], float]) -> float:
    """A validation figure of the network as in use: no dropout, stored batch norm, no gradients."""
    net.eval()
    with torch.no_grad():
        score = float(validate(net))
    net.train()
    return score


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint's recipe, net (its state) and history; raises InputError for anything else."""
    whole = checked_checkpoint(path, CHECKPOINT)
    try:
        content = torch.load(whole, map_location="cpu", weights_only=True)
        kinds = {"recipe": Mapping, "net": Mapping, "epoch": int, "loss": list, "score": list}
        if odd := [name for name, kind in kinds.items() if not isinstance(content[name], kind)]:
            raise TypeError(f"{odd[0]} is {shown(content[odd[0]])}")
        return {name: content[name] for name in kinds}
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, MemoryError) as error:
        raise InputError(f"{path} is not a checkpoint of pose3d train ({error}): give {BEST} or {LAST}") from error
    except Exception as error:  # pickle's own errors share no other root
        raise InputError(f"{path} holds more than tensors and plain values ({error}): it was not loaded") from error


def _epoch(
    fabric: Any,
    net: nn.Module,
    data: Batch,
    loss_of: Callable[[nn.Module, Batch], Tensor],
    optimiser: Optimizer,
    options: FitOptions,
    epoch: int,
) -> float:
    """One pass over the data; the mean loss."""
    net.train()
    losses = []
    for rows in _batches(len(next(iter(data.values()))), options, epoch, fabric.global_rank, fabric.world_size):
        batch = {name: fabric.to_device(tensor[rows]) for name, tensor in data.items()}
        optimiser.zero_grad()
        loss = loss_of(net, batch)
        fabric.backward(loss)
        optimiser.step()
        losses.append(loss.detach())
    mean = float(fabric.all_reduce(torch.stack(losses).mean(), reduce_op="mean"))
    if not math.isfinite(mean):
        raise InputError(f"the loss is {mean} in epoch {epoch + 1}: lower the learning rate, or check the data")
    return mean


def _batches(count: int, options: FitOptions, epoch: int, rank: int, processes: int) -> Iterator[Tensor]:
    """Row numbers of this process's batches; drops a last incomplete one, unless it is the only one."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(_seed(options.seed, epoch)))
    own = order[rank : count - count % processes : processes]
    size = min(options.batch_size, len(own))
    if size < 2:
        raise InputError(f"{count} samples on {processes} processes are too few: batch norm needs two at least")
    for start in range(0, len(own) - size + 1, size):
        yield own[start : start + size]


def _seed(seed: int, epoch: int) -> int:
    return 1_000_003 * (seed + 1) + 1009 * epoch  # apart by more than any number of processes


def _fabric(options: FitOptions) -> Any:
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise DependencyError(
            "training needs Lightning Fabric, which is not installed: pip install 'lightning-fabric>=2.6'"
        ) from error
    precision: Any = options.precision  # Fabric's type lists every name; it checks them too
    try:
        fabric = Fabric(
            accelerator=options.accelerator, devices=options.devices, num_nodes=options.nodes, precision=precision
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"accelerator {options.accelerator!r} with {options.devices} devices on {options.nodes} machines cannot be "
            f"had here: {error}; use --accelerator cpu --devices 1"
        ) from error
    fabric.launch()
    return fabric


def _first(fabric: Any) -> bool:
    return bool(fabric.global_rank == 0)


def _check_recipe(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    differing = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if differing:
        differences = ", ".join(
            f"{name} was {shown(found.get(name))}, is {shown(wanted.get(name))}" for name in differing
        )
        raise InputError(
            f"{path} was trained with other options ({differences}): give the same options, or another folder"
        )
