"""Everything that goes out for one frame set: poses, markers, transforms, keypoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from visualization_msgs.msg import MarkerArray

from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.prediction import predicted
from pose3d_ros.estimation.staleness import keypoints_now, predicted_now
from pose3d_ros.estimation.track import without_joints
from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.distribution import TransformBroadcaster
from pose3d_ros.ros.options import OutputOptions
from pose3d_ros.ros.rep155 import BodyPublisher
from pose3d_ros.structures import Pose3D, Rig, Skeleton

# Reliable, keep last: /human_pose_3d is small, and a controller should miss none of it.
DEPTH = 10
POSES = "human_pose_3d"
PREDICTED, MARKERS = f"{POSES}/predicted", f"{POSES}/markers"
KEYPOINTS, KEYPOINT_MARKERS = f"{POSES}/keypoints", f"{POSES}/keypoints/markers"
# Fingers and points of a face are a few cm apart at most.
KEYPOINT_MARKER_SCALE = 0.3


class PosePublisher:
    """The publishers of human_pose_3d, its markers, predicted and keypoints, /tf and <camera>/keypoints_2d.

    A topic is on the graph while its option is on. Apart from the poses, messages are made only of what is subscribed
    to. The worker's thread publishes, the executor's switches.
    """

    def __init__(
        self,
        node: Node,
        cameras: Sequence[str],
        detector: Detector,
        options: OutputOptions,
        keypoints_topic: str = "{camera}/keypoints_2d",
    ) -> None:
        self._node, self._detector = node, detector
        self._keypoints_topics = {name: keypoints_topic.replace("{camera}", name) for name in cameras}
        self._lock = threading.RLock()  # nothing is published on what is being taken off the graph
        self._colours = PersonColours()
        self._bodies = BodyPublisher(node)
        self._transforms: Any = None
        self._poses = node.create_publisher(HumanPose3DArray, POSES, DEPTH)
        self._optional: dict[str, Publisher[Any]] = {}
        self._skeleton: Skeleton | None = None  # the detector's, of the last keypoints that went out
        self.switch(options)

    def switch(self, options: OutputOptions) -> None:
        """Publish what these options ask for from now on, and advertise nothing else."""
        with self._lock:
            self._options = options
            self._prefix = options.prefix_in(self._node.get_namespace())
            # One camera triangulates nothing.
            several = len(self._keypoints_topics) > 1
            wanted: dict[str, type[Any]] = {KEYPOINTS: HumanPose3DArray} if several else {}
            if options.prediction_horizon_s:
                wanted[PREDICTED] = HumanPose3DArray
            if options.publish_markers:
                wanted.update(dict.fromkeys((MARKERS, KEYPOINT_MARKERS) if several else (MARKERS,), MarkerArray))
            if options.publish_keypoints:
                wanted.update(dict.fromkeys(self._keypoints_topics.values(), Keypoints2DArray))
            self._advertise(wanted)
            self._advertise_transforms(options.publish_tf or options.rep155)
            if not options.rep155:
                self._bodies.close()

    def close(self) -> None:
        """Take the publishers off the graph."""
        with self._lock:
            self._bodies.close()
            self._advertise({})
            self._advertise_transforms(False)
            self._node.destroy_publisher(self._poses)

    def publish(
        self,
        estimate: Estimate,
        pose: Pose3D,
        frames: Mapping[str, Frame],
        rig: Rig,
        arrived_s: float,
        age_s: float,
        markers_for_s: float,
        again: Callable[[], Pose3D | None] = lambda: None,
    ) -> float:
        """Send what the options ask for, but for <camera>/keypoints_2d.

        pose is the estimate's as it is to go out age_s after it was captured, frames are those used, by camera;
        arrived_s is when the set's last image came (monotonic); markers vanish markers_for_s after the last ones.
        Returns the latency in s that the message has. again gives another pose where making the message took so long
        that this one is no longer true.
        """
        latency_s = time.monotonic() - arrived_s
        source: dict[str, Any] = {
            "camera_stamps_ns": {name: frame.stamp_ns for name, frame in frames.items()},
            "processing_latency_s": latency_s,
            "calibration_hash": rig.calibration_hash,
        }
        # Not behind the lock: what was judged fresh leaves at once.
        message = conversions.pose_to_msg(pose, **source)
        if (later := again()) is not None:
            if not len(later):  # images this old cannot say that no person is there
                source["camera_stamps_ns"] = {}
            pose, message = later, conversions.pose_to_msg(later, **source)
        self._poses.publish(message)
        with self._lock:
            topic = self._optional.get(PREDICTED)
            if estimate.motion is not None and topic is not None and topic.get_subscription_count():
                horizon_s = self._options.prediction_horizon_s
                ahead = predicted_now(predicted(estimate.pose, estimate.motion, horizon_s), pose, horizon_s, age_s)
                topic.publish(conversions.pose_to_msg(ahead, **source))
            self._publish_markers(pose, markers_for_s)
            self._publish_transforms(pose)
            if self._options.rep155:
                self._bodies.publish(pose, self._prefix)
            self._publish_keypoints_3d(estimate, pose, source, age_s, markers_for_s)
        return latency_s

    def publish_aged(self, pose: Pose3D, calibration_hash: str, markers_for_s: float) -> None:
        """Send what time made of an earlier pose, as a message of no camera.

        Nothing that follows TF is to be steered by it. Markers become fainter with it, and are deleted once no person
        is left. Nothing is predicted from it, but that no person is left is published there too. The people of the
        detector's keypoints have no joint.
        """
        source: dict[str, Any] = {"camera_stamps_ns": {}, "calibration_hash": calibration_hash}
        message = conversions.pose_to_msg(pose, **source)
        self._poses.publish(message)
        with self._lock:
            if not len(pose) and (topic := self._optional.get(PREDICTED)):
                topic.publish(message)
            self._publish_markers(pose, markers_for_s)
            if self._options.rep155:
                self._bodies.publish(pose, self._prefix)
            if self._skeleton is not None:
                self._send_keypoints_3d(without_joints(pose, self._skeleton), source, markers_for_s)

    def _publish_keypoints_3d(
        self, estimate: Estimate, pose: Pose3D, source: Mapping[str, Any], age_s: float, markers_for_s: float
    ) -> None:
        """Send the detector's own joints of a pose that has just gone out; without a reader none is triangulated."""
        if not self._heard(KEYPOINTS) and not self._heard(KEYPOINT_MARKERS):
            self._skeleton = None
        elif (keypoints := estimate.keypoints_3d) is not None:
            self._skeleton = keypoints.skeleton
            self._send_keypoints_3d(keypoints_now(keypoints, pose, age_s), source, markers_for_s)
        elif self._skeleton is not None:
            self._send_keypoints_3d(without_joints(pose, self._skeleton), source, markers_for_s)

    def _send_keypoints_3d(self, keypoints: Pose3D, source: Mapping[str, Any], markers_for_s: float) -> None:
        if self._heard(KEYPOINTS):
            self._optional[KEYPOINTS].publish(conversions.pose_to_msg(keypoints, **source))
        if self._heard(KEYPOINT_MARKERS):
            markers = conversions.markers_to_msg(
                keypoints, markers_for_s, self._colours(keypoints.ids), KEYPOINT_MARKER_SCALE
            )
            self._optional[KEYPOINT_MARKERS].publish(markers)

    def _heard(self, topic: str) -> bool:
        """Whether an optional topic is on the graph, and has a subscriber."""
        publisher = self._optional.get(topic)
        return publisher is not None and publisher.get_subscription_count() > 0

    def _publish_markers(self, pose: Pose3D, lifetime_s: float) -> None:
        colours = self._colours(pose.ids)
        if self._heard(MARKERS):
            self._optional[MARKERS].publish(conversions.markers_to_msg(pose, lifetime_s, colours))

    def _publish_transforms(self, pose: Pose3D) -> None:
        if self._transforms is None or not self._transforms_are_heard():
            return
        transforms = conversions.transforms_to_msgs(pose, self._prefix) if self._options.publish_tf else []
        if self._options.rep155:
            transforms += conversions.bodies_to_transforms(pose, self._prefix)
        if transforms:
            self._transforms.sendTransform(transforms)

    def _transforms_are_heard(self) -> bool:
        """Whether /tf has a subscriber that is not this node, which looks its cameras up there."""
        publisher = self._transforms.pub_tf
        heard: int = publisher.get_subscription_count()
        if heard > 1:
            return True
        return bool(heard > sum(one.topic_name == publisher.topic_name for one in self._node.subscriptions))

    def _advertise(self, wanted: Mapping[str, type[Any]]) -> None:
        """Have the optional topics wanted on the graph, and no others."""
        for name in self._optional.keys() - wanted.keys():
            self._node.destroy_publisher(self._optional.pop(name))
        for name in wanted.keys() - self._optional.keys():
            self._optional[name] = self._node.create_publisher(wanted[name], name, DEPTH)

    def _advertise_transforms(self, wanted: bool) -> None:
        if wanted and self._transforms is None:
            self._transforms = TransformBroadcaster(self._node)
        elif not wanted and self._transforms is not None:
            self._node.destroy_publisher(self._transforms.pub_tf)
            self._transforms = None

    def publish_keypoints(self, estimate: Estimate, frames: Mapping[str, Frame], rig: Rig, latency_s: float) -> None:
        """Send every camera's keypoints where that is asked for, with the ids of the people that they belong to."""
        with self._lock:
            if not self._options.publish_keypoints:
                return
            for name, keypoints in estimate.keypoints.items():
                topic = self._optional[self._keypoints_topics[name]]
                if not topic.get_subscription_count():
                    continue
                topic.publish(
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
