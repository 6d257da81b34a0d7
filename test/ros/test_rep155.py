"""People under the names of REP-155, to a subscriber of /tf and to one of /humans/bodies/tracked."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_system_default
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from synthetic_poses import pose_at

from pose3d_ros.estimation.track import no_pose
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import Buffer, TransformListener
from pose3d_ros.ros.options import OutputOptions
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.rep155 import TRACKED, BodyPublisher
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PersonState, Pose3D

STAMP_NS = 5_000_000_000
# A person who stands in the origin and looks along x: h36m_17's joints in m, REP-103 axes.
STANDING = np.array(
    [
        (0, 0, 0.9), (0, -0.1, 0.9), (0, -0.1, 0.5), (0, -0.1, 0.1), (0, 0.1, 0.9), (0, 0.1, 0.5), (0, 0.1, 0.1),
        (0, 0, 1.15), (0, 0, 1.4), (0.1, 0, 1.55), (0, 0, 1.7), (0, 0.2, 1.4), (0, 0.3, 1.1), (0, 0.3, 0.9),
        (0, -0.2, 1.4), (0, -0.3, 1.1), (0.2, -0.3, 0.95),
    ]
)  # fmt: skip
TURN = Rotation.from_euler("z", 120, degrees=True).as_matrix()
PLACE = np.array([2.0, -1.0, 0.3])


def pose(*states: PersonState) -> Pose3D:
    """People of these states 3 m apart, turned by TURN; the last one has no left wrist."""
    xyz = np.stack([STANDING @ TURN.T + PLACE + (3.0 * n, 0, 0) for n in range(len(states))])
    xyz[-1, H36M_17.index("LWrist")] = np.nan
    ids = [str(n + 7) for n in range(len(states))]
    return pose_at(xyz, ids, STAMP_NS, frame_id="map", state=np.array(states, np.uint8))


def test_frames_are_where_the_joints_are_for_a_listener_of_tf(context: Any) -> None:
    sender, hearer = Node("sender", context=context), Node("hearer", context=context)
    buffer = Buffer()
    TransformListener(buffer, hearer)
    options = OutputOptions(rep155=True, publish_tf=False, publish_markers=False)
    publisher = PosePublisher(sender, [], SimpleNamespace(name="none"), options)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(hearer)
    people = pose(PersonState.VISIBLE, PersonState.OCCLUDED, PersonState.LOST)
    estimate, rig = SimpleNamespace(pose=people, keypoints={}, motion=None), SimpleNamespace(calibration_hash="")
    until = time.monotonic() + 60
    while not buffer.can_transform("map", "r_wrist_b8", Time(nanoseconds=STAMP_NS)) and time.monotonic() < until:
        publisher.publish(estimate, people, {}, rig, time.monotonic(), 0.0, 1.0)
        executor.spin_once(timeout_sec=0.1)

    def place(frame: str) -> np.ndarray:
        return conversions.matrix_from_transform(buffer.lookup_transform("map", frame, Time(nanoseconds=STAMP_NS)))

    for n in (0, 1):
        body = place(f"body_b{n + 7}")
        np.testing.assert_allclose(body[:3, :3], TURN, atol=1e-6)  # x forward, z up
        for link, joint in (
            ("body", "Pelvis"), ("torso", "Thorax"), ("head", "Nose"), ("l_y_shoulder", "LShoulder"),
            ("l_shoulder", "LShoulder"), ("r_elbow", "RElbow"), ("r_wrist", "RWrist"), ("l_hip", "LHip"),
            ("r_y_hip", "RHip"), ("l_knee", "LKnee"), ("r_ankle", "RAnkle"),
        ):  # fmt: skip
            at = place(f"{link}_b{n + 7}")
            np.testing.assert_allclose(at[:3, 3], people.xyz[n, H36M_17.index(joint)], atol=1e-6)
            np.testing.assert_allclose(at[:3, :3], body[:3, :3], atol=1e-6)
        assert buffer.can_transform(f"body_b{n + 7}", f"l_wrist_b{n + 7}", Time()), "the tree hangs together"
    assert not buffer.can_transform("map", "body_b9", Time()), "a LOST person has no frame"
    for node in (sender, hearer):
        node.destroy_node()


def test_absent_joints_and_people_without_hips_have_no_frame() -> None:
    names = [one.child_frame_id for one in conversions.bodies_to_transforms(pose(PersonState.VISIBLE))]
    assert "body_b7" in names
    assert "l_wrist_b7" not in names
    assert len(names) == len(set(names))
    hipless = pose(PersonState.VISIBLE)
    hipless.xyz[:, H36M_17.index("LHip")] = np.nan
    assert conversions.bodies_to_transforms(hipless) == []
    assert all(one.header.frame_id in ("map", "body_b7") for one in conversions.bodies_to_transforms(pose(0)))


@pytest.mark.parametrize("person", ["1", "42", "a-7", "ö/2"])
def test_ids_are_parts_of_topic_names(person: str) -> None:
    """ROS 2 lets no part of a topic's name begin with a digit; other characters would not be REP-155's."""
    for prefix in ("", "robot1/", "cell_2/robot1/", "2nd."):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", conversions.body_id(person, prefix))
    assert conversions.body_id(person, "robot1/") != conversions.body_id(person, "robot2/")


@dataclass
class IdsList:
    """hri_msgs/msg/IdsList: header and ids."""

    header: Header
    ids: list[str]


class HearingNode:
    """A node that keeps what is published and logged."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.logged: list[str] = []

    def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        return SimpleNamespace(publish=lambda message: self.sent.append((topic, message)))

    def destroy_publisher(self, publisher: Any) -> None:
        self.sent.append(("destroyed", None))

    def get_logger(self) -> Any:
        return SimpleNamespace(error=self.logged.append)


