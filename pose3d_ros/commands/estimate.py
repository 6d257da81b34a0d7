"""Everybody's poses from your own recording, without ROS, as fast as the machine goes.

Give the videos of two cameras or more, taken at the same time. Their names are those of the rig's cameras (cam01.mp4 is
camera cam01), or are given as CAMERA=FILE. Instead of videos, --keypoints takes 2D people that another program found.
A run that was stopped, by Ctrl-C, a crash or a full disk, goes on with --resume, and gives what it would have given.
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
from pose3d_ros.files.door import PARAMETER
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.options import from_mapping
from pose3d_ros.recordings.bag_input import add_bag_arguments, bag_topics
from pose3d_ros.structures import FrameSet
from pose3d_ros.weights import store

if TYPE_CHECKING:
    from pose3d_ros.detection.detector import Detector
    from pose3d_ros.recordings.recording_log import RecordingLog

RESULTS = ("summary.json", "overlay.mp4", "skeleton.png", "people.trc", "people.csv")
# Formats of the people, and the files that not every run writes.
FORMATS = ("trc", "csv", "json", "c3d", "bvh")
OTHERS = ("people.json", "people.*.c3d", "people.*.bvh")
PARTS = "parts"  # folder of what a run keeps to go on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `pose3d estimate`."""
    given = parser.add_argument_group("the recording")
    given.add_argument(
        "videos", nargs="*", metavar="VIDEO",
        help="<camera>.mp4, or CAMERA=FILE; or one recording of ROS topics: a rosbag2 folder, an .mcap or a .db3 file",
    )  # fmt: skip
    given.add_argument("--rig", type=Path, metavar="FILE", help="the calibrated cameras, see config/rig_example.yaml")
    given.add_argument(
        "--keypoints", action="append", default=[], metavar="CAMERA=PATH",
        help="2D people of a camera: a folder of OpenPose JSON files (one a frame), or a file of COCO keypoint "
        "results; then no detector runs, --fps is needed, and videos, if given, only make the overlay",
    )  # fmt: skip
    given.add_argument(
        "--keypoint-order", choices=("auto", "body_25", "body_25b", "coco_17"), default="auto",
        help="how the points of OpenPose files are ordered; auto: told by which bones are short",
    )  # fmt: skip
    given.add_argument("--footage", choices=FOOTAGE, help="the sample footage; openpose: its published 2D people")
    given.add_argument("--cameras", metavar="A,B,...", help="only these of the cameras")
    given.add_argument(
        "--offset", action="append", default=[], metavar="CAMERA=SECONDS",
        help="this camera began so much later than those without an offset (negative: earlier)",
    )  # fmt: skip
    given.add_argument("--start", type=float, metavar="S", help="leave out what comes before, s from the beginning")
    given.add_argument("--end", type=float, metavar="S", help="leave out what comes from here on, s from the beginning")
    given.add_argument(
        "--fps",
        type=float,
        metavar="RATE",
        help="frames/s of all cameras, where the files are wrong: by default a video's time stamps count",
    )
    given.add_argument("--stride", type=int, default=1, metavar="N", help="take every n-th frame set")
    add_bag_arguments(parser.add_argument_group("a recording of ROS topics (docs/export.md)"))
    how = parser.add_argument_group("how")
    how.add_argument("--refine", choices=CHOICES, default="auto", help="networks that refine the poses")
    detector_options.add_arguments(how)
    how.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")
    how.add_argument(
        "--precision", choices=("auto", "full", "half"), default="auto", help="of the 2D models; auto: half if native"
    )
    how.add_argument(
        "--param", action="append", default=[], metavar="NAME:=VALUE",
        help="any option of the estimation (docs/ros_interface.md), for example smoothing:=one_euro; repeatable",
    )  # fmt: skip
    results = parser.add_argument_group("the results")
    results.add_argument("--output", type=Path, default=Path("pose3d_output"), help=f"folder for {', '.join(RESULTS)}")
    results.add_argument(
        "--overlay", action=argparse.BooleanOptionalAction, default=True,
        help="write overlay.mp4, for which the videos are read a second time",
    )  # fmt: skip
    results.add_argument(
        "--reference",
        metavar="FILE",
        help="a TRC file (y up) of the same person: say how well 12 limb joints agree",
    )
    results.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=["trc", "csv"], metavar="FORMAT",
        help=f"how to write the people: {', '.join(FORMATS)} (docs/export.md); c3d and bvh give one file a person",
    )  # fmt: skip
    results.add_argument("--resume", action="store_true", help="go on with the run that the folder holds, if any")
    results.add_argument("--overwrite", action="store_true", help="forget the run that the folder holds")


