"""PoseRN and the best constants on rendered people: a real detector's errors against true joints (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from pose3d_ros.evaluation.debiasing import (
    Constants,
    Correction,
    by_network,
    frame_errors,
    keypoints,
    network,
    refit,
)
from pose3d_ros.evaluation.evaluated_scenes import Evaluated, mean
from pose3d_ros.evaluation.posern_bench import as_triangulated
from pose3d_ros.evaluation.rendered import trial_of
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.trials import Trial, errors, pooled
from pose3d_ros.networks.posern import prepare
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.structures import Floats
from pose3d_ros.training.bias import bias_data
from pose3d_ros.training.rendered_draws import medians, offsets_in_bones
from pose3d_ros.weights.trained import Loaded


def bias_table(done: Sequence[Evaluated], posern: Loaded) -> Table:
    """Known association, all cameras, before and after each correction; posern: the network."""
    several = [one for one in done if len(one.scene.rig.cameras) > 1]
    trials = [trial_of(one.scene, one.detections) for one in several]
    offsets = [(_in_image(one), offsets_in_bones(one.views)) for one in trials]
    before = [one.robust().xyz for one in trials]
    learnt = by_network(network(posern.net, posern.recipe))
    constants = [_fitted([pair for n, pair in enumerate(offsets) if n != own]) for own in range(len(trials))]
    exact = [partial(_without_own_bias, people=one.scene.truth.joints_m.shape[1]) for one in several]
    ways: dict[str, Sequence[Correction]] = {
        "triangulated": [as_triangulated] * len(trials),
        "best constant in the image": [one.in_2d for one in constants],
        "best constant in the bones' frames": [one.in_3d for one in constants],
        f"PoseRN {posern.name}": [learnt] * len(trials),
        "bias known exactly": exact,
    }
    poses = {name: [way(one) for way, one in zip(each, trials, strict=True)] for name, each in ways.items()}
    # A joint counts where every way gives it.
    known = [np.isfinite(np.stack(each)).all(axis=(0, -1)) & GIVEN for each in zip(*poses.values(), strict=True)]
    rows: list[tuple[Cell, ...]] = []
    for name, each in poses.items():
        parts = [
            errors(xyz, one.truth, counted, np.ones(len(xyz), dtype=bool))
            for xyz, one, counted in zip(each, trials, known, strict=True)
        ]
        figures = pooled(parts).figures()
        worse = [
            (frame_errors(xyz, one.truth, GIVEN) > frame_errors(was, one.truth, GIVEN))[counted.any(axis=-1)]
            for xyz, was, one, counted in zip(each, before, trials, known, strict=True)
        ]
        share = 100.0 * mean(np.concatenate(worse))
        rows.append((name, figures.mean, figures.median, figures.relative_mean, figures.relative_median, share))
    note = (
        "Whose keypoints they are is known; no limit on uncertain joints. Constants: medians of the other scenes. Bias "
        "known exactly: without each person's, camera's and joint's own median error over the scene; noise is left. "
        "Frames worse: share of people at single moments whose mean error grew."
    )
    columns = ("row", "mean mm", "median mm", "relative mean mm", "relative median mm", "frames worse %")
    return Table("bias", "a correction of the detector's keypoints, all cameras", columns, rows, note)


def _without_own_bias(trial: Trial, people: int) -> Floats:
    """Pass 2 without the median error over a scene's moments of every person, camera and joint."""
    error = (keypoints(trial) - trial.views.true_px[:, :, 0]).reshape(len(trial.cameras), -1, people, len(GIVEN), 2)
    bias = medians(np.moveaxis(error, 1, 0))  # (V, P, 17, 2)
    return refit(trial, keypoints(trial) - np.tile(bias, (1, error.shape[1], 1, 1)))


def _in_image(trial: Trial) -> Floats:
    """Errors of keypoints (N, 17, 2) in PoseRN's unit."""
    data = bias_data(trial.views)
    unit = prepare(data.xyz, data.xy, data.size_wh).unit
    found: Floats = (data.bias / unit[:, None, None]).numpy()
    return found


def _fitted(offsets: Sequence[tuple[Floats, Floats]]) -> Constants:
    """The constants of these scenes; nothing without any."""
    if not offsets:
        return Constants(np.zeros((len(GIVEN), 2)), np.zeros((len(GIVEN), 3)))
    return Constants(*(medians(np.concatenate(each)) for each in zip(*offsets, strict=True)))
