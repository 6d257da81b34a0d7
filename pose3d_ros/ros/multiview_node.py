"""The node "multiview": images of two or more calibrated cameras in, /human_pose_3d out.

The executor's thread only takes messages and groups them; one worker thread works on the newest frame set:
update the rig, decode, estimate, publish. A frame that cannot be used is dropped, its cause is logged and
told in /diagnostics, and the node goes on.
"""

from __future__ import annotations

import copy
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name

from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.top_down import DetectorOptions, TopDownDetector
from pose3d_ros.errors import OptionError, Pose3DError
from pose3d_ros.estimation.frame_sets import FrameSetGrouper, PayloadSet
from pose3d_ros.estimation.multiview import Estimate, MultiViewOptions
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import CameraInput, Frame
from pose3d_ros.ros.diagnostics import Level, Record
from pose3d_ros.ros.distribution import Buffer, TransformListener, sources
from pose3d_ros.ros.frame_worker import FrameWorker
from pose3d_ros.ros.live_rig import LiveRig
from pose3d_ros.ros.mailbox import Mailbox, start_worker
from pose3d_ros.ros.multiview_options import NodeOptions
from pose3d_ros.ros.parameters import declare, refuse_unknown
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.running import run_node
from pose3d_ros.ros.tf_look_up import tf_look_up
from pose3d_ros.structures import Rig

OPTIONS = (NodeOptions, DetectorOptions, MultiViewOptions)

DIAGNOSTICS_S = 1.0
# A fraction of the wait for late cameras: how late its end may be noticed when nothing arrives.
POLL_S = 0.02
# Where ROS time stands still (a paused simulation), an incomplete set is released after so long of real time.
STANDSTILL_S = 1.0
LOG_EVERY_S = 5.0
# Placement auto waits so long for TF before it takes the projection matrices: who starts first must not decide.
TF_PATIENCE_S = 2.0


