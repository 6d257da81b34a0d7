"""Parameters of what a node publishes; all of them may change at run time."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.options import check, option


@dataclass(frozen=True)
class OutputOptions:
    """What goes out beside human_pose_3d."""

    publish_markers: bool = option(True, "publish human_pose_3d/markers for RViz")
    publish_tf: bool = option(True, "publish human_<id> and human_<id>_<joint> on /tf")
    rep155: bool = option(
        False, "publish body_<id> and its links on /tf, and /humans/bodies/tracked, as REP-155 (ROS4HRI) names them"
    )
    publish_keypoints: bool = option(False, "publish <camera>/keypoints_2d")
    marker_lifetime: float = option(
        0.5, "markers vanish after so long without a new pose", unit="s", low=0.05, high=60.0
    )
    occluded_after: float = option(
        0.2,
        "people are no longer VISIBLE so long after the image that showed them came, though no new one has been worked "
        "on; raise it for cameras or machines of fewer than ten frame sets a second",
        unit="s", low=0.05, high=60.0,
    )  # fmt: skip
    prediction_horizon: float = option(
        0.0,
        "publish human_pose_3d/predicted too: where people will be so long after the images' stamp, with the stamp of "
        "then; 0: do not",
        unit="s", low=0.0, high=1.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
