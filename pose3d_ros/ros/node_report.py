"""What a node says of itself: /diagnostics, warnings in the log, and once what it runs with."""

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
from pose3d_ros.estimation.staleness import NodeTime
from pose3d_ros.ros import conversions
from pose3d_ros.ros.diagnostics import Health, Level, Record
from pose3d_ros.ros.distribution import sources
from pose3d_ros.ros.lifecycle import Lifecycle
from pose3d_ros.ros.log_lines import Repetition, short
from pose3d_ros.structures import Rig

DIAGNOSTICS_S = 1.0
# How late a change of level may be noticed; what is due before the next look is said in this one.
CHECK_S = 0.1
# After so long at least one camera of a graph that starts up has been found.
STARTING_S = 2.5


class NodeReport:
    """Keeps a Record and publishes it once a second, and at once when its level changes.

    A node's threads report frames and faults to it. The record's time is the node's: ROS time that never goes back, and
    real time where ROS time stands still.

    missing says in words which inputs do not come, facts gives what does not change from set to set, product is the
    topic that the node is there for.
    """

    def __init__(
        self,
        node: Node,
        record: Record,
        missing: Callable[[], list[str]],
        facts: Callable[[], Mapping[str, str]],
        lifecycle: Lifecycle,
        product: str = "human_pose_3d",
    ) -> None:
        self.record = record
        self._product = product
        self._node, self._missing, self._facts, self._lifecycle = node, missing, facts, lifecycle
        self._started_s = time.monotonic()
        self._repetition, self._lock = Repetition(), threading.Lock()
        self._time = NodeTime()
        self._told_s, self._told_level = -DIAGNOSTICS_S, Level.OK
        self._told_running: tuple[str, ...] = ()
        self._told_rig: Rig | None = None
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_timer(CHECK_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def begin(self, record: Record) -> None:
        """Keep another record from now on; what has not come yet is not complained of at once."""
        self.record, self._started_s = record, time.monotonic()
        self._told_running, self._told_rig = (), None

    def now_s(self) -> float:
        """The node's time; any thread may ask."""
        return self._time(self._node.get_clock().now().nanoseconds, time.monotonic())

    def dropped_frame(self, why: str) -> None:
        """One camera's image is not used; the others' may be."""
        self.record.count("frames_dropped")
        self.record.cause(self.now_s(), why)
        self.warn_sometimes("frame", why)

    def failed(self, error: Exception) -> None:
        """A frame set was lost to an exception: a user's mistake in its own words, anything else with its type."""
        why = _words(error)
        self.record.count("dropped")
        self.record.cause(self.now_s(), why)
        self.warn_sometimes("set", why)

    def not_learnt(self, error: Exception) -> None:
        """What a frame set taught apart from its poses was lost to an exception."""
        why = f"poses went out, but what their frame set teaches of clocks and calibration is lost: {_words(error)}"
        self.record.cause(self.now_s(), why)
        self.warn_sometimes("lesson", why)

    def warn_sometimes(self, kind: str, message: str) -> None:
        """Log the beginning of a message, the more seldom the longer it has been true.

        rclpy's own throttle goes by line of code.
        """
        with self._lock:
            due = self._repetition.due(kind, message, time.monotonic())
        if due:
            self._node.get_logger().warning(short(message))

    def say_that_it_runs(self, rig: Rig, tuned: str = "") -> None:
        """Log what is in use, again when cameras come, go or change; not whenever a moving camera has moved.

        tuned: the rig on which the weights of the refinement were tuned, where such ones are in use.
        """
        if rig is self._told_rig:
            return
        self._told_rig, facts = rig, self._facts()
        if self._told_running == (running := (facts["placement"], rig.frame_id, tuned, *lenses(rig))):
            return
        if not self._told_running:
            self._node.get_logger().info(", ".join(f"{package} from {source}" for package, source in sources.items()))
        self._told_running = running
        placed = "" if facts["placement"] == "none" else f" by {facts['placement']}"
        line = (
            f"running: {', '.join(rig.names)}{placed} in frame {rig.frame_id}, {detector_words(facts)}, "
            f"calibration {facts['calibration_hash']}"
        )
        self._node.get_logger().info(short(line, ", "))
        if tuned:
            self._node.get_logger().info(short(f"poses are refined by weights tuned on this rig, {tuned}"))

    def _check(self) -> None:
        """Diagnose where the last diagnosis is a second old, or no longer holds."""
        due = time.monotonic() - self._told_s > DIAGNOSTICS_S - CHECK_S / 2
        if due or self._level() is not self._told_level:
            self._diagnose()

    def _level(self) -> Level:
        if self._lifecycle.standing():
            return self._standing().level
        level = self.record.level(self.now_s() + CHECK_S)
        # What is missing, which it takes the graph to know, makes no other level worse.
        return Level.WARN if level is Level.OK and self._inputs_missing() else level

    def _inputs_missing(self) -> list[str]:
        return [*self._no_clock(), *self._missing()]

    def _diagnose(self) -> None:
        """Say how the node stands."""
        origins = {f"source/{package}": source for package, source in sources.items()}
        health = self._standing()
        if not health.message:
            health = self.record.health(self.now_s() + CHECK_S, self._inputs_missing(), {**self._facts(), **origins})
        self._told_s, self._told_level = time.monotonic(), health.level
        status = conversions.Status(
            f"{self._node.get_fully_qualified_name().lstrip('/')}: {self._product}",
            health.level,
            health.message,
            {
                "state": self._lifecycle.state,
                "use_sim_time": str(self._node.get_parameter("use_sim_time").value).lower(),
                **health.values,
            },
        )
        stamp_ns = self._node.get_clock().now().nanoseconds
        self._diagnostics.publish(conversions.diagnostics_to_msg([status], stamp_ns))
        if health.level is not Level.OK and self._told_s - self._started_s > STARTING_S:
            self.warn_sometimes("health", health.message)

    def _standing(self) -> Health:
        """Why the node does not work though its process runs; without words where it does."""
        words = self._lifecycle.standing()
        return (
            Health(Level.ERROR if self._lifecycle.failed else Level.WARN, words, {})
            if words
            else Health(Level.OK, "", {})
        )

    def _no_clock(self) -> list[str]:
        """Says so where time is to come from /clock and none has come."""
        if not self._node.get_parameter("use_sim_time").value or self._node.get_clock().now().nanoseconds:
            return []
        return ["use_sim_time is true, but no /clock has come: let a bag (--clock) or a simulation publish it"]


def lenses(rig: Rig) -> tuple[str, ...]:
    """What distinguishes a rig from another, except where its cameras are."""
    return tuple(
        f"{one.name} {one.size_wh} {one.K.tobytes().hex()} {one.distortion_model} {one.distortion.tobytes().hex()}"
        for one in rig.cameras
    )


def detector_facts(detector: Detector, asked: str) -> dict[str, str]:
    """The detector's name, the device that it runs on and what runs it there; asked is the one that was asked for."""
    facts = {"detector": detector.name, "device": str(getattr(detector, "device", asked))}
    backend = getattr(detector, "backend", "")
    return {**facts, "backend": str(backend)} if backend else facts


def detector_words(facts: Mapping[str, str]) -> str:
    """Detector, device and what runs it, in the words of a log's line."""
    by = f" by {facts['backend']}" if "backend" in facts else ""
    return f"{facts['detector']} on {facts['device']}{by}"


def _words(error: Exception) -> str:
    if isinstance(error, Pose3DError):
        return str(error)
    return f"{type(error).__name__}: {error} ({_place_of(error)})"


def _place_of(error: Exception) -> str:
    """File and line that an unexpected exception came from, for the bug report."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
