"""Nanoseconds and ROS times."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Nanoseconds since the epoch of the clock that made the stamp."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """The stamp of a number of nanoseconds."""
    sec, nanosec = divmod(int(stamp_ns), NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header with a capture stamp."""
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)


def clock_to_msg(stamp_ns: int) -> Clock:
    """A message of /clock."""
    return Clock(clock=stamp_from_ns(stamp_ns))
