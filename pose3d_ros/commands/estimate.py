"""Estimate the poses of all people in your own recording, without ROS, as fast as the machine allows.

Give the videos of two or more cameras, recorded at the same time. Name them after the rig's cameras (cam01.mp4 is
camera cam01), or give CAMERA=FILE. Instead of videos, --keypoints reads 2D people that another program detected.
A run stopped by Ctrl-C, a crash or a full disk continues with --resume, and ends with the same result.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose3d_ros import __version__
from pose3d_ros.commands.estimate_input import FOOTAGE, Request, open_input
from pose3d_ros.detection import factory
from pose3d_ros.detection import options as detector_options
from pose3d_ros.errors import InputError, shown
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.plan import CHOICES
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import PARAMETER, expanded
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.options import from_mapping
from pose3d_ros.recordings.bag_input import add_bag_arguments, bag_topics
from pose3d_ros.structures import FrameSet

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector
    from pose3d_ros.recordings.recording_log import RecordingLog

RESULTS = ("summary.json", "overlay.mp4", "skeleton.png", "people.trc", "people.csv")
# Formats of the people, and the optional files.
FORMATS = ("trc", "csv", "json", "c3d", "bvh")
OTHERS = ("people.json", "people.*.c3d", "people.*.bvh")
PARTS = "parts"  # folder of what a run keeps to resume
SMOOTHED = "smoothed"  # folder in it of the same parts, smoothed from both sides


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d estimate`."""
    recording = parser.add_argument_group("the recording")
    recording.add_argument(
        "videos", nargs="*", metavar="VIDEO",
        help="<camera>.mp4, or CAMERA=FILE; or one ROS recording: a rosbag2 folder, an .mcap or a .db3 file",
    )  # fmt: skip
    recording.add_argument(
        "--rig", type=Path, metavar="FILE", help="the calibrated cameras, see config/rig_example.yaml"
    )
    recording.add_argument(
        "--keypoints", action="append", default=[], metavar="CAMERA=PATH",
        help="2D people of a camera: a folder of OpenPose JSON files (one per frame), or a file of COCO keypoint "
        "results; no detector runs, --fps is required, and videos are only used for the overlay",
    )  # fmt: skip
    recording.add_argument(
        "--keypoint-order", choices=("auto", "body_25", "body_25b", "coco_17"), default="auto",
        help="order of the points in OpenPose files; auto: from which bones are short",
    )  # fmt: skip
    recording.add_argument("--footage", choices=FOOTAGE, help="the sample footage; openpose: its published 2D people")
    recording.add_argument("--cameras", metavar="A,B,...", help="use only these cameras")
    recording.add_argument(
        "--offset", action="append", default=[], metavar="CAMERA=SECONDS[,PPM]",
        help="how much later this camera started than those without an offset (negative: earlier), and by how many "
        "millionths its clock is slow, as `pose3d calibrate sync` finds both",
    )  # fmt: skip
    recording.add_argument(
        "--start", type=float, metavar="S", help="skip everything before this time, s from the beginning"
    )
    recording.add_argument("--end", type=float, metavar="S", help="stop at this time, s from the beginning")
    recording.add_argument(
        "--fps",
        type=float,
        metavar="RATE",
        help="frames/s of all cameras, where the files are wrong (default: each video's time stamps)",
    )
    recording.add_argument("--stride", type=int, default=1, metavar="N", help="use every n-th frame set")
    add_bag_arguments(parser.add_argument_group("a recording of ROS topics (docs/export.md)"))
    estimation = parser.add_argument_group("the estimation")
    estimation.add_argument("--refine", choices=CHOICES, default="auto", help="networks that refine the poses")
    detector_options.add_arguments(estimation)
    estimation.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")
    estimation.add_argument(
        "--precision",
        choices=("auto", "full", "half"),
        default="auto",
        help="precision of the 2D models; auto: half if native",
    )
    estimation.add_argument(
        "--param", action="append", default=[], metavar="NAME:=VALUE",
        help="any estimator option (docs/ros_interface.md), for example smoothing:=one_euro; repeatable",
    )  # fmt: skip
    results = parser.add_argument_group("the results")
    results.add_argument("--output", type=Path, default=Path("pose3d_output"), help=f"folder for {', '.join(RESULTS)}")
    results.add_argument(
        "--overlay", action=argparse.BooleanOptionalAction, default=True,
        help="write overlay.mp4; this reads the videos a second time",
    )  # fmt: skip
    results.add_argument(
        "--reference",
        metavar="FILE",
        help="a TRC file (y up) of the same person: report the agreement of 12 limb joints",
    )
    results.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=["trc", "csv"], metavar="FORMAT",
        help=f"output formats: {', '.join(FORMATS)} (docs/export.md); c3d and bvh write one file per person",
    )  # fmt: skip
    results.add_argument("--resume", action="store_true", help="continue the run in the output folder, if any")
    results.add_argument("--overwrite", action="store_true", help="discard the run in the output folder")


