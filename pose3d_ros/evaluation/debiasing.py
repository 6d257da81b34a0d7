"""Corrections of a detector's bias: PoseRN, constants and oracles (NumPy, float64).

P people, V views, J joints of h36m_17. Every way has two halves: what it would take off the keypoints or the pose, and
pass 2, the robust fit of Eq. 3 again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pose3d_ros.estimation.refinement.networks import PoseRNRefiner
from pose3d_ros.evaluation.trials import Trial
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.networks.posern import prepare
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.detector_bias import TRAIN_SEEDS, DetectorBias, joint_frames
from pose3d_ros.simulation.detector_noise import training_noise
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.simulation.views import GIVEN, simulate
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats
from pose3d_ros.training.bias import bias_data
from pose3d_ros.weights.trained import Loaded

# People per training detector to fit the constants.
CONSTANT_PEOPLE = 128

Correction = Callable[[Trial], Floats]  # corrected poses (P, 17, 3) m


def refit(trial: Trial, xy: Floats) -> Floats:
    """Pass 2: poses (P, 17, 3) m of other keypoints (V, P, 17, 2) px with the same scores."""
    views = trial.views
    found = triangulate(trial.cameras, xy, views.score[:, :, 0], sigma_px=views.sigma_px, max_std_m=np.inf)
    return found.xyz


def network(net: nn.Module, recipe: Mapping[str, object]) -> PoseRNRefiner:
    """PoseRN, or its baseline, as the nodes use it."""
    return PoseRNRefiner(Loaded(net, recipe, {}, "", verified=False))


def by_network(refiner: PoseRNRefiner) -> Correction:
    """PoseRN's two passes."""
    return lambda trial: refit(trial, refiner(trial.cameras, trial.robust().xyz, keypoints(trial)))


def keypoints(trial: Trial) -> Floats:
    """(V, P, 17, 2) px as detected."""
    return trial.views.xy_px[:, :, 0]


def oracle(trial: Trial, *, whole: bool) -> Floats:
    """Pass 2 without the true bias, or without its learnable part only: the rest cannot be learned."""
    views = trial.views
    bias = (views.biased_px if whole else views.learnable_px) - views.true_px
    return refit(trial, keypoints(trial) - np.nan_to_num(bias[:, :, 0]))


@dataclass(frozen=True, eq=False)
class Constants:
    """The best constant corrections, fitted on training people, rigs and detectors."""

    units: Floats  # (17, 2) of the bias in the image, in PoseRN's unit (a third of the spine)
    offset: Floats  # (17, 3) m of the pose, in the frames of the bones

    @staticmethod
    def fitted(motion: Motion, seed: int) -> Constants:
        """The means over CONSTANT_PEOPLE with each of the training detectors: of least mean squared error.

        As in PoseRN's training, noise is in what a correction is given, not in what it is to be.
        """
        train = motion.split("train")
        units, offsets = [], []
        for number, detector in enumerate(TRAIN_SEEDS):
            rng = np.random.default_rng([seed, number, 31])
            one = simulated_rig("h36m", number, held_out=False)
            xyz = placed(train.xyz[train.draw(CONSTANT_PEOPLE, 1, rng)], one.floor, rng)
            views = simulate(xyz, one, training_noise("h36m"), rng, bias=DetectorBias.draw(detector))
            trial = Trial("h36m", one, views, one.sigma_px)
            data = bias_data(views, views.biased_px)
            unit = prepare(data.xyz, data.xy, data.size_wh).unit
            units.append((data.bias / unit[:, None, None]).numpy())
            moved = _placed(trial, views.biased_px[:, :, 0]) - trial.truth
            offsets.append(np.einsum("...jxk,...jx->...jk", joint_frames(trial.robust().xyz), moved))
        return Constants(_means(np.concatenate(units)), _means(np.concatenate(offsets)))

    def in_2d(self, trial: Trial) -> Floats:
        """The constant of every joint in the image, scaled by the spine in the image, subtracted in every camera."""
        constant = torch.from_numpy(self.units.astype(np.float32))

        class Same(nn.Module):
            def forward(self, features: torch.Tensor) -> torch.Tensor:
                return constant.expand(len(features), -1, -1)

        return by_network(network(Same(), {"network": "posern"}))(trial)

    def in_3d(self, trial: Trial) -> Floats:
        """The constant of every joint in its bone's frame, subtracted from the triangulated pose."""
        coarse = trial.robust().xyz
        moved: Floats = coarse - np.einsum("...jxk,jk->...jx", joint_frames(coarse), self.offset)
        return moved


def bias_left(trial: Trial, correct: Correction, repeats: int, counted: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean length in mm of the learnable bias in space before a correction, and of the rest after it.

    A bias is what remains after averaging: all people repeat `repeats` times in a row, each with new noise (and a new
    personal bias), and the corrections of one pose are averaged. counted (17,).
    """
    return _left(trial, trial.robust().xyz - correct(trial), repeats, counted)


def _left(trial: Trial, taken: Floats, repeats: int, counted: NDArray[np.bool_]) -> tuple[float, float]:
    bias = _placed(trial, trial.views.learnable_px[:, :, 0]) - trial.truth
    groups = (len(bias) // repeats, repeats, H36M_17.size, 3)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(taken).all(axis=-1, keepdims=True)
        mean = np.where(known, taken, 0.0).reshape(groups).sum(axis=1) / known.reshape(*groups[:3], 1).sum(axis=1)
    true = bias.reshape(groups)[:, 0]
    size, rest = (np.linalg.norm(one[:, counted], axis=-1) for one in (true, true - mean))
    both = np.isfinite(rest) & np.isfinite(size)
    return 1000.0 * float(size[both].mean()), 1000.0 * float(rest[both].mean())


def frame_errors(xyz: Floats, truth: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Mean error (P,) mm over counted joints (17,); NaN if one of them is missing from both."""
    miss = np.linalg.norm(xyz - truth, axis=-1)[:, counted & GIVEN]
    known = np.isfinite(miss)
    return np.asarray(1000.0 * np.where(known, miss, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1))


def subset(names: Sequence[str]) -> NDArray[np.bool_]:
    """(17,) the joints of these names that a detector gives."""
    return np.asarray([name in names for name in H36M_17.joint_names] & GIVEN)


def _placed(trial: Trial, xy: Floats) -> Floats:
    """Poses (P, 17, 3) m of keypoints without noise."""
    return triangulate(trial.cameras, xy, sigma_px=trial.views.sigma_px, max_std_m=np.inf).xyz


def _means(values: Floats) -> Floats:
    """Mean over the first axis; 0 for a joint that is always missing."""
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), dtype=np.float64)
