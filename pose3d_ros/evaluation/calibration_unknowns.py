"""Tables of calibration by people where lenses, or an earlier rig, are only nearly known (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from pose3d_ros.calibration.people import PeopleCalibration, PeopleOptions, refine_rig
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.evaluation.calibration_bench import COLUMNS, NOTE, CalibrationRequest, percent, reasons, summary
from pose3d_ros.evaluation.calibration_errors import distances, rig_errors
from pose3d_ros.evaluation.calibration_trials import focal_errors, known_stature, refocused
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.simulation.simulated_rigs import miscalibrated
from pose3d_ros.structures import Rig

FOCAL_FAMILIES = ("h36m", "room3")
FOCAL_FACTORS, FOCAL_WITHIN = (0.8, 1.0, 1.2), 0.03
# How far each camera of a rig is off before it is refined, deg and m.
OFF_DEG, OFF_M = (0.5, 1.5), (0.02, 0.06)


def focal(request: CalibrationRequest) -> Iterator[Table]:
    """Focal lengths that are wrong in all cameras."""
    rows: list[tuple[Cell, ...]] = []
    kinds = [(factor, free) for factor in FOCAL_FACTORS for free in (True, False)]
    for family in request.those(FOCAL_FAMILIES):
        calls = [
            (one.with_cameras(refocused(factor)), replace(known_stature(one), focal=free))
            for one in request.drawn(partial(request.trials.recording, family, "c"))
            for factor, free in kinds
        ]
        done = request.attempts(f"{family} focal", calls)
        for number, (factor, free) in enumerate(kinds):
            outcomes = done[number :: len(kinds)]
            off = [np.abs(focal_errors(outcome)) for outcome in outcomes]
            every = np.concatenate([one for one in off if len(one)] or [np.full(1, np.nan)])
            good = percent([not len(one) or bool(one.max() <= FOCAL_WITHIN) for one in off])
            cells = 100.0 * float(np.median(every)), 100.0 * float(every.max()), good
            row = (*cells, *summary(outcomes), reasons(outcomes))
            rows.append((family, f"x {factor:g}", "free" if free else "fixed", *row))
    columns = ("rig", "focal given", "and", "focal error %", "largest", "to 3 % or refused, %", *COLUMNS, "reasons")
    yield Table("focal", "focal lengths 20 % wrong in all cameras; noise (c)", columns, rows, NOTE, decimals=2)


def refined(request: CalibrationRequest) -> Iterator[Table]:
    """Rigs whose cameras are a little off, and what remains after refine_rig."""
    rows: list[tuple[Cell, ...]] = []
    for family in request.rigs:
        made = list(request.drawn(partial(request.trials.recording, family, "c")))
        starts = []
        for number, one in enumerate(made):
            true, rng = one.truth.rig, np.random.default_rng([request.seed, number])
            starts.append(Rig(miscalibrated(true.cameras, rng, OFF_DEG, OFF_M), true.frame_id))
        calls = [
            (one, PeopleOptions(offsets_s={}), partial(_refined, off)) for one, off in zip(made, starts, strict=True)
        ]
        before, after = [], []
        for off, done in zip(starts, request.attempts(f"{family} refined", calls), strict=True):
            true, away = done.recording.truth.rig, distances(done.recording.truth)
            before.append(rig_errors(off, true, away))
            if done.found is not None:
                after.append(rig_errors(done.found.rig, true, away))
        for name, errors in (("before", before), ("refined", after)):
            place, rotation = (
                (np.concatenate(part) for part in zip(*errors, strict=True)) if errors else (np.full(1, np.nan),) * 2
            )
            cells = [
                float(of) for part in (100.0 * place, rotation) for of in (np.median(part), np.percentile(part, 90))
            ]
            rows.append((family, name, len(errors), *cells))
    columns = ("rig", "cameras", "n", "place %", "place p90", "rotation deg", "rotation p90")
    note = (
        "In the world of the true rig, first camera too: refining moves no world. place: of the distance to the people."
    )
    title = "cameras 0.5 to 1.5 degrees and 2 to 6 cm off, refined by one walker; noise (c)"
    yield Table("refined", title, columns, rows, note, decimals=2)


def _refined(rig: Rig, views: Sequence[PeopleViews], options: PeopleOptions) -> PeopleCalibration:
    return refine_rig(rig, views, options)
