"""pose3d train: train PoseRN, CV-UGCN or AbsPoseLifter on motion data seen by simulated cameras, tune on your
rig, or train a detector.

Every recipe runs on two CPU cores; flags select GPUs and several machines. A stopped run continues with --resume.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from pose3d_ros.commands import train_detector, train_rig
from pose3d_ros.errors import shown
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.options import HelpFormatter

EPOCH_PEOPLE = 8192  # new people per epoch: sampled in about a second, trained on in seconds to minutes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand per network."""
    networks = parser.add_subparsers(dest="network", required=True, metavar="NETWORK")
    described = {
        "posern": "correct the bias of a detector's keypoints (PoseRN)",
        "cvugcn": "refine triangulated poses, without 3D ground truth (CV-UGCN)",
        "lifter": "absolute poses from one camera (AbsPoseLifter)",
    }
    # Epochs: PoseRN's are the paper's; the others are what finishes on two cores.
    epochs = {"posern": 20, "cvugcn": 60, "lifter": 60}
    # CV-UGCN Sec. 4 B; AbsPoseLifter Sec. 5; PoseRN's is not published, so it is the lifter's.
    batch = {"posern": 64, "cvugcn": 256, "lifter": 64}
    # A lifter errs most on compact outlines, which are rare in motion data; measured for it only (docs/training.md).
    even = {"posern": 0.0, "cvugcn": 0.0, "lifter": 0.5}
    for name, text in described.items():
        subparser = networks.add_parser(name, help=text, description=text)
        subparser.formatter_class = HelpFormatter
        _add_common(subparser, epochs[name], batch[name], even[name])
        _add_own(subparser, name)
    train_rig.add_arguments(networks)
    train_detector.add_arguments(networks)