def run(args: argparse.Namespace) -> int:
    """Return 0 when all is written, 1 when no person was found, 130 when stopped; raises pose3d_ros.errors."""
    with output_lock(args.output):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    # Imported late: `pose3d --help` must not load torch, OpenCV or matplotlib.
    from pose3d_ros import kernels
    from pose3d_ros.commands.estimate_results import black, write_results
    from pose3d_ros.estimation.estimator import PoseEstimator
    from pose3d_ros.estimation.offline import estimate_recording, interrupts, smooth_recording
    from pose3d_ros.estimation.recording_evidence import evidence_of
    from pose3d_ros.plots.summary_table import summary_table
    from pose3d_ros.recordings.recording_log import RecordingLog
    from pose3d_ros.recordings.writers.person_files import check_formats

    # What follows is there when all is smoothed in the end.
    options = dataclasses.replace(estimation_options(args), lag_sets=0)
    request = Request(
        args.rig, tuple(args.videos), tuple(args.keypoints), args.keypoint_order, args.footage or "",
        args.cameras or "", tuple(args.offset), args.start, args.end, args.fps, args.stride, args.reference or "",
        bag_topics(args),
    )  # fmt: skip
    check_formats(args.formats)
    recorded = open_input(request)
    source = recorded.source
    for note in recorded.notes:
        print(f"note: {note}", file=sys.stderr)
    settings: dict[str, Any] = {
        "version": __version__,
        **source.identity(),
        "cameras": list(source.rig.names),
        "calibration": source.rig.calibration_hash,
        "options": dataclasses.asdict(options),
        "detector": dataclasses.asdict(_detector_options(args)) if recorded.has_images else None,
    }
    output = expanded(args.output).resolve()
    log = prepare(output, settings, len(source), resume=args.resume, overwrite=args.overwrite)
    if len(log) < len(source):
        if len(log):
            print(f"resuming after {len(log)} of {len(source)} frame sets", file=sys.stderr)
        kernels.load(lambda text: print(text, file=sys.stderr))
        with interrupts() as stopped:
            estimator = PoseEstimator(source.rig, _detector(args) if recorded.has_images else None, options)
            finished = estimate_recording(source, estimator, log, stopped)
        if not finished:
            print(f"stopped after {len(log)} of {len(source)} frame sets: continue with --resume", file=sys.stderr)
            return 130
    if options.smoothing == "body":
        smoothed = RecordingLog(log.folder / SMOOTHED)
        smooth_recording(log, smoothed)
        log = smoothed
    pictures: Iterator[FrameSet] | None = None
    if args.overlay:
        pictures = black(source) if recorded.pictures is None else recorded.pictures.read()
    people = evidence_of(log.parts(), source.rig, options)
    summary = write_results(source, log, output, settings, recorded.reference, pictures, args.formats, people.up)
    written = [path.name for name in (*RESULTS, *OTHERS) for path in sorted(output.glob(name))]
    print(summary_table(summary, (str(output), *written)))
    print("\n".join(people.lines), end="\n" if people.lines else "")
    return int(not people.found)


def estimation_options(args: argparse.Namespace) -> EstimatorOptions:
    """Return the estimator options of a command line; raises OptionError for an unknown or invalid option."""
    values: dict[str, Any] = {"refine": args.refine}
    for pair in args.param:
        name, sign, value = pair.partition(":=")
        if not name or not sign:
            raise InputError(f"--param {shown(pair)}: give it as NAME:=VALUE, for example smoothing:=one_euro")
        values[name] = yaml_content(value, shown(pair), PARAMETER)
    return from_mapping(EstimatorOptions, values)


def prepare(
    output: Path, settings: Mapping[str, Any], moments: int, *, resume: bool = False, overwrite: bool = False
) -> RecordingLog:
    """Return the log of the output folder, empty or, with resume, as it is.

    Raises InputError when the folder contains a run and neither resume nor overwrite is set, when that run has other
    settings, or when the folder cannot be created.
    """
    from pose3d_ros.recordings.recording_log import RecordingLog

    if resume and overwrite:
        raise InputError("--resume and --overwrite: give one of the two")
    try:
        (output / PARTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {output}: cannot write there ({error.strerror}): choose another folder") from error
    log = RecordingLog(output / PARTS)
    before = log.run()
    if before is not None and not overwrite:
        if not resume:
            raise InputError(
                f"--output {output} contains a run of {len(log)} frame sets (this one has {moments}): continue it "
                "with --resume, discard it with --overwrite, or choose another folder"
            )
        wanted = json.loads(json.dumps(settings))
        if differ := [name for name in {**before, **wanted} if before.get(name) != wanted.get(name)]:
            name = differ[0]
            raise InputError(
                f"--resume: the run in {output} has other settings ({name}: {before.get(name)}, now "
                f"{wanted.get(name)}): give the same input and options, or --overwrite"
            )
        if len(log) > moments:
            raise InputError(
                f"--resume: the run in {output} already has {len(log)} frame sets, {moments} are requested: give a "
                "later --end, or --overwrite"
            )
        return log
    for name in (*RESULTS, *OTHERS):
        for old in output.glob(name):
            old.unlink()
    log.begin(settings)
    return log


def _detector_options(args: argparse.Namespace) -> detector_options.DetectorOptions:
    return detector_options.from_arguments(args, precision=args.precision)


def _detector(args: argparse.Namespace) -> Detector:
    options = _detector_options(args)
    factory.fetch_weights(options)
    return factory.make_detector(options, args.device)
