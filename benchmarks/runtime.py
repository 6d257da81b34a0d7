"""How soon the running node reports a fault, and how soon poses resume when it ends, in wall-clock time over DDS.

The real multi-view node with its default parameters, a detector without cost, and two cameras of 640x480 px at 30 Hz
from another process, which starts and ends ten faults and subscribes to /human_pose_3d and /diagnostics. `pytest -k
fault` asserts under injected time that each fault is reported and ends; this benchmark measures the seconds.
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

# The longest trial: healthy, fault, healthy again; on an idle machine a tenth of it.
TRIAL_S = 75.0
QUICK_FAULTS = 2
# The limits of docs/staleness.md for a person out of view: s after the last observation.
LIMITS_S = {"occluded": 0.2, "lost": 0.5, "gone": 1.0}
STATES = {"visible": "last message with a VISIBLE person", "occluded": "OCCLUDED", "lost": "LOST", "gone": "no person"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The number of trials."""
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
    """The tables of a run of benchmarks/ros_faults.py."""
    return [_faults(run.report["trials"]), _ageing(run.report["trials"]), _start_and_end(run)]


def _faults(trials: Sequence[Mapping[str, Any]]) -> Table:
    from pose3d_ros.evaluation.tables import Table

    columns = (
        "fault", "trials", "reported in", "report, median s", "latest", "poses of both cameras, median s", "latest ",
        "OK, median s", "latest  ",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for fault in dict.fromkeys(one["fault"] for one in trials):
        ours = [one for one in trials if one["fault"] == fault]
        times = [_middle_and_last(one.get(name) for one in ours) for name in ("named", "again_pose", "again_ok")]
        named = sum(one.get("named") is not None for one in ours)
        rows.append((fault, len(ours), named, *times[0], *times[1], *times[2]))
    note = (
        "Report: from the first set with the fault to the first message of /diagnostics with its cause. Poses and OK: "
        "from the first set without it. A cause stays in /diagnostics for 3 s, so a reader at 1 Hz cannot miss it."
    )
    return Table("faults", "faults over DDS, wall-clock time", columns, rows, note, decimals=2)


def _ageing(trials: Sequence[Mapping[str, Any]]) -> Table:
    """The states on /human_pose_3d after both cameras stopped."""
    from pose3d_ros.evaluation.tables import Table

    stopped = [one for one in trials if one["fault"] == "both cameras stop" and one["well"]]
    rows: list[tuple[Cell, ...]] = []
    for name, words in STATES.items():
        # The last images came one period before the first missing set.
        since_s = (None if one[name] is None else one[name] + 1.0 / RATE_HZ for one in stopped)
        rows.append((words, *_middle_and_last(since_s), LIMITS_S.get(name)))
    note = "From when the last image was published."
    columns = ("on /human_pose_3d", "median s", "latest", "limit")
    return Table("ageing", "both cameras stop", columns, rows, note, decimals=2)


def _start_and_end(run: Played) -> Table:
    from pose3d_ros.evaluation.tables import Table

    first_s = run.report["first_pose_s"]
    rows = [
        (
            "from the start of the process to the first pose of both cameras",
            None if first_s is None else first_s - run.begun_s,
        ),
        ("SIGINT to the end of the process", run.end_s),
    ]
    return Table("process", "start and end, one run", ("", "s"), rows, decimals=2)


def _middle_and_last(seconds: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Median and largest without None."""
    measured = [one for one in seconds if one is not None]
    return (float(np.median(measured)), max(measured)) if measured else (None, None)
