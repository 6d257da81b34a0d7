"""Train the surveys' systems and print them in one table with this package's own chain.

DIR holds train, val and test, each scenes of `pose3d render` with several cameras and JPEGs, or Human3.6M's subjects
with images as h36m-fetch extracts them (docs/comparison.md has the commands). Every network for images is trained on
the same number of images. A stopped run goes on where it was, and rows that are done are not measured again. Writes
compare.json, compare.md and the training curves next to the networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pose3d_ros.commands.train import positive, seed
from pose3d_ros.files.output_lock import output_lock

# The table's rows, in its order; research/rows.py has them, and imports torch.
BUDGETS = ("small", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d compare`."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of train, val and test, or of S1 to S11"
    )
    parser.add_argument(
        "--budget", choices=BUDGETS, default="small",
        help="small: narrow networks, 15 minutes each at most on two cores; full: the published widths and durations, "
        "for GPUs",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("comparison"), metavar="DIR", help="networks and figures")
    parser.add_argument(
        "--rows", nargs="+", default=[], metavar="ROW", help="these rows only (default: all; `list` names them)"
    )
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="networks of every lifter")
    parser.add_argument("--seed", type=seed, default=0, help="the first seed")
    parser.add_argument(
        "--passes", type=positive, metavar="N", help="images per network, in place of the budget's, for a longer run"
    )
    parser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "gpu"), help="hardware to train on")
    parser.add_argument("--devices", type=positive, default=1, metavar="N", help="processors or GPUs")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the table is printed; raises pose3d_ros.errors."""
    from pose3d_ros.research.compare import compare, list_rows  # imports torch

    if args.rows == ["list"]:
        print(list_rows())
        return 0
    with output_lock(args.output):
        print(compare(args))
    return 0
