"""The node's overhead: two cameras of 640x480 px at 30 Hz, one person, and a detector without cost.

A process publishes the cameras over DDS and hears /human_pose_3d; the genuine multi-view node runs in another, with
keypoints from a table in the detector's place. Counted is the time from the arrival of a set's last image in the node
to the pose (written into its message just before it goes out), the same until a subscriber has the pose, and the sets
that got no pose. The target: 5 ms for 95 % of the sets, and none lost in 60 s.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.node_graph import play

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.structures import Floats

REFINE = ("none", "auto")
QUICK_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The duration."""
    parser.add_argument("--seconds", type=float, default=60.0, help="of images per row")


def measure(args: argparse.Namespace) -> list[Table]:
    """One row without refinement and one with the default."""
    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.ros.environment import require_ros

    require_ros()
    seconds = QUICK_S if args.quick else args.seconds
    rows = [(f"refine: {refine}", *figures(*played(seconds, refine))) for refine in REFINE]
    columns = (
        "node", "sets", "lost", "arrival to pose, median ms", "p95 ms", "until heard, median ms", "p95 ms ",
        "camera to subscriber, median ms", "p95 ms  ", "CPU ms a set",
    )  # fmt: skip
    note = (
        "Lost: sets without a pose of the person from both cameras. Until heard: from the same arrival until a "
        "subscriber in another process has the pose. Camera to subscriber: from just before the last image is "
        "published, DDS both ways. CPU: of all threads of the node's process, taking the images from DDS included."
    )
    return [Table("ros", f"the node's overhead, {seconds:g} s at 30 Hz", columns, rows, note, decimals=2)]


def played(seconds: float, refine: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The reports of the cameras' process and the node."""
    run = play("benchmarks.ros_cameras", [str(seconds), "2"], {"refine": refine}, seconds)
    return run.report, run.node


def figures(report: dict[str, Any], node: dict[str, Any]) -> tuple[float | int | None, ...]:
    """The cells of a row from the reports of both processes."""
    arrived_ns = dict(node["arrived_ns"])
    sent = {stamp: time_ns for stamp, time_ns in report["sent"]}
    first = {stamp: (time_ns, inside_s) for stamp, time_ns, inside_s in reversed(report["received"]) if stamp in sent}
    inside = np.array([1e3 * inside_s for _, inside_s in first.values()])
    heard = np.array([(time_ns - arrived_ns[stamp]) / 1e6 for stamp, (time_ns, _) in first.items()])
    whole = np.array([(time_ns - sent[stamp]) / 1e6 for stamp, (time_ns, _) in first.items()])
    return len(sent), len(sent) - len(first), *_spread(inside), *_spread(heard), *_spread(whole), node["cpu_ms"]


def _spread(values: Floats) -> Sequence[float | None]:
    return tuple(np.percentile(values, (50, 95)).tolist()) if len(values) else (None, None)
