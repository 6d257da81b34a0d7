"""How networks that lift 2D poses are trained: on the training people before cameras drawn for every epoch (torch).

A pose is mirrored or not, turned about the vertical (the world's z), put where another person of the training set
stands, and seen by one of the cameras there. A detector's errors are replayed on it: those of whole people of the
validation set, px of the crop, as they are on images that the detector did not learn from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import tau
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from pose3d_ros.networks.canonical import MIRROR
from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.crops import CROP_SCALE, CropSet
from pose3d_ros.research.samples import Crops
from pose3d_ros.training.lifting import LiftingData
from pose3d_ros.training.loop import BEST, Batch, FitOptions, fit, read_checkpoint

LEARNING_RATE = 1e-3  # Martinez et al., Sec. 3, and AbsPoseLifter, Sec. 5


class People(NamedTuple):
    """M moments: where people stood, and the cameras round them."""

    world: Tensor  # (M, J, 3) m, z up
    K: Tensor  # (M, V, 3, 3) px, without distortion
    cam_from_world: Tensor  # (M, V, 4, 4) m


@dataclass(frozen=True)
class LiftSystem:
    """A network that lifts 2D poses: how it is built from training data, what it learns, what it says."""

    name: str
    build: Callable[[Budget, LiftingData | None], nn.Module]  # None: the weights, which hold statistics, follow
    loss: Callable[[nn.Module, LiftingData], Tensor]
    lift: Callable[
        [nn.Module, Tensor, Tensor], Tensor
    ]  # joints (N, J, 2) px, K (N, 3, 3) -> (N, J, 3) m from the pelvis


def people_of(crops: CropSet) -> People:
    """The people of a set of crops and their cameras."""
    world = np.stack([moment.joints_m for moment in crops.moments])
    K = np.stack([[camera.K for camera in moment.cameras] for moment in crops.moments])
    poses = np.stack([[camera.cam_from_world for camera in moment.cameras] for moment in crops.moments])
    return People(*(torch.from_numpy(array.astype(np.float32)) for array in (world, K, poses)))


def virtual_views(people: People, count: int, side: int, residuals: Tensor | None = None) -> LiftingData:
    """`count` people as the module's docstring says; residuals (R, J, 2) px of the crop (torch's own generator)."""
    M, V = people.K.shape[:2]
    pose, place, view = (torch.randint(0, most, (count,)) for most in (M, M, V))
    relative = people.world[pose] - people.world[pose, :1]
    mirror = torch.rand(count) < 0.5
    image = relative[:, MIRROR] * torch.tensor([-1.0, 1.0, 1.0])
    relative = torch.where(mirror[:, None, None], image, relative)
    angle = tau * torch.rand(count)
    cos, sin = angle.cos(), angle.sin()
    x, y = relative[..., 0], relative[..., 1]
    turned = torch.stack(
        [cos[:, None] * x - sin[:, None] * y, sin[:, None] * x + cos[:, None] * y, relative[..., 2]], -1
    )
    pelvis = torch.cat([people.world[place, 0, :2], people.world[pose, 0, 2:]], dim=-1)
    T = people.cam_from_world[place, view]
    xyz = (turned + pelvis[:, None]) @ T[:, :3, :3].transpose(1, 2) + T[:, None, :3, 3]
    xy, K = cropped(xyz, people.K[place, view], side)
    if residuals is not None:
        xy = xy + residuals[torch.randint(0, len(residuals), (count,))]
    return LiftingData(xy, xyz, K, torch.full((count,), float(side)))


def cropped(xyz: Tensor, K: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Pixels (N, J, 2) of joints (N, J, 3) m in their crops, and the crops' K: crops.crop_camera's, for tensors."""
    image = xyz @ K.transpose(1, 2)
    px = image[..., :2] / image[..., 2:]
    low, high = px.amin(dim=1), px.amax(dim=1)
    scale = side / (CROP_SCALE * (high - low).amax(dim=1).clamp(min=1.0))
    K = K.clone()
    K[:, :2] *= scale[:, None, None]
    shift = (side - 1) / 2 - scale[:, None] * (low + high) / 2
    K[:, :2, 2] += shift
    return scale[:, None, None] * px + shift[:, None], K


def as_crops(data: LiftingData) -> Crops:
    """The same people, for losses of networks that also take images."""
    nothing = data.xy.new_zeros(len(data.xy), 3, 0, 0)
    everything = torch.ones_like(data.xy[..., 0], dtype=torch.bool)
    return Crops(nothing, data.xy, data.xyz, everything, data.K, everything[:, 0])


def train_lifter(
    system: LiftSystem, budget: Budget, training: CropSet, validation: LiftingData, residuals: Tensor | None,
    folder: Path, options: FitOptions,
) -> nn.Module:  # fmt: skip
    """The best epoch's network, trained in `folder` or taken from there.

    validation: people with the joints that the detector gave. Raises InputError as image_training.train.
    """
    people = people_of(training)

    def data_of(epoch: int) -> Batch:
        return virtual_views(people, budget.lifter_people, budget.side, residuals)._asdict()

    torch.manual_seed(options.seed)
    net = system.build(budget, LiftingData(**data_of(0)))
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = CosineAnnealingLR(optimiser, budget.lifter_epochs)
    options = replace(options, epochs=budget.lifter_epochs, batch_size=budget.lifter_batch)
    recipe = {"system": system.name, "people": training.identity, "seed": options.seed} | asdict(budget)

    def validate(current: nn.Module) -> float:
        device = next(current.parameters()).device
        found = system.lift(current, validation.xy.to(device), validation.K.to(device)).cpu()
        truth = validation.xyz - validation.xyz[:, :1]
        return 1000 * float((found - truth).norm(dim=-1).mean())

    fit(
        net, data_of, lambda current, batch: system.loss(current, LiftingData(**batch)), optimiser, schedule, options,
        folder, recipe, validate,
    )  # fmt: skip
    return load_lifter(system, budget, folder)


def load_lifter(system: LiftSystem, budget: Budget, folder: Path) -> nn.Module:
    """The best epoch's network of a folder."""
    net = system.build(budget, None)
    net.load_state_dict(read_checkpoint(folder / BEST)["net"])
    return net.eval()
