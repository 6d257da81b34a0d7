"""What a node of ours puts on the graph for its people: names of frames, topics that are on, markers that stay."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from background import repeated
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from test_rep155 import STAMP_NS, pose

from pose3d_ros.errors import OptionError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import Buffer, TransformListener
from pose3d_ros.ros.options import LiveOptions, OutputOptions
from pose3d_ros.ros.pose_publisher import MARKERS, PosePublisher
from pose3d_ros.ros.watch import Watch
from pose3d_ros.structures import PersonState, Pose3D

QUIET = {"publish_markers": False, "publish_tf": False}
RIG = SimpleNamespace(calibration_hash="", camera=lambda name: SimpleNamespace(size_wh=(64, 48)))


@pytest.fixture
def node(context: Any) -> Iterator[Node]:
    one = Node("tester", namespace="/robot1", context=context)
    yield one
    one.destroy_node()


def publisher_of(node: Node, options: OutputOptions | None = None) -> PosePublisher:
    return PosePublisher(node, ["left", "right"], SimpleNamespace(name="none"), options or OutputOptions())


def publish(publisher: PosePublisher, people: Pose3D, lifetime_s: float = 1.0) -> None:
    estimate = SimpleNamespace(pose=people, keypoints={}, motion=None)
    publisher.publish(estimate, people, {}, RIG, time.monotonic(), 0.0, lifetime_s)  # type: ignore[arg-type]


def optional_topics(node: Node) -> set[str]:
    """Full names of what the node publishes apart from its own topics of ROS, human_pose_3d and its keypoints."""
    poses = f"{node.get_namespace().rstrip('/')}/human_pose_3d"
    own = ("/rosout", "/parameter_events", poses, f"{poses}/keypoints")
    return {one.topic_name for one in node.publishers} - set(own)


def test_fault_two_robots_publish_people_of_one_id(context: Any) -> None:
    """Fault: two nodes in two namespaces of one graph both follow a person with the id 7.
    Sees: TF frames robot1/human_7 and robot2/human_7, each where its own node has the person; the same with rep155.
    Recovers: nothing to recover; frame_prefix gives other names.
    Kind: K10
    Before: both published human_7, and followers of TF jumped between two people.
    """
    here = pose(PersonState.VISIBLE)
    people = {"robot1": here, "robot2": replace(here, xyz=here.xyz + np.array([5.0, 0, 0]))}
    nodes = {name: Node("multiview", namespace=name, context=context) for name in people}
    publishers = {name: publisher_of(one, OutputOptions(rep155=True)) for name, one in nodes.items()}
    hearer, buffer = Node("hearer", context=context), Buffer()
    TransformListener(buffer, hearer)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(hearer)
    at = Time(nanoseconds=STAMP_NS)
    expected = {f"{name}/human_7": people[name] for name in people}
    expected |= {f"body_{name}b7": people[name] for name in people}
    until = time.monotonic() + 60
    while not all(buffer.can_transform("map", frame, at) for frame in expected) and time.monotonic() < until:
        for name, publisher in publishers.items():
            publish(publisher, people[name])
        executor.spin_once(timeout_sec=0.1)
    for frame, person in expected.items():
        found = conversions.matrix_from_transform(buffer.lookup_transform("map", frame, at))
        assert abs(found[:3, 3] - person.xyz[0, 0]).max() < 1e-6, frame
    assert not buffer.can_transform("map", "human_7", Time())
    assert buffer.can_transform("robot1/human_7", "robot2/human_7_Nose", at)
    for one in (hearer, *nodes.values()):
        one.destroy_node()


@pytest.mark.parametrize(
    ("prefix", "namespace", "expected"),
    [
        ("auto", "/", ""), ("auto", "/robot1", "robot1/"), ("auto", "/fleet/robot1", "fleet/robot1/"),
        ("", "/robot1", ""), ("cell_2/", "/", "cell_2/"), ("left-", "/robot1", "left-"),
    ],
)  # fmt: skip
def test_frames_have_the_namespace_in_front_or_what_the_parameter_says(
    prefix: str, namespace: str, expected: str
) -> None:
    options = OutputOptions(frame_prefix=prefix)
    assert options.prefix_in(namespace) == expected
    frames = conversions.transforms_to_msgs(pose(PersonState.VISIBLE), options.prefix_in(namespace))
    assert {one.header.frame_id for one in frames} == {"map"}, "the frame of the poses has no prefix"
    assert f"{expected}human_7" in [one.child_frame_id for one in frames]
    assert all(one.child_frame_id.startswith(f"{expected}human_7") for one in frames)


@pytest.mark.parametrize("prefix", ["/robot1", "robot 1/", "robot1/\n", "röbot/", "x" * 101])
def test_fault_prefix_that_no_frame_can_have(prefix: str) -> None:
    """Fault: frame_prefix begins with a slash, as a namespace does, or holds a space, a line's end or 101 letters.
    Sees: the node refuses it at start, or the change while running: "expected letters, digits and _ - . / ...".
    Recovers: with a name such as robot1/.
    Kind: K10
    Before: there was no such parameter.
    """
    with pytest.raises(OptionError, match=r"frame_prefix.*robot1/") as refused:
        OutputOptions(frame_prefix=prefix)
    assert len(str(refused.value)) < 250


def test_fault_topics_that_are_switched_off(node: Node) -> None:
    """Fault: publish_tf, publish_markers, publish_keypoints or prediction_horizon_s are off, or are switched while a
    node runs.
    Sees: on the graph those topics that the node publishes, and no others.
    Recovers: at once when the parameter is set.
    Kind: K10
    Before: all topics were advertised, and stayed silent.
    """
    publisher = publisher_of(node, OutputOptions(**QUIET))
    assert optional_topics(node) == set()
    for changes, expected in (
        ({}, set()),
        ({"publish_markers": True}, {"/robot1/human_pose_3d/markers", "/robot1/human_pose_3d/keypoints/markers"}),
        ({"publish_tf": True}, {"/tf"}),
        ({"rep155": True}, {"/tf"}),  # and the list, where hri_msgs is installed and a person was there
        ({"prediction_horizon_s": 0.1}, {"/robot1/human_pose_3d/predicted"}),
        ({"publish_keypoints": True}, {"/robot1/left/keypoints_2d", "/robot1/right/keypoints_2d"}),
        ({}, set()),
    ):  # fmt: skip
        publisher.switch(OutputOptions(**{**QUIET, **changes}))  # type: ignore[arg-type]
        assert optional_topics(node) == expected
        publish(publisher, pose(PersonState.VISIBLE, PersonState.LOST))
    publisher.switch(OutputOptions())
    publisher.close()
    assert optional_topics(node) == set()
    assert not any("human_pose_3d" in one.topic_name for one in node.publishers)


def test_one_camera_has_no_keypoints_in_space_to_publish(node: Node) -> None:
    publisher = PosePublisher(node, ["left"], SimpleNamespace(name="none"), OutputOptions())
    assert not any("keypoints" in one.topic_name for one in node.publishers)
    publisher.close()


def test_outputs_may_be_switched_while_poses_go_out(node: Node) -> None:
    publisher = publisher_of(node)

    def work() -> None:
        publish(publisher, pose(PersonState.VISIBLE))
        publisher.publish_aged(pose(PersonState.OCCLUDED), "", 1.0)

    with repeated(work):
        for n in range(30):
            on = bool(n % 2)
            publisher.switch(OutputOptions(publish_markers=on, publish_tf=on, prediction_horizon_s=0.1 * on))
    publisher.close()


def test_fault_frame_sets_slower_than_markers_live(node: Node) -> None:
    """Fault: frame sets come every 0.7 s, on a slow machine.
    Sees: skeletons stay in RViz until the next one, fainter while time passes, and go when the person goes.
    Recovers: nothing to recover.
    Kind: K10
    Before: markers lived for 0.5 s, so that skeletons flickered.
    """
    publisher, now_s = publisher_of(node), 0.0
    sent: list[Any] = []
    publisher._optional[MARKERS] = SimpleNamespace(publish=sent.append, get_subscription_count=lambda: 1)  # type: ignore[assignment]
    report = SimpleNamespace(now_s=lambda: now_s, record=SimpleNamespace(in_work_s=lambda at_s: None))
    watch = Watch(node, LiveOptions(OutputOptions(), EstimatorOptions(max_age_s=1.0)), publisher, report)  # type: ignore[arg-type]
    people = pose(PersonState.VISIBLE)
    people = replace(people, score=people.score + 0.9)
    estimate = SimpleNamespace(pose=people, keypoints={}, motion=None)
    frames = {"left": SimpleNamespace(stamp_ns=STAMP_NS, captured_s=0.0)}
    estimate.pose = replace(people, stamp_ns=STAMP_NS)
    watch.publish(estimate, frames, RIG, time.monotonic())  # type: ignore[arg-type]
    lifetimes = [one.lifetime.sec + 1e-9 * one.lifetime.nanosec for one in sent[0].markers[1:]]
    assert lifetimes
    assert min(lifetimes) > 0.7
    alphas = []
    for now_s in (0.3, 0.6, 0.9, 1.1):  # noqa: B007  report.now_s gives it
        watch._look()
        alphas.append([one.colors[0].a for one in sent[-1].markers if one.ns == "joints"])
    assert alphas[0] > alphas[1] > alphas[2] > alphas[3] == []
    watch.close()
    del publisher._optional[MARKERS]
    publisher.close()
