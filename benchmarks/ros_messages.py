"""The node's messages made and serialised without a graph, for `python -m benchmarks soak`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rclpy.serialization import serialize_message
from tf2_msgs.msg import TFMessage

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.ros import conversions
from pose3d_ros.ros.diagnostics import Record, Result
from pose3d_ros.structures import Rig


def serialising() -> Callable[[Rig, Estimate, Mapping[str, int]], None]:
    """A function (rig, estimate, stamps by camera) that makes every message of a frame set, and throws it away."""
    record, colours = Record(), PersonColours()

    def publish(cameras: Rig, estimate: Estimate, stamps_ns: Mapping[str, int]) -> None:
        pose, now_s = estimate.pose, time.monotonic()
        record.count("received")
        record.processed(now_s, Result(estimate.stage_ms, 1.0, 0.0, len(pose), tuple(stamps_ns), estimate))
        health = record.health(now_s, [], {})
        status = conversions.Status("multiview", health.level, health.message, health.values)
        messages = [
            conversions.pose_to_msg(pose, camera_stamps_ns=stamps_ns, calibration_hash=cameras.calibration_hash),
            conversions.markers_to_msg(pose, 1.0, colours(pose.ids)),
            TFMessage(transforms=conversions.transforms_to_msgs(pose)),
            conversions.diagnostics_to_msg([status], pose.stamp_ns),
        ]
        for name, keypoints in estimate.keypoints.items():
            size_wh = cameras.camera(name).size_wh
            messages.append(
                conversions.keypoints_to_msg(
                    keypoints, estimate.ids[name], camera_name=name, frame_id=name, size_wh=size_wh, detector="soak"
                )
            )
        for message in messages:
            serialize_message(message)

    return publish
