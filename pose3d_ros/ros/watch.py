"""Keeps what goes out from looking fresher than it is: a node's timer around estimation/staleness.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.staleness import TICK_S, Limits, Watchdog
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.diagnostics import Sent
from pose3d_ros.ros.node_report import NodeReport
from pose3d_ros.ros.options import LiveOptions
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.structures import Pose3D, Rig


class Watch:
    """Publishes estimates, and between and after them what time makes of the last one.

    The timer belongs to the executor's thread, publish() to the worker's.
    """

    def __init__(self, node: Node, live: LiveOptions, publisher: PosePublisher, report: NodeReport) -> None:
        self._node, self._live, self._publisher, self._report = node, live, publisher, report
        self._watchdog = Watchdog()
        # What is old must never go out after what is new.
        self._lock = threading.Lock()
        self._calibration_hash = ""
        # Real time, so that people age where ROS time stands still.
        self._timer = node.create_timer(TICK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Publish as the last message that no person is seen; call it when nothing else is published any more."""
        self._node.destroy_timer(self._timer)
        if (pose := self._watchdog.end()) is not None:
            self._publisher.publish_aged(pose, self._calibration_hash, self._limits().max_age_s)

    def publish(self, estimate: Estimate, frames: Mapping[str, Frame], rig: Rig, arrived_s: float) -> Sent:
        """Send a new estimate as it is to be taken now; arrived_s is when the set's last image came (monotonic)."""
        limits = self._limits()
        captured = _captured_s(estimate.pose.stamp_ns, frames)
        with self._lock:
            # The lock may have been waited for: nothing comes between this time and the message.
            now_s = self._report.now_s()
            pose = self._watchdog.saw(estimate.pose, captured, now_s, limits)

            def again() -> Pose3D | None:
                """The pose as it is by now, where a state has changed since; what goes out must not be too fresh."""
                now_s = self._report.now_s()
                changed = self._watchdog.changed(estimate.pose, captured, now_s, limits)
                return self._watchdog.saw(estimate.pose, captured, now_s, limits) if changed else None

            self._calibration_hash = rig.calibration_hash
            age_s = max(now_s - captured, 0.0)
            if not len(pose) and self._watchdog.overdue(now_s, limits):
                # Images this old cannot say that no person is there.
                self._publisher.publish_aged(pose, self._calibration_hash, limits.max_age_s)
                latency_s = time.monotonic() - arrived_s
            else:
                latency_s = self._publisher.publish(
                    estimate, pose, frames, rig, arrived_s, age_s, limits.max_age_s, again
                )
        self._publisher.publish_keypoints(estimate, frames, rig, latency_s)
        return Sent(latency_s, age_s, limits.occluded_s)

    def _look(self) -> None:
        with self._lock:
            limits = self._limits()
            now_s = self._report.now_s()
            pose = self._watchdog.look(now_s, limits, self._report.record.in_work_s(now_s))
            if pose is not None:
                self._publisher.publish_aged(pose, self._calibration_hash, limits.max_age_s)

    def _limits(self) -> Limits:
        options = self._live.estimation
        return Limits(self._live.outputs.occluded_after_s, options.lost_after_s, options.max_age_s)


def _captured_s(stamp_ns: int, frames: Mapping[str, Frame]) -> float:
    """When the oldest of a pose's images was captured, or the pose itself where its stamp lies before all of them."""
    return min(one.captured_s - max(one.stamp_ns - stamp_ns, 0) * 1e-9 for one in frames.values())
