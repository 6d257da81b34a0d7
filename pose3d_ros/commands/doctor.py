"""pose3d doctor: observe a running system for some seconds, and report what is wrong and how to fix it.

It joins the ROS graph of this terminal (ROS_DOMAIN_ID and so on), subscribes to /diagnostics, TF, and every camera's
images and camera_info, and reads the nodes' parameters. It publishes nothing and changes nothing. Among others, it
reports topics without a publisher, incompatible QoS and types, camera_info that is missing or zero, images of another
size, images dropped by DDS, stamps that are old, zero or apart, transforms that are missing, late or inverted, two
nodes that publish the same frames, a zero baseline, use_sim_time, and an unused GPU, as well as the node's own
diagnostics. The first finding is the cause of those after it. Without a node it checks only the cameras.
docs/doctor.md lists every fault with its fix. Exit code: 0 healthy, 1 a fault was found or ROS is not installed,
2 wrong usage.
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
    """Add the options of `pose3d doctor`."""
    parser.add_argument(
        "--namespace",
        type=_namespace,
        default="",
        metavar="NAME",
        help="check only nodes (and cameras) in this namespace: /robot1",
    )
    parser.add_argument("--seconds", type=_seconds, default=5.0, help="how long to observe, 1 to 600 s")
    parser.add_argument(
        "--expect-person",
        action="store_true",
        help="a person is in view of the cameras: detecting none is then a fault, not only a note",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report to this file, for programs")


def run(args: argparse.Namespace) -> int:
    """Return 0 if healthy, 1 if there are faults."""
    from pose3d_ros.ros.doctor.checks import run_checks
    from pose3d_ros.ros.doctor.report import as_json, healthy, printed

    facts = _facts(args)
    findings = run_checks(facts)
    print(printed(facts, findings), flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(as_json(facts, findings, __version__), indent=1) + "\n", encoding="utf-8")
    return 0 if healthy(findings) else 1


def _facts(args: argparse.Namespace) -> Facts:
    """Observe the system; without ROS, the facts only say that it is missing."""
    from pose3d_ros.ros import environment
    from pose3d_ros.ros.doctor.facts import Facts, Machine
    from pose3d_ros.ros.doctor.machine import broken_packages, gpus, missing_ros, processes_elsewhere

    environment.prepare()
    if missing := missing_ros():
        return Facts(0.0, args.namespace, machine=Machine(gpus(), ros_missing=missing))
    machine = Machine(gpus(), broken_packages(), elsewhere=processes_elsewhere())

    from tqdm import tqdm

    from pose3d_ros.ros.doctor.observe import DISCOVERY_S, observe, users_graph

    total_s = DISCOVERY_S + args.seconds
    bar_format = "{desc} {percentage:3.0f}%|{bar}| {elapsed}"
    with (
        users_graph() as context,
        tqdm(
            total=total_s, desc="observing", bar_format=bar_format, disable=not sys.stderr.isatty(), leave=False
        ) as bar,
    ):
        return observe(
            context,
            seconds=args.seconds,
            namespace=args.namespace,
            machine=machine,
            expect_person=args.expect_person,
            progress=lambda done_s: bar.update(min(done_s, total_s) - bar.n),
        )


def _namespace(text: str) -> str:
    """Normalise robot1, /robot1 or /robot1/ to /robot1, and / to nothing."""
    name = "/" + text.strip("/")
    if not re.fullmatch(r"(/[A-Za-z_][A-Za-z0-9_]*)*", name.rstrip("/")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a ROS namespace: use letters, digits and _, as in /robot1")
    return name.rstrip("/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 1.0 <= seconds <= 600.0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 1 to 600 s")
    return seconds
