"""Tables of recordings that are synchronised by the people in them (NumPy, float64)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pose3d_ros.calibration.people import Clock, PeopleOptions, recording_clocks
from pose3d_ros.errors import CalibrationError
from pose3d_ros.evaluation.calibration_bench import CalibrationRequest, percent
from pose3d_ros.evaluation.calibration_errors import clock_errors_ms
from pose3d_ros.evaluation.calibration_trials import WalkRecording
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.structures import Floats

CLOCK_FAMILIES = ("h36m", "room2")
OFFSETS_S, OFFSET_MINUTE_S = (0.37, 2.0, -7.25), 60.0
DRIFT_PPM, DRIFT_S = 50.0, 900.0
WITHIN_MS = 5.0
CLOCK_COLUMNS = (
    "extrinsics",
    "n",
    "solved %",
    "error ms",
    "p90",
    "largest",
    "within 5 ms, %",
    "inside 2 std, %",
    "s each",
)
CLOCK_NOTE = (
    "error: by how much a camera's moments are put at a wrong moment of the first camera, at most in the recording. "
    "extrinsics known: the true rig is given; else intrinsics only. inside 2 std: of the offset's own."
)


def clocks(request: CalibrationRequest) -> Iterator[Table]:
    """Constant offsets of the second camera, the others' clocks being the first's; and of rendered scenes."""
    rows: list[tuple[Cell, ...]] = []
    for family in request.those(CLOCK_FAMILIES):
        for offset in OFFSETS_S:
            made = request.drawn(partial(_drawn, request, family, OFFSET_MINUTE_S, offset, 0.0))
            rows += [(family, f"{offset:+g}", *row) for row in _rows(request, f"{family} {offset:+g} s", made)]
    for one in request.rendered:
        for offset in OFFSETS_S:
            made = iter([one.shifted(one.truth.rig.names[1], offset)])
            rows += [(one.name, f"{offset:+g}", *row) for row in _rows(request, f"{one.name} {offset:+g} s", made)]
    title = "the second camera's clock is off; 60 s of one walker; noise (c); rendered scenes as long as they are"
    yield Table("clocks", title, ("rig", "offset s", *CLOCK_COLUMNS), rows, CLOCK_NOTE, decimals=2)


def drift(request: CalibrationRequest) -> Iterator[Table]:
    """A clock that is off and runs slow."""
    rows: list[tuple[Cell, ...]] = []
    for family in request.those(CLOCK_FAMILIES):
        made = request.drawn(partial(_drawn, request, family, DRIFT_S, OFFSETS_S[0], DRIFT_PPM))
        rows += [(family, *row) for row in _rows(request, f"{family} drift", made, drift=True)]
    title = "the second camera's clock is 0.37 s off and runs 50 ppm slow for 15 minutes; noise (c)"
    yield Table("drift", title, ("rig", *CLOCK_COLUMNS), rows, CLOCK_NOTE, decimals=2)


def _drawn(
    request: CalibrationRequest, family: str, seconds: float, offset_s: float, drift_ppm: float, number: int
) -> WalkRecording:
    second = request.trials.rig(family, number).rig.names[1]
    return request.trials.recording(
        family, "c", number, seconds=seconds, offsets_s={second: offset_s}, drift_ppm={second: drift_ppm}
    )


@dataclass(frozen=True, eq=False)
class _Clocked:
    """What became of one recording."""

    name: str
    seconds: float
    off_ms: Floats | None = None  # (V - 1,); None: refused
    inside: tuple[bool, ...] = ()
    reason: str = ""


def _clocked(one: WalkRecording, known: bool, options: PeopleOptions) -> _Clocked:
    began = time.monotonic()
    try:
        found = recording_clocks(one.views, one.truth.rig if known else None, options)
    except CalibrationError as error:
        return _Clocked(one.name, time.monotonic() - began, reason=str(error))
    seconds = time.monotonic() - began
    return _Clocked(one.name, seconds, clock_errors_ms(found, one.truth, one.duration_s), _inside(found, one))


def _described(one: _Clocked) -> str:
    found = one.reason if one.off_ms is None else f"off by {one.off_ms.max():.1f} ms"
    return f"{one.name}: {found} after {one.seconds:.0f} s"


def _rows(
    request: CalibrationRequest, what: str, made: Iterator[WalkRecording], *, drift: bool = False
) -> list[tuple[Cell, ...]]:
    """CLOCK_COLUMNS of some recordings, with and without the true extrinsics."""
    calls = [(one, known, PeopleOptions(drift=drift)) for one in made for known in (True, False)]
    done = request.done(what, _clocked, calls, _described)
    return [("known", *_cells(done[0::2])), ("unknown", *_cells(done[1::2]))]


def _cells(done: Sequence[_Clocked]) -> tuple[Cell, ...]:
    """CLOCK_COLUMNS but the first."""
    off = [one.off_ms for one in done if one.off_ms is not None]
    errors = np.concatenate(off or [np.full(1, np.nan)])
    return (
        len(done),
        percent([one.off_ms is not None for one in done]),
        float(np.median(errors)),
        float(np.percentile(errors, 90)),
        float(errors.max()),
        percent([bool(error.max() <= WITHIN_MS) for error in off]),
        percent([which for one in done for which in one.inside]),
        float(np.median([one.seconds for one in done] or [np.nan])),
    )


def _inside(found: Mapping[str, Clock], one: WalkRecording) -> tuple[bool, ...]:
    """Of every camera but the first, whether its offset's error is within two of its own standard deviations."""
    names: Sequence[str] = one.truth.rig.names
    true = one.truth.clocks.offset_s
    first = found[names[0]].offset_s - true.get(names[0], 0.0)
    return tuple(
        abs(found[name].offset_s - true.get(name, 0.0) - first) <= 2.0 * found[name].offset_std_s for name in names[1:]
    )
