"""A 2D network fine-tuned on one's own recordings, by what their cameras agree on (torch).

The recording is cut into stretches of time. The network learns from every other one and is judged on the rest, by how
far its joints are from where the cameras other than the image's agree that they are. That takes the detector's
definition of joints and the rig's calibration as they are: it says that the network agrees with this rig, not that it
is right.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.tables import Table
from pose3d_ros.networks.canonical import MIRROR
from pose3d_ros.research.consensus_crops import ConsensusCrops
from pose3d_ros.research.crops import SHIFT_SHARE
from pose3d_ros.research.detector_training import Network2D, joints_px
from pose3d_ros.research.networks.hourglass import hourglass_loss
from pose3d_ros.research.networks.integral import integral_loss
from pose3d_ros.research.samples import Crops
from pose3d_ros.research.single_view_systems import HEATMAPS
from pose3d_ros.structures import Floats
from pose3d_ros.training.rig import halves

START, TUNED, DEFAULT = "start", "fine-tuned", "default detector"
LEAST_CROPS = 24  # to learn from, and to judge by


@dataclass(frozen=True)
class TuningOptions:
    """How far to go; chosen on the sample footage (docs/training.md)."""

    epochs: int = 20
    batch_size: int = 8
    rate: float = 3e-4  # of Adam, falling to zero
    seed: int = 0


@dataclass(frozen=True)
class LeftOut:
    """Distances from joints to where the other cameras agree that they are, px of the camera's image."""

    median_px: float
    mean_px: float
    joints: int


@dataclass(frozen=True, eq=False)
class DetectorTuning:
    """What came of it."""

    network: Network2D
    crops: int  # that it learned from
    held_out: dict[str, LeftOut]  # by START, TUNED, DEFAULT: of the same joints

    @property
    def why_not(self) -> str:
        """Why the network is not to be used; empty where it is nearer than the start in the median and the mean."""
        start, tuned = self.held_out[START], self.held_out[TUNED]
        if tuned.median_px < start.median_px and tuned.mean_px < start.mean_px:
            return ""
        return (
            f"in the held-out stretches the fine-tuned network's joints are {tuned.median_px:.2f} px (median, mean "
            f"{tuned.mean_px:.2f}) from where the other cameras agree that they are, {start.median_px:.2f} (mean "
            f"{start.mean_px:.2f}) as it began: expected both to fall"
        )


def tune_detector(start: Network2D, crops: ConsensusCrops, options: TuningOptions = TuningOptions()) -> DetectorTuning:
    """Fine-tune a copy of a network on every other stretch of time, and judge it on the rest.

    Raises InputError where the recording is too short.
    """
    taught, judged = next(halves(crops.stamps_ns))
    if min(len(taught), len(judged)) < LEAST_CROPS:
        raise InputError(
            f"the recording gives {len(taught)} images of people to learn from and {len(judged)} to judge by, expected "
            f"{LEAST_CROPS} each at least: record people in view of three cameras for longer"
        )
    network = fitted(start, crops.select(taught), options)
    held_out = crops.select(judged)
    found = {START: joints_of(start, held_out), TUNED: joints_of(network, held_out), DEFAULT: held_out.detected}
    counts = np.isfinite(held_out.others + held_out.detected)[..., 0]
    return DetectorTuning(network, len(taught), {name: left_out(held_out, xy, counts) for name, xy in found.items()})


def tuning_table(tuning: DetectorTuning) -> Table:
    """The held-out stretches, by network."""
    note = (
        "Distances from joints to where the cameras other than the image's agree that they are, px of the image. "
        f"{tuning.crops} images of people learned from, {tuning.held_out[START].joints} joints judged in others."
    )
    rows = [(name, one.median_px, one.mean_px) for name, one in tuning.held_out.items()]
    return Table("detector", "held-out stretches", ("joints by", "left-out median px", "left-out mean px"), rows, note)


def fitted(start: Network2D, crops: ConsensusCrops, options: TuningOptions) -> Network2D:
    """A copy trained on crops; the norms keep their statistics, which a few people cannot give."""
    network = copy.deepcopy(start).eval().requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), lr=options.rate)
    steps = options.epochs * max(1, len(crops) // options.batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)
    generator = torch.Generator().manual_seed(options.seed)
    order = torch.cat([torch.randperm(len(crops), generator=generator) for _ in range(options.epochs + 1)])
    for step in range(steps):
        rows = order[step * options.batch_size : (step + 1) * options.batch_size].numpy()
        optimiser.zero_grad()
        loss_of(network, varied(crops.tensors(rows), generator)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def loss_of(network: nn.Module, crops: Crops) -> Tensor:
    """The loss that the network was trained with."""
    found = network(crops.image)
    return hourglass_loss(found, crops) if isinstance(found, Tensor) else integral_loss(found, crops, HEATMAPS)


def varied(crops: Crops, generator: torch.Generator) -> Crops:
    """Crops of 2D labels, half of them mirrored, shifted by up to SHIFT_SHARE; the border is repeated."""
    side = crops.image.shape[-1]
    mirrored = torch.rand(len(crops.image), generator=generator) < 0.5
    most = round(SHIFT_SHARE * side)
    shift = torch.randint(-most, most + 1, (len(crops.image), 2), generator=generator)
    images, xy, visible = [], [], []
    along = torch.arange(side)
    for image, joints, there, flip, (right, down) in zip(
        crops.image, crops.xy, crops.visible, mirrored.tolist(), shift.tolist(), strict=True
    ):
        if flip:
            image, there = image.flip(-1), there[MIRROR]
            joints = joints[MIRROR] * torch.tensor([-1.0, 1.0]) + torch.tensor([side - 1.0, 0.0])
        rows, columns = (along - down).clamp(0, side - 1), (along - right).clamp(0, side - 1)
        images.append(image[:, rows][:, :, columns])
        joints = joints + torch.tensor([float(right), float(down)])
        xy.append(joints)
        visible.append(there & ((joints > -0.5) & (joints < side - 0.5)).all(dim=-1))
    return crops._replace(image=torch.stack(images), xy=torch.stack(xy), visible=torch.stack(visible))


def joints_of(network: nn.Module, crops: ConsensusCrops, batch: int = 32) -> Floats:
    """The network's joints (N, J, 2) px of the crops."""
    found: list[Tensor] = []
    with torch.inference_mode():
        for first in range(0, len(crops), batch):
            rows = np.arange(first, min(first + batch, len(crops)))
            found.append(joints_px(network, crops.tensors(rows).image))
    joints: Floats = torch.cat(found).double().numpy()
    return joints


def left_out(crops: ConsensusCrops, joints: Floats, counts: NDArray[np.bool_]) -> LeftOut:
    """How far joints (N, J, 2) px of the crops are from crops.others, of those that count (N, J)."""
    apart = np.linalg.norm(joints - crops.others, axis=-1) * crops.image_px[:, None]
    chosen = apart[counts]
    if not len(chosen):
        raise InputError(
            "no joint in the held-out stretches is seen by three cameras that agree: record people in view of all"
        )
    return LeftOut(float(np.median(chosen)), float(chosen.mean()), len(chosen))