def run(args: argparse.Namespace) -> int:
    """0 when all was written, 1 where no person was found, 130 when it was stopped; raises pose3d_ros.errors."""
    with output_lock(args.output):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    # Here, so that `pose3d --help` waits for no torch, OpenCV and matplotlib.
    from pose3d_ros import kernels
    from pose3d_ros.commands.estimate_results import black, write_results
    from pose3d_ros.estimation.estimator import PoseEstimator
    from pose3d_ros.estimation.offline import estimate_recording, interrupts
    from pose3d_ros.estimation.recording_evidence import evidence_of
    from pose3d_ros.plots.summary_table import summary_table
    from pose3d_ros.recordings.writers.person_files import check_formats

    options = estimation_options(args)
    request = Request(
        args.rig, tuple(args.videos), tuple(args.keypoints), args.keypoint_order, args.footage or "",
        args.cameras or "", tuple(args.offset), args.start, args.end, args.fps, args.stride, args.reference or "",
        bag_topics(args),
    )  # fmt: skip
    check_formats(args.formats)
    given = open_input(request)
    source = given.source
    for note in given.notes:
        print(f"note: {note}", file=sys.stderr)
    settings: dict[str, Any] = {
        "version": __version__,
        **source.identity(),
        "cameras": list(source.rig.names),
        "calibration": source.rig.calibration_hash,
        "options": dataclasses.asdict(options),
        "detector": dataclasses.asdict(_detector_options(args)) if given.has_images else None,
    }
    output = args.output.expanduser().resolve()
    log = prepare(output, settings, len(source), resume=args.resume, overwrite=args.overwrite)
    if len(log) < len(source):
        if len(log):
            print(f"going on after {len(log)} of {len(source)} frame sets", file=sys.stderr)
        kernels.load(lambda words: print(words, file=sys.stderr))
        with interrupts() as stopped:
            estimator = PoseEstimator(source.rig, _detector(args) if given.has_images else None, options)
            finished = estimate_recording(source, estimator, log, stopped)
        if not finished:
            print(f"stopped after {len(log)} of {len(source)} frame sets: --resume goes on", file=sys.stderr)
            return 130
    pictures: Iterator[FrameSet] | None = None
    if args.overlay:
        pictures = black(source) if given.pictures is None else given.pictures.read()
    people = evidence_of(log.parts(), source.rig, options)
    summary = write_results(source, log, output, settings, given.reference, pictures, args.formats, people.up)
    written = [path.name for name in (*RESULTS, *OTHERS) for path in sorted(output.glob(name))]
    print(summary_table(summary, (str(output), *written)))
    print("\n".join(people.lines), end="\n" if people.lines else "")
    return int(not people.found)


def estimation_options(args: argparse.Namespace) -> EstimatorOptions:
    """The options of the estimation that a command line gives; raises OptionError for an unknown or wrong one."""
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
    """The log of the output folder, begun anew or, with resume, as it is.

    Raises InputError where the folder holds a run and neither is asked for, where that run was asked to do something
    else, or where the folder cannot be made.
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
                f"--output {output} holds a run of {len(log)} frame sets (this one has {moments}): --resume goes on "
                "with it, --overwrite forgets it, or choose another folder"
            )
        wanted = json.loads(json.dumps(settings))
        if differ := [name for name in {**before, **wanted} if before.get(name) != wanted.get(name)]:
            name = differ[0]
            raise InputError(
                f"--resume: the run in {output} was asked something else ({name}: {before.get(name)}, now "
                f"{wanted.get(name)}): give the same input and options, or --overwrite"
            )
        if len(log) > moments:
            raise InputError(
                f"--resume: the run in {output} has {len(log)} frame sets already, {moments} are asked for: give a "
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
    for name in detector_options.weights_of(options):
        store.fetch(name)
    return factory.make_detector(options, args.device)
