"""Tables of calibration by people on simulated recordings and on rendered ones (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.calibration_bench import COLUMNS, NOTE, CalibrationRequest, reasons, summary
from pose3d_ros.evaluation.calibration_clocks import clocks, drift
from pose3d_ros.evaluation.calibration_trials import SCALES, WalkRecording, known_stature
from pose3d_ros.evaluation.calibration_unknowns import focal, refined
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.evaluation.walking_people import without_overlap


def tables(request: CalibrationRequest) -> Iterator[Table]:
    """One table after another, see TABLES; raises InputError for an unknown name, and for rendered without a scene."""
    unknown = [name for name in request.only if name not in TABLES]
    if unknown:
        raise InputError(f"there is no table {', '.join(unknown)}: use {', '.join(TABLES)}")
    if "rendered" in request.only and not request.rendered:
        raise InputError("the table rendered needs scenes of `pose3d render --walk`: give --rendered DIR")
    for name in request.only or [name for name in TABLES if name != "rendered" or request.rendered]:
        yield from TABLES[name](request)


def rigs(request: CalibrationRequest) -> Iterator[Table]:
    """One walker for half a minute before every family of rigs."""
    rows: list[tuple[Cell, ...]] = []
    for family in request.rigs:
        for noise in request.noises:
            made = request.drawn(partial(request.trials.recording, family, noise))
            calls = [(one, options(one)) for one in made for options in SCALES.values()]
            done = request.attempts(f"{family} {noise}", calls)
            rows += [(family, noise, scale, *summary(done[n :: len(SCALES)])) for n, scale in enumerate(SCALES)]
    title = "one person walks about for 30 s, 15 images/s, one clock"
    yield Table("rigs", title, ("rig", "noise", "scale", *COLUMNS), rows, NOTE, decimals=2)


def people(request: CalibrationRequest) -> Iterator[Table]:
    """Two people, who is who in other images unknown."""
    rows: list[tuple[Cell, ...]] = []
    for family in request.rigs:
        made = request.drawn(partial(request.trials.recording, family, "c", people=2))
        done = request.attempts(f"{family} two people", [(one, known_stature(one)) for one in made])
        rows.append((family, *summary(done), reasons(done)))
    title = (
        "two people walk about for 30 s, in another order in every image; the taller one's stature is known; noise (c)"
    )
    yield Table("people", title, ("rig", *COLUMNS, "reasons"), rows, NOTE, decimals=2)


def refused(request: CalibrationRequest) -> Iterator[Table]:
    """Recordings that determine no rig, or hardly."""
    draw = request.trials.recording

    def apart(shared_s: float, family: str, number: int) -> WalkRecording:
        whole = draw(family, "c", number)
        return replace(whole, views=without_overlap(whole.views, shared_s))

    kinds: dict[str, Callable[[str, int], WalkRecording]] = {
        "standing still": lambda family, number: draw(family, "c", number, manner="standing"),
        "no moment in common": partial(apart, 0.0),
        "2 s in common": partial(apart, 2.0),
        "3 s in all": lambda family, number: draw(family, "c", number, seconds=3.0),
        "one straight line": lambda family, number: draw(family, "c", number, manner="line"),
    }
    rows: list[tuple[Cell, ...]] = []
    for kind, make in kinds.items():
        for family in request.those(("h36m", "room2")):
            made = request.drawn(partial(make, family))
            done = request.attempts(f"{kind} {family}", [(one, known_stature(one)) for one in made])
            rows.append((kind, family, *summary(done), reasons(done)))
    title = "recordings with too little in them: to be refused, or right (a straight line may be enough); noise (c)"
    yield Table("refused", title, ("recording", "rig", *COLUMNS, "reasons"), rows, NOTE, decimals=2)


def rendered(request: CalibrationRequest) -> Iterator[Table]:
    """Rendered people and the real detector, one row a scene."""
    rows: list[tuple[Cell, ...]] = []
    calls = [(one, options(one)) for one in request.rendered for options in SCALES.values()]
    for number, done in enumerate(request.attempts("rendered", calls)):
        rows.append((done.recording.name, list(SCALES)[number % len(SCALES)], *summary([done]), reasons([done])))
    yield Table("rendered", "rendered people, the detector's keypoints", ("scene", "scale", *COLUMNS, "reasons"), rows,
                NOTE, decimals=2)  # fmt: skip


TABLES: dict[str, Callable[[CalibrationRequest], Iterator[Table]]] = {
    "rigs": rigs,
    "people": people,
    "refused": refused,
    "focal": focal,
    "clocks": clocks,
    "drift": drift,
    "refined": refined,
    "rendered": rendered,
}
