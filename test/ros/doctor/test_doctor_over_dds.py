"""pose3d doctor next to real nodes over real DDS: a healthy system, one with faults, and drivers without a node."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy
from background import repeated
from known_person import ring
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage
from synthetic_cameras import TIMEOUT_S, Graph, graph

from pose3d_ros import cli
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.doctor.checks import run_checks
from pose3d_ros.ros.doctor.facts import Facts
from pose3d_ros.ros.doctor.observe import observe
from pose3d_ros.ros.environment import PROFILES_VARIABLES
from pose3d_ros.ros.harness.processes import free_domain

WATCH_S = 1.5
PERIOD_NS = 120_000_000
# On a machine that stalls for seconds even a healthy system has a low rate.
ATTEMPTS = 3


class Running:
    """A graph whose cameras keep publishing at their rate with current stamps."""

    def __init__(self, one: Graph) -> None:
        self.graph, self.spoil = one, lambda name, image, info: None
        self._threads = ExitStack()
        one.cameras.alter = self._alter
        self.period_ns, self._stamp_ns = PERIOD_NS, time.time_ns()
        self._threads.enter_context(repeated(self._publish, lambda: one.executor.spin_once(timeout_sec=0.05)))

    def end(self) -> None:
        self._threads.close()

    def _publish(self) -> None:
        time.sleep(max(0.0, (self._stamp_ns - time.time_ns()) * 1e-9))
        self.graph.cameras.publish_set()
        self._stamp_ns += self.period_ns

    def _alter(self, name, image, info) -> None:
        image.header.stamp = info.header.stamp = conversions.stamp_from_ns(self._stamp_ns)
        self.spoil(name, image, info)

    def wait_for(self, words: str) -> None:
        give_up = time.monotonic() + TIMEOUT_S
        while words not in self.graph.controller.message:
            assert time.monotonic() < give_up, f"{words!r}: {self.graph.controller.message}"
            time.sleep(0.1)

    def observe(self) -> Facts:
        """The doctor's facts, from a context of its own."""
        context = Context()
        rclpy.init(context=context, args=[], domain_id=self.graph.cameras.context.get_domain_id())
        try:
            return observe(context, seconds=WATCH_S)
        finally:
            rclpy.try_shutdown(context=context)


def report(facts: Facts) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, finding in run_checks(facts):
        found[name] = f"{found.get(name, '')}{finding.subject}: {finding.message}\n"
    return found


@pytest.fixture(scope="module")
def observations() -> Iterator[tuple[Facts, Facts]]:
    """Facts of the same graph while healthy, and with eight faults at once."""
    with graph(
        ring("left", "right", "side", "door"), fixed_frame="world", stale_after_s=5.0, silent_after_s=5.0, wall=True
    ) as one:
        one.cameras.publish_transforms("left", "right", "side", "door")
        running = Running(one)
        try:
            running.wait_for("running: ")
            for _ in range(ATTEMPTS):
                healthy = running.observe()
                # A busy node may not answer the parameter request in time.
                if not run_checks(healthy) and all(node.parameters for node in healthy.nodes):
                    break
            yield healthy, faulty_facts(running)
        finally:
            running.end()


def spoil(name, image, info) -> None:
    if name == "left":
        info.k = np.zeros(9)
    if name == "right":
        info.width, info.height = 320, 240
        info.k = np.array([300.0, 0, 159.5, 0, 300.0, 119.5, 0, 0, 1])
    if name == "side":
        stamp = conversions.stamp_from_ns(conversions.stamp_to_ns(image.header.stamp) - 60 * 10**9)
        image.header.stamp = info.header.stamp = stamp
    if name == "door":
        image.header.frame_id = "nowhere_optical"


def faulty_facts(running: Running) -> Facts:
    """The doctor's facts with eight faults."""
    cameras = running.graph.cameras
    running.spoil = spoil
    running.period_ns = 2 * PERIOD_NS  # an idle node answers parameter requests sooner
    cameras.without_info.add("door")
    cameras.destroy_publisher(cameras.infos["door"])
    elsewhere = Context()  # within one participant a topic has one type
    rclpy.init(context=elsewhere, args=[], domain_id=cameras.context.get_domain_id())
    robot = Node("arm", context=elsewhere)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    robot.create_subscription(HumanPose3DArray, "/human_pose_3d", lambda message: None, latched)
    robot.create_publisher(HumanPose3DArray, "/human_pose_3d", 1)
    robot.create_publisher(CompressedImage, "/side/image_raw", 1)
    try:
        return running.observe()
    finally:
        robot.destroy_node()
        rclpy.try_shutdown(context=elsewhere)


