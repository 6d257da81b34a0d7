"""What the calibration's health tells of cameras that move, and whether it is silent while they stand.

The people of a recording of `pose3d demo` (log/recording.npz in its folder) are replayed at the 5 frame sets a
second that are looked at, over and over: first for --minutes as they are, then with a camera moved from second 14 on,
with two exchanged or one inverted from the start. Without a recording somebody walks before simulated rigs, seen with a
detector's fitted errors. Told must be within 10 s.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is replayed, for how long, and where the plot goes."""
    parser.add_argument("recording", type=Path, nargs="?", metavar="RECORDING", help="recording.npz, or its folder")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="of footage as it is")
    parser.add_argument("--each", action="store_true", help="move every camera in turn, not only the second")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw a camera that moves there (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """False alarms, faults told, and the time it takes a frame set."""
    from pose3d_ros.benchmarks import health_tables

    if args.plot:
        health_tables.plot(args.recording, args.plot)
        print(f"{args.plot} shows a camera that moves")
    return health_tables.measured(args.recording, 0.5 if args.quick else args.minutes, each=args.each, quick=args.quick)
