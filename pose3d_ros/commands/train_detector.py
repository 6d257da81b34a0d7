"""pose3d train detector: train a 2D network on rendered people, or fine-tune one on your own footage."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d_ros.options import HelpFormatter

if TYPE_CHECKING:
    from pose3d_ros.research.consensus_crops import ConsensusCrops

TEXT = "train a 2D network for --detector onnx, or fine-tune one on your own footage"
ABOUT = """\
With --data, trains a 2D network on crops of the people in scenes of `pose3d render`. With --recording and --start,
fine-tunes one on recordings of three cameras or more: labels are the places where the cameras agree that joints are, no
annotation is needed. Held-out stretches of the recordings decide: where the fine-tuned network is not nearer to what
the other cameras agree on than the one that it began with, nothing is written and the exit code is 1.

OUTPUT/detector.onnx is for --detector onnx --detector-model OUTPUT/detector.onnx --detector-skeleton h36m_17, and
OUTPUT/best.ckpt for --start (docs/training.md).
"""
MODEL = "detector.onnx"


def add_arguments(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""

    class Formatter(HelpFormatter, argparse.RawDescriptionHelpFormatter):
        pass

    parser = networks.add_parser("detector", help=TEXT, description=ABOUT, formatter_class=Formatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="DIR", help="scenes of `pose3d render`, as JPEGs")
    source.add_argument(
        "--recording", nargs="+", type=Path, metavar="DIR",
        help="folders that `pose3d demo --output` or `pose3d estimate --output` wrote, of one rig",
    )  # fmt: skip
    parser.add_argument(
        "--videos", nargs="+", type=Path, default=[], metavar="DIR",
        help="with --recording of `pose3d estimate`: the folder of each one's videos, in the same order",
    )  # fmt: skip
    parser.add_argument("--start", type=Path, metavar="FILE", help="with --recording: the checkpoint to begin with")
    parser.add_argument(
        "--network", dest="layout", default="resnet50",
        choices=("resnet18", "resnet50", "resnet152", "hourglass2", "hourglass8"),
        help="2D network: residual layers with soft-argmax, or stacked hourglasses",
    )  # fmt: skip
    parser.add_argument(
        "--width", type=int, default=0, metavar="N",
        help="channels of the first layer (ResNets) or of all layers (0: as published, 64 or 256)",
    )  # fmt: skip
    parser.add_argument("--side", type=int, default=256, metavar="PX", help="side of the crops")
    parser.add_argument("--epochs", type=int, default=0, metavar="N", help="passes (0: 60; 20 with --recording)")
    parser.add_argument("--batch", type=int, default=0, metavar="N", help="crops a step (0: 48; 8 with --recording)")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="learning rate (0: as published; 3e-4 with --recording)"
    )
    parser.add_argument(
        "--pretrained", type=Path, metavar="FILE", help="torchvision's ImageNet weights of the same ResNet"
    )
    parser.add_argument("--output", type=Path, default=Path("detector"), metavar="DIR", help="folder for the results")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no epoch after this time")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint in --output")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order, the changes of crops and the weights")
    parser.add_argument("--accelerator", default="auto", choices=("auto", "cpu", "gpu"), help="hardware to train on")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads (0: torch's default)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the file is written, 1 when fine-tuning gains nothing; raises pose3d_ros.errors."""
    import torch

    from pose3d_ros.errors import InputError
    from pose3d_ros.files.output_lock import output_lock

    if bool(args.recording) != bool(args.start):
        raise InputError(
            "--recording and --start go together: fine-tuning begins with a best.ckpt of `pose3d train detector`"
        )
    if args.videos and len(args.videos) != len(args.recording or ()):
        raise InputError(f"--videos: {len(args.videos)} folders: give one for each --recording, in the same order")
    if args.threads:
        torch.set_num_threads(args.threads)
    with output_lock(args.output):
        return _tune(args) if args.recording else _train(args)


def _train(args: argparse.Namespace) -> int:
    from pose3d_ros.research import detector_training as training
    from pose3d_ros.research.crops import rendered_moments
    from pose3d_ros.research.image_training import curve, train
    from pose3d_ros.research.onnx_file import write_onnx
    from pose3d_ros.training.loop import BEST, FitOptions

    taught, held_out = training.with_held_out(rendered_moments(args.data), args.side)
    system, budget = training.system_and_budget(
        args.layout, args.width, args.side, args.epochs, args.batch, args.rate, len(taught) * taught.views
    )
    start = training.pretrained(args.pretrained, system, budget) if args.pretrained else None
    options = FitOptions(
        1, 1, args.seed, args.minutes, args.accelerator, resume=args.resume, progress=not args.quiet
    )  # epochs and batch are the budget's
    train(system, budget, taught, held_out, args.output, options, start)
    trained = training.read_detector(args.output / BEST)
    write_onnx(trained.network, args.output / MODEL, trained.side)
    _, score = curve(args.output)
    print(f"{len(score)} epochs of {len(taught) * taught.views} crops; {min(score):.2f} px of the crop in validation")
    _print_use(args.output)
    return 0


def _tune(args: argparse.Namespace) -> int:
    from pose3d_ros.evaluation.tables import printed
    from pose3d_ros.research.detector_training import read_detector, write_detector
    from pose3d_ros.research.detector_tuning import DEFAULT, TUNED, TuningOptions, tune_detector, tuning_table
    from pose3d_ros.research.onnx_file import write_onnx
    from pose3d_ros.training.loop import BEST

    start = read_detector(args.start)
    default = TuningOptions()
    options = TuningOptions(
        args.epochs or default.epochs, args.batch or default.batch_size, args.rate or default.rate, args.seed
    )
    tuning = tune_detector(start.network, _crops(args, start.side), options)
    print(printed(tuning_table(tuning)))
    if tuning.why_not:
        print(f"pose3d train detector: nothing is written: {tuning.why_not}", file=sys.stderr)
        return 1
    if tuning.held_out[DEFAULT].median_px < tuning.held_out[TUNED].median_px:
        print("note: the default detector's joints are nearer still: prefer it on this rig")
    write_detector(args.output / BEST, tuning.network, start.recipe)
    write_onnx(tuning.network, args.output / MODEL, start.side)
    _print_use(args.output)
    return 0


def _crops(args: argparse.Namespace, side: int) -> ConsensusCrops:
    """The people of all recordings, each later than the last."""
    from pose3d_ros.commands.train_rig import rig_of
    from pose3d_ros.recordings.observations import observations_2d
    from pose3d_ros.recordings.recording_folder import read_recording
    from pose3d_ros.research.consensus import consensus
    from pose3d_ros.research.consensus_crops import cut, joined
    from pose3d_ros.research.recorded_images import recorded_images

    videos = args.videos or [None] * len(args.recording)
    parts = []
    for folder, place in zip(args.recording, videos, strict=True):
        recording = read_recording(folder)
        rig = rig_of([recording], None)
        found = consensus(rig, observations_2d(recording, rig))
        parts.append(cut(found, rig.names, recorded_images(folder, recording, place), side))
    return joined(parts)


def _print_use(output: Path) -> None:
    path = output / MODEL
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"  pose3d estimate ... --detector onnx --detector-model {path} --detector-skeleton h36m_17")
    print(f"  the node: detector onnx, detector_model {path}, detector_skeleton h36m_17")
