"""What we ask of message_filters, of our stand-in and of the distribution's alike."""

from __future__ import annotations

import importlib
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from pose3d_ros.ros.conversions.stamps import header, stamp_to_ns


class Stamped:
    def __init__(self, stamp_ns, name=""):
        self.header = header(stamp_ns, name)


@pytest.fixture
def filters(taken):
    return taken("message_filters")


def inputs(filters, n):
    # Our stand-in and the original both have a SimpleFilter; so has everything a synchronizer takes.
    return [filters.SimpleFilter() for _ in range(n)]


def collected(synchronizer):
    found = []
    synchronizer.registerCallback(lambda *msgs: found.append([stamp_to_ns(m.header.stamp) for m in msgs]))
    return found


def test_only_equal_stamps_are_paired_and_in_the_filters_order(filters):
    image, info = inputs(filters, 2)
    synchronizer = filters.TimeSynchronizer([image, info], 5)
    pairs = []
    synchronizer.registerCallback(lambda *msgs: pairs.append(tuple(m.header.frame_id for m in msgs)))
    info.signalMessage(Stamped(1, "info"))
    image.signalMessage(Stamped(2, "image"))
    assert pairs == []
    image.signalMessage(Stamped(1, "image"))
    assert pairs == [("image", "info")]


def test_message_is_used_once(filters):
    a, b = inputs(filters, 2)
    found = collected(filters.TimeSynchronizer([a, b], 5))
    for one in (a, b, b, a):
        one.signalMessage(Stamped(7))
    assert found == [[7, 7], [7, 7]]


def test_oldest_is_dropped_when_a_queue_is_full(filters):
    a, b = inputs(filters, 2)
    found = collected(filters.TimeSynchronizer([a, b], 2))
    for stamp in (1, 2, 3):
        a.signalMessage(Stamped(stamp))
    for stamp in (1, 2, 3):
        b.signalMessage(Stamped(stamp))
    assert found == [[2, 2], [3, 3]]


def test_our_stand_in_recovers_from_a_jump_back_in_time():
    # Not of the original: it would keep stamps 10 and 11 and drop every later message.
    filters = importlib.import_module("pose3d_ros.ros.standins.message_filters")
    a, b = inputs(filters, 2)
    found = collected(filters.TimeSynchronizer([a, b], 2))
    for stamp in (10, 11, 1, 2):
        a.signalMessage(Stamped(stamp))
    for stamp in (1, 2):
        b.signalMessage(Stamped(stamp))
    assert found == [[1, 1], [2, 2]]


def test_arguments_given_at_registration_come_after_the_messages(filters):
    (one,) = inputs(filters, 1)
    got = []
    one.registerCallback(lambda *args: got.append(args[1:]), "left", 3)
    one.signalMessage(Stamped(1))
    assert got == [("left", 3)]


def test_stamps_within_the_slop_are_paired_and_others_not(filters):
    a, b, c = inputs(filters, 3)
    found = collected(filters.ApproximateTimeSynchronizer([a, b, c], 5, 0.010))
    a.signalMessage(Stamped(1_000_000_000))
    b.signalMessage(Stamped(1_004_000_000))
    c.signalMessage(Stamped(1_040_000_000))
    assert found == []
    c.signalMessage(Stamped(1_008_000_000))
    assert found == [[1_000_000_000, 1_004_000_000, 1_008_000_000]]


def test_nearest_of_several_is_taken(filters):
    a, b = inputs(filters, 2)
    found = collected(filters.ApproximateTimeSynchronizer([a, b], 5, 0.010))
    a.signalMessage(Stamped(1_000_000_000))
    a.signalMessage(Stamped(1_005_000_000))
    b.signalMessage(Stamped(1_006_000_000))
    assert found == [[1_005_000_000, 1_006_000_000]]


def test_two_topics_of_a_node_are_paired_over_dds(filters, context):
    node = rclpy.create_node("pairing", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    topics = ("left/image_raw", "left/camera_info")
    subscribers = [filters.Subscriber(node, CameraInfo, one, qos_profile=qos_profile_sensor_data) for one in topics]
    found = collected(filters.TimeSynchronizer(subscribers, 10))
    publishers = [node.create_publisher(CameraInfo, one, qos_profile_sensor_data) for one in topics]
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:
        for publisher in publishers:
            publisher.publish(CameraInfo(header=header(5, "frame")))
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    assert found[0] == [5, 5]
