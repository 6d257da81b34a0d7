"""Shared data of PoseRN's tables: sessions of held-out people with test detectors, and their corrections.

Detectors are data/detector_bias.TEST_SEEDS: another bias than any in training. A session is one of them before one
rig; its gate is fed with WARM_UP people times frames first, as a node's would be, and then decides for all that follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.refinement.networks import PoseRNRefiner
from pose3d_ros.estimation.refinement.posern_gate import LEAST, OPEN, STEP_S, BiasGate
from pose3d_ros.evaluation.debiasing import Constants, Correction, by_network, evidence_of, network, oracle
from pose3d_ros.evaluation.tables import EvaluationRequest
from pose3d_ros.evaluation.trials import HeldOut, Trial
from pose3d_ros.simulation.detector_bias import TEST_SEEDS, DetectorBias
from pose3d_ros.simulation.simulated_rigs import SimulatedRig
from pose3d_ros.simulation.views import SimulatedViews, simulate
from pose3d_ros.structures import Floats
from pose3d_ros.training.recipes import load_trained
from pose3d_ros.weights import trained

# As the shipped network was trained: Human3.6M's training rigs and rooms of three and four cameras.
ROW = (
    "posern", "--rigs", "h36m", "room3", "room4", "--rig-count", "10", "--people", "16384", "--batch", "256",
    "--epochs", "20", "--threads", "1",
)  # fmt: skip
# Two residual blocks of this width have as many parameters as PoseRN's two of 1024.
MLP = ("--baseline", "--width", "512")
# Fewer people are enough: this target has neither noise nor a personal bias.
SHARED = ("--target", "shared", "--people", "8192", "--reuse", "4", "--epochs", "16")
AS_PUBLISHED = ("--target", "error", "--loss", "squared", "--dropout", "0.5")
WARM_UP = 2 * LEAST
REPEATS = 16  # of a pose, to average what noise does to a correction
PER_VIEW = ("true_px", "label_px", "xy_px", "score", "biased_px", "learnable_px")
ALONE = 4  # people a detector who are seen alone

Way = Callable[["Session"], Correction]


def as_triangulated(trial: Trial) -> Floats:
    """No correction."""
    return trial.robust().xyz


@dataclass(frozen=True, eq=False)
class Session:
    """One detector in one rig."""

    warm_up: Trial
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
    _open: dict[tuple[PoseRNRefiner, Session], BiasGate] = field(default_factory=dict)
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
                    warm_up=self._trial(number, key, WARM_UP),
                    people=self._trial(number, key, share),
                    repeated=self._trial(number, key, max(1, share // 8), REPEATS),
                )
                for number in range(len(TEST_SEEDS))
            )
        return self._sessions[key]

    def alone(self, noise: str, *, biased: bool) -> list[Trial]:
        """One person each for LEAST frames of one clip; ALONE of them before every test detector."""
        found = []
        for number in range(len(TEST_SEEDS)):
            views = self._views(number, ("h36m", noise, biased), ALONE, length=LEAST)
            for person in range(ALONE):
                found.append(Trial("h36m", *_person(views, person, self._rig("h36m", number))))
        return found

    def _rig(self, family: str, number: int) -> SimulatedRig:
        return self.held_out.rigs(family, 2)[number % 2]

    def _trial(self, number: int, key: tuple[str, str, bool], people: int, repeats: int = 1) -> Trial:
        one = self._rig(key[0], number)
        return Trial(key[0], one, self._views(number, key, people, repeats), one.sigma_px)

    def _views(
        self, number: int, key: tuple[str, str, bool], people: int, repeats: int = 1, length: int = 1
    ) -> SimulatedViews:
        """People with a test detector; the same people whether it is biased or not."""
        family, noise, biased = key
        one = self._rig(family, number)
        rng = self.held_out.generator(one.name, noise, number, people, repeats, length)
        xyz = np.repeat(self.held_out.standing(one, rng, people=people, length=length), repeats, axis=0)
        bias = DetectorBias.draw(TEST_SEEDS[number]) if biased else None
        return simulate(xyz, one, self.held_out.noise(family, one, noise), rng, bias=bias)

    def network(self, name: str, *more: str) -> PoseRNRefiner | None:
        """The shipped network ("posern", where there is one), or that of a row; None if it is not trained."""
        if name not in self._networks:
            shipped = next((one.name for one in trained.TRAINED if one.network == "posern"), None)
            if name == "posern" and shipped and self.request.runs is None:
                loaded = trained.load(shipped)
                self._networks[name] = network(loaded.net, loaded.recipe)
            else:
                path = self.request.checkpoint(name, *ROW, *more)
                self._networks[name] = None if path is None else network(*load_trained(path))
        return self._networks[name]

    def gate(self, refiner: PoseRNRefiner, session: Session) -> BiasGate:
        """The gate after the session's warm-up."""
        if (refiner, session) not in self._open:
            self._open[refiner, session] = fed(refiner, session.warm_up)
        return self._open[refiner, session]

    def ways(self) -> dict[str, Way | None]:
        """Label -> correction of a session; None: not trained."""
        posern = self.network("posern")
        others = {
            "residual MLP": self.network("posern-mlp", *MLP),
            "PoseRN, taught what is shared": self.network("posern-shared", *SHARED),
            "PoseRN, target and loss as published": self.network("posern-published", *AS_PUBLISHED),
        }
        ways: dict[str, Way | None] = {
            "triangulated": lambda _: as_triangulated,
            "constant in the image": lambda _: self.constants.in_2d,
            "constant in the bones' frames": lambda _: self.constants.in_3d,
        }
        for label, refiner in {**others, "PoseRN": posern}.items():
            ways[f"{label}, no gate"] = None if refiner is None else _ungated(refiner)
        ways["PoseRN, gate of one frame"] = None if posern is None else lambda _: by_frame(posern)
        ways["PoseRN, gate of the session"] = None if posern is None else lambda one: self._gated(posern, one)
        ways["oracle: learnable part"] = lambda _: lambda trial: oracle(trial, whole=False)
        ways["oracle: whole bias"] = lambda _: lambda trial: oracle(trial, whole=True)
        return ways

    def _gated(self, refiner: PoseRNRefiner, session: Session) -> Correction:
        return by_network(refiner) if self.gate(refiner, session).is_open else as_triangulated


def _ungated(refiner: PoseRNRefiner) -> Way:
    return lambda _: by_network(refiner)


def by_frame(refiner: PoseRNRefiner) -> Correction:
    """Apply each person's correction if the evidence of that frame supports it."""

    def corrected(trial: Trial) -> Floats:
        found = evidence_of(refiner, trial)
        speaks = found.agreement >= OPEN * np.maximum(found.power, 1e-12)
        return np.where(speaks[:, None, None], by_network(refiner)(trial), trial.robust().xyz)

    return corrected


def fed(refiner: PoseRNRefiner, trial: Trial) -> BiasGate:
    """A gate that has seen a trial's people, one after another."""
    gate, found = BiasGate(), evidence_of(refiner, trial)
    for number in range(len(found.power)):
        gate.update(type(found)(*(one[number : number + 1] for one in found)), round(number * STEP_S * 1e9))
    return gate


def _person(views: SimulatedViews, person: int, one: SimulatedRig) -> tuple[SimulatedRig, SimulatedViews, float]:
    """One person's T frames as T people."""
    own = replace(
        views,
        truth=views.truth[person, :, None],
        **{name: getattr(views, name)[:, person, :, None] for name in PER_VIEW},
    )
    return one, own, one.sigma_px
