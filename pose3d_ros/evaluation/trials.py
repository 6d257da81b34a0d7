"""Held-out people in held-out rigs, with noise that no network was trained on (NumPy, float64).

People: the motion data's test subjects, native clips only. Rigs: simulated_rig(..., held_out=True). Noise (a) is
independent and Gaussian, (b) replays a real detector's errors at the same error of triangulation, (c) its errors on
rendered people as they are. Who stands where and how the detector errs depends on the request's seed, the rig and the
noise alone, so that every network is shown the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.evaluation.tables import EvaluationRequest
from pose3d_ros.geometry.triangulation import Triangulation, triangulate, triangulate_linear
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.networks.rig_features import Sight
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.detector_bias import DetectorBias
from pose3d_ros.simulation.noise_models import GaussianNoise, Noise
from pose3d_ros.simulation.replayed_noise import ResidualBlocks, matched, rendered_people, single_trial
from pose3d_ros.simulation.simulated_rigs import PAIRS, SimulatedRig, simulated_rig
from pose3d_ros.simulation.views import GIVEN, SimulatedViews, simulate
from pose3d_ros.skeletons import COCO_17, H36M_17, map_matrix
from pose3d_ros.structures import Camera, Floats
from pose3d_ros.training.refinement import SIGHT, refinement_data

NOISES = ("a", "b", "c")
MATCHING_PEOPLE = 256
HELD_OUT_RIGS = 4  # of each family
PELVIS = H36M_17.index("Pelvis")
# (17,) standard deviation of a joint of h36m_17 over that of a COCO-17 keypoint: a middle of two errs less.
JOINT_SIGMA: Floats = np.sqrt((np.asarray(map_matrix(COCO_17, H36M_17)) ** 2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Trial:
    """P people (windows of one frame) in one rig."""

    family: str
    one: SimulatedRig
    views: SimulatedViews  # (V, P, 1, 17, ...)
    sigma_px: float  # of independent Gaussian noise of the same size, an axis
    independent: bool = False  # every joint has a keypoint of its own, as in the papers

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """The cameras as calibrated."""
        return self.views.cameras

    @property
    def truth(self) -> Floats:
        """(P, 17, 3) m, world."""
        return self.views.truth[:, 0]

    def robust(self) -> Triangulation:
        """Huber's fit, (P, 17); no joint is rejected for being uncertain."""
        return self._robust

    def linear(self) -> Triangulation:
        """The linear solution, (P, 17)."""
        return self._with(triangulate_linear)

    @cached_property
    def _robust(self) -> Triangulation:
        return self._with(triangulate)

    @cached_property
    def sight(self) -> Sight:
        """The input of a refiner, as in training and in the nodes."""
        data = refinement_data(self.views, len(self.cameras))
        return Sight(*(getattr(data, name) for name in SIGHT))

    def bound(self) -> Floats:
        """Cramer and Rao's bound of a joint's RMS error (P, 17) m with Gaussian errors of sigma_px.

        At the true pose, from the views that see the joint; NaN with fewer than two. sqrt(tr(F^-1)).
        """
        seen = np.asarray(np.isfinite(self.views.xy_px[:, :, 0]).all(axis=-1))
        px = np.where(seen[..., None], self.views.true_px[:, :, 0], np.nan)
        unit = np.where((JOINT_SIGMA > 0) & (not self.independent), JOINT_SIGMA, 1.0)  # of errors of 1 px
        covariance = np.broadcast_to((unit**2)[:, None, None] * np.eye(2), (*px.shape, 2))
        found = triangulate(self.views.true_cameras, px, None, covariance, max_std_m=np.inf)
        spread: Floats = self.sigma_px * np.sqrt(np.trace(found.covariance, axis1=-2, axis2=-1))
        return spread

    def _with(self, solve: object) -> Triangulation:
        assert callable(solve)
        found: Triangulation = solve(
            self.cameras,
            self.views.xy_px[:, :, 0],
            self.views.score[:, :, 0],
            sigma_px=self.views.sigma_px,
            max_std_m=np.inf,
        )
        return found


