"""How soon the running node tells of a fault, and how soon poses come again when it ends, by the clock and over DDS.

The genuine multi-view node with its default parameters, a detector that costs nothing, and two cameras of 640x480 px at
30 Hz from another process, which lets ten faults begin and end and hears /human_pose_3d and /diagnostics. That each
fault is named and ends is asserted by `pytest -k fault`, under injected time; here are the seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.node_graph import Played, play
from benchmarks.scene import RATE_HZ
from pose3d_ros.errors import InputError

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Cell, Table

# A trial at its longest: being well before, the fault, being well again; on an idle machine a tenth of it.
TRIAL_S = 75.0
QUICK_FAULTS = 2
# What docs/staleness.md promises of a person whom nobody sees any more: s after last seen.
LIMITS_S = {"occluded": 0.2, "lost": 0.5, "gone": 1.0}
STATES = {"visible": "last message with somebody VISIBLE", "occluded": "OCCLUDED", "lost": "LOST", "gone": "nobody"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="trials of each fault, 1 or more")


def measure(args: argparse.Namespace) -> list[Table]:
    """Faults, ageing, and start and end."""
    from benchmarks.ros_faults import FAULTS
    from pose3d_ros.ros.environment import require_ros

    require_ros()
    repeats, count = (1, QUICK_FAULTS) if args.quick else (args.repeats, len(FAULTS))
    if repeats < 1:
        raise InputError(f"--repeats {repeats}: give 1 or more")
    return tables(play("benchmarks.ros_faults", [str(repeats), str(count)], {}, repeats * count * TRIAL_S))


def tables(run: Played) -> list[Table]:
    """What a run of benchmarks/ros_faults.py tells."""
    return [_faults(run.told["trials"]), _ageing(run.told["trials"]), _start_and_end(run)]


def _faults(trials: Sequence[Mapping[str, Any]]) -> Table:
    from pose3d_ros.evaluation.tables import Table

    columns = (
        "fault", "trials", "named in", "told, median s", "latest", "poses of both cameras again, median s", "latest ",
        "OK again, median s", "latest  ",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for fault in dict.fromkeys(one["fault"] for one in trials):
        ours = [one for one in trials if one["fault"] == fault]
        times = [_middle_and_last(one.get(name) for one in ours) for name in ("named", "again_pose", "again_ok")]
        named = sum(one.get("named") is not None for one in ours)
        rows.append((fault, len(ours), named, *times[0], *times[1], *times[2]))
    note = (
        "Told: from the first set with the fault to the first message of /diagnostics with its cause. Again: from the "
        "first set without it. A cause is told for 3 s after it was last seen, so that a reader at 1 Hz cannot miss it."
    )
    return Table("faults", "faults over DDS, by the clock", columns, rows, note, decimals=2)


def _ageing(trials: Sequence[Mapping[str, Any]]) -> Table:
    """What /human_pose_3d says after both cameras stopped."""
    from pose3d_ros.evaluation.tables import Table

    stopped = [one for one in trials if one["fault"] == "both cameras stop" and one["well"]]
    rows: list[tuple[Cell, ...]] = []
    for name, words in STATES.items():
        # People were last seen one period before the first set that is missing.
        since_s = (None if one[name] is None else one[name] + 1.0 / RATE_HZ for one in stopped)
        rows.append((words, *_middle_and_last(since_s), LIMITS_S.get(name)))
    note = "From when the last image was published."
    columns = ("on /human_pose_3d", "median s", "latest", "promised")
    return Table("ageing", "both cameras stop", columns, rows, note, decimals=2)


def _start_and_end(run: Played) -> Table:
    from pose3d_ros.evaluation.tables import Table

    first_s = run.told["first_pose_s"]
    rows = [
        (
            "from the process to the first pose of both cameras",
            None if first_s is None else first_s - run.begun_s,
        ),
        ("SIGINT to the end of the process", run.end_s),
    ]
    return Table("process", "start and end, one run", ("", "s"), rows, decimals=2)


def _middle_and_last(seconds: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Median and largest of those that there are."""
    known = [one for one in seconds if one is not None]
    return (float(np.median(known)), max(known)) if known else (None, None)
