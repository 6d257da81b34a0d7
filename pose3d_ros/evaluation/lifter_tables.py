"""AbsPoseLifter's tables (1910.12029) and ours: the gain of location, scale, noise and the canonical loss.

Rows are narrow networks (width 256) trained alike for half a minute each, all on Human3.6M's training rigs and
tested before the rigs of S9 and S11. The network that ships has tables of its own: evaluation/lifter_families.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from pose3d_ros.evaluation import lifter_families
from pose3d_ros.evaluation.lifters import (
    Lifter,
    Misses,
    analytic,
    human36m,
    mean_height,
    misses,
    oracle,
    read_lifter,
    usable_views,
)
from pose3d_ros.evaluation.tables import Cell, EvaluationRequest, Plot, Table
from pose3d_ros.evaluation.trials import HeldOut, change
from pose3d_ros.networks.canonical import REFERENCE_FOCAL_PX, ROOT, focal, offsets
from pose3d_ros.networks.lifter import normalise
from pose3d_ros.training.lifting import LiftingData, zoomed
from pose3d_ros.training.rows import NOT_TRAINED

TABLES = ("table1", "table2", "table3", "table5", *lifter_families.TABLES)
# What all rows share; 24 epochs of 4096 people before 4 cameras, half a minute of one CPU core. As in the paper the
# postures are the motion's own.
COMMON = (
    "lifter", "--rigs", "h36m", "--rig-count", "5", "--width", "256", "--batch", "256", "--people", "4096",
    "--reuse", "4", "--epochs", "24", "--threads", "1", "--accelerator", "cpu", "--checkpoints-only",
    "--even-postures", "0",
)  # fmt: skip
ZOOM = (0.5, 1.75)  # factors of the focal length in Table 5: 570 to 2000 px
ROWS = {
    "true-none": ("--true-keypoints", "--without", "location", "scale"),
    "true-location": ("--true-keypoints", "--without", "scale"),
    "true-scale": ("--true-keypoints", "--without", "location"),
    "true-both": ("--true-keypoints",),
    "true-mlp": ("--true-keypoints", "--baseline"),
    "true-any": ("--true-keypoints", "--form", "any"),
    "normal": ("--noise", "normal"),
    "mixture": ("--noise", "detector"),
    "mixture-mlp": ("--noise", "detector", "--baseline"),
    "mixture-any": ("--noise", "detector", "--form", "any"),
    "zoom-plain": ("--zoom", "0.5", "1.75", "--plain-depth"),
    "zoom-canonical": ("--zoom", "0.5", "1.75"),
    "zoom-any": ("--zoom", "0.5", "1.75", "--form", "any"),
    "zoom-mlp": ("--zoom", "0.5", "1.75", "--baseline"),
    "one-plain": ("--plain-depth",),
}
COLUMNS = ("paper", "MPJPE", "MRPE", "median", "absolute", "/ oracle", "height known")
SEEDS = ("+- MPJPE", "+- MRPE")  # with --seeds 2 or more
NOTE = (
    "Errors in mm of people never trained on. MPJPE: 16 joints after the roots were put together; MRPE (and its "
    "median): the root; absolute: all 17 joints where they are; paper: MPJPE / MRPE. Oracle: knows the true pose, "
    "scaled to the training people's mean height, and finds the root by least squares: no network that cannot see how "
    "tall a person is does better, but a camera at known height over the floor shows some of it. Height known: MRPE "
    "with body_height_m given; a network that takes none has pose and depth scaled by the height of its pose."
)


@dataclass(frozen=True, eq=False)
class Bench:
    """The data of all tables, drawn once."""

    request: EvaluationRequest
    held_out: HeldOut
    height_m: float
    _data: dict[str, LiftingData] = field(default_factory=dict)

    def data(self, noise: str) -> LiftingData:
        """Sights with true keypoints, or with noise a or b."""
        if noise not in self._data:
            trials = human36m(self.held_out, "a" if noise == "true" else noise)
            self._data[noise] = usable_views(trials, true_keypoints=noise == "true")
        return self._data[noise]

    def nets(self, row: str, seeds: int = 1) -> list[Lifter]:
        """The row's networks, of seeds 0, 1, ...; none where they are not trained."""
        found = []
        for seed in range(seeds):
            name = f"{row}-s{seed}" if seed else row
            found.append(self.request.checkpoint(name, *COMMON, *ROWS[row], "--seed", str(seed)))
        return [read_lifter(path) for path in found if path is not None]

    @property
    def columns(self) -> tuple[str, ...]:
        """COLUMNS, and the spread of several networks."""
        return COLUMNS + SEEDS if self.request.seeds > 1 else COLUMNS

    def limit(self, data: LiftingData) -> float:
        """MRPE of the oracle with the mean height, mm."""
        return oracle(data, self.height_m).mrpe


