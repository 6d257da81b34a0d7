"""Refined poses of people partly hidden, and whether the covariance of refined poses covers the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.evaluation.bench import Bench
from pose3d_ros.evaluation.comparison import FUSED
from pose3d_ros.evaluation.refiners import Refiner
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.trials import NOISES, PELVIS, Figures, Trial, errors, pooled
from pose3d_ros.simulation.augmentation import PARTS, without
from pose3d_ros.simulation.simulated_rigs import FAMILIES, PAIRS
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats
from pose3d_ros.training.rows import NOT_TRAINED
from pose3d_ros.training.spread import coverage as covered

MISSING = (0, 2, 4, 8)
Row = tuple[Cell, ...]


def missing(bench: Bench) -> Iterator[Table]:
    """Joints hidden from all cameras, 0 to 8 of the 13 that a detector gives; legs cut off below the hips."""
    label, rig = bench.rig()
    networks = {label: rig, "residual MLP, rig form": bench.rig_baseline()}
    rows: list[Row] = []
    for kind in (*(f"{count} joints" for count in MISSING), "legs"):
        trials = []
        for name in PAIRS:
            for one in bench.held_out.pairs(name):
                hide = hidden_from_all(
                    kind, len(one.rig.cameras), bench.held_out.people, bench.held_out.generator(kind)
                )
                trials.append(bench.held_out.trial("h36m", one, "a", hide=hide))
        present = [np.asarray(np.isfinite(trial.robust().xyz).all(axis=-1)) for trial in trials]
        solved = [errors(trial.robust().xyz, trial.truth) for trial in trials]
        rows.append((kind, "Huber triangulation", *_figures(pooled(solved).figures()), *[None] * 7))
        for name, found in networks.items():
            if not found:
                rows.append((kind, f"{name}: {NOT_TRAINED}", *[None] * 11))
            else:
                rows.append((kind, name, *_with_guessed(found[0], trials, present)))
    columns = (
        "hidden", "row", "present mean mm", "median mm", "relative mean mm", "relative median mm", "guessed mean mm",
        "guessed median mm", "guessed relative mean mm", "guessed relative median mm", "finite %",
        "95 % ellipsoid covers %", "of guessed %",
    )  # fmt: skip
    note = (
        "Pairs P1-P4, noise (a). Hidden joints are the detector's; h36m_17's middles of hips and shoulders go with "
        "them. Guessed: placed by the network alone. Relative: of people with a triangulated pelvis."
    )
    yield Table("missing", "joints that no camera sees", columns, rows, note)


def hidden_from_all(kind: str, views: int, people: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(V, P, 1, 17) COCO-17 joints hidden from all cameras alike: "legs", or "4 joints"."""
    if kind == "legs":
        hide = np.isin(np.array(COCO_17.joint_names), PARTS[0])
        return np.broadcast_to(hide, (views, people, 1, COCO_17.size))
    return np.broadcast_to(without(int(kind.split()[0]), (people, 1), rng), (views, people, 1, COCO_17.size))


def _with_guessed(refiner: Refiner, trials: list[Trial], present: list[NDArray[np.bool_]]) -> Row:
    """The cells of a network: present joints, guessed joints, share finite, coverage of both."""
    poses = [refiner.refined(trial) for trial in trials]
    visible, guessed = (
        pooled(
            [
                errors(xyz, trial.truth, np.asarray(known == wanted), known[:, PELVIS])
                for xyz, trial, known in zip(poses, trials, present, strict=True)
            ]
        ).figures()
        for wanted in (True, False)
    )
    finite = 100.0 * float(np.mean([np.isfinite(xyz[:, GIVEN]).all(axis=-1).mean() for xyz in poses]))
    covers = coverage_of(trials, poses, [refiner.covariance(one) for one in trials]) if refiner.spread else (None, None)
    return (*_figures(visible), *_figures(guessed), finite, *covers)


def coverage_of(trials: list[Trial], poses: list[Floats], covariances: list[Floats]) -> tuple[float, float]:
    """Share (%) of errors within the 95 % ellipsoid: of triangulated joints, and of guessed ones."""
    shares = []
    for wanted in (True, False):
        misses, matrices = [], []
        for trial, xyz, covariance in zip(trials, poses, covariances, strict=True):
            chosen = (np.isfinite(trial.robust().xyz).all(axis=-1) == wanted) & GIVEN
            misses.append((xyz - trial.truth)[chosen])
            matrices.append(covariance[chosen])
        together = [torch.from_numpy(np.concatenate(one)) for one in (misses, matrices)]
        shares.append(100.0 * covered(*together))
    return shares[0], shares[1]


def coverage(bench: Bench) -> Iterator[Table]:
    """Whether the covariance of refined poses is right, by kind of rig and of noise."""
    label, rig = bench.rig()
    rows: list[Row] = []
    for kind in NOISES:
        for family in FAMILIES:
            chosen = bench.held_out.rigs(family)
            if family == "h36m":
                chosen = tuple(one for name in PAIRS for one in bench.held_out.pairs(name))
            trials = [bench.held_out.trial(family, one, kind) for one in chosen]
            found = {"Huber triangulation": [(one.robust().xyz, one.robust().covariance) for one in trials]}
            if rig and rig[0].spread:
                found[label] = [(rig[0].refined(one), rig[0].covariance(one)) for one in trials]
                found[FUSED] = [rig[0].fused(one) for one in trials]
            else:
                rows.append((f"({kind})", family, f"{label}: {NOT_TRAINED}", *[None] * 6))
            for name, solved in found.items():
                poses, covariances = ([one[which] for one in solved] for which in (0, 1))
                parts = [errors(xyz, trial.truth) for xyz, trial in zip(poses, trials, strict=True)]
                covers = coverage_of(trials, poses, covariances)
                rows.append((f"({kind})", family, name, *covers, *_figures(pooled(parts).figures())))
    columns = ("noise", "rigs", "row", "covers %", "guessed covers %", "mean mm", "median mm", "relative mean mm",
               "relative median mm")  # fmt: skip
    yield Table(
        "coverage", "share of true joints within the 95 % ellipsoids", columns, rows,
        "90 to 98 % are wanted. Of covariance figures fitted on the validation split with the noise of training.",
    )  # fmt: skip


def _figures(figures: Figures) -> Row:
    return figures.mean, figures.median, figures.relative_mean, figures.relative_median
