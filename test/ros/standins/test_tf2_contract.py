"""What we ask of tf2_ros, of our stand-in and of the distribution's alike; truth is matrix algebra."""

from __future__ import annotations

import contextlib
import threading
import time as wall

import numpy as np
import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from pose3d_ros.ros.conversions import clock_to_msg, matrix_from_transform, transform_to_msg

NEWEST = Time()
S = 1_000_000_000


@pytest.fixture
def tf2(taken):
    return taken("tf2_ros")


@pytest.fixture
def buffer(tf2):
    return tf2.Buffer()


def placed(xyz, turn_rad=0.0):
    """parent_from_child: turned about z, then moved."""
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, 3] = xyz
    return matrix


def put(buffer, parent, child, matrix, stamp_ns=None):
    msg = transform_to_msg(matrix, parent, child, stamp_ns or 0)
    (buffer.set_transform if stamp_ns else buffer.set_transform_static)(msg, "test")


def look_up(buffer, target, source, time=NEWEST, **timeout):
    return matrix_from_transform(buffer.lookup_transform(target, source, time, **timeout))


def test_static_transform_holds_at_any_time_and_both_ways(buffer):
    world_from_camera = placed([1, 2, 3], 0.7)
    put(buffer, "world", "camera", world_from_camera)
    assert look_up(buffer, "world", "camera", Time(nanoseconds=99 * S)) == pytest.approx(world_from_camera)
    assert look_up(buffer, "camera", "world") == pytest.approx(np.linalg.inv(world_from_camera))


def test_transforms_chain_up_and_down_the_tree(buffer):
    a, b, c = placed([1, 0, 0], 0.3), placed([0, 2, 0], -1.0), placed([0, 0, 3], 2.0)
    put(buffer, "world", "base", a)
    put(buffer, "base", "left", b)
    put(buffer, "base", "right", c)
    assert look_up(buffer, "world", "left") == pytest.approx(a @ b)
    assert look_up(buffer, "right", "left") == pytest.approx(np.linalg.inv(c) @ b)
    assert look_up(buffer, "left", "left") == pytest.approx(np.eye(4))


