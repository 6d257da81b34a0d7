"""What is kept of a graph's keypoints, and what is said of those that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from graph_for_tests import own_context
from known_person import SIZE_WH, ring, truth
from own_joints import own_joints, seen_by
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.keypoint_listener import KeypointListener
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Rig

RIG = ring("left", "right")
T0_NS = 10**18
SPINS = 600


def message(name: str, stamp_ns: int, size_wh: tuple[int, int] = SIZE_WH) -> Keypoints2DArray:
    people = own_joints(COCO_17, truth(stamp_ns))[None]
    found = seen_by(RIG.camera(name), people, COCO_17, np.random.default_rng(0), 1.0, stamp_ns)
    return conversions.keypoints_to_msg(
        found, ("",), camera_name=name, frame_id="", size_wh=size_wh, detector="known"
    )  # fmt: skip


def spin(listener: KeypointListener, sender: Node, messages: dict[str, list[Keypoints2DArray]]) -> None:
    """Send the messages one by one, each again until it is there: before DDS has matched the two they are lost."""
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(listener)
    for name, waiting in messages.items():
        publisher = sender.create_publisher(Keypoints2DArray, f"robot/{name}/keypoints_2d", 10)
        for one in waiting:
            before = listener.messages
            for _ in range(SPINS):
                if listener.messages > before:
                    break
                publisher.publish(one)
                executor.spin_once(timeout_sec=0.1)
            assert listener.messages > before, f"a message of {name} never came"


def test_keypoints_are_kept_in_order_at_fifteen_a_second() -> None:
    with own_context() as context:
        listener = KeypointListener(RIG, "robot", context=context)
        sender = Node("sender", context=context)
        stamps = [T0_NS + k * 33_333_333 for k in range(10)]
        spin(listener, sender, {name: [message(name, stamp) for stamp in stamps] for name in RIG.names})
        left, right = listener.views()
        listener.destroy_node()
        sender.destroy_node()
    assert (left.camera.name, right.camera.name) == RIG.names
    assert [one.stamp_ns for one in left.people] == stamps[::2]
    assert left.people[0].skeleton == H36M_17
    assert left.people[0].covariance is not None


def test_a_silent_camera_is_named_with_its_topic() -> None:
    with own_context() as context:
        listener = KeypointListener(RIG, "/robot/", context=context)
        with pytest.raises(
            InputError, match=r"no keypoints of left came on /robot/left/keypoints_2d.*publish_keypoints"
        ):
            listener.views()
        listener.destroy_node()


def test_images_of_another_size_than_the_rigs_are_rejected() -> None:
    small = Rig(tuple(camera.resized((64, 48)) for camera in RIG.cameras))
    with own_context() as context:
        listener = KeypointListener(small, context=context)
        sender = Node("sender", context=context)
        with pytest.raises(CalibrationError, match="give the rig that the graph uses"):
            listener._take(small.cameras[0], _bytes(message("left", T0_NS)))
        listener._take(small.cameras[0], b"\0\1\0\0no message")
        assert listener.unreadable == 1
        listener.destroy_node()
        sender.destroy_node()


def _bytes(msg: Keypoints2DArray) -> bytes:
    from rclpy.serialization import serialize_message

    return bytes(serialize_message(msg))
