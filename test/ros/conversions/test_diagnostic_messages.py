"""DiagnosticArray messages."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message

from pose3d_ros.ros import conversions
from pose3d_ros.ros.conversions import Status
from pose3d_ros.ros.diagnostics import Level


def test_statuses_go_over_the_wire_with_their_level_and_values():
    status = Status("multiview: right", Level.WARN, "no image for 2.0 s", {"stage_ms/detect": 81.23456789, "people": 2})
    msg = deserialize_message(
        serialize_message(conversions.diagnostics_to_msg([status, Status("x", Level.OK, "")], 5)), DiagnosticArray
    )
    first, second = msg.status
    assert (first.level, second.level) == (DiagnosticStatus.WARN, DiagnosticStatus.OK)
    assert (first.name, first.message) == ("multiview: right", "no image for 2.0 s")
    assert {one.key: one.value for one in first.values} == {"stage_ms/detect": "81.2346", "people": "2"}
    assert conversions.stamp_to_ns(msg.header.stamp) == 5


def test_stamps_are_exact_to_the_nanosecond():
    for stamp_ns in (0, 999_999_999, 1_700_000_000_123_456_789):
        assert conversions.stamp_to_ns(conversions.stamp_from_ns(stamp_ns)) == stamp_ns
        assert conversions.stamp_to_ns(conversions.clock_to_msg(stamp_ns).clock) == stamp_ns
