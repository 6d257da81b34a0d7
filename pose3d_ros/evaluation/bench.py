"""Shared data of the tables of `pose3d evaluate multiview`: held-out people, comparisons and networks, made once."""

from __future__ import annotations

from dataclasses import dataclass, field

from pose3d_ros.evaluation.comparison import Compared, Group
from pose3d_ros.evaluation.refiners import Refiner, arguments_of, read_refiner, shipped_refiner
from pose3d_ros.evaluation.tables import EvaluationRequest
from pose3d_ros.evaluation.trials import HeldOut
from pose3d_ros.simulation.simulated_rigs import PAIRS

# Arguments of `pose3d train cvugcn`. The paper's form: one network a pair.
PAIR_ROW = ("--form", "pair", "--rigs", "h36m")
# The paper's setting altogether: that form, and a detector that gives every joint on its own.
PUBLISHED_ROW = (*PAIR_ROW, "--joints", "independent")
# The same detector before our form, one network for all pairs.
PUBLISHED_RIG_ROW = ("--form", "rig", "--rigs", "h36m", "--joints", "independent")
# The rig-conditioned form where none ships: every kind of two cameras, side views in training only.
RIG_ROW = ("--form", "rig", "--rigs", "h36m", "head530", "head1060", "room2", "--side-views")
BASELINE = ("--baseline",)


@dataclass(eq=False)
class Bench:
    """Held-out people, with cached comparisons and networks."""

    request: EvaluationRequest
    held_out: HeldOut
    _pairs: dict[tuple[str, str, bool], Compared] = field(default_factory=dict)
    _rows: dict[str, list[Refiner]] = field(default_factory=dict)

    @staticmethod
    def of(request: EvaluationRequest) -> Bench:
        """A bench for one request."""
        return Bench(request, HeldOut.of(request))

    def pair(self, name: str, noise: str, *, independent: bool = False) -> Compared:
        """A pair of the rigs of S9 and S11; independent: with a keypoint for every joint, as in the papers."""
        key = (name, noise, independent)
        if key not in self._pairs:
            rigs = self.held_out.pairs(name)
            trials = tuple(self.held_out.trial("h36m", one, noise, independent=independent) for one in rigs)
            self._pairs[key] = Compared(trials)
        return self._pairs[key]

    def pairs(self, noise: str) -> Group:
        """P1 to P4."""
        return Group(tuple(self.pair(name, noise) for name in PAIRS))

    def published(self, pair: str, *, baseline: bool = False) -> list[Refiner]:
        """The paper's form in the paper's setting for a pair, or the MLP on the same data and losses."""
        name = f"published-{pair}{'-mlp' if baseline else ''}"
        return self.row(name, *PUBLISHED_ROW, "--pairs", pair, *(BASELINE if baseline else ()))

    def published_rig(self, *, baseline: bool = False) -> list[Refiner]:
        """The rig-conditioned form in the paper's setting, one network for P1 to P4."""
        name = f"published-all{'-mlp' if baseline else ''}"
        return self.row(name, *PUBLISHED_RIG_ROW, *(BASELINE if baseline else ()))

    def row(self, name: str, *arguments: str) -> list[Refiner]:
        """The trained networks of a row, one per seed, by `pose3d train cvugcn *arguments`."""
        if name not in self._rows:
            found = []
            for seed in range(self.request.seeds):
                path = self.request.checkpoint(f"{name}-s{seed}", "cvugcn", *arguments, "--seed", str(seed))
                found += [] if path is None else [read_refiner(path)]
            self._rows[name] = found
        return self._rows[name]

    def pair_row(self, *pairs: str, baseline: bool = False) -> list[Refiner]:
        """The paper's form for a pair (or several), or the MLP on the same data and losses."""
        name = f"pair-{pairs[0] if len(pairs) == 1 else 'all'}{'-mlp' if baseline else ''}"
        return self.row(name, *PAIR_ROW, "--pairs", *pairs, *(BASELINE if baseline else ()))

    def rig(self) -> tuple[str, list[Refiner]]:
        """The rig-conditioned network's label and itself: the shipped one, or else row "rig"."""
        if "shipped" not in self._rows:
            shipped = shipped_refiner()
            self._rows["shipped"] = [] if shipped is None else [shipped[1]]
        if self._rows["shipped"]:
            return "CV-UGCN, rig form (shipped)", self._rows["shipped"]
        return "CV-UGCN, rig form", self.row("rig", *RIG_ROW)

    def rig_baseline(self) -> list[Refiner]:
        """The residual MLP on the data and losses of the rig-conditioned network."""
        shipped = self.rig()[1]
        return self.row("rig-mlp", *(arguments_of(shipped[0].recipe) if shipped else RIG_ROW), *BASELINE)
