"""Which 2D people of several views are one person, and the whole estimator: how long they take.

People on a 4 m x 4 m floor, cameras in a ring around them, 4 px of noise an axis; CPU time on one thread. The target
is 2 ms for four people in five views, and growth no worse than with the square of the cameras. Then the estimator from
keypoints to poses: people who walk to and fro, 3 px of noise, some joints missed, some wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d_ros.train_command import natural, positive

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is measured, and where the plot goes."""
    parser.add_argument("--repeats", type=positive, default=7, metavar="N", help="of every measurement, in turn")
    parser.add_argument("--seed", type=natural, default=0, help="of people and noise")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the growth there (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """Times over cameras and people, and the exponents fitted to them."""
    from pose3d_ros.benchmarks import association_tables, estimator_tables

    counts = association_tables.QUICK if args.quick else association_tables.FULL
    times = association_tables.measured(*counts, repeats=2 if args.quick else args.repeats, seed=args.seed)
    if args.plot:
        association_tables.plot(times, args.plot)
        print(f"{args.plot} shows the growth")
    estimator = estimator_tables.table(20 if args.quick else 300, args.seed)
    return [*association_tables.tables(times), estimator]