def positive(text: str) -> int:
    """Parse an integer of 1 or more."""
    if natural(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few: give 1 or more")
    return int(text)


def natural(text: str) -> int:
    """Parse an integer of 0 or more."""
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer: give 0 or more")
    return int(text)


def seed(text: str) -> int:
    """Parse an integer that every random generator accepts."""
    if natural(text[:40]) >= 2**32 or len(text) > 40:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a seed: give 0 to {2**32 - 1}")
    return int(text)


def amount(text: str) -> float:
    """Parse a number of 0 or more."""
    return _between(text, 0.0, 1e6, "is not a number of 0 or more")


def duration(text: str) -> float:
    """Parse minutes, more than 0."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: give minutes above 0")
    return minutes


def share(text: str) -> float:
    """Parse a share from 0 to below 1."""
    return _between(text, 0.0, 1.0, "is not a share: give 0 to below 1")


def whole_share(text: str) -> float:
    """Parse a share from 0 to 1."""
    return _between(text, 0.0, math.nextafter(1.0, 2.0), "is not a share: give 0 to 1")


def ratio(text: str) -> float:
    """Parse a number above 0."""
    return _between(text, 1e-6, 1e6, "is not a factor: give a number above 0")


def _between(text: str, low: float, high: float, problem: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value < high:
        raise argparse.ArgumentTypeError(f"{text!r} {problem}")
    return value


def run(args: argparse.Namespace) -> int:
    """Return 0 when the run has ended or its minutes are over, 1 if a rig gains nothing; raises pose3d_ros.errors."""
    if args.network == "rig":
        return train_rig.run(args)
    if args.network == "detector":
        return train_detector.run(args)
    from pose3d_ros.training.recipes import train  # imports torch

    if args.devices * args.nodes > 1:  # each process of one run calls this
        return train(args)
    with output_lock(args.output):
        return train(args)


def _add_common(subparser: argparse.ArgumentParser, epochs: int, batch: int, even: float) -> None:
    subparser.add_argument("--data", metavar="FILE", help="motion data: .npz, .bvh or their folder (docs/training.md)")
    subparser.add_argument("--output", type=Path, default=Path("training"), help="folder for checkpoints")
    subparser.add_argument("--rigs", nargs="+", default=["h36m"], metavar="FAMILY", help="families of simulated rigs")
    subparser.add_argument("--rig-count", type=positive, default=20, metavar="N", help="rigs of each family")
    subparser.add_argument(
        "--noise", default="detector", choices=("detector", "mixed", "normal", "gaussian"),
        help="2D errors: the fitted mixture; for half of the rigs the one fitted on rendered people, at its own size; "
        "one normal distribution; or independent errors",
    )  # fmt: skip
    subparser.add_argument(
        "--sigma-px", type=amount, default=math.nan, help="gaussian noise per axis, px (nan: the rig's own)"
    )
    subparser.add_argument(
        "--even-postures", type=whole_share, default=even, metavar="P",
        help="share of the people whose posture is drawn first: sitting, crouching and reaching as often as upright",
    )  # fmt: skip
    subparser.add_argument("--epochs", type=positive, default=epochs, help="passes, each over new people")
    subparser.add_argument("--people", type=positive, default=EPOCH_PEOPLE, metavar="N", help="people per epoch")
    subparser.add_argument("--reuse", type=positive, default=1, metavar="N", help="epochs that reuse the same people")
    subparser.add_argument("--batch", type=positive, default=batch, metavar="N", help="people per step and process")
    subparser.add_argument("--minutes", type=duration, default=math.inf, help="start no epoch after this time")
    subparser.add_argument(
        "--schedule", default="cosine", choices=("cosine", "paper"), help="schedule of the learning rate"
    )
    subparser.add_argument("--seed", type=seed, default=0, help="seed of data, order and initial weights")
    subparser.add_argument("--baseline", action="store_true", help="train the residual MLP on the same data and loss")
    subparser.add_argument(
        "--start", default="", metavar="WEIGHTS",
        help="begin with these weights, a .safetensors file or a shipped network's name, not with random ones",
    )  # fmt: skip
    subparser.add_argument("--resume", action="store_true", help="continue from the last checkpoint in --output")
    subparser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "gpu"), help="hardware to train on")
    subparser.add_argument("--devices", type=positive, default=1, metavar="N", help="processors or GPUs per machine")
    subparser.add_argument("--nodes", type=positive, default=1, metavar="N", help="machines")
    subparser.add_argument(
        "--precision", default="32-true", choices=("32-true", "bf16-mixed"),
        help="bf16-mixed trains two to three times as fast on processors with bfloat16",
    )  # fmt: skip
    subparser.add_argument(
        "--threads", type=natural, default=0, metavar="N", help="threads per process (0: torch's default)"
    )
    subparser.add_argument(
        "--checkpoints-only", action="store_true", help="fit no covariance and export no weights file"
    )
    subparser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_own(subparser: argparse.ArgumentParser, name: str) -> None:
    if name == "cvugcn":
        subparser.add_argument("--form", default="rig", choices=("paper", "pair", "rig"), help="form of the input")
        subparser.add_argument(
            "--joints", default="detector", choices=("detector", "independent"),
            help="keypoints mapped from a COCO-17 detector (as in the nodes), or independent joints (as in the paper)",
        )  # fmt: skip
        subparser.add_argument(
            "--views", type=positive, default=2, metavar="N", help="cameras; larger rigs provide subsets"
        )
        subparser.add_argument(
            "--pairs", nargs="+", default=["P1", "P2", "P3", "P4"], help="camera pairs of family h36m"
        )
        subparser.add_argument(
            "--width", type=positive, default=128, help="width of the stems; the paper uses 128, a CPU 32"
        )
        subparser.add_argument(
            "--side-views", action="store_true", help="add labels of two more cameras, in training only"
        )
        subparser.add_argument("--labels", default="annotated", choices=("annotated", "detected"), help="2D labels")
        subparser.add_argument(
            "--without", nargs="*", default=[], choices=("spatial", "view", "stems"), help="ablations"
        )
        subparser.add_argument("--losses", default="rstb", help="which of the four losses r, s, t, b to use")
        subparser.add_argument(
            "--loss", default="robust", choices=("robust", "paper"),
            help="robust: squared errors, outliers limited, weights 1, 0.05, 0.2 and --lambda-b; paper: plain norms, "
            "weights 1, 1, 1 and 0.1, Adam without Amsgrad",
        )  # fmt: skip
        subparser.add_argument("--lambda-b", type=amount, default=0.002, help="weight of the bone direction loss")
    if name == "lifter":
        subparser.add_argument(
            "--form", default="paper", choices=("paper", "any"),
            help="any: joints may be missing, any focal length, optional body height; used by the nodes",
        )  # fmt: skip
        subparser.add_argument("--width", type=positive, default=1024, help="the paper uses 4096; 1024 fits a CPU")
        subparser.add_argument(
            "--dropout", type=share, default=0.1, metavar="P", help="the paper uses 0.5, for width 4096"
        )
        subparser.add_argument(
            "--zoom", type=ratio, nargs=2, metavar=("LOW", "HIGH"), help="range of random focal length factors"
        )
        subparser.add_argument(
            "--without", nargs="*", default=[], choices=("location", "scale"), help="rows of Table 1"
        )
        subparser.add_argument(
            "--depth-weight", type=ratio, default=1.0, metavar="W",
            help="weight of the root depth relative to one joint coordinate",
        )  # fmt: skip
        subparser.add_argument(
            "--plain-depth", action="store_true", help="learn depth itself, not canonical depth (Table 5)"
        )
        subparser.add_argument("--true-keypoints", action="store_true", help="2D poses without errors")
    if name == "posern":
        subparser.add_argument("--width", type=positive, default=1024, help="width of both blocks")
        subparser.add_argument("--dropout", type=share, default=0.1, metavar="P", help="not published")
        subparser.add_argument(
            "--bias-free", type=share, default=0.0, metavar="P", help="share of rigs whose detector has no bias"
        )
        subparser.add_argument(
            "--target", default="bias", choices=("shared", "bias", "error"),
            help="what to predict: the bias that people share, the whole bias, or every error (as in the paper); with "
            "--rendered the first two are the error against the detector's own definition of joints",
        )  # fmt: skip
        subparser.add_argument(
            "--loss", default="absolute", choices=("absolute", "squared"), help="the paper uses squared"
        )
        subparser.add_argument(
            "--rendered", nargs="+", default=[], metavar="DIR",
            help="scenes of `pose3d render` instead of motion and rigs: learn the default detector's errors on them",
        )  # fmt: skip
