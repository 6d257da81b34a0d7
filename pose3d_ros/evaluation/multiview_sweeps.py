"""Refinement in hard cases: short baselines and large noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from pose3d_ros.evaluation.bench import BASELINE, Bench
from pose3d_ros.evaluation.comparison import COLUMNS, FUSED, NOTE, Compared, Group
from pose3d_ros.evaluation.latency import size
from pose3d_ros.evaluation.missing_joints import coverage, missing
from pose3d_ros.evaluation.refiners import Refiner
from pose3d_ros.evaluation.tables import Cell, Plot, Table
from pose3d_ros.evaluation.trials import NOISES, Trial, at_distance
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import PAIRS

HEADS = ("head530", "head1060")
HEAD_ROW = ("--form", "rig", "--rigs", *HEADS)
DISTANCES_M = (2.0, 3.0, 4.0)
SIGMAS_PX = (0.0, 1.0, 2.0, 3.0, 4.15, 6.0, 8.0, 10.0)
SPACE_SIGMAS_MM = (0.0, 10.0, 20.0, 30.0, 40.0)  # an axis, of Table 7
MEAN, RELATIVE = 1 + COLUMNS.index("mean mm"), 1 + COLUMNS.index("relative mean mm")
Row = tuple[Cell, ...]


def heads(bench: Bench) -> Iterator[Table]:
    """A robot's stereo head, 12 cm: the depth in the paper's losses, and the gain of training-only side views."""
    label, rig = bench.rig()
    networks = {
        "CV-UGCN, the paper's losses alone": bench.row("heads-alone", *HEAD_ROW),
        "CV-UGCN, side views in training": bench.row("heads-side", *HEAD_ROW, "--side-views"),
        "residual MLP, side views in training": bench.row("heads-mlp", *HEAD_ROW, "--side-views", *BASELINE),
        label: rig,
        "residual MLP, rig form": bench.rig_baseline(),
    }
    rows: list[Row] = []
    for family in HEADS:
        for noise, distance in (*((noise, None) for noise in NOISES), *(("a", metres) for metres in DISTANCES_M)):
            rigs = bench.held_out.rigs(family)
            placed = [one if distance is None else at_distance(one, distance) for one in rigs]
            group = Group(tuple(Compared((bench.held_out.trial(family, one, noise),)) for one in placed))
            head = (family, f"({noise})", "2-4" if distance is None else f"{distance:g}")
            rows += [(*head, *row) for row in group.triangulated()]
            rows += [(*head, *group.same(name, found)) for name, found in networks.items()]
            rows.append((*head, *group.same(FUSED, rig, way="fused")))
    yield Table(
        "heads", "stereo heads of 12 cm, f 530 and 1060 px", ("rigs", "noise", "m", "row", *COLUMNS), rows, NOTE
    )


def noise(bench: Bench) -> Iterator[Table]:
    """Gaussian errors of 0 to 10 px in the image; and of 0 to 40 mm on the joints in space."""
    label, rig = bench.rig()
    networks: dict[str, list[list[Refiner]]] = {
        "CV-UGCN, a network a pair": [bench.pair_row(name) for name in PAIRS],
        "residual MLP, a network a pair": [bench.pair_row(name, baseline=True) for name in PAIRS],
        label: [rig] * len(PAIRS),
        "residual MLP, rig form": [bench.rig_baseline()] * len(PAIRS),
    }

    def in_image(name: str, sigma: float) -> Compared:
        pairs = bench.held_out.pairs(name)
        return Compared(tuple(bench.held_out.trial("h36m", one, GaussianNoise(sigma)) for one in pairs))

    def in_space(name: str, sigma: float) -> Compared:
        trials = (bench.held_out.trial("h36m", one, GaussianNoise(0.0)) for one in bench.held_out.pairs(name))
        rng = bench.held_out.generator("in space", name)
        return Compared(tuple(noised_in_space(trial, sigma / 1000.0, rng) for trial in trials))

    yield from _sweep("noise", "px", SIGMAS_PX, in_image, networks, "Gaussian errors of the keypoints, pairs P1-P4")
    yield from _sweep(
        "noise-3d", "mm", SPACE_SIGMAS_MM, in_space, networks,
        "Gaussian errors on the joints in space, as the paper's Table 7 adds them to HumanEva (our reading), P1-P4",
    )  # fmt: skip


def noised_in_space(trial: Trial, sigma_m: float, rng: np.random.Generator) -> Trial:
    """The trial with true joints moved by independent Gaussian errors, seen without any error by every camera."""
    moved = trial.views.truth + rng.normal(scale=1.0, size=trial.views.truth.shape) * sigma_m
    seen = np.stack([project(camera, moved) for camera in trial.cameras])
    seen = np.where(np.isfinite(trial.views.xy_px), seen, np.nan)
    return replace(trial, views=replace(trial.views, xy_px=seen), sigma_px=float("nan"))


def _sweep(
    name: str,
    unit: str,
    sigmas: tuple[float, ...],
    compared: Callable[[str, float], Compared],
    networks: dict[str, list[list[Refiner]]],
    title: str,
) -> Iterator[Table]:
    """A table of every sigma, and one of the slopes."""
    rows: list[Row] = []
    for sigma in sigmas:
        group = Group(tuple(compared(pair, sigma) for pair in PAIRS))
        made = [("triangulated", *group.cells(group.reference))]
        made += [group.refined(label, found) for label, found in networks.items()]
        rows += [(f"{sigma:g}", *row) for row in made]
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        mean, relative = row[1 + MEAN], row[1 + RELATIVE]
        if isinstance(mean, float) and isinstance(relative, float):
            curves.setdefault(str(row[1]), []).append((float(str(row[0])), mean, relative))
    points = {label: np.array(found).T for label, found in curves.items()}
    plots = {
        f"{name}{ending}": Plot(
            f"standard deviation of the errors, {unit}",
            f"mean {kind}error, mm",
            {label: (found[0], found[number]) for label, found in points.items()},
        )
        for number, ending, kind in ((1, "", ""), (2, "-relative", "relative "))
    }
    yield Table(name, title, (f"sigma {unit}", "row", *COLUMNS), rows, NOTE, plots=plots)
    start = points["triangulated"][1:, 0]
    slopes: list[Row] = [
        (
            label,
            *(float(np.polyfit(found[0], found[number], 1)[0]) for number in (1, 2)),
            float(found[1, 0]),
            *(float(found[number, 0] - start[number - 1]) for number in (1, 2)),
        )
        for label, found in points.items()
    ]
    columns = ("row", f"slope mm/{unit}", f"relative slope mm/{unit}", "at 0 mm", "worse at 0 mm", "relative worse mm")
    yield Table(f"{name}-slope", f"slopes of table {name}, fitted to all its sigmas", columns, slopes, decimals=2)


SWEEPS: dict[str, Callable[[Bench], Iterator[Table]]] = {
    "heads": heads,
    "noise": noise,
    "missing": missing,
    "coverage": coverage,
    "size": size,
}
