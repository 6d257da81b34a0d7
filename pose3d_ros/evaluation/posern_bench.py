"""Shared data of PoseRN's tables: sessions of held-out people with test detectors, and their corrections.

Detectors are simulation/detector_bias.TEST_SEEDS: another bias than any in training. A session is one of them before
one rig.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.refinement.networks import PoseRNRefiner
from pose3d_ros.evaluation.debiasing import Constants, Correction, by_network, network, oracle
from pose3d_ros.evaluation.tables import EvaluationRequest
from pose3d_ros.evaluation.trials import HeldOut, Trial
from pose3d_ros.simulation.detector_bias import TEST_SEEDS, DetectorBias
from pose3d_ros.simulation.views import simulate
from pose3d_ros.structures import Floats
from pose3d_ros.training.recipes import load_trained

# Human3.6M's training rigs and rooms of three and four cameras.
ROW = (
    "posern", "--rigs", "h36m", "room3", "room4", "--rig-count", "10", "--people", "16384", "--batch", "256",
    "--epochs", "20", "--threads", "1",
)  # fmt: skip
# Two residual blocks of this width have as many parameters as PoseRN's two of 1024.
MLP = ("--baseline", "--width", "512")
# Fewer people are enough: this target has neither noise nor a personal bias.
SHARED = ("--target", "shared", "--people", "8192", "--reuse", "4", "--epochs", "16")
AS_PUBLISHED = ("--target", "error", "--loss", "squared", "--dropout", "0.5")
REPEATS = 16  # of a pose, to average what noise does to a correction


def as_triangulated(trial: Trial) -> Floats:
    """No correction."""
    return trial.robust().xyz


@dataclass(frozen=True, eq=False)
class Session:
    """One detector in one rig."""

    people: Trial
    repeated: Trial  # all people REPEATS times in a row

    def bound(self, counted: NDArray[np.bool_]) -> Floats:
        """(N,) mm of counted joints (17,)."""
        return np.asarray(1000.0 * self.people.bound()[:, counted].ravel())


@dataclass(eq=False)
class Bench:
    """Held-out sessions and their corrections, made once."""

    request: EvaluationRequest
    held_out: HeldOut
    _sessions: dict[tuple[str, str, bool], tuple[Session, ...]] = field(default_factory=dict)
    _networks: dict[str, PoseRNRefiner | None] = field(default_factory=dict)

    @staticmethod
    def of(request: EvaluationRequest) -> Bench:
        """For one request."""
        return Bench(request, HeldOut.of(request))

    @cached_property
    def constants(self) -> Constants:
        """The constant corrections, fitted on first use."""
        return Constants.fitted(self.request.motion, self.request.seed)

    def sessions(self, family: str, noise: str, *, biased: bool = True) -> tuple[Session, ...]:
        """One per test detector, in turn in the first two held-out rigs of a family (h36m: of S9 and S11)."""
        key = (family, noise, biased)
        if key not in self._sessions:
            share = max(REPEATS, self.request.people // len(TEST_SEEDS))
            self._sessions[key] = tuple(
                Session(
                    people=self._trial(number, key, share),
                    repeated=self._trial(number, key, max(1, share // 8), REPEATS),
                )
                for number in range(len(TEST_SEEDS))
            )
        return self._sessions[key]

    def _trial(self, number: int, key: tuple[str, str, bool], people: int, repeats: int = 1) -> Trial:
        """People with a test detector; the same people whether it is biased or not."""
        family, noise, biased = key
        one = self.held_out.rigs(family, 2)[number % 2]
        # The last number is the frames of each person; the published figures were drawn with it.
        rng = self.held_out.generator(one.name, noise, number, people, repeats, 1)
        xyz = np.repeat(self.held_out.standing(one, rng, people=people), repeats, axis=0)
        bias = DetectorBias.draw(TEST_SEEDS[number]) if biased else None
        views = simulate(xyz, one, self.held_out.noise(family, one, noise), rng, bias=bias)
        return Trial(family, one, views, one.sigma_px)

    def network(self, name: str, *more: str) -> PoseRNRefiner | None:
        """The network of a row; None if it is not trained."""
        if name not in self._networks:
            path = self.request.checkpoint(name, *ROW, *more)
            self._networks[name] = None if path is None else network(*load_trained(path))
        return self._networks[name]

    def ways(self) -> dict[str, Correction | None]:
        """Label -> correction; None: not trained."""
        refiners = {
            "residual MLP": self.network("posern-mlp", *MLP),
            "PoseRN, taught what is shared": self.network("posern-shared", *SHARED),
            "PoseRN, target and loss as published": self.network("posern-published", *AS_PUBLISHED),
            "PoseRN": self.network("posern"),
        }
        return {
            "triangulated": as_triangulated,
            "constant in the image": self.constants.in_2d,
            "constant in the bones' frames": self.constants.in_3d,
            **{label: None if one is None else by_network(one) for label, one in refiners.items()},
            "oracle: learnable part": partial(oracle, whole=False),
            "oracle: whole bias": partial(oracle, whole=True),
        }
