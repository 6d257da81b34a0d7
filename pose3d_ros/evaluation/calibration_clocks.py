"""Tables of recordings that are synchronised by the people in them (NumPy, float64)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    for family in CLOCK_FAMILIES:
        for offset in OFFSETS_S:
            draw = partial(_drawn, request, family, OFFSET_MINUTE_S, offset, 0.0)
            made = request.each(f"{family} {offset:+g} s", draw)
            rows += [(family, f"{offset:+g}", *row) for row in _rows(made, PeopleOptions())]
    for one in request.rendered:
        for offset in OFFSETS_S:
            made = iter([one.shifted(one.truth.rig.names[1], offset)])
            rows += [(one.name, f"{offset:+g}", *row) for row in _rows(made, PeopleOptions())]
    title = "the second camera's clock is off; 60 s of one walker; noise (c); rendered scenes as long as they are"
    yield Table("clocks", title, ("rig", "offset s", *CLOCK_COLUMNS), rows, CLOCK_NOTE, decimals=2)


def drift(request: CalibrationRequest) -> Iterator[Table]:
    """A clock that is off and runs slow."""
    rows: list[tuple[Cell, ...]] = []
    for family in CLOCK_FAMILIES:
        draw = partial(_drawn, request, family, DRIFT_S, OFFSETS_S[0], DRIFT_PPM)
        rows += [(family, *row) for row in _rows(request.each(f"{family} drift", draw), PeopleOptions(drift=True))]
    title = "the second camera's clock is 0.37 s off and runs 50 ppm slow for 15 minutes; noise (c)"
    yield Table("drift", title, ("rig", *CLOCK_COLUMNS), rows, CLOCK_NOTE, decimals=2)


def _drawn(
    request: CalibrationRequest, family: str, seconds: float, offset_s: float, drift_ppm: float, number: int
) -> WalkRecording:
    second = request.trials.rig(family, number).rig.names[1]
    return request.trials.recording(
        family, "c", number, seconds=seconds, offsets_s={second: offset_s}, drift_ppm={second: drift_ppm}
    )


@dataclass
class _Tally:
    """What became of some recordings."""

    seconds: list[float] = field(default_factory=list)  # each took
    off: list[Floats] = field(default_factory=list)  # ms, of those that were solved
    inside: list[bool] = field(default_factory=list)

    def cells(self) -> tuple[Cell, ...]:
        """CLOCK_COLUMNS but the first."""
        errors = np.concatenate(self.off or [np.full(1, np.nan)])
        return (
            len(self.seconds),
            percent([number < len(self.off) for number in range(len(self.seconds))]),
            float(np.median(errors)),
            float(np.percentile(errors, 90)),
            float(errors.max()),
            percent([bool(error.max() <= WITHIN_MS) for error in self.off]),
            percent(self.inside),
            float(np.median(self.seconds)),
        )


def _rows(made: Iterator[WalkRecording], options: PeopleOptions) -> list[tuple[Cell, ...]]:
    """CLOCK_COLUMNS of some recordings, with and without the true extrinsics."""
    tallies = {"known": _Tally(), "unknown": _Tally()}
    for one in made:
        for name, tally in tallies.items():
            began = time.monotonic()
            try:
                found = recording_clocks(one.views, one.truth.rig if name == "known" else None, options)
            except CalibrationError:
                continue
            finally:
                tally.seconds.append(time.monotonic() - began)
            tally.off.append(clock_errors_ms(found, one.truth, one.duration_s))
            tally.inside += _inside(found, one)
    return [(name, *tally.cells()) for name, tally in tallies.items()]


def _inside(found: Mapping[str, Clock], one: WalkRecording) -> list[bool]:
    """Of every camera but the first, whether its offset's error is within two of its own standard deviations."""
    names: Sequence[str] = one.truth.rig.names
    true = one.truth.clocks.offset_s
    first = found[names[0]].offset_s - true.get(names[0], 0.0)
    return [
        abs(found[name].offset_s - true.get(name, 0.0) - first) <= 2.0 * found[name].offset_std_s for name in names[1:]
    ]
