"""Triangulation beside an SVD a joint, a batched SVD, OpenCV and scipy: time, and error beside Cramer and Rao's bound.

Human3.6M's published cameras of S9, lenses taken out so that all solve the same; 17 joints a frame anywhere on the
stage; 4 px of noise an axis; for the robust part 5 % of the keypoints are up to 50 px off as well.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pose3d_ros.train_command import natural, positive

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table

VIEWS = (2, 4)
LIVE_FRAMES = 8  # different frames of the robust part: how long a solver takes depends on the outliers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is measured."""
    parser.add_argument("--frames", type=positive, default=10_000, metavar="N", help="of the large batch")
    parser.add_argument("--repeats", type=positive, default=3, metavar="N", help="of every measurement, in turn")
    parser.add_argument("--seed", type=natural, default=0, help="of joints and noise")


def measure(args: argparse.Namespace) -> list[Table]:
    """Linear triangulation of 1 and --frames frames, and robust triangulation of live frames; 2 and 4 views."""
    import cv2

    from pose3d_ros.benchmarks import triangulation_tables

    cv2.setNumThreads(1)
    triangulation_tables.prepare_compiled()
    frames, live_frames, repeats = (20, 1, 1) if args.quick else (args.frames, LIVE_FRAMES, args.repeats)
    linear = [triangulation_tables.linear(views, frames, repeats, args.seed) for views in VIEWS]
    return [*linear, *(triangulation_tables.robust(views, live_frames, repeats, args.seed) for views in VIEWS)]
