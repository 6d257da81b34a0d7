"""The node "multiview": images of two or more calibrated cameras, or keypoints made of them, in, /human_pose_3d out.

The executor's thread only takes messages and groups them; one worker thread works on the newest frame set:
update the rig, decode, estimate, publish. A frame that cannot be used is dropped, its cause is logged and
told in /diagnostics, and the node goes on.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode

from pose3d_ros import kernels
from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.out_of_memory import free
from pose3d_ros.estimation.fallback import MonocularFallback
from pose3d_ros.estimation.multiview import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.options import load_refinement
from pose3d_ros.rigs.live_rig import LiveRig
from pose3d_ros.ros.camera_inputs import (
    CameraInput,
    Frame,
    camera_facts,
    image_stream,
    keypoint_stream,
    missing_inputs,
    note_stamps,
)
from pose3d_ros.ros.camera_topics import check_topics
from pose3d_ros.ros.diagnostics import KEYPOINTS_FEW, KEYPOINTS_FIX, TOO_FEW, Record
from pose3d_ros.ros.distribution import Buffer, TransformListener
from pose3d_ros.ros.frame_decoders import DetectorsElsewhere, FrameDecoder, ImageDecoder, KeypointDecoder
from pose3d_ros.ros.frame_worker import FrameWorker
from pose3d_ros.ros.input_options import InputOptions
from pose3d_ros.ros.lifecycle import Lifecycle
from pose3d_ros.ros.lifecycle_options import LifecycleOptions
from pose3d_ros.ros.log_lines import short
from pose3d_ros.ros.multiview_options import NodeOptions
from pose3d_ros.ros.node_report import NodeReport, detector_facts
from pose3d_ros.ros.output_options import OutputOptions
from pose3d_ros.ros.parameters import current, declare, refuse_unknown, take_boolean_rectified
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.running import run_node
from pose3d_ros.ros.sync_options import SyncOptions
from pose3d_ros.ros.tf_look_up import tf_look_up, unheard_by
from pose3d_ros.ros.watch import Watch
from pose3d_ros.structures import Rig
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper, PayloadSet
from pose3d_ros.synchronisation.stamp_distances import Stream, none_agree

OPTIONS = (LifecycleOptions, NodeOptions, SyncOptions, InputOptions, OutputOptions, DetectorOptions, EstimatorOptions)

# A fraction of the wait for late cameras: how late its end may be noticed when nothing arrives.
POLL_S = 0.02
# Where ROS time stands still (a paused simulation), an incomplete set is released after so long of real time.
STANDSTILL_S = 1.0
# After this part of max_age_s without another camera one is alone: lifting must begin before people are forgotten.
ALONE_SHARE = 0.5
# Placement auto waits so long for TF before it takes the projection matrices: who starts first must not decide.
TF_PATIENCE_S = 2.0


class MultiViewNode(LifecycleNode):
    """Absolute 3D human poses from N >= 2 cameras.

    When one camera only is left, its people are lifted from that one view (monocular_fallback).

    detector and fallback replace the default ones, e.g. in tests. Raises OptionError for wrong or unknown parameters;
    with autostart also CalibrationError for a rig file that cannot be used, WeightsError when the default detector's
    weights, or those that refine asks for by name, are missing or not those published. Call close() before
    destroy_node().
    """

    def __init__(
        self, detector: Detector | None = None, fallback: MonocularFallback | None = None, **node_arguments: Any
    ) -> None:
        super().__init__("multiview", **node_arguments)
        self._given = detector, fallback
        self._inputs: dict[str, CameraInput] = {}
        self._estimator: PoseEstimator | None = None
        self._buffer = Buffer(node=self)
        self._configured, self._running = ExitStack(), ExitStack()
        self._lifecycle = Lifecycle(self, self._configure, self._activate, self._deactivate, self._cleanup)
        self._declare()
        self._report = NodeReport(self, Record(), self._missing, self._facts, self._lifecycle)
        if current(self, LifecycleOptions).autostart:
            self._lifecycle.start()

    def close(self) -> None:
        """Stop working; what is under way is finished first."""
        self._lifecycle.close()

    # -- states --------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        take_boolean_rectified(self)
        fixed = self._lifecycle.fixed
        for kind in (LifecycleOptions, NodeOptions, SyncOptions, InputOptions, DetectorOptions):
            declare(self, kind, fixed=fixed)
        self.outputs = declare(self, OutputOptions, self._change_outputs, fixed)
        self._estimator_options = declare(self, EstimatorOptions, self._change_estimation, fixed)
        refuse_unknown(self)

    def _configure(self) -> None:
        """Load what the parameters name: weights that cannot be had end it, not the first frame set."""
        self.options, self.sets = current(self, NodeOptions), current(self, SyncOptions)
        self.inputs = current(self, InputOptions)
        options, estimation = self.options, self._estimator_options
        check_topics(options.cameras, self.inputs, parameter="cameras")
        given_detector, given_fallback = self._given
        with kernels.loading(self.get_logger().info):  # here, not in the first frame set
            self._detector, self._reading = self._make_reading(given_detector)
            self._refinement = load_refinement(estimation, self._detector)
            self._fallback = given_fallback or MonocularFallback(estimation.monocular_fallback, estimation.lifter)
            # In the middle of the work it would hold up the poses.
            self._fallback.load()
        self._publisher = PosePublisher(self, options.cameras, self._detector, self.outputs, self._keypoints_out)
        self._configured.callback(self._publisher.close)

    def _activate(self) -> None:
        stopped = threading.Event()
        self._report.begin(Record(self._waiting_for, stale_s=self.inputs.stale_after_s, apart=self._stamps_apart))
        self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper(
            self.options.cameras,
            tolerance_s=self.sets.tolerance_s(self.inputs.stamps),
            wait_s=self.sets.sync_timeout_s,
            silent_s=self.inputs.silent_after_s,
            min_cameras=2,
            alone_s=self._alone_s(),
        )
        self._arrived_s = 0.0
        self._make_inputs(stopped)
        self._watch = Watch(self, self._publisher, lambda: self.outputs, lambda: self._estimator_options, self._report)
        self._running.callback(self._watch.close)
        self._worker = FrameWorker(
            self._live_rig,
            self._make_estimator,
            self._watch.publish,
            self._report,
            stopped,
            min_cameras=2,
            settings=lambda: self._estimator_options,
            reading=self._reading,
            afterwards=self._learn,
            end=self._lifecycle.end_worker,
        )
        self._running.callback(self._worker.close)
        self._waiting = self.create_timer(POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._running.callback(self.destroy_timer, self._waiting)
        self._waiting.cancel()
        note_stamps(self, self.inputs)
        topics = [topic for one in self._inputs.values() for topic in one.waited_for]
        self.get_logger().info(short(f"waiting for {', '.join(topics)}", ", "))

    def _deactivate(self) -> None:
        self._running.close()
        self._inputs = {}

    def _cleanup(self) -> None:
        self._configured.close()
        for name in ("_detector", "_reading", "_refinement", "_fallback", "_publisher", "_worker", "_watch"):
            self.__dict__.pop(name, None)
        self._estimator = None
        free()

    def _change_outputs(self, outputs: OutputOptions) -> None:
        self.outputs = outputs
        if hasattr(self, "_publisher"):
            self._publisher.switch(outputs)

    def _change_estimation(self, estimation: EstimatorOptions) -> None:
        self._estimator_options = estimation  # the worker takes them over between two frame sets
        if self._inputs:
            self._grouper.set_alone(self._alone_s())

    def _alone_s(self) -> float:
        """When one camera is alone; never without a network that lifts."""
        return ALONE_SHARE * self._estimator_options.max_age_s if self._fallback.load() else math.inf

    def _make_reading(self, detector: Detector | None) -> tuple[Detector, FrameDecoder]:
        """Who detects, and what the frames then hold."""
        self._keypoints_out, self._waiting_for = "{camera}/keypoints_2d", TOO_FEW
        if self.options.input == "images":
            return detector or make_detector(
                current(self, DetectorOptions), self.inputs.device, live=True
            ), ImageDecoder()
        # Not on the topic that they come on.
        self._keypoints_out, self._waiting_for = "{camera}/keypoints_2d/with_ids", KEYPOINTS_FEW
        device = self.inputs.device
        elsewhere = DetectorsElsewhere(device if device.startswith("cuda") else "cpu")
        return elsewhere, KeypointDecoder(elsewhere)

    def _make_inputs(self, stopped: threading.Event) -> None:
        options, inputs = self.options, self.inputs
        by_file = options.placement == "file" or (options.placement == "auto" and bool(options.rig_file))
        images = {name: image_stream(self, name, inputs) for name in options.cameras}
        streams = images if options.input == "images" else {name: keypoint_stream(name) for name in options.cameras}
        self._inputs = {
            name: CameraInput(
                self, name, inputs, info_needed=not by_file, now_s=self._report.now_s, take=self._take, stream=stream
            )
            for name, stream in streams.items()
        }
        for one in self._inputs.values():
            self._running.callback(one.close)
        # Its own people come back to a listener of /tf, so it listens only where TF is needed.
        unheard: Callable[[], str] = str
        if not by_file or options.fixed_frame:
            self._running.callback(self._buffer.clear)
            listener = TransformListener(self._buffer, self)
            self._running.callback(listener.unregister)
            unheard = partial(unheard_by, listener, self)
        self._live_rig = LiveRig(
            options.cameras,
            tf_look_up(self._buffer, inputs.tf_timeout_s, stopped, unheard),
            placement=options.placement,
            rectified=inputs.images_rectified(self.resolve_topic_name(one.topic) for one in images.values()),
            fixed_frame=options.fixed_frame,
            rig_file=options.rig_file,
            tf_patience_s=TF_PATIENCE_S,
        )

    def _make_estimator(self, rig: Rig) -> PoseEstimator:
        """The estimator for this rig; one that was active before has forgotten everybody, and gives no id again."""
        if self._estimator is not None:
            self._estimator.reset()
            self._estimator.set_rig(rig)
            return self._estimator
        self._estimator = PoseEstimator(
            rig, self._detector, self._estimator_options, self._fallback, refinement=self._refinement
        )
        return self._estimator

    def _learn(self) -> None:
        """What the last set teaches beside its poses, which are out."""
        if self._estimator is not None:
            self._estimator.learn()

    # -- executor's thread ---------------------------------------------------------------------------------

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        self._report.record.heard(self._report.now_s())
        self._arrived_s = time.monotonic()
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
        if not self._inputs:
            return  # an executor called a timer that is destroyed by now
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
            self._worker.hand_over(ready)

    def _missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        if not self._inputs:
            return []
        inputs = self.inputs
        return [
            *self._live_rig.warnings,
            *missing_inputs(self._inputs.values(), inputs.silent_after_s, inputs.stale_after_s),
        ]

    def _stamps_apart(self) -> str:
        """Whose stamps make no frame set, and how far apart they are; empty where they agree."""
        streams = [Stream(one.name, one.topic, one.checks.stamps_ns) for one in self._inputs.values()]
        fix = KEYPOINTS_FIX if self.options.input == "keypoints" else ""
        return none_agree(streams, self.sets.stamp_tolerance_s, fix)

    def _facts(self) -> dict[str, str]:
        """What does not change from set to set."""
        if not self._inputs:
            return {}
        rig = self._live_rig.rig
        return {
            "placement": self._live_rig.placement,
            "fixed_frame": rig.frame_id if rig is not None else self.options.fixed_frame or "not known yet",
            "calibration_hash": self._worker.calibration_hash or "not known yet",
            "cameras": ", ".join(self.options.cameras),
            "input": self.options.input,
            **detector_facts(self._detector, self.inputs.device),
            "monocular_fallback": self._fallback.described,
            "images/not_grouped": str(self._grouper.dropped),
            "time_jumps": str(self._grouper.jumps),
            **camera_facts(self._inputs.values(), self.inputs),
            **{f"camera_info/{name}": one.pairing for name, one in self._inputs.items()},
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    return run_node(MultiViewNode, OPTIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
