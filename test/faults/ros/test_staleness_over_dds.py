"""What real subscribers are left with when real nodes see nothing any more, over DDS; the examples' one among them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from known_person import PERIOD_NS, T0_NS, ring
from rclpy.node import Node
from rclpy.parameter import Parameter
from synthetic_cameras import Graph, graph, monocular_graph
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.structures import Rig

EXAMPLE = Path(__file__).parents[3] / "examples" / "03_human_pose_listener.py"
PAIR = ring("left", "right")
ONE = Rig((ring("camera", "other").cameras[0],))
MULTIVIEW: dict[str, object] = {"fixed_frame": "world", "prediction_horizon_s": 0.1}
MONOCULAR: dict[str, object] = {"prediction_horizon_s": 0.1}


def listener(one: Graph) -> Node:
    """The example, as a controller's author would have copied it."""
    spec = importlib.util.spec_from_file_location("human_pose_listener", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = [Parameter("use_sim_time", value=True)]
    node: Node = module.HumanPoseListener(context=one.cameras.context, parameter_overrides=clock)
    one.executor.add_node(node)
    return node


@pytest.mark.parametrize(
    "started",
    [lambda: graph(PAIR, **MULTIVIEW), lambda: monocular_graph(ONE, **MONOCULAR)],
    ids=["multiview", "monocular"],
)
def test_fault_all_cameras_stop_for_good(started: Callable[[], AbstractContextManager[Graph]]) -> None:
    """Fault: all cameras of a running node stop.
    Sees: ERROR "no poses for ...: no image on ..."; people age, markers are deleted, TF stops, and an empty
    message is the last.
    Recovers: by itself with the next images.
    """
    with started() as one:
        controller, node = one.controller, listener(one)
        ahead: list[HumanPose3DArray] = []
        frames: list[tuple[str, int]] = []  # child frame, stamp

        def take_tf(message: TFMessage) -> None:
            for each in message.transforms:
                stamp_ns = conversions.stamp_to_ns(each.header.stamp)
                frames.append((each.child_frame_id, stamp_ns))

        controller.create_subscription(HumanPose3DArray, "/human_pose_3d/predicted", ahead.append, 10)
        controller.create_subscription(TFMessage, "/tf", take_tf, 100)
        one.cameras.publish_transforms()
        one.poses_after(3)
        one.play_until(lambda: bool(ahead and frames and node.people), "predictions, TF, and a listener that sees")
        one.cameras.stopped = set(one.cameras.rig.names)
        one.play_until(lambda: bool(controller.aged) and not controller.aged[-1].people, "an empty message")
        one.play_until(
            lambda: controller.level == ord(DiagnosticStatus.ERROR) and "no image on" in controller.message, "an ERROR"
        )
        one.play_until(lambda: node.action == "stop" and not node.people, "a listener that knows that nothing is seen")
        one.play_until(lambda: [m.action for m in controller.markers[-1].markers] == [Marker.DELETEALL], "no marker")
        one.play_until(lambda: not ahead[-1].people, "no person on predicted")
        # On a machine that stood still for a moment, people aged before already: only the end counts.
        last_ns = conversions.stamp_to_ns(controller.poses[-1].header.stamp)
        aged = [m for m in controller.aged if conversions.stamp_to_ns(m.header.stamp) == last_ns]
        assert not any(m.camera_names for m in aged)
        states = [m.people[0].state for m in aged if m.people]
        assert states == sorted(states)
        assert all(m.people[0].age < 1.0 for m in aged if m.people)
        assert max(stamp_ns for child, stamp_ns in frames if child.startswith("human_")) <= last_ns
        before = len(frames)
        one.cameras.stopped = set()
        one.poses_after(2)
        one.play_until(lambda: bool(node.people) and len(frames) > before, "people again")
        since_ns = [conversions.stamp_to_ns(m.header.stamp) - 100_000_000 - T0_NS for m in ahead if m.people]
        assert all(one_ns >= 0 and one_ns % PERIOD_NS == 0 for one_ns in since_ns)


def test_fault_no_calibration() -> None:
    """Fault: images come, but no camera_info.
    Sees: ERROR "no poses yet: no camera_info on /left/camera_info ..."; nothing on human_pose_3d.
    Recovers: by itself when camera_info comes.
    """
    with graph(PAIR, fixed_frame="world") as one:
        controller = one.controller
        one.cameras.without_info = set(PAIR.names)
        one.cameras.publish_transforms()
        one.play_until(lambda: one.cameras.sent > 10, "ten frame sets")
        one.diagnosis_says("no camera_info on /left/camera_info")
        assert controller.level == ord(DiagnosticStatus.ERROR)
        assert controller.message.startswith("no poses yet")
        assert not controller.poses
        assert not controller.aged
        assert not controller.markers
        one.cameras.without_info.clear()
        one.poses_after(1)
