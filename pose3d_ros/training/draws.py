"""People in simulated rigs for a recipe of `pose3d train` (NumPy to torch).

A recipe is a mapping of plain values, see recipes.recipe_of.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.simulation.augmentation import augmented, hidden, placed
from pose3d_ros.simulation.detector_bias import TRAIN_SEEDS, DetectorBias
from pose3d_ros.simulation.detector_noise import DetectorNoise, rendered_noise, training_noise
from pose3d_ros.simulation.noise_models import GaussianNoise, Noise
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, side_views, simulated_rig
from pose3d_ros.simulation.views import SimulatedViews, simulate, with_cameras
from pose3d_ros.structures import Floats
from pose3d_ros.training import bias, lifting, refinement
from pose3d_ros.training.loop import Batch

VALIDATION_PEOPLE = 1024
# CV-UGCN only: the detector's normal errors in training are this many times as large, drawn for each rig. Between
# hardly any and twice as much the network must tell from its input how much to correct.
NOISE_STRENGTH = (0.0, 2.2)
VALIDATION_DETECTORS = 4  # of the biased detectors that training has


class Draws:
    """New people in the recipe's rigs, the same ones for the same epoch."""

    def __init__(self, recipe: Mapping[str, Any], motion: Motion, people: int) -> None:
        self.recipe, self.motion, self.people = recipe, motion, people
        self.rigs = list(rigs_of(recipe))
        self._last: tuple[int, Batch] = (-1, {})

    def epoch(self, number: int) -> Batch:
        """Training data of an epoch: mirrored, of any build, some of their joints hidden."""
        number -= number % self.recipe.get("reuse", 1)
        if self._last[0] != number:
            rng = np.random.default_rng([self.recipe["seed"], number + 1, 17])
            self._last = number, self._draw(self.motion.split("train"), self.people, rng, training=True)
        return self._last[1]

    def validation(self) -> Batch:
        """Unchanged people of the validation split in the same rigs (test rigs stay unseen)."""
        rng = np.random.default_rng([self.recipe["seed"], 0, 17])
        return self._draw(self.motion.split("val"), VALIDATION_PEOPLE, rng, training=False)

    def _draw(self, motion: Motion, people: int, rng: np.random.Generator, training: bool) -> Batch:
        share = max(2, people // len(self.rigs))
        # Validation keeps the motion's own postures, so that the scores of all runs compare.
        even = self.recipe.get("even_postures", 0.0) if training else 0.0
        parts: list[Any] = []
        for family, one in self.rigs:
            xyz = motion.xyz[motion.draw(share, 1, rng, even)]
            xyz = placed(augmented(xyz, rng) if training else xyz, one.floor, rng)
            # The paper's form has no way to tell a missing joint.
            hide = training and self.recipe.get("form") not in ("paper", "pair")
            hiding = hidden(len(one.rig.cameras), share, 1, rng) if hide else None
            detector = self._bias(rng, training)
            noise = noise_of(self.recipe, family, one, rng)
            if training and self.recipe["network"] == "cvugcn" and isinstance(noise, DetectorNoise):
                noise = noise.scaled(rng.uniform(*NOISE_STRENGTH))
            views = simulate(xyz, one, noise, rng, hide=hiding, bias=detector, independent=independent(self.recipe))
            if self.recipe["network"] == "posern":
                parts.append(bias.bias_data(views, self._target_px(views, xyz, one, detector)))
            else:
                parts.append(self._data(views))
        joined = {"cvugcn": refinement.joined, "lifter": lifting.joined, "posern": bias.joined}
        data = joined[self.recipe["network"]](parts)  # type: ignore[operator]
        return dict(data._asdict())

    def _data(self, views: SimulatedViews) -> Any:
        if self.recipe["network"] == "cvugcn":
            return refinement.refinement_data(views, self.recipe["views"], labels=self.recipe["labels"])
        data = lifting.lifting_data(views, true_keypoints=self.recipe["true_keypoints"])
        return lifting.usable(data)

    def _target_px(
        self, views: SimulatedViews, xyz: Floats, one: SimulatedRig, detector: DetectorBias | None
    ) -> Floats | None:
        """PoseRN's: the keypoints whose error it must predict, see bias_data."""
        target = self.recipe.get("target", "error")
        if target == "error":
            return None
        if target == "bias" or detector is None:
            return views.biased_px
        shared = bias.shared_bias(TRAIN_SEEDS[:-VALIDATION_DETECTORS])
        return simulate(xyz, one, GaussianNoise(0.0), np.random.default_rng(0), bias=shared).biased_px

    def _bias(self, rng: np.random.Generator, training: bool) -> DetectorBias | None:
        """PoseRN only: a training detector of the population, drawn for every rig; the last ones validate.

        A share of the rigs gets a detector without bias: the network learns to tell from the pose, as far as it can.
        """
        if self.recipe["network"] != "posern" or rng.random() < self.recipe.get("bias_free", 0.0):
            return None
        seeds = TRAIN_SEEDS[:-VALIDATION_DETECTORS] if training else TRAIN_SEEDS[-VALIDATION_DETECTORS:]
        return DetectorBias.draw(int(rng.choice(seeds)))


def independent(recipe: Mapping[str, Any]) -> bool:
    """Whether every joint has its own keypoint, as in the papers, instead of those derived from COCO-17."""
    return bool(recipe.get("joints") == "independent")


def noise_of(recipe: Mapping[str, Any], family: str, one: SimulatedRig, rng: np.random.Generator) -> Noise:
    """The fitted detector's; half of the times (mixed) the one on rendered people; or for comparison another one.

    That is one normal distribution in its place, or independent Gaussian, which is a test's.
    """
    if recipe["noise"] == "mixed":
        return rendered_noise() if rng.random() < 0.5 else training_noise(family)
    if recipe["noise"] in ("detector", "normal"):
        fitted = training_noise(family)
        return fitted if recipe["noise"] == "detector" else fitted.normal_only()
    given = recipe["sigma_px"]
    return GaussianNoise(one.sigma_px if given is None else float(given))


def rigs_of(recipe: Mapping[str, Any]) -> Iterator[tuple[str, SimulatedRig]]:
    """The training rigs of a recipe, each with its family; cvugcn takes `views` cameras of each."""
    for family, number in itertools.product(recipe["rigs"], range(recipe["rig_count"])):
        whole = simulated_rig(family, number, held_out=False)
        if recipe["network"] != "cvugcn":
            yield family, whole
        elif family == "h36m" and recipe["views"] == 2:
            for pair in recipe["pairs"]:
                yield family, _with_sides(whole.pair(pair), number, recipe)
        else:
            names = whole.rig.names
            if len(names) < recipe["views"]:
                raise InputError(f"rigs of family {family!r} have {len(names)} cameras, fewer than --views")
            for chosen in itertools.combinations(names, recipe["views"]):
                yield family, _with_sides(replace(whole, rig=whole.rig.subset(chosen)), number, recipe)


def _with_sides(one: SimulatedRig, number: int, recipe: Mapping[str, Any]) -> SimulatedRig:
    return with_cameras(one, side_views(one, number, held_out=False)) if recipe["side_views"] else one