class MultiViewNode(Node):
    """Absolute 3D human poses from N >= 2 cameras.

    detector replaces the default one, e.g. in tests. Raises OptionError for wrong or unknown parameters,
    CalibrationError for a rig file that cannot be used, WeightsError when the default detector's weights are
    missing or not those published. Call close() before destroy_node().
    """

    def __init__(self, detector: Detector | None = None, **node_arguments: Any) -> None:
        super().__init__("multiview", **node_arguments)
        self._started_s = time.monotonic()
        self._stopped = threading.Event()
        self._record = Record()
        self._logged: dict[str, float] = {}
        self._told_running: tuple[str, ...] = ()
        self._declare()
        options = self.options
        check_topics(options)
        self._detector = detector or TopDownDetector(options.device, self._detector_options)
        self._mailbox: Mailbox[PayloadSet[Frame]] = Mailbox()
        self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper(
            options.cameras,
            tolerance_s=options.stamp_tolerance,
            wait_s=options.set_wait,
            silent_s=options.silent_after,
            min_cameras=2,
        )
        self._arrived_s = 0.0
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._publisher = PosePublisher(self, options.cameras, self._detector.name)
        self._make_inputs()
        self._process = FrameWorker(
            self._live_rig, self._detector, self._estimator_options, self._publish, self._dropped_frame, self._stopped
        )
        self._worker = start_worker(self._mailbox, self._work, self._failed, "multiview worker")
        real_time = Clock(clock_type=ClockType.STEADY_TIME)
        self._waiting = self.create_timer(POLL_S, self._poll, clock=real_time)
        self._waiting.cancel()
        self.create_timer(DIAGNOSTICS_S, self._diagnose, clock=real_time)
        topics = [topic for one in self._inputs.values() for topic in (one.image_topic, one.info_topic)]
        self.get_logger().info(f"waiting for {', '.join(topics)}")

    def close(self) -> None:
        """Stop working; what is under way is finished first."""
        self._stopped.set()
        self._mailbox.close()
        self._worker.join(timeout=10.0)

    # -- start ---------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        rectified = self._parameter_overrides.get("rectified")
        if rectified is not None and isinstance(rectified.value, bool):
            # `-p rectified:=true` comes as a boolean, next to the word auto.
            self._parameter_overrides["rectified"] = Parameter("rectified", value=str(rectified.value).lower())
        self.options = declare(self, NodeOptions, self._change)
        self._detector_options = declare(self, DetectorOptions)
        self._estimator_options = declare(self, MultiViewOptions)
        refuse_unknown(self)
        # Detector and tracker would forget everybody under new options, so they hold from start to end.
        for one in (*fields(DetectorOptions), *fields(MultiViewOptions)):
            descriptor = copy.copy(self.describe_parameter(one.name))
            descriptor.read_only = True
            self.set_descriptor(one.name, descriptor)

    def _change(self, options: NodeOptions) -> None:
        self.options = options

    def _make_inputs(self) -> None:
        options = self.options
        by_file = options.placement == "file" or (options.placement == "auto" and bool(options.rig_file))
        self._inputs = {
            name: CameraInput(
                self,
                name,
                options.image_topic,
                options.camera_info_topic,
                compressed=options.image_transport == "compressed",
                info_needed=not by_file,
                take=self._take,
            )
            for name in options.cameras
        }
        buffer = Buffer(node=self)
        # Its own people come back to a listener of /tf, so it listens only where TF is needed.
        self._listener = TransformListener(buffer, self) if not by_file or options.fixed_frame else None
        self._live_rig = LiveRig(
            options.cameras,
            tf_look_up(buffer, options.tf_wait, self._stopped),
            placement=options.placement,
            rectified=options.images_rectified(one.image_topic for one in self._inputs.values()),
            fixed_frame=options.fixed_frame,
            rig_file=options.rig_file,
            tf_patience_s=TF_PATIENCE_S,
        )

    # -- executor's thread ---------------------------------------------------------------------------------

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        self._arrived_s = frame.arrived_s
        now_ns = self.get_clock().now().nanoseconds
        if self.get_parameter("use_sim_time").value:
            # The image may overtake the /clock message of its own time.
            now_ns = max(now_ns, frame.stamp_ns)
        self._hand_over(self._grouper.add(camera, frame, frame.stamp_ns, now_ns))
        # The timer runs only while a set waits: each turn of rclpy's executor costs a fraction of a millisecond.
        if self._waiting.is_canceled() and self._grouper.due_ns() is not None:
            self._waiting.reset()

    def _poll(self) -> None:
        """Release a set whose wait is over though nothing arrives."""
        due_ns = self._grouper.due_ns()
        if due_ns is None:
            self._waiting.cancel()
            return
        now_ns = self.get_clock().now().nanoseconds
        if time.monotonic() - self._arrived_s > STANDSTILL_S:
            now_ns = max(now_ns, due_ns)
        self._hand_over(self._grouper.poll(now_ns))

    def _hand_over(self, ready: PayloadSet[Frame] | None) -> None:
        if ready is not None:
            self._record.count("received")
            if self._mailbox.put(ready):
                self._record.count("replaced")

    def _diagnose(self) -> None:
        """Say once a second how the node stands."""
        now_s = time.monotonic()
        health = self._record.health(now_s, self._missing(), self._facts())
        status = conversions.Status(
            f"{self.get_fully_qualified_name().lstrip('/')}: human_pose_3d",
            health.level,
            health.message,
            health.values,
        )
        self._diagnostics.publish(conversions.diagnostics_to_msg([status], self.get_clock().now().nanoseconds))
        if health.level is not Level.OK and now_s - self._started_s > LOG_EVERY_S / 2:
            self._warn_sometimes("health", health.message)

    def _missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        words = list(self._live_rig.warnings)
        for one in self._inputs.values():
            absent = one.missing()
            words += absent
            if not absent and one.silent_s() > self.options.silent_after:
                words.append(f"no image on {one.image_topic} for {one.silent_s():.1f} s")
        return words

    def _facts(self) -> dict[str, str]:
        """What does not change from set to set."""
        rig = self._live_rig.rig
        return {
            "placement": self._live_rig.placement,
            "fixed_frame": rig.frame_id if rig is not None else self.options.fixed_frame or "not known yet",
            "calibration_hash": self._process.calibration_hash or "not known yet",
            "cameras": ", ".join(self.options.cameras),
            "detector": self._detector.name,
            "device": _device_of(self._detector, self.options.device),
            "images/not_grouped": str(self._grouper.dropped),
            **{f"camera_info/{name}": one.pairing for name, one in self._inputs.items()},
            **{f"source/{package}": source for package, source in sources.items()},
        }

    # -- worker's thread -----------------------------------------------------------------------------------

    def _work(self, frames: PayloadSet[Frame]) -> None:
        """One frame set, and what is told of it."""
        self._record.begun(time.monotonic())
        try:
            result = self._process(frames)
        finally:
            self._record.ended()
        if result is None:
            return
        self._record.processed(time.monotonic(), result)
        self._say_that_it_runs()

    def _publish(self, estimate: Estimate, frames: dict[str, Frame], rig: Rig, arrived_s: float) -> float:
        return self._publisher.publish(estimate, frames, rig, arrived_s, self.options)

    def _dropped_frame(self, why: str) -> None:
        """One camera's image is not used; the others' may be."""
        self._record.count("frames_dropped")
        self._record.cause(time.monotonic(), why)
        self._warn_sometimes("frame", why)

    def _failed(self, error: Exception) -> None:
        """A frame set was lost to an exception: a user's mistake in its own words, anything else with its type."""
        if self._stopped.is_set():
            return
        why = str(error) if isinstance(error, Pose3DError) else f"{type(error).__name__}: {error} ({_place_of(error)})"
        self._record.count("dropped")
        self._record.cause(time.monotonic(), why)
        self._warn_sometimes("set", why)

    def _warn_sometimes(self, kind: str, message: str) -> None:
        """Log, at most once in LOG_EVERY_S of one kind; rclpy's own throttle goes by line of code."""
        now_s = time.monotonic()
        if now_s - self._logged.get(kind, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._logged[kind] = now_s
            self.get_logger().warning(message)

    def _say_that_it_runs(self) -> None:
        """Log what is in use, again when cameras come, go or change; not whenever a moving camera has moved."""
        rig = self._live_rig.rig
        if rig is None or self._told_running == (running := (self._live_rig.placement, rig.frame_id, *lenses(rig))):
            return
        self._told_running = running
        facts = self._facts()
        origins = ", ".join(f"{package} from {source}" for package, source in sources.items())
        self.get_logger().info(
            f"running: {', '.join(rig.names)} by {facts['placement']} in frame {facts['fixed_frame']}, "
            f"{facts['detector']} on {facts['device']}, calibration {facts['calibration_hash']}; {origins}"
        )


def check_topics(options: NodeOptions) -> None:
    """Raise OptionError where the cameras' names and the topic patterns give something that ROS takes for no topic."""
    for camera in options.cameras:
        for pattern in ("{camera}/keypoints_2d", options.image_topic, options.camera_info_topic):
            topic = pattern.replace("{camera}", camera)
            try:
                validate_topic_name(topic)
            except InvalidTopicNameException as error:
                raise OptionError(
                    f"camera {camera!r} of the parameter 'cameras' gives the topic {topic!r}, which ROS does not allow "
                    f"({str(error).splitlines()[0]}): use letters, digits and _, no digit first"
                ) from error


def lenses(rig: Rig) -> tuple[str, ...]:
    """What tells a rig from another, but for where its cameras are."""
    return tuple(
        f"{one.name} {one.size_wh} {one.K.tobytes().hex()} {one.distortion_model} {one.distortion.tobytes().hex()}"
        for one in rig.cameras
    )


def _place_of(error: Exception) -> str:
    """File and line that an unexpected exception came from, for the bug report."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _device_of(detector: Detector, asked: str) -> str:
    return str(getattr(detector, "device", asked))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    return run_node(MultiViewNode, OPTIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
