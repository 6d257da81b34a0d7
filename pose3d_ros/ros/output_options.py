"""Parameters of what a node publishes; all of them may change at run time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pose3d_ros.errors import OptionError
from pose3d_ros.options import check, option

# 100 characters are more than any name needs; a frame's name goes out 18 times a person.
PREFIX = r"([A-Za-z0-9_.-][A-Za-z0-9_./-]{0,99})?"


@dataclass(frozen=True)
class OutputOptions:
    """What goes out beside human_pose_3d."""

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
