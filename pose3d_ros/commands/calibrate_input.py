"""Options that the actions of `pose3d calibrate` share: the recordings of people, and what is known of the cameras."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from pose3d_ros.calibration.people_cameras import CameraRequest, named_sources
from pose3d_ros.calibration.people_input import InputRequest, PeopleInput, is_keypoints, open_people
from pose3d_ros.commands.rig import parse_size
from pose3d_ros.detection import options as detector_options
from pose3d_ros.errors import InputError, shown
from pose3d_ros.files.door import expanded
from pose3d_ros.recordings.bag_input import BagTopics
from pose3d_ros.recordings.bag_recording import is_bag
from pose3d_ros.rigs.camera_checks import Finding

# What two clocks may differ by: two recordings of one scene.
LONGEST_OFFSET_S = 86_400.0


def add_people_arguments(parser: argparse.ArgumentParser, *, intrinsics: bool = True, required: bool = True) -> None:
    """Add the recordings of people, required or not; intrinsics: and where lenses come from."""
    parser.add_argument(
        "sources", nargs="+" if required else "*", metavar="CAMERA=PATH",
        help="one per camera: a video, a folder of OpenPose JSON files or a file of COCO keypoints (--fps); or one "
        "recording of all cameras: a rosbag2 folder, an .mcap or .db3 file, keypoints.npz of an earlier run, or the "
        "output folder of `pose3d demo` or `estimate`",
    )  # fmt: skip
    if intrinsics:
        parser.add_argument(
            "--intrinsics", metavar="FILE|guess",
            help="lenses of the cameras by name, in any format of `pose3d rig` (placement is not used); guess: from "
            "metadata, else as of a phone's main camera, and corrected (default for a recording: its own)",
        )  # fmt: skip
        parser.add_argument(
            "--photo", action="append", default=[], metavar="CAMERA=PICTURE",
            help="with --intrinsics guess: a picture by the same lens, for its focal length",
        )  # fmt: skip
        parser.add_argument("--size", metavar="WIDTHxHEIGHT", help="image size in px, where no file says it")
    parser.add_argument("--fps", type=float, metavar="RATE", help="frames/s of keypoint files")
    parser.add_argument(
        "--every", type=int, metavar="N", help="use every n-th image (default: so that about 15 a second are used)"
    )
    parser.add_argument(
        "--keypoint-order", choices=("auto", "body_25", "body_25b", "coco_17"), default="auto",
        help="order of the points in OpenPose files; auto: from which bones are short",
    )  # fmt: skip
    parser.add_argument("--image-topic", metavar="TOPIC", default=BagTopics.image_topic, help="of a ROS recording")
    parser.add_argument(
        "--camera-info-topic", metavar="TOPIC", default=BagTopics.camera_info_topic,
        help="of a ROS recording, for its own intrinsics",
    )  # fmt: skip
    detector_options.add_arguments(parser)
    parser.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def people_of(args: argparse.Namespace, output: Path | None, intrinsics: str | None = None) -> PeopleInput:
    """Open the recordings and print warnings about them; raises pose3d_ros.errors."""
    lenses = (
        CameraRequest(args.intrinsics or "", tuple(args.photo), parse_size(args.size)) if intrinsics is None else None
    )
    request = InputRequest(
        tuple(args.sources), lenses or CameraRequest(intrinsics or ""), args.fps, args.every, args.keypoint_order,
        BagTopics(args.image_topic, args.camera_info_topic), detector_options.from_arguments(args), args.device,
        not args.quiet,
    )  # fmt: skip
    if output is not None:
        make_folder(output)
    found = open_people(request, output)
    for view in found.views:
        some = sum(len(one) > 0 for one in view.people)
        print(
            f"{view.camera.name}: people in {some} of {len(view.people)} images, {view.span_s:.1f} s", file=sys.stderr
        )
    return found


def make_folder(output: Path) -> None:
    """Make the output folder; raises InputError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {output}: cannot write there ({error.strerror}): choose another folder") from error


def output_folder(args: argparse.Namespace) -> Path:
    """The folder of --output."""
    return expanded(args.output).resolve()


def offsets_of(texts: Sequence[str], cameras: Sequence[str]) -> dict[str, float]:
    """Offsets in s by camera of --offset CAMERA=SECONDS; raises InputError."""
    offsets: dict[str, float] = {}
    for text in texts:
        camera, sign, value = text.partition("=")
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not sign or not abs(seconds) <= LONGEST_OFFSET_S:
            raise InputError(f"--offset {shown(text)}: give it as CAMERA=SECONDS, for example {cameras[0]}=0.25")
        if camera not in cameras:
            raise InputError(f"--offset {shown(text)}: no camera {camera!r}: there are {', '.join(cameras)}")
        if camera in offsets:
            raise InputError(f"--offset: camera {camera!r} is given twice: give it once")
        offsets[camera] = seconds
    return offsets


def estimate_command(args: argparse.Namespace, rig_file: Path, offsets: Sequence[str]) -> str:
    """The command line that estimates poses from the same recordings; empty where they hold 2D people alone."""
    words = ["pose3d", "estimate", "--rig", str(rig_file)]
    if len(args.sources) == 1:
        return shlex.join([*words, args.sources[0]]) if is_bag(expanded(args.sources[0])) else ""
    for name, path in named_sources(args.sources).items():
        words += ["--keypoints", f"{name}={path}"] if is_keypoints(path) else [f"{name}={path}"]
    rate = [] if args.fps is None else ["--fps", f"{args.fps:g}"]
    return shlex.join([*words, *rate, *offsets])


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """One line each, faults first."""
    ordered = sorted(findings, key=lambda one: not one.fault)
    return [f"{'FAULT' if one.fault else 'warning'}: {one.text}" for one in ordered]
