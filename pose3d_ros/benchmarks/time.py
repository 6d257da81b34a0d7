"""How well the cameras' clock offsets are known from somebody who walks, and what false alarms there are.

Somebody walks to and fro before Human3.6M's cameras (held out) and rooms' (2 and 3), with the default detector's errors
replayed, calibrations wrong by 0.1 to 0.3 degrees and 2 to 5 mm, and stamps late by up to 50 ms anyhow. On the footage
(1.7 s of walking, OpenPose's published keypoints) one camera is delayed by whole frames: by how much the estimate moves
is known exactly.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pose3d_ros.train_command import natural, positive

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is measured."""
    parser.add_argument("--trials", type=positive, default=8, metavar="N", help="rigs and noises of each row")
    parser.add_argument("--seed", type=natural, default=0, help="of rigs, offsets and noise")


def measure(args: argparse.Namespace) -> list[Table]:
    """Errors over rigs, rates and speeds; alarms of cameras 0, 5 and 20 ms apart; the footage, where it is here."""
    from pose3d_ros.benchmarks import time_tables

    trials = 1 if args.quick else args.trials
    tables = [time_tables.errors(trials, args.seed), time_tables.alarms(trials, args.seed)]
    return [*tables, *time_tables.footage()]