@dataclass(eq=False)
class HeldOut:
    """Draws trials; caches the scale of noise (b) per family."""

    motion: Motion  # the test split
    people: int
    seed: int
    _blocks: dict[str, ResidualBlocks] = field(default_factory=dict)

    @staticmethod
    def of(request: EvaluationRequest) -> HeldOut:
        """The held-out people of a request; raises InputError when the motion data have no test subject."""
        return HeldOut(request.motion.split("test"), request.people, request.seed)

    def rigs(self, family: str, count: int = HELD_OUT_RIGS) -> tuple[SimulatedRig, ...]:
        """The first rigs of a family that no network was trained on; of h36m the first two are S9's and S11's own."""
        return tuple(simulated_rig(family, number, held_out=True) for number in range(count))

    def pairs(self, pair: str, count: int = 2) -> tuple[SimulatedRig, ...]:
        """One of the papers' pairs of cameras in the rigs of S9 and S11."""
        return tuple(one.pair(pair) for one in self.rigs("h36m", count))

    def trial(
        self,
        family: str,
        one: SimulatedRig,
        noise: str | Noise = "a",
        *,
        hide: NDArray[np.bool_] | None = None,
        bias: DetectorBias | None = None,
        length: int = 1,
        independent: bool = False,
        even: float = 0.0,
    ) -> Trial:
        """People in a rig of a family; noise "a", "b", "c" or a model; hide (V, P, T, 17) COCO-17.

        independent: a keypoint for every joint, as in the papers; not with bias. even: see Motion.draw.
        """
        kind = noise if isinstance(noise, str) else "own"
        rng = self.generator(one.name, kind)
        xyz = self.standing(one, rng, length=length, even=even)
        model = self.noise(family, one, noise) if isinstance(noise, str) else noise
        sigma = model.sigma_px if isinstance(model, GaussianNoise) else one.sigma_px
        views = simulate(xyz, one, model, rng, hide=hide, bias=bias, independent=independent)
        return Trial(family, one, views, sigma, independent)

    def standing(
        self,
        one: SimulatedRig,
        rng: np.random.Generator,
        *,
        people: int | None = None,
        length: int = 1,
        even: float = 0.0,
    ) -> Floats:
        """Motion (P, T, 17, 3) m on the rig's floor."""
        windows = self.motion.draw(people or self.people, length, rng, even)
        return placed(self.motion.xyz[windows], one.floor, rng)

    def generator(self, *what: object) -> np.random.Generator:
        """Independent random numbers for every purpose."""
        return np.random.default_rng([self.seed, 9, zlib.crc32(" ".join(str(one) for one in what).encode())])

    def noise(self, family: str, one: SimulatedRig, kind: str) -> Noise:
        """Test noise (a), (b) or (c) in a rig; (b) is matched once per family, on its held-out rigs."""
        if kind == "a":
            return GaussianNoise(one.sigma_px)
        if kind == "c":
            return rendered_people()
        if family not in self._blocks:
            rigs = tuple(pair for name in PAIRS for pair in self.pairs(name)) if family == "h36m" else self.rigs(family)
            # The rigs of one family have floors alike.
            xyz = self.standing(rigs[0], self.generator("matching", family), people=MATCHING_PEOPLE)
            self._blocks[family] = matched(single_trial(), rigs, xyz)
        return self._blocks[family]


@dataclass(frozen=True)
class Figures:
    """Errors in mm over the joints that a detector gives; relative: after alignment of the pelvises."""

    mean: float
    median: float
    relative_mean: float
    relative_median: float
    rms: float
    count: int  # joints

    def gains(self, reference: Figures) -> tuple[float, float]:
        """By how much the mean errors differ from a reference's, %, absolute and relative: negative is better."""
        return change(self.mean, reference.mean), change(self.relative_mean, reference.relative_mean)


def change(value: float, reference: float) -> float:
    """Difference of a value from a reference, %; NaN if the reference is only rounding (both in mm)."""
    return 100.0 * (value / reference - 1.0) if reference > 1e-6 else float("nan")


@dataclass(frozen=True, eq=False)
class Errors:
    """Joint errors (N,) mm of many trials: absolute and relative to the pelvis."""

    absolute: Floats
    relative: Floats

    def figures(self) -> Figures:
        """Their means and medians."""
        mean, median = (
            [float(of(one)) if one.size else float("nan") for one in (self.absolute, self.relative)]
            for of in (np.mean, np.median)
        )
        rms = float(np.sqrt(np.mean(self.absolute**2))) if self.absolute.size else float("nan")
        return Figures(mean[0], median[0], mean[1], median[1], rms, self.absolute.size)


def errors(
    estimate: Floats,
    truth: Floats,
    counted: NDArray[np.bool_] | None = None,
    rooted: NDArray[np.bool_] | None = None,
) -> Errors:
    """Errors of poses (P, 17, 3) m against truth, over finite GIVEN joints and those of counted (P, 17) only.

    Relative errors are of the people in rooted (P,); by default of those whose pelvis is counted.
    """
    finite = np.isfinite(estimate).all(axis=-1) & np.isfinite(truth).all(axis=-1) & GIVEN
    wanted = finite if counted is None else finite & counted
    known = finite[:, PELVIS] & (wanted[:, PELVIS] if rooted is None else rooted)
    miss = estimate - truth
    relative = miss - miss[:, PELVIS : PELVIS + 1]
    return Errors(
        1000.0 * np.linalg.norm(miss, axis=-1)[wanted],
        1000.0 * np.linalg.norm(relative, axis=-1)[wanted & known[:, None]],
    )


def pooled(parts: Sequence[Errors]) -> Errors:
    """The joints of several trials together, with equal weights."""
    return Errors(
        np.concatenate([one.absolute for one in parts] or [np.zeros(0)]),
        np.concatenate([one.relative for one in parts] or [np.zeros(0)]),
    )


def mean_figures(figures: Sequence[Figures]) -> tuple[Figures, float]:
    """The mean of several networks' figures, and half the range of their mean error (0 of one)."""
    names = ("mean", "median", "relative_mean", "relative_median", "rms")
    together = (float(np.mean([getattr(one, name) for one in figures])) for name in names)
    means = [one.mean for one in figures]
    mean, median, relative_mean, relative_median, rms = together
    both = Figures(mean, median, relative_mean, relative_median, rms, figures[0].count)
    return both, (max(means) - min(means)) / 2.0


def at_distance(one: SimulatedRig, distance_m: float, half_width_m: float = 0.05) -> SimulatedRig:
    """The rig with people standing at one distance from the middle of its floor's ring."""
    floor = replace(one.floor, near_m=distance_m - half_width_m, far_m=distance_m + half_width_m)
    return replace(one, name=f"{one.name}@{distance_m:g}m", floor=floor)
