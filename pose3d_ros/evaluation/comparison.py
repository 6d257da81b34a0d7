"""Refined poses compared with their triangulated inputs: the rows of all refinement tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.evaluation.refiners import Refiner
from pose3d_ros.evaluation.tables import Cell
from pose3d_ros.evaluation.trials import Errors, Figures, Trial, errors, mean_figures, pooled
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.structures import Floats
from pose3d_ros.training.rows import NOT_TRAINED

COLUMNS = (
    "paper mm", "mean mm", "median mm", "relative mean mm", "relative median mm", "gain %", "relative gain %",
    "RMS mm", "bound mm", "seeds +- mm",
)  # fmt: skip
# A network's own poses; those of pairs of cameras averaged; or the network's fused with the triangulation.
Way = Literal["network", "pairs", "fused"]
FUSED = "  fused with the triangulation"
NOTE = (
    "Errors of the 16 joints that a detector gives, of people never trained on; relative: less the pelvis' error. Only "
    "joints that were triangulated count, for every row. Gain: change of the mean against the better of linear and "
    "Huber triangulation; negative is better. Bound: Cramer and Rao's, of the RMS error with independent Gaussian "
    "errors (noise a); who knows nothing of bodies cannot be below."
)


@dataclass(frozen=True, eq=False)
class Compared:
    """Trials with their triangulations; everything is counted over the same joints."""

    trials: tuple[Trial, ...]
    _known: dict[tuple[Refiner, Way], Errors] = field(default_factory=dict)

    @cached_property
    def solved(self) -> tuple[tuple[Floats, Floats], ...]:
        """(linear, Huber) (P, 17, 3) m of every trial."""
        return tuple((trial.linear().xyz, trial.robust().xyz) for trial in self.trials)

    @cached_property
    def counted(self) -> tuple[NDArray[np.bool_], ...]:
        """(P, 17) joints that both triangulations give and the networks are given."""
        finite = [
            [np.isfinite(xyz).all(axis=-1) for xyz in (linear, robust, trial.sight.coarse.numpy())]
            for (linear, robust), trial in zip(self.solved, self.trials, strict=True)
        ]
        return tuple(np.all(one, axis=0) for one in finite)

    @cached_property
    def linear(self) -> Errors:
        """Of linear triangulation."""
        return self._of([linear for linear, _ in self.solved])

    @cached_property
    def robust(self) -> Errors:
        """Of Huber's fit."""
        return self._of([robust for _, robust in self.solved])

    @cached_property
    def bound_mm(self) -> float:
        """Cramer and Rao's bound, averaged over joints."""
        bound = np.concatenate([1000.0 * trial.bound()[:, GIVEN] for trial in self.trials])
        known = bound[np.isfinite(bound)]
        return float(known.mean()) if known.size else float("nan")

    def errors(self, estimate: Callable[[Trial], Floats]) -> Errors:
        """Of an estimator's poses."""
        return self._of([estimate(trial) for trial in self.trials])

    def refined(self, refiner: Refiner, way: Way = "network") -> Errors:
        """Of a network's poses, computed once."""
        if (refiner, way) not in self._known:
            poses = {
                "network": refiner.refined,
                "pairs": refiner.from_pairs,
                "fused": lambda one: refiner.fused(one)[0],
            }
            self._known[refiner, way] = self.errors(poses[way])
        return self._known[refiner, way]

    def _of(self, poses: Sequence[Floats]) -> Errors:
        return pooled(
            [
                errors(xyz, trial.truth, counted)
                for xyz, trial, counted in zip(poses, self.trials, self.counted, strict=True)
            ]
        )


@dataclass(frozen=True, eq=False)
class Group:
    """Several comparisons that are reported as one, for example the four pairs."""

    parts: tuple[Compared, ...]

    @cached_property
    def reference(self) -> Figures:
        """The better of both triangulations."""
        return min(self.linear, self.robust, key=lambda figures: figures.mean)

    @cached_property
    def linear(self) -> Figures:
        """Of linear triangulation."""
        return pooled([part.linear for part in self.parts]).figures()

    @cached_property
    def robust(self) -> Figures:
        """Of Huber's fit."""
        return pooled([part.robust for part in self.parts]).figures()

    @property
    def bound_mm(self) -> float:
        """Mean of the parts' bounds."""
        return float(np.mean([part.bound_mm for part in self.parts]))

    def cells(self, figures: Figures, spread: float | None = None, paper: float | None = None) -> tuple[Cell, ...]:
        """The cells under COLUMNS."""
        numbers = (figures.mean, figures.median, figures.relative_mean, figures.relative_median)
        return (paper, *numbers, *figures.gains(self.reference), figures.rms, self.bound_mm, spread)

    def triangulated(self, paper: float | None = None) -> list[tuple[Cell, ...]]:
        """Two rows."""
        return [
            ("linear triangulation", *self.cells(self.linear, paper=paper)),
            ("Huber triangulation", *self.cells(self.robust, paper=paper)),
        ]

    def refined(
        self, label: str, networks: Sequence[Sequence[Refiner]], paper: float | None = None, way: Way = "network"
    ) -> tuple[Cell, ...]:
        """A row of networks[part][seed], or a note if it is not trained."""
        seeds = min(len(one) for one in networks)
        if not seeds:
            return (f"{label}: {NOT_TRAINED}", paper, *[None] * (len(COLUMNS) - 1))
        per_seed = []
        for seed in range(seeds):
            found = [part.refined(refiners[seed], way) for part, refiners in zip(self.parts, networks, strict=True)]
            per_seed.append(pooled(found).figures())
        figures, spread = mean_figures(per_seed)
        return (label, *self.cells(figures, spread if seeds > 1 else None, paper))

    def same(
        self, label: str, refiners: Sequence[Refiner], paper: float | None = None, way: Way = "network"
    ) -> tuple[Cell, ...]:
        """A row of one network (of several seeds) for all parts."""
        return self.refined(label, [refiners] * len(self.parts), paper, way)
