"""Open a ROS recording with command-line options as frame sets of a rig."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.bag_frames import BagFrames, bag_frames
from pose3d_ros.recordings.bag_recording import open_bag
from pose3d_ros.recordings.bag_rig import rig_of_bag
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.rigs.rig_yaml import load_rig


@dataclass(frozen=True)
class BagTopics:
    """The topics of a recording's cameras, and how their images are grouped."""

    image_topic: str = "{camera}/image_raw"
    camera_info_topic: str = "{camera}/camera_info"
    rectified: str = "auto"  # auto, true, false
    fixed_frame: str = ""  # empty: the first camera's optical frame
    tolerance_s: float = 0.010


def add_bag_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the options of BagTopics."""
    parser.add_argument(
        "--image-topic", metavar="TOPIC", default=BagTopics.image_topic,
        help="image topics of the cameras; raw, or else TOPIC/compressed",
    )  # fmt: skip
    parser.add_argument(
        "--camera-info-topic", metavar="TOPIC", default=BagTopics.camera_info_topic,
        help="CameraInfo topics of the cameras, used without --rig",
    )  # fmt: skip
    parser.add_argument(
        "--rectified", choices=("auto", "true", "false"), default=BagTopics.rectified,
        help="without --rig: whether images are rectified, so that CameraInfo's P applies instead of K and D; auto: if "
        "every image topic has the word rect or rectified in its name",
    )  # fmt: skip
    parser.add_argument(
        "--fixed-frame", metavar="FRAME", default=BagTopics.fixed_frame,
        help="without --rig: the frame of the poses, z up for TRC and BVH, joined to the cameras by /tf_static; "
        "default: the first camera's optical frame",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=float, metavar="S", default=BagTopics.tolerance_s,
        help="maximum difference between the stamps in a frame set, s (0 to 1)",
    )  # fmt: skip


def bag_topics(args: argparse.Namespace) -> BagTopics:
    """Return the options of add_bag_arguments; raises InputError for an invalid tolerance."""
    if not 0 <= args.tolerance <= 1:
        raise InputError(f"--tolerance {args.tolerance:g}: give 0 to 1 s")
    return BagTopics(args.image_topic, args.camera_info_topic, args.rectified, args.fixed_frame, args.tolerance)


def open_bag_frames(
    path: Path,
    *,
    rig_file: Path | None = None,
    cameras: Sequence[str] = (),
    topics: BagTopics = BagTopics(),
    start_s: float | None = None,
    end_s: float | None = None,
    stride: int = 1,
    progress: bool = False,
) -> BagFrames:
    """The frame sets of a recording's cameras: those named, else the rig file's, else all that fit the image topic.

    Raises InputError, CalibrationError or FootageError with what does not fit.
    """
    bag = open_bag(path)
    rig = load_rig(rig_file, cameras) if rig_file is not None else None
    if rig is not None and topics.fixed_frame:
        raise InputError("--rig and --fixed-frame: give one of the two; a rig file names its own frame")
    names = cameras or (rig.names if rig is not None else ())
    image_topics = bag.camera_topics(topics.image_topic, names)
    if len(image_topics) < 2:
        raise InputError(
            f"{path.name} has one camera on {topics.image_topic!r}, {next(iter(image_topics))}, expected two or more "
            "(one camera: pose3d mono): give --image-topic or --cameras"
        )
    if rig is None:
        rig = rig_of_bag(
            bag, image_topics, topics.camera_info_topic, rectified=topics.rectified, fixed_frame=topics.fixed_frame
        )
    else:
        rig = rig.subset(list(image_topics))
        for text in validate_rig(rig):
            warnings.warn(text, stacklevel=2)
    return bag_frames(
        bag, rig, image_topics,
        tolerance_s=topics.tolerance_s, start_s=start_s, end_s=end_s, stride=stride, progress=progress,
    )  # fmt: skip