def test_the_list_names_people_that_are_not_lost_and_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    package, messages = ModuleType("hri_msgs"), ModuleType("hri_msgs.msg")
    messages.IdsList = IdsList  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hri_msgs", package)
    monkeypatch.setitem(sys.modules, "hri_msgs.msg", messages)
    node = HearingNode()
    bodies = BodyPublisher(node)  # type: ignore[arg-type]
    bodies.publish(pose(PersonState.VISIBLE, PersonState.OCCLUDED, PersonState.LOST))
    bodies.publish(no_pose(H36M_17, STAMP_NS, "map"))
    bodies.close()
    (topic, first), (_, second), last = node.sent
    assert (topic, first.ids, second.ids, last[0]) == (TRACKED, ["b7", "b8"], [], "destroyed")
    assert conversions.stamp_to_ns(first.header.stamp) == STAMP_NS
    assert not node.logged


def test_a_subscriber_hears_the_list_where_hri_msgs_is_installed(context: Any) -> None:
    messages = pytest.importorskip("hri_msgs.msg", reason="needs hri_msgs: apt install ros-$ROS_DISTRO-hri-msgs")
    sender, hearer = Node("sender", context=context), Node("hearer", context=context)
    heard: list[Any] = []
    hearer.create_subscription(messages.IdsList, TRACKED, heard.append, qos_profile_system_default)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(hearer)
    bodies = BodyPublisher(sender)
    until = time.monotonic() + 60
    for people in (pose(PersonState.VISIBLE, PersonState.LOST), no_pose(H36M_17, STAMP_NS, "map")):
        said = conversions.tracked_bodies(people)
        while [said] != [list(one.ids) for one in heard[-1:]] and time.monotonic() < until:
            bodies.publish(people)
            executor.spin_once(timeout_sec=0.1)
        assert (list(heard[-1].ids), heard[-1].header.frame_id) == (said, "map")
        assert conversions.stamp_to_ns(heard[-1].header.stamp) == STAMP_NS
    for node in (sender, hearer):
        node.destroy_node()


def test_without_hri_msgs_the_log_names_the_fix_once_and_frames_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hri_msgs", "hri_msgs.msg"):  # an earlier test may have imported them
        monkeypatch.setitem(sys.modules, name, None)
    node = HearingNode()
    bodies = BodyPublisher(node)  # type: ignore[arg-type]
    for _ in range(3):
        bodies.publish(pose(PersonState.VISIBLE))
    (said,) = node.logged
    assert "apt install ros-$ROS_DISTRO-hri-msgs" in said
    assert not node.sent
