"""Everything that goes out for one frame set: poses, markers, transforms, keypoints."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.prediction import predicted
from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.distribution import TransformBroadcaster
from pose3d_ros.ros.output_options import OutputOptions
from pose3d_ros.ros.rep155 import BodyPublisher
from pose3d_ros.structures import Pose3D, Rig

# Reliable, keep last: /human_pose_3d is small, and a controller should miss none of it.
DEPTH = 10


class PosePublisher:
    """The publishers of human_pose_3d, its markers and predicted, /tf and <camera>/keypoints_2d."""

    def __init__(
        self, node: Node, cameras: Sequence[str], detector: Detector, keypoints_topic: str = "{camera}/keypoints_2d"
    ) -> None:
        self._node, self._detector = node, detector
        self._poses = node.create_publisher(HumanPose3DArray, "human_pose_3d", DEPTH)
        self._predicted = node.create_publisher(HumanPose3DArray, "human_pose_3d/predicted", DEPTH)
        self._markers = node.create_publisher(MarkerArray, "human_pose_3d/markers", DEPTH)
        self._transforms = TransformBroadcaster(node)
        self._bodies = BodyPublisher(node, self._transforms)
        self._keypoints = {
            name: node.create_publisher(Keypoints2DArray, keypoints_topic.replace("{camera}", name), DEPTH)
            for name in cameras
        }

    def close(self) -> None:
        """Take the publishers off the graph."""
        self._bodies.close()
        for one in (self._poses, self._predicted, self._markers, self._transforms.pub_tf, *self._keypoints.values()):
            self._node.destroy_publisher(one)

    def publish(
        self,
        estimate: Estimate,
        pose: Pose3D,
        frames: Mapping[str, Frame],
        rig: Rig,
        arrived_s: float,
        options: OutputOptions,
    ) -> float:
        """Send what the options ask for.

        pose is the estimate's as it is to go out, frames are those used, by camera; arrived_s is when the set's last
        image came (monotonic). Returns the latency in s that the pose message tells.
        """
        latency_s = time.monotonic() - arrived_s
        source: dict[str, Any] = {
            "camera_stamps_ns": {name: frame.stamp_ns for name, frame in frames.items()},
            "processing_latency_s": latency_s,
            "calibration_hash": rig.calibration_hash,
        }
        self._poses.publish(conversions.pose_to_msg(pose, **source))
        if options.prediction_horizon and estimate.motion is not None:
            ahead = predicted(pose, estimate.motion, options.prediction_horizon)
            self._predicted.publish(conversions.pose_to_msg(ahead, **source))
        if options.publish_markers:
            self._markers.publish(conversions.markers_to_msg(pose, options.marker_lifetime))
        if options.publish_tf and (transforms := conversions.transforms_to_msgs(pose)):
            self._transforms.sendTransform(transforms)
        if options.rep155:
            self._bodies.publish(pose)
        if options.publish_keypoints:
            self._publish_keypoints(estimate, frames, rig, latency_s)
        return latency_s

    def publish_aged(self, pose: Pose3D, calibration_hash: str, options: OutputOptions) -> None:
        """Send what time made of an earlier pose, as a message of no camera.

        Nothing that follows TF is to be steered by it, and markers fade by their lifetime; once nobody is left they
        are deleted, however long that is. Nothing is predicted from it, but that nobody is left is said there too.
        """
        message = conversions.pose_to_msg(pose, camera_stamps_ns={}, calibration_hash=calibration_hash)
        self._poses.publish(message)
        if options.prediction_horizon and not len(pose):
            self._predicted.publish(message)
        if options.publish_markers and not len(pose):
            self._markers.publish(conversions.markers_to_msg(pose, options.marker_lifetime))
        if options.rep155:
            self._bodies.publish_list(pose)

    def _publish_keypoints(self, estimate: Estimate, frames: Mapping[str, Frame], rig: Rig, latency_s: float) -> None:
        for name, keypoints in estimate.keypoints.items():
            self._keypoints[name].publish(
                conversions.keypoints_to_msg(
                    keypoints,
                    estimate.ids[name],
                    camera_name=name,
                    frame_id=frames[name].message.header.frame_id,
                    size_wh=rig.camera(name).size_wh,
                    detector=self._detector.name,
                    latency_s=latency_s,
                )
            )