def test_healthy_system_has_no_findings_over_dds(observations: tuple[Facts, Facts]) -> None:
    healthy, _ = observations
    (node,) = healthy.nodes
    # On a busy machine the node may be slow and report so.
    busy = {"low_rate", *(["node_report"] if node.level else [])}
    assert set(report(healthy)) <= busy, report(healthy)
    assert (node.name, node.kind, node.max_people) == ("/multiview", "multiview", 1)
    assert node.parameters["fixed_frame"] == "world"
    assert [camera.name for camera in node.cameras] == ["left", "right", "side", "door"]
    assert all(camera.image and camera.image.size_wh == (160, 120) for camera in node.cameras)
    assert {edge.child for edge in healthy.edges} == {f"{camera.name}_optical" for camera in node.cameras}
    assert "/controller" in healthy.other_nodes


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camera_info_zero", "/left/camera_info: camera 'left' (/left/camera_info) is not calibrated: its K has fx=0"),
        ("size_mismatch", "images of camera 'right' are 160 x 120 px, its camera_info is for 320 x 240 px"),
        ("stamp_offset", "/side/image_raw: its images are stamped 60.0 s old"),
        ("tf_missing", "world -> nowhere_optical: TF has no transform from 'nowhere_optical' to 'world': TF has door_"),
        ("qos_mismatch", "/human_pose_3d: /multiview -> /arm: it is published volatile, the subscription asks for"),
        ("two_publishers", "/human_pose_3d: it has 2 publishers (/arm, /multiview)"),
        ("wrong_type", "/arm publishes sensor_msgs/msg/CompressedImage, /multiview expects sensor_msgs/msg/Image"),
        ("topic_unpublished", "/door/camera_info: /multiview subscribes to it, but nothing publishes it"),
        ("node_report", "/multiview: it reports: "),
    ],
)
def test_seeded_fault_is_reported_over_dds(name: str, words: str, observations: tuple[Facts, Facts]) -> None:
    assert words in report(observations[1])[name]


BIG_CAMERA = """
import sys, time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
rclpy.init(args=[])
node = rclpy.create_node("big_camera")
images = node.create_publisher(Image, "/big/image_raw", qos_profile_sensor_data)
infos = node.create_publisher(CameraInfo, "/big/camera_info", qos_profile_sensor_data)
image = Image(width=1920, height=1080, encoding="bgr8", step=5760, data=bytes(1920 * 1080 * 3))
info = CameraInfo(width=1920, height=1080, k=[900.0, 0.0, 960.0, 0.0, 900.0, 540.0, 0.0, 0.0, 1.0])
print("publishes", flush=True)
while True:
    image.header.stamp = info.header.stamp = node.get_clock().now().to_msg()
    images.publish(image)
    infos.publish(info)
    time.sleep(0.1)
"""


def test_dropped_large_images_are_reported_with_the_driver_that_lacks_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command, on a graph with a driver in its own process and no node of this package."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    environment = {name: value for name, value in os.environ.items() if name not in PROFILES_VARIABLES}
    driver = subprocess.Popen([sys.executable, "-c", BIG_CAMERA], env=environment, stdout=subprocess.PIPE)
    try:
        assert driver.stdout is not None
        assert b"publishes" in driver.stdout.readline()
        code = cli.main(["doctor", "--seconds", "2", "--json", str(tmp_path / "doctor.json")])
    finally:
        driver.kill()
        driver.wait()
    printed_report = " ".join(capsys.readouterr().out.split())
    assert code == 1
    assert "[node_not_running] no pose3d_ros node is running; other nodes (1): /big_camera" in printed_report
    assert "/big/image_raw [large_images_dropped] /big_camera publishes it," in printed_report
    assert "its process has no FASTDDS_DEFAULT_PROFILES_FILE, so Fast DDS drops images over" in printed_report
    assert '"name": "large_images_dropped"' in (tmp_path / "doctor.json").read_text()


def test_doctor_publishes_nothing() -> None:
    """Another node lists every publisher of the graph while the doctor watches.

    On a domain of their own: nodes that have just ended stand in the graph for a while.
    """
    context, domain = Context(), free_domain()
    rclpy.init(context=context, args=[], domain_id=domain)
    witness = Node("witness", context=context, enable_rosout=False, start_parameter_services=False)
    nodes: set[str] = set()
    publishers: set[str] = set()

    def note(done_s: float) -> None:
        nodes.update(name for name, _ in witness.get_node_names_and_namespaces())
        for topic, _ in witness.get_topic_names_and_types():
            publishers.update(one.node_name for one in witness.get_publishers_info_by_topic(topic))

    second = Context()
    rclpy.init(context=second, args=[], domain_id=domain)
    try:
        observe(second, seconds=1.0, progress=note)
    finally:
        rclpy.try_shutdown(context=second)
        witness.destroy_node()
        rclpy.try_shutdown(context=context)
    assert f"_pose3d_doctor_{os.getpid()}" in nodes
    assert publishers == {"witness"}
