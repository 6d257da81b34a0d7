"""What a node says where it cannot hear a publisher: who publishes how, not that nothing does."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from pose3d_ros.errors import CalibrationError
from pose3d_ros.ros.distribution import Buffer
from pose3d_ros.ros.qos_fit import refused
from pose3d_ros.ros.tf_look_up import tf_look_up, unheard_by

RELIABLE = QoSProfile(depth=1)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Graph:
    """A node's view of who publishes what."""

    def __init__(self, **publishers: list[tuple[str, QoSProfile]]) -> None:
        self.publishers = publishers

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        found = self.publishers.get(topic.strip("/"), [])
        return [SimpleNamespace(node_name=name, qos_profile=qos) for name, qos in found]


def subscription(topic: str, qos: QoSProfile) -> Any:
    return SimpleNamespace(topic_name=topic, qos_profile=qos)


def test_fault_transforms_of_other_qos() -> None:
    """Fault: what publishes /tf_static does not latch it (or /tf is best effort), so its transforms never arrive.
    Sees: "TF has no transform from 'left_optical' to 'world', and does not hear /tf_static of rig_tf: it is published
    volatile, the subscription asks for transient local", with the fix.
    Recovers: by itself when it is published transient local.
    Kind: K7
    Before: "start what publishes it".
    """
    listener = SimpleNamespace(tf_sub=subscription("/tf", RELIABLE), tf_static_sub=subscription("/tf_static", LATCHED))
    sick = Graph(tf_static=[("rig_tf", RELIABLE), ("robot_state_publisher", LATCHED)], tf=[("arm", BEST_EFFORT)])
    look_up = tf_look_up(Buffer(), 0.0, threading.Event(), lambda: unheard_by(listener, sick))
    with pytest.raises(CalibrationError) as reported:
        look_up("world", "left_optical", 1)
    words = str(reported.value)
    assert "does not hear /tf of arm: it is published best effort, the subscription asks for reliable" in words
    assert "/tf_static of rig_tf: it is published volatile, the subscription asks for transient local" in words
    assert "static_transform_publisher" not in words
    assert "robot_state_publisher" not in words
    well = Graph(tf_static=[("rig_tf", LATCHED)], tf=[("arm", RELIABLE)])
    look_up = tf_look_up(Buffer(), 0.0, threading.Event(), lambda: unheard_by(listener, well))
    with pytest.raises(CalibrationError, match=r"let a node publish it, e\.g\., .*static_transform_publisher"):
        look_up("world", "left_optical", 1)


def test_publishers_that_fit_are_not_named() -> None:
    graph = Graph(keypoints=[("theirs", BEST_EFFORT), ("ours", RELIABLE)])
    assert refused(graph, subscription("/keypoints", BEST_EFFORT)) == ""
    assert refused(graph, subscription("/keypoints", RELIABLE)).startswith("theirs: it is published best effort")
    assert refused(graph, subscription("/nothing", RELIABLE)) == ""
