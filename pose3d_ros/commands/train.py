"""pose3d train: train PoseRN, CV-UGCN or AbsPoseLifter on motion data before simulated cameras.

Every recipe runs on two CPU cores; GPUs and more machines are flags. A run that was stopped goes on with --resume.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from pose3d_ros.errors import shown
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.options import HelpFormatter

EPOCH_PEOPLE = 8192  # fresh people an epoch: drawn in about a second, trained on in seconds to minutes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand a network."""
    networks = parser.add_subparsers(dest="network", required=True, metavar="NETWORK")
    described = {
        "posern": "what a detector's keypoints are off by (PoseRN)",
        "cvugcn": "refine triangulated poses, without 3D ground truth (CV-UGCN)",
        "lifter": "absolute poses from one camera (AbsPoseLifter)",
    }
    # Epochs: PoseRN's are the paper's; the others' come from what finishes on two cores.
    epochs = {"posern": 20, "cvugcn": 60, "lifter": 60}
    # CV-UGCN Sec. 4 B; AbsPoseLifter Sec. 5; PoseRN's is not published and is the lifter's.
    batch = {"posern": 64, "cvugcn": 256, "lifter": 64}
    for name, text in described.items():
        one = networks.add_parser(name, help=text, description=text)
        one.formatter_class = HelpFormatter
        _add_common(one, epochs[name], batch[name])
        _add_own(one, name)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if natural(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few: give 1 or more")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0 to what every generator takes."""
    if natural(text[:40]) >= 2**32 or len(text) > 40:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no seed: give 0 to {2**32 - 1}")
    return int(text)


def amount(text: str) -> float:
    """From 0 on."""
    return _between(text, 0.0, 1e6, "is no amount: give a number from 0 on")


def duration(text: str) -> float:
    """Minutes, more than 0."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"{text!r} are no minutes: give a number above 0")
    return minutes


def share(text: str) -> float:
    """From 0 to below 1."""
    return _between(text, 0.0, 1.0, "is no share: give a number from 0 to below 1")


def ratio(text: str) -> float:
    """Above 0."""
    return _between(text, 1e-6, 1e6, "is no factor: give a number above 0")


def _between(text: str, low: float, high: float, told: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value < high:
        raise argparse.ArgumentTypeError(f"{text!r} {told}")
    return value


def run(args: argparse.Namespace) -> int:
    """0 when the run ended or its minutes are over; faults raise from pose3d_ros.errors."""
    from pose3d_ros.training.recipes import train  # torch only when it is needed

    if args.devices * args.nodes > 1:  # each process of the same run comes by here
        return train(args)
    with output_lock(args.output):
        return train(args)


def _add_common(one: argparse.ArgumentParser, epochs: int, batch: int) -> None:
    one.add_argument("--data", metavar="FILE", help="motion data: .npz, .bvh or their folder (docs/training.md)")
    one.add_argument("--output", type=Path, default=Path("training"), help="folder for checkpoints")
    one.add_argument("--rigs", nargs="+", default=["h36m"], metavar="FAMILY", help="families of simulated rigs")
    one.add_argument("--rig-count", type=positive, default=20, metavar="N", help="rigs of each family")
    one.add_argument(
        "--noise", default="detector", choices=("detector", "normal", "gaussian"),
        help="errors of the 2D poses: the fitted mixture, one normal distribution for it, independent ones",
    )  # fmt: skip
    one.add_argument(
        "--sigma-px", type=amount, default=math.nan, help="of gaussian noise, an axis (nan: the rig's own)"
    )
    one.add_argument("--epochs", type=positive, default=epochs, help="passes, each over fresh people")
    one.add_argument("--people", type=positive, default=EPOCH_PEOPLE, metavar="N", help="people an epoch")
    one.add_argument("--reuse", type=positive, default=1, metavar="N", help="epochs that show the same people")
    one.add_argument("--batch", type=positive, default=batch, metavar="N", help="people a step and process")
    one.add_argument("--minutes", type=duration, default=math.inf, help="begin no epoch after this")
    one.add_argument("--schedule", default="cosine", choices=("cosine", "paper"), help="of the learning rate")
    one.add_argument("--seed", type=seed, default=0, help="of data, order and initial weights")
    one.add_argument("--baseline", action="store_true", help="train the residual MLP on the same data and loss")
    one.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --output")
    one.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "gpu"), help="what to compute on")
    one.add_argument("--devices", type=positive, default=1, metavar="N", help="processors or GPUs on each machine")
    one.add_argument("--nodes", type=positive, default=1, metavar="N", help="machines")
    one.add_argument(
        "--precision", default="32-true", choices=("32-true", "bf16-mixed"),
        help="bf16-mixed trains two to three times as fast where the processor knows bfloat16",
    )  # fmt: skip
    one.add_argument("--threads", type=natural, default=0, metavar="N", help="threads a process (0: as torch decides)")
    one.add_argument("--checkpoints-only", action="store_true", help="fit no covariance and leave no file for use")
    one.add_argument("--quiet", action="store_true", help="show no progress")


def _add_own(one: argparse.ArgumentParser, name: str) -> None:
    if name == "cvugcn":
        one.add_argument("--form", default="rig", choices=("paper", "pair", "rig"), help="of the input")
        one.add_argument(
            "--joints", default="detector", choices=("detector", "independent"),
            help="keypoints: as the nodes map a COCO-17 detector's, or of every joint on its own as in the paper",
        )  # fmt: skip
        one.add_argument(
            "--views", type=positive, default=2, metavar="N", help="cameras; families of more give subsets"
        )
        one.add_argument("--pairs", nargs="+", default=["P1", "P2", "P3", "P4"], help="of family h36m's cameras")
        one.add_argument("--width", type=positive, default=128, help="of the stems; 128 is the paper's, 32 for a CPU")
        one.add_argument("--side-views", action="store_true", help="labels of two more cameras, in training only")
        one.add_argument("--labels", default="annotated", choices=("annotated", "detected"), help="2D labels")
        one.add_argument("--without", nargs="*", default=[], choices=("spatial", "view", "stems"), help="ablations")
        one.add_argument("--losses", default="rstb", help="of r, s, t, b: which of the four losses")
        one.add_argument("--lambda-b", type=amount, default=0.002, help="weight of the loss of bone directions")
    if name == "lifter":
        one.add_argument(
            "--form", default="paper", choices=("paper", "any"),
            help="any: joints may miss, any focal length, a height may be told; what the nodes use",
        )  # fmt: skip
        one.add_argument("--width", type=positive, default=1024, help="4096 is the paper's, 1024 fits a CPU")
        one.add_argument("--dropout", type=share, default=0.1, metavar="P", help="0.5 is the paper's, for width 4096")
        one.add_argument(
            "--zoom", type=ratio, nargs=2, metavar=("LOW", "HIGH"), help="lenses of any focal length between"
        )
        one.add_argument("--without", nargs="*", default=[], choices=("location", "scale"), help="rows of Table 1")
        one.add_argument(
            "--depth-weight", type=ratio, default=1.0, metavar="W",
            help="of the root's depth beside one coordinate of a joint",
        )  # fmt: skip
        one.add_argument("--plain-depth", action="store_true", help="learn depth itself, not canonical depth (Table 5)")
        one.add_argument("--true-keypoints", action="store_true", help="2D poses without errors")
    if name == "posern":
        one.add_argument("--width", type=positive, default=1024, help="of both blocks")
        one.add_argument("--dropout", type=share, default=0.1, metavar="P", help="not published")
        one.add_argument(
            "--bias-free", type=share, default=0.0, metavar="P", help="share of the rigs whose detector has no bias"
        )
        one.add_argument(
            "--target", default="bias", choices=("shared", "bias", "error"),
            help="to predict: the bias that detectors and people share, all of it, or as in the paper every error",
        )  # fmt: skip
        one.add_argument("--loss", default="absolute", choices=("absolute", "squared"), help="squared is the paper's")