def tables(request: EvaluationRequest) -> Iterator[Table]:
    """The requested tables, one after another."""
    makers: dict[str, Callable[[Bench], Table]] = {
        "table1": table1, "table2": table2, "table3": table3, "table5": table5,
    }  # fmt: skip
    bench = Bench(request, HeldOut.of(request), mean_height(request.motion))
    for name in request.chosen(TABLES):
        if name in makers:
            yield makers[name](bench)
        else:
            yield lifter_families.table(name, request, bench.held_out)


def table1(bench: Bench) -> Table:
    """Location and scale, with true keypoints."""
    data = bench.data("true")
    rows = [
        row(bench, label, name, data, paper)
        for label, name, paper in (
            ("baseline", "true-none", (44.9, 511.0)),
            ("+ location", "true-location", (39.0, 369.0)),
            ("+ scale", "true-scale", (44.3, 113.0)),
            ("+ location and scale", "true-both", (38.4, 98.8)),
            ("residual MLP, location and scale", "true-mlp", None),
            ("form any, which takes a height", "true-any", None),
        )
    ]
    rows += oracles(bench, data)
    return Table(
        "table1", "gain of location and scale, true keypoints", ("row", *bench.columns), rows,
        NOTE, plots={"lifter_scale_depth": figure6(data)},
    )  # fmt: skip


def table2(bench: Bench) -> Table:
    """The gain of training noise, on a detector's errors from other footage."""
    data, seeds = bench.data("b"), bench.request.seeds
    rows = [
        row(bench, label, name, data, paper, 1 if name.endswith("mlp") else seeds)
        for label, name, paper in (
            ("true keypoints, no location, scale", "true-none", (None, 680.0)),
            ("true keypoints", "true-both", (61.5, 239.0)),
            ("one normal distribution", "normal", (None, 165.0)),
            ("mixture", "mixture", (53.1, 144.0)),
            ("residual MLP, mixture", "mixture-mlp", None),
        )
    ]
    rows += oracles(bench, data)
    return Table("table2", "errors in training, tested on noise (b)", ("row", *bench.columns), rows, NOTE)


def table3(bench: Bench) -> Table:
    """The learned root and Mehta's, of the same pose in the same image."""
    data = bench.data("b")
    columns = ("row", "paper", "MRPE", "median", "X", "Y", "Z", "Z bias", "change %", "height known", "known: %")
    rows: list[tuple[Cell, ...]] = []
    for label, name, paper in (
        ("", "mixture", (157.0, 137.0)),
        (", MLP", "mixture-mlp", (None, None)),
        (", form any", "mixture-any", (None, None)),
    ):
        nets = bench.nets(name)
        if not nets:
            rows.append((f"learned Z{label}: {NOT_TRAINED}", paper[1], *[None] * (len(columns) - 2)))
            continue
        both = [nets[0].lifted(data, height=height) for height in (False, True)]
        theirs = [misses(one, data, depth=analytic(one, data)) for one in both]
        ours = [misses(one, data) for one in both]
        gains = [change(one.mrpe, other.mrpe) for one, other in zip(ours, theirs, strict=True)]
        rows.append((f"Mehta's Z{label}", paper[0], *root_cells(theirs, (None, None))))
        rows.append((f"learned Z{label}", paper[1], *root_cells(ours, gains)))
    oracles_of = oracle(data, bench.height_m), oracle(data, None)
    rows.append(("oracle, mean height", None, *root_cells(oracles_of, (None, None))))
    return Table(
        "table3", "root: learned and analytic, same keypoints and pose, noise (b)", columns, rows,
        "mm. X and Y are back-projected from the same pixel in both. Bias: mean signed error of Z. The test people are "
        "shorter than the training people, so the learned root is too far; the analytic one is nearer, "
        "and meets them by accident. With the height known (the last two columns), bodies' sizes are out of the "
        "comparison.",
    )  # fmt: skip