def test_between_two_stamps_positions_are_linear_and_rotations_slerped(buffer):
    put(buffer, "world", "arm", placed([0, 0, 0], 0.0), 10 * S)
    put(buffer, "world", "arm", placed([1, 2, 4], 1.2), 11 * S)
    found = look_up(buffer, "world", "arm", Time(nanoseconds=10 * S + S // 4))
    assert found == pytest.approx(placed([0.25, 0.5, 1.0], 0.3))


def test_rotations_are_slerped_the_short_way(buffer):
    put(buffer, "world", "arm", placed([0, 0, 0], 3.0), 10 * S)
    put(buffer, "world", "arm", placed([0, 0, 0], -3.0), 11 * S)
    found = look_up(buffer, "world", "arm", Time(nanoseconds=10 * S + S // 2))
    assert found == pytest.approx(placed([0, 0, 0], np.pi))


def test_time_zero_is_the_newest_common_time_of_the_chain(buffer):
    put(buffer, "world", "base", placed([1, 0, 0]), 10 * S)
    put(buffer, "world", "base", placed([3, 0, 0]), 12 * S)
    put(buffer, "base", "arm", placed([0, 1, 0]), 9 * S)
    put(buffer, "base", "arm", placed([0, 1, 0]), 11 * S)
    msg = buffer.lookup_transform("world", "arm", NEWEST)
    assert Time.from_msg(msg.header.stamp).nanoseconds == 11 * S
    assert (msg.header.frame_id, msg.child_frame_id) == ("world", "arm")
    assert matrix_from_transform(msg) == pytest.approx(placed([2, 1, 0]))


def test_samples_may_come_in_any_order(buffer):
    for second in (12, 10, 11):
        put(buffer, "world", "arm", placed([second, 0, 0]), second * S)
    assert look_up(buffer, "world", "arm", Time(nanoseconds=10 * S + S // 2))[0, 3] == pytest.approx(10.5)


@pytest.mark.parametrize("second", [9, 13])
def test_outside_the_samples_there_is_no_transform(tf2, buffer, second):
    put(buffer, "world", "arm", placed([0, 0, 0]), 10 * S)
    put(buffer, "world", "arm", placed([0, 0, 0]), 12 * S)
    with pytest.raises(tf2.ExtrapolationException):
        buffer.lookup_transform("world", "arm", Time(nanoseconds=second * S))
    assert not buffer.can_transform("world", "arm", Time(nanoseconds=second * S))


def test_one_sample_holds_at_its_own_stamp_only(tf2, buffer):
    put(buffer, "world", "arm", placed([5, 0, 0]), 10 * S)
    assert look_up(buffer, "world", "arm", Time(nanoseconds=10 * S))[0, 3] == pytest.approx(5)
    with pytest.raises(tf2.ExtrapolationException):
        buffer.lookup_transform("world", "arm", Time(nanoseconds=10 * S + 1))


def test_samples_are_kept_for_ten_seconds(tf2, buffer):
    # The original drops the old when the next comes, hence the second one after 20 s.
    for second in (10, 15, 21, 22):
        put(buffer, "world", "arm", placed([second, 0, 0]), second * S)
    assert look_up(buffer, "world", "arm", Time(nanoseconds=15 * S))[0, 3] == pytest.approx(15)
    with pytest.raises(tf2.ExtrapolationException):
        buffer.lookup_transform("world", "arm", Time(nanoseconds=10 * S))


def test_cache_can_be_longer(tf2):
    buffer = tf2.Buffer(Duration(seconds=60))
    for second in (10, 50):
        put(buffer, "world", "arm", placed([second, 0, 0]), second * S)
    assert look_up(buffer, "world", "arm", Time(nanoseconds=10 * S))[0, 3] == pytest.approx(10)


def test_unknown_frame_is_a_lookup_error_with_its_name(tf2, buffer):
    put(buffer, "world", "camera", np.eye(4))
    with pytest.raises(tf2.LookupException, match="elsewhere"):
        buffer.lookup_transform("world", "elsewhere", NEWEST)
    assert issubclass(tf2.LookupException, tf2.TransformException)


def test_two_trees_are_a_connectivity_error(tf2, buffer):
    put(buffer, "world", "left", np.eye(4))
    put(buffer, "map", "right", np.eye(4))
    with pytest.raises(tf2.ConnectivityException):
        buffer.lookup_transform("left", "right", NEWEST)
    assert issubclass(tf2.ConnectivityException, tf2.TransformException)
    assert issubclass(tf2.ExtrapolationException, tf2.TransformException)


@pytest.mark.parametrize("harm", ["nan", "quaternion", "self"])
def test_invalid_transform_is_ignored(tf2, buffer, harm):
    put(buffer, "world", "camera", placed([1, 0, 0]))
    msg = transform_to_msg(placed([9, 0, 0]), "world", "camera", 0)
    if harm == "nan":
        msg.transform.translation.x = float("nan")
    elif harm == "quaternion":
        msg.transform.rotation.w = 0.0
    else:
        msg.child_frame_id = "world"
    # The original says so in the log and raises for some of them.
    with contextlib.suppress(tf2.TransformException, ValueError):
        buffer.set_transform_static(msg, "test")
    assert look_up(buffer, "world", "camera") == pytest.approx(placed([1, 0, 0]))


def test_lookup_waits_for_a_transform_within_its_timeout(tf2, buffer):
    timer = threading.Timer(0.2, put, (buffer, "world", "camera", placed([4, 0, 0])))
    timer.start()
    # What is waited for without end would run into the limit of every test.
    assert look_up(buffer, "world", "camera", timeout=Duration(seconds=3600))[0, 3] == pytest.approx(4)
    timer.join()


def test_timeout_ends(tf2, buffer):
    start = wall.monotonic()
    with pytest.raises(tf2.TransformException):
        buffer.lookup_transform("world", "camera", NEWEST, timeout=Duration(seconds=0.2))
    assert wall.monotonic() > start + 0.15


def test_late_listener_receives_static_and_dynamic_transforms(tf2, buffer, context):
    sender = rclpy.create_node("sender", context=context)
    static, running = tf2.StaticTransformBroadcaster(sender), tf2.TransformBroadcaster(sender)
    static.sendTransform(transform_to_msg(placed([1, 0, 0]), "world", "left", 0))
    static.sendTransform([transform_to_msg(placed([2, 0, 0]), "world", "right", 0)])
    receiver = rclpy.create_node("receiver", context=context)
    listener = tf2.TransformListener(buffer, receiver)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(receiver)
    deadline = wall.monotonic() + 10
    while wall.monotonic() < deadline:
        running.sendTransform(transform_to_msg(placed([0, 3, 0]), "left", "arm", 10 * S))
        executor.spin_once(timeout_sec=0.05)
        if buffer.can_transform("right", "arm", Time(nanoseconds=10 * S)):
            break
    assert look_up(buffer, "right", "arm", Time(nanoseconds=10 * S)) == pytest.approx(placed([-1, 3, 0]))
    listener.unregister()
    del listener
    executor.shutdown()
    receiver.destroy_node()
    sender.destroy_node()


def test_clock_jump_back_drops_dynamic_transforms(tf2, context):
    sim_time = [Parameter("use_sim_time", value=True)]
    node = rclpy.create_node("jumping", context=context, parameter_overrides=sim_time)
    buffer = tf2.Buffer(node=node)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    clock = node.create_publisher(Clock, "/clock", 1)

    def show(stamp_ns):
        deadline = wall.monotonic() + 10
        while node.get_clock().now().nanoseconds != stamp_ns and wall.monotonic() < deadline:
            clock.publish(clock_to_msg(stamp_ns))
            executor.spin_once(timeout_sec=0.05)

    show(100 * S)
    put(buffer, "world", "arm", placed([1, 0, 0]), 100 * S)
    put(buffer, "world", "camera", placed([0, 1, 0]))
    assert buffer.can_transform("world", "arm", NEWEST)
    show(10 * S)
    assert not buffer.can_transform("world", "arm", NEWEST)
    assert buffer.can_transform("world", "camera", NEWEST)
    executor.shutdown()
    node.destroy_node()


def test_broadcaster_sends_several_in_one_message(tf2, context):
    node = rclpy.create_node("broadcaster", context=context)
    got = []
    node.create_subscription(TFMessage, "/tf", got.append, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    broadcaster = tf2.TransformBroadcaster(node)
    deadline = wall.monotonic() + 10
    while not got and wall.monotonic() < deadline:
        broadcaster.sendTransform([transform_to_msg(np.eye(4), "world", f"joint{n}", 1) for n in range(3)])
        executor.spin_once(timeout_sec=0.05)
    assert [one.child_frame_id for one in got[0].transforms] == ["joint0", "joint1", "joint2"]
    executor.shutdown()
    node.destroy_node()
