"""pose3d doctor on one real graph of several packages and robots: it reports no fault and identifies every node.

One graph holds all of it, because each observation costs seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import rclpy
from background import repeated
from known_person import KnownDetector, ring
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from synthetic_cameras import Cameras, own_context
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.ros import conversions
from pose3d_ros.ros.detector_node import DetectorNode
from pose3d_ros.ros.doctor.checks import run_checks
from pose3d_ros.ros.doctor.facts import Facts
from pose3d_ros.ros.doctor.observe import observe
from pose3d_ros.ros.doctor.report import printed
from pose3d_ros.ros.pose_node import PoseNode

RIG = ring("left", "right")
PERIOD_S = 0.15
WATCH_S = 2.0
# Findings that a busy machine may cause in a healthy system.
PATIENT = {"stale_after_s": 5.0, "silent_after_s": 5.0}
BUSY = {"low_rate", "node_report", "camera_silent", "no_person"}


class RobotCameras(Cameras):
    """The cameras of a robot in its namespace with TF remapped; stamps are the current time."""

    def __init__(self, context: Context, namespace: str) -> None:
        super().__init__(context, RIG, wall=True)
        self.alter = self._now
        self.namespace = namespace

    def _now(self, name: str, image: Image, info: CameraInfo) -> None:
        image.header.stamp = info.header.stamp = self.get_clock().now().to_msg()


def pose_node(context: Context, namespace: str, tf: str = "/tf", **more: object) -> PoseNode:
    arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
    for topic in ("/tf", "/tf_static"):
        arguments += ["-r", f"{topic}:={topic.replace('/tf', tf)}"]
    parameters = {"cameras": list(RIG.names), "fixed_frame": "world", "refine": "none", "monocular_fallback": "never",
                  "image_topic": "/{camera}/image_raw", "camera_info_topic": "/{camera}/camera_info",
                  **PATIENT, **more}  # fmt: skip
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return PoseNode(
        KnownDetector(RIG),
        context=context,
        cli_args=arguments,
        parameter_overrides=overrides,
    )


def others(context: Context, first: Mapping[str, threading.Event]) -> list[Node]:
    """Nodes of other packages: a detector, and RViz, which gets the first markers of a robot."""
    theirs, rviz = Node("their_detector", context=context), Node("rviz2", context=context)
    theirs.create_publisher(Keypoints2DArray, "/their_detector/keypoints_2d", 10)
    theirs.create_publisher(Keypoints2DArray, "/left/their_keypoints", QoSProfile(depth=1))
    theirs.create_subscription(Image, "/depth/image_raw", lambda message: None, 1)
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    rviz.create_subscription(Image, "/left/image_raw", lambda message: None, reliable)
    for robot, came in first.items():
        rviz.create_subscription(MarkerArray, f"/{robot}/human_pose_3d/markers", lambda _, one=came: one.set(), 1)
    rviz.create_subscription(TFMessage, "/tf", lambda message: None, 100)
    return [theirs, rviz]


@contextmanager
def robots(folder: Path) -> Iterator[Context]:
    """Two pose nodes, one with a remapped TF and one with a rig file, an inactive node, a detector node."""
    save_rig(RIG, folder / "rig.yaml")
    with own_context() as context, ExitStack() as ends:
        cameras = RobotCameras(context, "")
        nodes = [
            pose_node(context, "/robot1", tf="/robot1/tf"),
            pose_node(context, "/robot2", rig_file=str(folder / "rig.yaml"), camera_info_topic="/{camera}/no_info"),
            pose_node(context, "/spare", autostart=False),
            DetectorNode(
                KnownDetector(RIG), context=context, namespace="/detectors",
                parameter_overrides=[Parameter(name, value=value) for name, value in (
                    ("cameras", ["left"]), ("image_topic", "/{camera}/image_raw"), *PATIENT.items())],
            ),
        ]  # fmt: skip
        static = Node("rig_tf", context=context, cli_args=["--ros-args", "-r", "/tf_static:=/robot1/tf_static"])
        broadcaster = conversions_broadcaster(static)
        first = {robot: threading.Event() for robot in ("robot1", "robot2")}
        every_node = [cameras, static, *nodes, *others(context, first)]
        executor = SingleThreadedExecutor(context=context)
        for one in every_node:
            executor.add_node(one)

        def publish() -> None:
            time.sleep(PERIOD_S)
            cameras.publish_set()

        try:
            assert broadcaster is not None
            with repeated(publish, lambda: executor.spin_once(timeout_sec=0.05)):
                missing = [name for name, one in first.items() if not one.wait(60.0)]
                assert not missing, f"no markers of {missing}"
                yield context
        finally:
            for one in nodes:
                ends.callback(one.close)
            ends.close()
            for one in every_node:
                one.destroy_node()


def conversions_broadcaster(node: Node) -> object:
    from pose3d_ros.ros.distribution import StaticTransformBroadcaster

    broadcaster = StaticTransformBroadcaster(node)
    broadcaster.sendTransform(
        [
            conversions.transform_to_msg(np.linalg.inv(one.cam_from_world), "world", f"{one.name}_optical", 0)
            for one in RIG.cameras
        ]
    )
    return broadcaster


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    with robots(tmp_path_factory.mktemp("rig")) as graph:
        own = Context()
        rclpy.init(context=own, args=[], domain_id=graph.get_domain_id())
        try:
            facts = observe(own, seconds=WATCH_S)
        finally:
            rclpy.try_shutdown(context=own)
        yield facts


def test_no_fault_is_reported_with_other_packages_on_the_graph(observed: Facts) -> None:
    found = run_checks(observed)
    faults = {name for name, finding in found if finding.fault}
    assert faults <= BUSY, printed(observed, found)


def test_only_nodes_of_this_package_are_identified(observed: Facts) -> None:
    kinds = {node.name: node.kind for node in observed.nodes}
    assert kinds == {
        "/robot1/multiview": "multiview",
        "/robot2/multiview": "multiview",
        "/spare/multiview": "multiview",
        "/detectors/detector": "detector",
    }
    by_name = {node.name: node for node in observed.nodes}
    assert not by_name["/spare/multiview"].active
    assert by_name["/robot1/multiview"].active
    assert by_name["/robot2/multiview"].placement == "file"
    assert {"/their_detector", "/rviz2"} <= set(observed.other_nodes)


def test_transforms_come_from_the_topics_the_node_subscribes_to(observed: Facts) -> None:
    by_name = {node.name: node for node in observed.nodes}
    edges = observed.edges_of(by_name["/robot1/multiview"])
    assert edges is not None
    assert {edge.child for edge in edges} == {"left_optical", "right_optical"}
    assert {edge.topic for edge in edges} == {"/robot1/tf_static"}


def test_publishers_of_people_frames_are_identified(observed: Facts) -> None:
    """Where this rclpy reports the publisher of a message."""
    if observed.people_frames:
        assert all(len(nodes) == 1 for nodes in observed.people_frames.values()), observed.people_frames
        assert any("/human_" in name for name in observed.people_frames), "with the namespace in front"
