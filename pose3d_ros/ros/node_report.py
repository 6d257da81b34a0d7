"""What a node says of itself: /diagnostics once a second, warnings in the log, and once what it runs with."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from pose3d_ros.detection.detector import Detector
from pose3d_ros.errors import Pose3DError
from pose3d_ros.ros import conversions
from pose3d_ros.ros.diagnostics import Level, Record
from pose3d_ros.ros.distribution import sources
from pose3d_ros.structures import Rig

DIAGNOSTICS_S = 1.0
LOG_EVERY_S = 5.0


class NodeReport:
    """Keeps a Record and tells it; a node's threads report frames and faults to it.

    missing says in words which inputs do not come, facts gives what does not change from set to set, product is the
    topic that the node is there for.
    """

    def __init__(
        self,
        node: Node,
        record: Record,
        missing: Callable[[], list[str]],
        facts: Callable[[], Mapping[str, str]],
        stopped: threading.Event,
        product: str = "human_pose_3d",
    ) -> None:
        self.record = record
        self._product = product
        self._node, self._missing, self._facts, self._stopped = node, missing, facts, stopped
        self._started_s = time.monotonic()
        self._logged: dict[str, float] = {}
        self._told_running: tuple[str, ...] = ()
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(DIAGNOSTICS_S, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def dropped_frame(self, why: str) -> None:
        """One camera's image is not used; the others' may be."""
        self.record.count("frames_dropped")
        self.record.cause(time.monotonic(), why)
        self.warn_sometimes("frame", why)

    def failed(self, error: Exception) -> None:
        """A frame set was lost to an exception: a user's mistake in its own words, anything else with its type."""
        if self._stopped.is_set():
            return
        why = str(error) if isinstance(error, Pose3DError) else f"{type(error).__name__}: {error} ({_place_of(error)})"
        self.record.count("dropped")
        self.record.cause(time.monotonic(), why)
        self.warn_sometimes("set", why)

    def warn_sometimes(self, kind: str, message: str) -> None:
        """Log, at most once in LOG_EVERY_S of one kind; rclpy's own throttle goes by line of code."""
        now_s = time.monotonic()
        if now_s - self._logged.get(kind, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._logged[kind] = now_s
            self._node.get_logger().warning(message)

    def say_that_it_runs(self, rig: Rig) -> None:
        """Log what is in use, again when cameras come, go or change; not whenever a moving camera has moved."""
        facts = self._facts()
        if self._told_running == (running := (facts["placement"], rig.frame_id, *lenses(rig))):
            return
        self._told_running = running
        origins = ", ".join(f"{package} from {source}" for package, source in sources.items())
        placed = "" if facts["placement"] == "none" else f" by {facts['placement']}"
        self._node.get_logger().info(
            f"running: {', '.join(rig.names)}{placed} in frame {rig.frame_id}, {facts['detector']} on "
            f"{facts['device']}, calibration {facts['calibration_hash']}; {origins}"
        )

    def _diagnose(self) -> None:
        """Say once a second how the node stands."""
        now_s = time.monotonic()
        origins = {f"source/{package}": source for package, source in sources.items()}
        health = self.record.health(now_s, [*self._no_clock(), *self._missing()], {**self._facts(), **origins})
        status = conversions.Status(
            f"{self._node.get_fully_qualified_name().lstrip('/')}: {self._product}",
            health.level,
            health.message,
            health.values,
        )
        stamp_ns = self._node.get_clock().now().nanoseconds
        self._diagnostics.publish(conversions.diagnostics_to_msg([status], stamp_ns))
        if health.level is not Level.OK and now_s - self._started_s > LOG_EVERY_S / 2:
            self.warn_sometimes("health", health.message)

    def _no_clock(self) -> list[str]:
        """Says so where time is to come from /clock and none has come."""
        if not self._node.get_parameter("use_sim_time").value or self._node.get_clock().now().nanoseconds:
            return []
        return ["use_sim_time is true, but no /clock has come: start what publishes it, e.g. ros2 bag play --clock"]


def lenses(rig: Rig) -> tuple[str, ...]:
    """What tells a rig from another, but for where its cameras are."""
    return tuple(
        f"{one.name} {one.size_wh} {one.K.tobytes().hex()} {one.distortion_model} {one.distortion.tobytes().hex()}"
        for one in rig.cameras
    )


def detector_facts(detector: Detector, asked: str) -> dict[str, str]:
    """The detector's name, and the device that it runs on; asked is the one that was asked for."""
    return {"detector": detector.name, "device": str(getattr(detector, "device", asked))}


def _place_of(error: Exception) -> str:
    """File and line that an unexpected exception came from, for the bug report."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
