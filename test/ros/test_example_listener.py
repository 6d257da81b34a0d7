"""The subscriber to copy: what it lets a robot do, by stamp, state, covariance and silence."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from aged_messages import NOW_NS, message, without_people
from rclpy.context import Context

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.structures import PersonState, Pose3D

EXAMPLE = Path(__file__).parents[2] / "examples" / "03_human_pose_listener.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("human_pose_listener", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = loaded()


def with_state(state: int, age_s: float = 0.1) -> Callable[[Pose3D], Pose3D]:
    return lambda pose: replace(pose, state=np.array([state]), age_s=np.array([age_s]))


def with_std(std_m: float) -> Callable[[Pose3D], Pose3D]:
    return lambda pose: replace(pose, covariance=np.full_like(pose.covariance, 0.0) + std_m**2 * np.eye(3))


def without_pelvis(pose: Pose3D) -> Pose3D:
    xyz, source, score = pose.xyz.copy(), pose.source.copy(), pose.score.copy()
    xyz[:, 0], source[:, 0], score[:, 0] = np.nan, 0, 0.0
    return replace(pose, xyz=xyz, source=source, score=score)


@pytest.mark.parametrize(
    ("heard", "action", "words"),
    [
        (message(0.05), example.GO, ""),
        (message(0.15), example.GO, ""),
        (message(-0.05), example.GO, ""),  # clocks that NTP keeps
        (message(0.05, without_people), example.GO, ""),
        (message(0.05, with_std(0.4)), example.GO, ""),  # one camera alone
        (message(0.05, with_state(PersonState.OCCLUDED, 0.25)), example.SLOW, "hidden for 0.25 s"),
        (message(1.0), example.STOP, "of 1.00 s ago"),
        (message(6.0), example.STOP, "of 6.00 s ago"),
        (message(0.4, without_people), example.STOP, "of 0.40 s ago"),
        (message(-10.0), example.STOP, "of inf s ago"),
        (message(0.05, without_people, cameras=()), example.STOP, "no camera sees anything"),
        (message(0.05, with_state(PersonState.LOST, 0.6)), example.STOP, "last seen 0.60 s ago"),
        (message(0.05, with_state(PersonState.OCCLUDED, 0.4)), example.STOP, "last seen 0.40 s ago"),
        (message(0.05, with_std(0.6)), example.STOP, "off by more than"),
        (message(0.05, with_std(math.nan)), example.STOP, "off by more than"),
        (message(0.05, without_pelvis), example.STOP, "where is not known"),
    ],
)
def test_stamp_state_and_covariance_decide(heard: HumanPose3DArray, action: str, words: str) -> None:
    found, why, places = example.decide(heard, NOW_NS)
    assert (found, words in why) == (action, True)
    assert set(places) <= {"7"}
    if action == example.STOP:
        assert not places
    elif heard.people:
        assert places == {"7": (1.0, 1.0, 2.0)}


def test_fault_listener_believes_an_old_pose(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: the last message says VISIBLE, and nothing more comes; or it waited in a queue for a second.
    Sees: the example stops within 0.35 s of the capture, by header.stamp and by its own timer.
    Recovers: by itself with the next message in time.
    Kind: K1
    Before: the example went by state alone, and took a pose of 1 s ago for a fresh one.
    """
    node = example.HumanPoseListener(context=context)
    ros_s, steady_s = 0.0, 0.0
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=NOW_NS + round(ros_s * 1e9)))
    monkeypatch.setattr(node, "get_clock", lambda: clock)
    monkeypatch.setattr(example, "time", SimpleNamespace(monotonic=lambda: steady_s))
    try:
        node.on_people(message(1.0))
        assert (node.action, node.people) == (example.STOP, {})
        node.on_people(message(0.05))
        assert (node.action, set(node.people)) == (example.GO, {"7"})
        ros_s = 0.3  # time goes by, and nothing comes
        node.on_time()
        assert (node.action, node.people) == (example.STOP, {})
        ros_s = 0.0
        node.on_people(message(0.05))
        assert node.action == example.GO
        steady_s = 0.4  # /clock stands still, and nothing comes
        node.on_time()
        assert (node.action, node.people) == (example.STOP, {})
    finally:
        node.destroy_node()
