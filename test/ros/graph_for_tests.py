"""A tiny rig's videos, and a node that answers every frame set as the multi-view node would."""

import contextlib
import os

import cv2
import numpy as np
import rclpy
from background import repeated
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from synthetic_poses import pose_at
from visualization_msgs.msg import MarkerArray

from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.ros import conversions, environment
from pose3d_ros.ros.diagnostics import Level
from pose3d_ros.ros.distribution import TransformBroadcaster
from pose3d_ros.ros.harness.processes import free_domain
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Keypoints2D, Rig

CAMERAS = ("left", "right")
FRAMES = 6
FPS = 30.0


def grey_of(frame):
    return 30 * frame + 20


def write_footage(folder):
    """rig.yaml and a video a camera; frame k is grey_of(k)."""
    K = np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]])
    second = np.eye(4)
    second[0, 3] = -0.5
    rig = Rig((Camera("left", (64, 48), K), Camera("right", (64, 48), K, "plumb_bob", np.zeros(5), second)))
    save_rig(rig, folder / "rig.yaml")
    for name in CAMERAS:
        writer = cv2.VideoWriter(str(folder / f"{name}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (64, 48))
        for k in range(FRAMES):
            writer.write(np.full((48, 64, 3), grey_of(k), np.uint8))
        writer.release()
    return rig


def a_pose(stamp_ns, x):
    """One person, every joint at (x, 1, 2) m."""
    return pose_at(np.tile([x, 1.0, 2.0], (1, 17, 1)), ("7",), stamp_ns)


class FakeMultiview(Node):
    """Answers a set when all its images came; the person's x tells the frame's grey. Some stamps it never answers."""

    def __init__(self, context, silent_at=()):
        super().__init__("multiview", context=context)
        self.silent_at = set(silent_at)
        self.sets = {}
        self.infos = []
        self.seen = []
        self.pose = self.create_publisher(HumanPose3DArray, "human_pose_3d", 10)
        self.markers = self.create_publisher(MarkerArray, "human_pose_3d/markers", 10)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.tf = TransformBroadcaster(self)
        self.keypoints = {}
        for name in CAMERAS:
            self.keypoints[name] = self.create_publisher(Keypoints2DArray, f"{name}/keypoints_2d", 10)
            self.create_subscription(Image, f"{name}/image_raw", lambda m, n=name: self.take(n, m), QoSProfile(
                depth=20, reliability=qos_profile_sensor_data.reliability))  # fmt: skip
            self.create_subscription(
                CameraInfo, f"{name}/camera_info", lambda m, n=name: self.infos.append((n, m)), qos_profile_sensor_data
            )

    def take(self, name, image):
        stamp_ns = conversions.stamp_to_ns(image.header.stamp)
        images = self.sets.setdefault(stamp_ns, {})
        images[name] = conversions.image_from_msg(image)
        if len(images) == len(CAMERAS):
            self.seen.append((stamp_ns, {name: float(image.mean()) for name, image in images.items()}))
            if len(self.seen) - 1 not in self.silent_at:
                self.answer(stamp_ns, self.seen[-1][1]["left"])

    def answer(self, stamp_ns, grey):
        pose = a_pose(stamp_ns, grey)
        for name in CAMERAS:
            keypoints = Keypoints2D(np.full((1, 17, 2), 9.0), np.ones((1, 17)), H36M_17, stamp_ns)
            self.keypoints[name].publish(
                conversions.keypoints_to_msg(
                    keypoints, ("7",), camera_name=name, frame_id=f"{name}_optical", size_wh=(64, 48), detector="fake"
                )
            )
        self.markers.publish(conversions.markers_to_msg(pose, 1.0, PersonColours()(pose.ids)))
        self.tf.sendTransform(conversions.transforms_to_msgs(pose))
        status = conversions.Status("multiview", Level.OK, "", {"stage_ms/detect": 12.5})
        self.pose.publish(
            conversions.pose_to_msg(pose, camera_stamps_ns=dict.fromkeys(CAMERAS, stamp_ns), calibration_hash="test")
        )
        self.diagnostics.publish(conversions.diagnostics_to_msg([status], stamp_ns))


@contextlib.contextmanager
def own_context():
    """A ROS context on a domain of its own."""
    environment.prepare()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = Context()
    rclpy.init(context=context, domain_id=free_domain())
    try:
        yield context
    finally:
        rclpy.try_shutdown(context=context)


@contextlib.contextmanager
def spinning(context, *nodes):
    """The nodes spin in a thread."""
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)
    try:
        with repeated(lambda: executor.spin_once(timeout_sec=0.05)):
            yield
    finally:
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
