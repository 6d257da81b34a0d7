"""pose3d doctor: look at a running system for some seconds and say in plain words what is wrong, and how to fix it.

It joins the graph that this terminal's ROS settings lead to (ROS_DOMAIN_ID and so on), listens to /diagnostics, TF,
and every camera's images and camera_info, asks the nodes for their parameters, and publishes and changes nothing. It
names, among others: topics that nothing publishes, QoS and types that do not fit, camera_info that is missing or zero,
images of another size, images that DDS drops, stamps that are old, zero or apart, transforms that are missing, late or
inverted, two nodes that publish the same frames, a zero baseline, use_sim_time, a GPU that is not used; and passes on
what the node reports of itself. The first finding is the cause of those behind it. Without a node it looks at the
cameras alone. docs/doctor.md lists every fault with its fix. Exit code: 0 healthy, 1 a fault was found or there is no
ROS here, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d_ros import __version__

if TYPE_CHECKING:
    from pose3d_ros.ros.doctor.facts import Facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to look, for how long, where to write."""
    parser.add_argument(
        "--namespace", type=_namespace, default="", metavar="NAME", help="only nodes (and cameras) below it: /robot1"
    )
    parser.add_argument("--seconds", type=_seconds, default=5.0, help="how long to watch, 1 to 600 s")
    parser.add_argument(
        "--expect-person",
        action="store_true",
        help="somebody stands before the cameras: that nobody is found is then a fault, else only told",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report there, for programs")


def run(args: argparse.Namespace) -> int:
    """0 healthy, 1 faults."""
    from pose3d_ros.ros.doctor.checks import run_checks
    from pose3d_ros.ros.doctor.report import as_json, healthy, printed

    facts = _facts(args)
    found = run_checks(facts)
    print(printed(facts, found), flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(as_json(facts, found, __version__), indent=1) + "\n", encoding="utf-8")
    return 0 if healthy(found) else 1


def _facts(args: argparse.Namespace) -> Facts:
    """What is seen; where there is no ROS, only that."""
    from pose3d_ros.ros import environment
    from pose3d_ros.ros.doctor.facts import Facts, Machine
    from pose3d_ros.ros.doctor.machine import broken_packages, gpus, missing_ros, processes_elsewhere

    environment.prepare()
    if missing := missing_ros():
        return Facts(0.0, args.namespace, machine=Machine(gpus(), ros_missing=missing))
    machine = Machine(gpus(), broken_packages(), elsewhere=processes_elsewhere())

    from tqdm import tqdm

    from pose3d_ros.ros.doctor.observe import DISCOVERY_S, observe, users_graph

    whole_s = DISCOVERY_S + args.seconds
    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}"
    with (
        users_graph() as context,
        tqdm(total=whole_s, desc="watching", bar_format=form, disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        return observe(
            context,
            seconds=args.seconds,
            namespace=args.namespace,
            machine=machine,
            expect_person=args.expect_person,
            progress=lambda done_s: bar.update(min(done_s, whole_s) - bar.n),
        )


def _namespace(text: str) -> str:
    """/robot1 of robot1, /robot1 or /robot1/; nothing of /."""
    name = "/" + text.strip("/")
    if not re.fullmatch(r"(/[A-Za-z_][A-Za-z0-9_]*)*", name.rstrip("/")):
        raise argparse.ArgumentTypeError(f"{text!r} is no ROS namespace: letters, digits and _, as in /robot1")
    return name.rstrip("/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 1.0 <= seconds <= 600.0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 1 to 600 s")
    return seconds
