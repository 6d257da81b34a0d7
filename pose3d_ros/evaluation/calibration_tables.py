"""Tables of calibration by people on simulated recordings and on rendered ones (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from tqdm import tqdm

from pose3d_ros.calibration.people import PeopleOptions, refine_rig
from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.calibration_clocks import clocks, drift
from pose3d_ros.evaluation.calibration_errors import calibration_errors
from pose3d_ros.evaluation.calibration_trials import (
    FAMILIES,
    Outcome,
    WalkRecording,
    WalkTrials,
    attempt,
    focal_errors,
    known_stature,
    refocused,
    unknown_stature,
)
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.trials import NOISES
from pose3d_ros.evaluation.walking_people import without_overlap
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.simulation.simulated_rigs import miscalibrated
from pose3d_ros.structures import Floats, Rig

COLUMNS = (
    "n", "solved %", "wrong %", "place %", "p90", "rotation deg", "p90", "tilt deg", "p90", "height mm", "scale %",
    "p90", "place unscaled %", "in 95 % region, %", "s each",
)  # fmt: skip
NOTE = (
    "solved: not refused; wrong: solved, but a camera is off by more than 5 % of its distance to the people or 2 "
    "degrees. Errors of the solved: medians, and 90th percentiles (p90), of all cameras but the first, in whose frame "
    "they are; place: of the distance to the people, after one common factor, which is `scale`; height: of the first "
    "camera over the floor; in 95 % region: of the 6 numbers of each camera's rotation and place by its covariance."
)
# How far a rig's cameras are off before it is refined.
OFF_DEG, OFF_M = (0.5, 1.5), (0.02, 0.06)


@dataclass(eq=False)
class CalibrationRequest:
    """The inputs of the tables."""

    motion: Motion | None = None  # its test subjects move; None: generated people
    rendered: Sequence[WalkRecording] = ()
    draws: int = 10
    seed: int = 0
    only: tuple[str, ...] = ()  # names of tables; none: all that there is input for

    @cached_property
    def trials(self) -> WalkTrials:
        """Draws recordings."""
        return WalkTrials(self.motion, self.seed)

    def each(self, what: str, draw: Callable[[int], WalkRecording]) -> Iterator[WalkRecording]:
        """One recording after another, with a bar on a terminal."""
        for number in tqdm(range(self.draws), desc=what, unit="recording", leave=False, disable=None):
            yield draw(number)


def tables(request: CalibrationRequest) -> Iterator[Table]:
    """One table after another; raises InputError for an unknown name."""
    unknown = [name for name in request.only if name not in TABLES]
    if unknown:
        raise InputError(f"there is no table {', '.join(unknown)}: use {', '.join(TABLES)}")
    for name in request.only or TABLES:
        yield from TABLES[name](request)


def summary(outcomes: Sequence[Outcome]) -> tuple[Cell, ...]:
    """COLUMNS of some attempts."""
    errors = [one.errors for one in outcomes if one.found is not None and one.errors is not None]
    solved, wrong = len(errors), sum(one.wrong for one in errors)

    def of(name: str) -> Floats:
        return np.concatenate([np.abs(np.atleast_1d(getattr(one, name))) for one in errors] or [np.full(1, np.nan)])

    def both(name: str, unit: float = 1.0) -> tuple[Cell, Cell]:
        return float(unit * np.median(of(name))), float(unit * np.percentile(of(name), 90))

    return (
        len(outcomes), 100.0 * solved / max(len(outcomes), 1), 100.0 * wrong / max(len(outcomes), 1),
        *both("place", 100.0), *both("rotation_deg"), *both("tilt_deg"), both("height_m", 1000.0)[0],
        *both("scale", 100.0), both("unscaled", 100.0)[0], float(100.0 * of("inside").mean()),
        float(np.median([one.seconds for one in outcomes] or [np.nan])),
    )  # fmt: skip


SCALES = {"stature": known_stature, "population": unknown_stature}


def rigs(request: CalibrationRequest) -> Iterator[Table]:
    """One walker for half a minute before every family of rigs."""
    rows: list[tuple[Cell, ...]] = []
    for family in FAMILIES:
        for noise in NOISES:
            outcomes: dict[str, list[Outcome]] = {scale: [] for scale in SCALES}
            for recording in request.each(f"{family} {noise}", partial(request.trials.recording, family, noise)):
                for scale, options in SCALES.items():
                    outcomes[scale].append(attempt(recording, options(recording)))
            rows += [(family, noise, scale, *summary(own)) for scale, own in outcomes.items()]
    title = "one person walks about for 30 s, 15 images/s, one clock"
    yield Table("rigs", title, ("rig", "noise", "scale", *COLUMNS), rows, NOTE, decimals=2)


def people(request: CalibrationRequest) -> Iterator[Table]:
    """Two people, who is who in other images unknown."""
    rows: list[tuple[Cell, ...]] = []
    for family in FAMILIES:
        draw = partial(request.trials.recording, family, "c", people=2)
        made = request.each(f"{family} two people", draw)
        rows.append((family, *summary([attempt(one, known_stature(one)) for one in made])))
    title = "two people walk about for 30 s, in no order; the taller one's stature is known; noise (c)"
    yield Table("people", title, ("rig", *COLUMNS), rows, NOTE, decimals=2)


def refused(request: CalibrationRequest) -> Iterator[Table]:
    """Recordings that determine no rig, or hardly."""
    draw = request.trials.recording

    def apart(shared_s: float) -> Callable[[str, int], WalkRecording]:
        def cut(family: str, number: int) -> WalkRecording:
            whole = draw(family, "c", number)
            return replace(whole, views=without_overlap(whole.views, shared_s))

        return cut

    kinds: dict[str, Callable[[str, int], WalkRecording]] = {
        "standing still": lambda family, number: draw(family, "c", number, manner="standing"),
        "nobody at the same time": apart(0.0),
        "2 s in common": apart(2.0),
        "3 s in all": lambda family, number: draw(family, "c", number, seconds=3.0),
        "one straight line": lambda family, number: draw(family, "c", number, manner="line"),
    }
    rows: list[tuple[Cell, ...]] = []
    for kind, make in kinds.items():
        for family in ("h36m", "room2"):
            made = request.each(f"{kind} {family}", partial(make, family))
            rows.append((kind, family, *summary([attempt(one, known_stature(one)) for one in made])))
    title = "recordings with too little in them: refused, or right (a straight line may be enough); noise (c)"
    yield Table("refused", title, ("recording", "rig", *COLUMNS), rows, NOTE, decimals=2)


def focal(request: CalibrationRequest) -> Iterator[Table]:
    """Focal lengths that are wrong: of all cameras, and of the second only."""
    rows: list[tuple[Cell, ...]] = []
    for family in ("h36m", "room3"):
        for factor in (0.8, 1.0, 1.2):
            for free in (True, False):
                outcomes = []
                for one in request.each(f"{family} x {factor:g}", partial(request.trials.recording, family, "c")):
                    recording = one.with_cameras(refocused(factor))
                    options = replace(known_stature(one), focal=free)
                    outcomes.append(attempt(recording, options))
                off = [abs(100.0 * error) for one in outcomes for error in focal_errors(one)] or [np.nan]
                within = [max(map(abs, focal_errors(one))) < 0.03 for one in outcomes if one.found is not None]
                share = 100.0 * (sum(within) + len(outcomes) - len(within)) / max(len(outcomes), 1)
                cells = (float(np.median(off)), float(np.max(off)), share)
                rows.append((family, f"x {factor:g}", "free" if free else "taken", *cells, *summary(outcomes)))
    columns = ("rig", "given focal", "is", "focal error %", "largest", "within 3 % or refused, %", *COLUMNS)
    yield Table("focal", "focal lengths 20 % wrong, in all cameras; noise (c)", columns, rows, NOTE, decimals=2)


def refined(request: CalibrationRequest) -> Iterator[Table]:
    """Rigs whose cameras are a little off, and what remains after refine_rig."""
    rows: list[tuple[Cell, ...]] = []
    for family in FAMILIES:
        before, after = [], []
        for one in request.each(f"{family} refined", partial(request.trials.recording, family, "c")):
            rng = np.random.default_rng([request.seed, len(before)])
            off = Rig(miscalibrated(one.truth.rig.cameras, rng, OFF_DEG, OFF_M), one.truth.rig.frame_id)
            done = attempt(one, PeopleOptions(offsets_s={}), lambda views, options, rig=off: refine_rig(rig, views, options))
            after.append(done)
            before.append(off_by(off, one))
        rows.append((family, "before", *(float(np.median(np.concatenate(part))) for part in zip(*before, strict=True))))
        kept = [one.errors for one in after if one.found is not None and one.errors is not None]
        cells = [np.concatenate([getattr(one, name) for one in kept] or [np.full(1, np.nan)]) for name in ("unscaled", "rotation_deg")]
        rows.append((family, "refined", 100.0 * float(np.median(cells[0])), float(np.median(cells[1]))))
    columns = ("rig", "cameras", "place %", "rotation deg")
    yield Table("refined", "rigs 0.5 to 1.5 degrees and 2 to 6 cm off, refined by one walker; noise (c)", columns, rows, decimals=2)