def table5(bench: Bench) -> Table:
    """The canonical loss, if every image has its own focal length."""
    fixed = bench.data("b")
    data = zoomed(fixed, torch.from_numpy(np.random.default_rng(5).uniform(*ZOOM, len(fixed.xy)).astype(np.float32)))
    rows = [row(bench, "one lens in training and test", "mixture", fixed, None)]
    rows += [
        row(bench, label, name, data, paper)
        for label, name, paper in (
            ("one lens, then any: depth", "one-plain", (None, 920.0)),
            ("one lens, then any: canonical", "mixture", (None, 421.0)),
            ("one lens, then any: form any", "mixture-any", None),
            ("one lens, then any: MLP", "mixture-mlp", None),
            ("any lens: depth", "zoom-plain", None),
            ("any lens: canonical", "zoom-canonical", None),
            ("any lens: form any", "zoom-any", None),
            ("any lens: MLP", "zoom-mlp", None),
        )
    ]
    rows += oracles(bench, data)
    return Table(
        "table5", f"focal length x {ZOOM[0]:g} to {ZOOM[1]:g}, noise (b)", ("row", *bench.columns), rows,
        f"{NOTE} The paper's figures are of 3DHP. One lens, then any: trained on Human3.6M's lenses alone, as in the "
        "paper.",
    )  # fmt: skip


def row(
    bench: Bench,
    label: str,
    name: str,
    data: LiftingData,
    paper: tuple[float | None, float | None] | None,
    seeds: int = 1,
) -> tuple[Cell, ...]:
    """A row of networks under COLUMNS; means over the seeds."""
    nets = bench.nets(name, seeds)
    if not nets:
        return (f"{label}: {NOT_TRAINED}", published(paper), *[None] * (len(bench.columns) - 1))
    found = [misses(net.lifted(data), data) for net in nets]
    known = [misses(net.lifted(data, height=True), data) for net in nets]
    return (label, *cells(bench, found, paper, bench.limit(data), [one.mrpe for one in known]))


def published(paper: tuple[float | None, float | None] | None) -> str | None:
    """MPJPE / MRPE of the paper."""
    return " / ".join("-" if one is None else f"{one:g}" for one in paper) if paper else None


def oracles(bench: Bench, data: LiftingData) -> list[tuple[Cell, ...]]:
    """Baselines for the roots of the rows."""
    mean, true = oracle(data, bench.height_m), oracle(data, None)
    return [("oracle: true pose, mean height", *cells(bench, [mean], None, mean.mrpe, [true.mrpe]))]


def cells(
    bench: Bench,
    found: Sequence[Misses],
    paper: tuple[float | None, float | None] | None,
    limit: float,
    known: Sequence[float],
) -> tuple[Cell, ...]:
    """The cells under the columns: means over networks, and half the range of their means."""
    pose, root = [one.mpjpe for one in found], [one.mrpe for one in found]
    spread = [(max(one) - min(one)) / 2.0 if len(found) > 1 else None for one in (pose, root)]
    row: tuple[Cell, ...] = (
        published(paper), mean(pose), mean(root), mean([one.mrpe_median for one in found]),
        mean([one.mean_absolute for one in found]), round(mean(root) / limit, 2), mean(known), *spread,
    )  # fmt: skip
    return row[: len(bench.columns)]


def root_cells(both: Sequence[Misses], gains: Sequence[float | None]) -> tuple[Cell, ...]:
    """Table 3's figures of a root, without and with the height known."""
    found, known = both
    plain = (found.mrpe, found.mrpe_median, *found.axes, float(found.root[:, 2].mean()), gains[0])
    return (*plain, known.mrpe, gains[1])


def mean(numbers: Sequence[float]) -> float:
    """Their mean."""
    return float(np.mean(numbers))


def figure6(data: LiftingData) -> Plot:
    """The scale of the 2D pose against the root's depth, both as seen through f = 1000 px."""
    chosen = slice(None, None, max(1, len(data.xy) // 1500))
    K, alpha = data.K[chosen], focal(data.K[chosen])
    seen = torch.isfinite(data.xy[chosen]).all(dim=-1)
    scale = normalise(offsets(data.xy[chosen], K), seen).scale * REFERENCE_FOCAL_PX / alpha
    depth = data.xyz[chosen, ROOT, 2]
    order = depth.sort().values
    curve = float((scale * depth).median()) / order
    series = {
        "people": (depth.numpy().astype(np.float64), scale.numpy().astype(np.float64)),
        "median person": (order.numpy().astype(np.float64), curve.numpy().astype(np.float64)),
    }
    return Plot("root depth, m", "2D scale sigma at f = 1000 px, px", series, points=True)
