"""What `pose3d compare` works with: people, trained networks and what they say, each made once and kept on disk.

Everything lies in one folder: networks/NAME(-sSEED)/ with the checkpoints of pose3d train's loop, rows/NAME.json with
the figures. A stopped run goes on where it was; other people, sizes or seeds are rejected, not mixed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.evaluation.metrics import joint_errors, pa_mpjpe
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import TRUTH, read_text
from pose3d_ros.research import image_training, lift_training
from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.crops import CropSet, rendered_moments
from pose3d_ros.research.human36m_moments import human36m_moments
from pose3d_ros.research.image_training import ImageSystem
from pose3d_ros.research.lift_training import LiftSystem
from pose3d_ros.training.lifting import LiftingData
from pose3d_ros.training.loop import FitOptions

SPLITS = ("train", "val", "test")
RENDER = "pose3d render --split {split} --rig h36m --output {folder}"


class Figures(NamedTuple):
    """A row's errors, mm, from the pelvis over all joints of all people of the test set; plain values for JSON."""

    mean: list[float]  # a seed each
    median: float
    aligned: float  # after a similarity transform of every pose: protocol 2
    estimated: Sequence[float] = ()  # the mean with an estimated distance of the pelvis; empty: the row needs none
    absolute: float | None = None  # the mean without alignment of the pelvises
    images: int = 0  # that the networks were trained on
    parameters: int = 0
    minutes: float = 0.0  # of training
    note: str = ""


@dataclass(eq=False)
class Comparison:
    """One run over DIR/train, DIR/val and DIR/test, scenes of `pose3d render`, or over Human3.6M's subjects."""

    data: Path
    output: Path
    budget: Budget
    seeds: int
    options: FitOptions  # hardware; epochs and batches follow from the budget
    detections: list[Any] | None = None  # of the package's own detector, on the test scenes
    _decoded: dict[tuple[str, str], Tensor] = field(default_factory=dict)

    @cached_property
    def crops(self) -> dict[str, CropSet]:
        """By split. Raises FootageError for a split that is missing, InputError where splits share people."""
        sets = {}
        for split in SPLITS:
            folder = self.data / split
            if not self.rendered:
                moments = human36m_moments(self.data, split)
            elif folder.is_dir():
                moments = rendered_moments(folder)
            else:
                raise FootageError(
                    f"{folder} is missing: `{RENDER.format(split=split, folder=folder)}`, or give a folder of "
                    "Human3.6M's subjects S1 to S11"
                )
            sets[split] = CropSet(moments, self.budget.side, split)
        if len({one.views for one in sets.values()}) > 1:
            counts = ", ".join(f"{one.views} in {split}" for split, one in sets.items())
            raise InputError(f"{self.data}: scenes have {counts} cameras: render all with one kind of rig")
        return sets

    @property
    def rendered(self) -> bool:
        """Whether the people are rendered: else they are Human3.6M's."""
        return not (self.data / "S9").is_dir()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What figures belong to."""
        people = {split: crops.identity for split, crops in self.crops.items()}
        return {"people": people, "seeds": self.seeds, "seed": self.options.seed} | asdict(self.budget)

    def net(self, system: ImageSystem) -> nn.Module:
        """The trained network of a system."""
        folder = self.output / "networks" / system.name
        begun = time.monotonic()
        net = image_training.train(
            system, self.budget, self.crops["train"], self.crops["val"], folder, self.options,
            self.net(system.start) if system.start else None,
        )  # fmt: skip
        _add_minutes(folder, begun)
        return net

    def decoded(self, system: ImageSystem, split: str = "test") -> Tensor:
        """What a trained network says of all people of a split, in the order of truth()."""
        key = system.name, split
        if key not in self._decoded:
            found = image_training.decoded(system, self.net(system), self.crops[split], self.budget)
            self._decoded[key] = torch.cat([one for one, _ in found])
        return self._decoded[key]

    def lifters(self, system: LiftSystem, detector: ImageSystem | None = None) -> list[nn.Module]:
        """Trained lifters, a seed each, on true joints or with a detector's errors."""
        validation = self.truth("val")
        residuals = None
        if detector:
            xy = self.decoded(detector, "val")
            residuals, validation = xy - validation.xy, validation._replace(xy=xy)
        nets = []
        for seed in range(self.options.seed, self.options.seed + self.seeds):
            folder = self.output / "networks" / f"{system.name}-s{seed}"
            begun = time.monotonic()
            options = replace(self.options, seed=seed)
            nets.append(
                lift_training.train_lifter(
                    system, self.budget, self.crops["train"], validation, residuals, folder, options
                )
            )
            _add_minutes(folder, begun)
        return nets

    def truth(self, split: str = "test") -> LiftingData:
        """All people of a split in all cameras, view by view in the order of the networks for images."""
        people = lift_training.people_of(self.crops[split])
        homogeneous = torch.cat([people.world, torch.ones_like(people.world[..., :1])], dim=-1)
        xyz = (homogeneous[:, None] @ people.cam_from_world.transpose(-1, -2))[..., :3].flatten(0, 1)
        xy, K = lift_training.cropped(xyz, people.K.flatten(0, 1), self.budget.side)
        return LiftingData(xy, xyz, K, torch.full((len(xy),), float(self.budget.side)))

    def minutes(self, names: Sequence[str]) -> float:
        """Of training, over all runs into this folder."""
        return sum(_minutes(self.output / "networks" / name) for name in names)

    def kept(self, name: str) -> Figures | None:
        """A row's figures of an earlier run; raises InputError where they are of other people or sizes."""
        path = self.output / "rows" / f"{name}.json"
        if not path.exists():
            return None
        content = json_content(read_text(path, TRUTH), str(path), TRUTH)
        if content.get("of") != self.identity:
            raise InputError(f"{path} is of other people, sizes or seeds: give the same options, or another --output")
        return Figures(**content["figures"])

    def keep(self, name: str, figures: Figures) -> None:
        """Write a row's figures."""
        path = self.output / "rows" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"of": self.identity, "figures": figures._asdict()}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


Measure = Callable[[Comparison], Figures]


def figures(
    poses: Sequence[Tensor], truth: Tensor, estimated: Sequence[Tensor] = (), *, absolute: bool = False
) -> Figures:
    """Errors of poses (N, J, 3) m, a seed each, with true and with estimated distances of the pelvis."""
    true = truth.double().numpy()

    def relative(pose: Tensor) -> Any:
        found = pose.double().numpy()
        return 1000 * joint_errors(found - found[:, :1], true - true[:, :1])

    apart = [relative(pose) for pose in poses]
    return Figures(
        mean=[float(np.nanmean(one)) for one in apart],
        median=float(np.nanmedian(np.concatenate(apart))),
        aligned=1000 * float(np.mean([pa_mpjpe(pose.double().numpy(), true) for pose in poses])),
        estimated=[float(np.nanmean(relative(pose))) for pose in estimated],
        absolute=1000 * float(np.nanmean(joint_errors(poses[0].double().numpy(), true))) if absolute else None,
    )


def _minutes(folder: Path) -> float:
    path = folder / "minutes.txt"
    return float(read_text(path, TRUTH)) if path.exists() else 0.0


def _add_minutes(folder: Path, begun: float) -> None:
    minutes = _minutes(folder) + (time.monotonic() - begun) / 60
    (folder / "minutes.txt").write_text(f"{minutes:.3f}\n", encoding="utf-8")
