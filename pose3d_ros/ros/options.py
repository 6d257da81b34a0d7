"""Parameters of the nodes: one dataclass a group, whose fields carry description, unit, range and whether they may
change while the node runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.options import check, option
from pose3d_ros.rigs.camera_info import named_rectified
from pose3d_ros.synchronisation.stamp_window import WINDOW_S


@dataclass(frozen=True)
class LifecycleOptions:
    """Who moves the node from state to state."""

    autostart: bool = option(
        True,
        "true: the node configures and activates itself; false: it waits for a lifecycle manager, or for "
        "`ros2 lifecycle set`",
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PoseNodeOptions:
    """Which cameras there are, what comes of them, how they are placed.

    Raises OptionError for no camera and for names that repeat.
    """

    cameras: tuple[str, ...] = option(
        ("left", "right"),
        "names of the cameras; two or more triangulate people, one alone lifts them by a network",
        read_only=True,
    )
    input: str = option(
        "images",
        "images: people are detected here; keypoints: by detector nodes, on this or other machines, of which "
        "<camera>/keypoints_2d is taken in the place of images",
        choices=("images", "keypoints"),
        read_only=True,
    )
    placement: str = option(
        "auto",
        "where the cameras stand. tf: transform of each image's frame_id to fixed_frame at its stamp; projection: Tx "
        "in P of a stereo driver's CameraInfo; file: rig_file; auto: file if rig_file is given, else tf if TF knows "
        "every camera and their frames differ, else projection",
        choices=("auto", "tf", "projection", "file"),
        read_only=True,
    )
    fixed_frame: str = option(
        "",
        "frame of the published poses; empty: the first camera's optical frame, or with a rig file its frame_id. With "
        "projection or file another frame than theirs is reached by TF",
        read_only=True,
    )
    rig_file: str = option(
        "", "rig YAML with calibration and placement of every camera, for placement file or auto", read_only=True
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.cameras or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise OptionError(f"parameter 'cameras' is {list(self.cameras)}, expected one or more different names")


@dataclass(frozen=True)
class MonocularNodeOptions(PoseNodeOptions):
    """The same for one camera by default."""

    cameras: tuple[str, ...] = option(("camera",), "name of the camera, which is part of its topics", read_only=True)


@dataclass(frozen=True)
class DetectorNodeOptions:
    """Whose images it takes; raises OptionError for no camera and for names that repeat."""

    cameras: tuple[str, ...] = option(
        ("left", "right"),
        "names of the cameras whose images this node takes, one or more: those that are connected to its machine",
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if not self.cameras or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise OptionError(f"parameter 'cameras' is {list(self.cameras)}, expected one or more different names")


@dataclass(frozen=True)
class InputOptions:
    """Where images and CameraInfo come from, and what kind of images they are."""

    image_topic: str = option(
        "{camera}/image_raw", "topic of each camera's images; {camera} stands for its name", read_only=True
    )
    camera_info_topic: str = option(
        "{camera}/camera_info", "topic of each camera's CameraInfo; {camera} stands for its name", read_only=True
    )
    image_transport: str = option(
        "raw",
        "raw: sensor_msgs/Image; compressed: JPEG or PNG on <image topic>/compressed",
        choices=("raw", "compressed"),
        read_only=True,
    )
    rectified: str = option(
        "auto",
        "true: images are rectified, so CameraInfo's P holds; false: K and D hold; auto: true if every image topic has "
        "the word rect or rectified in its name, as in image_rect_color",
        choices=("auto", "true", "false"),
        read_only=True,
    )
    silent_after_s: float = option(
        1.0,
        "a camera without images for so long is reported in /diagnostics, and not waited for",
        unit="s",
        low=0.05,
        high=60.0,
        read_only=True,
    )
    stale_after_s: float = option(
        0.5,
        "/diagnostics says ERROR after so long without an image, or without a result",
        unit="s",
        low=0.1,
        high=60.0,
        read_only=True,
    )
    stamps: str = option(
        "capture",
        "capture: header.stamp is when an image was captured; arrival: the time when it came is used and published in "
        "its place, for cameras whose stamps are of another clock: poses are then older than their age says",
        choices=("capture", "arrival"),
        read_only=True,
    )
    stamp_window_s: float = option(
        WINDOW_S,
        "with stamps: capture an image stamped further from the node's clock, back or ahead, is not used; without a "
        "clock yet (use_sim_time before /clock comes) all are",
        unit="s",
        low=0.05,
        high=60.0,
        read_only=True,
    )
    repeated_images: str = option(
        "drop",
        "drop: an image with the same pixels as the one before under a new stamp is not used, so that a camera that "
        "stops delivering new frames gives no fresh poses; keep: it is, for a simulation without noise, where nothing "
        "may have moved",
        choices=("drop", "keep"),
        read_only=True,
    )
    tf_timeout_s: float = option(
        0.1, "wait this long for a transform of a moving camera to come", unit="s", low=0.0, high=5.0, read_only=True
    )
    device: str = option("auto", "where the networks run: auto, cpu, cuda or cuda:<n>", read_only=True)

    def __post_init__(self) -> None:
        check(self)

    def images_rectified(self, topics: Iterable[str]) -> bool:
        """rectified, with auto decided by the topics as they are after remapping."""
        if self.rectified != "auto":
            return self.rectified == "true"
        return named_rectified(topics)


# Images of one exposure come one after the other: two of 640x480 px came 3 to 12 ms apart on two busy cores. Half the
# period of a 30 Hz camera.
ARRIVAL_TOLERANCE_S = 0.016


@dataclass(frozen=True)
class SyncOptions:
    """Which frames of several cameras make a frame set."""

    # Half the period of a 50 Hz camera: an image can then fit one set only.
    stamp_tolerance_s: float = option(
        0.010,
        "stamps of one frame set differ by at most this; with stamps: arrival 0.016 at least",
        unit="s",
        low=0.0,
        high=1.0,
        read_only=True,
    )
    sync_timeout_s: float = option(
        0.050, "wait this long (ROS time) for a camera that is late", unit="s", low=0.0, high=5.0, read_only=True
    )

    def __post_init__(self) -> None:
        check(self)

    def tolerance_s(self, stamps: str) -> float:
        """How far apart the stamps of one frame set may be, given the input option stamps."""
        return max(self.stamp_tolerance_s, ARRIVAL_TOLERANCE_S) if stamps == "arrival" else self.stamp_tolerance_s


# 100 characters are more than any name needs; a frame's name goes out 18 times a person.
PREFIX = r"([A-Za-z0-9_.-][A-Za-z0-9_./-]{0,99})?"


@dataclass(frozen=True)
class OutputOptions:
    """What is published apart from human_pose_3d."""

    publish_markers: bool = option(True, "publish human_pose_3d/markers for RViz")
    publish_tf: bool = option(True, "publish human_<id> and human_<id>_<joint> on /tf")
    frame_prefix: str = option(
        "auto",
        "put in front of the names of people's TF frames, as robot1/ in robot1/human_4; auto: the node's namespace, "
        "where it has one, and a slash; empty: nothing",
    )
    rep155: bool = option(
        False, "publish body_<id> and its links on /tf, and /humans/bodies/tracked, as REP-155 (ROS4HRI) names them"
    )
    publish_keypoints: bool = option(False, "publish <camera>/keypoints_2d")
    occluded_after_s: float = option(
        0.2,
        "people are no longer VISIBLE so long after the capture of the images that showed them; raise it for cameras "
        "or machines of fewer than ten frame sets a second",
        unit="s", low=0.05, high=60.0,
    )  # fmt: skip
    prediction_horizon_s: float = option(
        0.0,
        "publish human_pose_3d/predicted too: where people will be so long after the images' stamp, with the stamp of "
        "then; 0: do not",
        unit="s", low=0.0, high=1.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
        if not re.fullmatch(PREFIX, self.frame_prefix):
            raise OptionError(
                f"option 'frame_prefix' is {self.frame_prefix[:80]!r}, expected letters, digits and _ - . / "
                "with no / in front, e.g. robot1/: TF2 refuses such frames"
            )

    def prefix_in(self, namespace: str) -> str:
        """What stands in front of the names of people's frames, for a node in this namespace ("/" or "/robot1")."""
        if self.frame_prefix != "auto":
            return self.frame_prefix
        return f"{name}/" if (name := namespace.strip("/")) else ""


@dataclass
class LiveOptions:
    """The parameters that may change while a node runs, as they are now."""

    outputs: OutputOptions
    estimation: EstimatorOptions
