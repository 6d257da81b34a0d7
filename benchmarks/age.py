"""How old people are in the messages of a node that is slower than its cameras, in wall-clock time over DDS.

The genuine multi-view node with its default parameters, whose detector knows the answer and takes 0.02 to 1 s a frame
set; two cameras of 640x480 px at 30 Hz from a second process; a subscriber in a third, which compares each message's
header.stamp with its own clock. docs/staleness.md promises: no VISIBLE person older than 0.2 s, no OCCLUDED one older
than 0.5 s, none older than 1 s.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.node_graph import play

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table

SLOWNESS_S = (0.02, 0.15, 0.3, 0.7, 1.0)
QUICK_S = 3.0
LIMITS_S = (0.2, 0.5, 1.0)  # of VISIBLE, OCCLUDED, LOST people, by state

Heard = tuple[int, int, int, int, list[int]]  # ns of capture, publication, arrival; cameras; states


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The slowness and duration."""
    parser.add_argument(
        "--slowness", default=",".join(map(str, SLOWNESS_S)), metavar="S", help="s per frame set, separated by commas"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of images per row")


def measure(args: argparse.Namespace) -> list[Table]:
    """One row per slowness."""
    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.ros.environment import require_ros

    require_ros()
    seconds = QUICK_S if args.quick else args.seconds
    slowness = SLOWNESS_S[1:2] if args.quick else tuple(float(one) for one in args.slowness.split(","))
    rows = []
    for slow_s in slowness:
        run = play(
            "benchmarks.ros_cameras", [str(seconds), "2"], {"refine": "none"}, seconds,
            slow_s=slow_s, listener="benchmarks.ros_ages",
        )  # fmt: skip
        rows.append((f"{slow_s:g}", *figures(run.heard)))
    columns = (
        "s a set", "messages", "of images", "published VISIBLE > 0.2 s", "OCCLUDED > 0.5 s", "LOST > 1 s",
        "heard VISIBLE > 0.2 s", "OCCLUDED > 0.5 s ", "LOST > 1 s ",
        "VISIBLE, % of people in messages of images", "of all", "with people, % of those < 0.95 s old", "of all ",
        "oldest person heard, ms", "p50 age of images, ms", "p95 ",
    )  # fmt: skip
    note = (
        "Of images: messages with camera_names; between them time alone speaks. Published: by DDS's source timestamp; "
        "heard, and the columns after it: by the subscriber's clock in its callback, its own way included."
    )
    return [Table("age", f"how old people are, {seconds:g} s at 30 Hz", columns, rows, note, decimals=1)]


def figures(heard: Sequence[Heard]) -> tuple[float | int | None, ...]:
    """The cells of a row from the subscriber's report."""
    people = [
        (state, (published - stamp) * 1e-9, (now - stamp) * 1e-9, cameras > 0)
        for stamp, published, now, cameras, states in heard
        for state in states
    ]
    published = [sum(one[1] > LIMITS_S[state] for one in people if one[0] == state) for state in range(3)]
    late = [sum(one[2] > LIMITS_S[state] for one in people if one[0] == state) for state in range(3)]
    first_ns = next((now for _, _, now, _, states in heard if states), None)
    # Messages before the first person do not count.
    counted = [one for one in heard if first_ns is not None and one[2] >= first_ns]
    of_images = [one for one in counted if one[3]]
    ages_ms = [(now - stamp) / 1e6 for stamp, _, now, _, _ in of_images]
    return (
        len(heard), sum(one[3] > 0 for one in heard), *published, *late,
        _share([state == 0 for state, _, _, made in people if made]),
        _share([state == 0 for state, _, _, _ in people]),
        _share([bool(one[4]) for one in counted if one[1] - one[0] < 0.95e9]),
        _share([bool(one[4]) for one in counted]),
        max((1e3 * heard_s for _, _, heard_s, _ in people), default=None),
        *(np.percentile(ages_ms, (50, 95)).tolist() if ages_ms else (None, None)),
    )  # fmt: skip


def _share(which: Sequence[bool]) -> float | None:
    return 100.0 * float(np.mean(which)) if len(which) else None
