"""Parameters of the multi-view node that are not the estimator's or the detector's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option


@dataclass(frozen=True)
class NodeOptions:
    """What the node listens to, how the cameras are placed, what it publishes.

    Raises OptionError for fewer than two cameras, names that repeat, and topics that every camera would share.
    """

    cameras: tuple[str, ...] = option(("left", "right"), "names of the cameras, two or more", read_only=True)
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
    rectified: str = option(
        "auto",
        "true: images are rectified, so CameraInfo's P holds; false: K and D hold; auto: true if every image topic has "
        "the word rect or rectified in its name, as in image_rect_color",
        choices=("auto", "true", "false"),
        read_only=True,
    )
    # Half the period of a 50 Hz camera: an image can then fit one set only.
    stamp_tolerance: float = option(
        0.010, "capture stamps of one frame set differ by at most this", unit="s", low=0.0, high=1.0, read_only=True
    )
    set_wait: float = option(
        0.050, "wait this long (ROS time) for a camera that is late", unit="s", low=0.0, high=5.0, read_only=True
    )
    silent_after: float = option(
        1.0, "a camera without images for so long is not waited for", unit="s", low=0.05, high=60.0, read_only=True
    )
    tf_wait: float = option(
        0.1, "wait this long for a transform of a moving camera to come", unit="s", low=0.0, high=5.0, read_only=True
    )
    device: str = option("auto", "where the networks run: auto, cpu, cuda or cuda:<n>", read_only=True)
    publish_markers: bool = option(True, "publish human_pose_3d/markers for RViz")
    publish_tf: bool = option(True, "publish human_<id> and human_<id>_<joint> on /tf")
    publish_keypoints: bool = option(False, "publish <camera>/keypoints_2d")
    marker_lifetime: float = option(
        0.5, "markers vanish after so long without a new pose", unit="s", low=0.05, high=60.0
    )

    def __post_init__(self) -> None:
        check(self)
        if len(self.cameras) == 1:
            raise OptionError(
                f"parameter 'cameras' is {list(self.cameras)}, expected two or more: one camera gives no depth by "
                "triangulation, and this node does nothing else; add a second camera"
            )
        if len(self.cameras) < 2 or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise OptionError(f"parameter 'cameras' is {list(self.cameras)}, expected two or more different names")
        for name in ("image_topic", "camera_info_topic"):
            if "{camera}" not in getattr(self, name):
                raise OptionError(
                    f"parameter {name!r} is {getattr(self, name)!r}, expected {{camera}} in it, e.g. "
                    "'{camera}/image_raw': else all cameras would read one topic"
                )

    def images_rectified(self, topics: Iterable[str]) -> bool:
        """rectified, with auto decided by the topics as they are after remapping."""
        if self.rectified != "auto":
            return self.rectified == "true"
        return all({"rect", "rectified"} & set(re.split("[/_]", topic.lower())) for topic in topics)
