"""What an active pose node works with: inputs, frame sets, the live rig, the worker and the watch over ages.

The executor's thread only takes messages and groups them; one worker thread works on the newest frame set: update the
rig, decode, estimate, publish.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode

from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.refinement.stage import Refinement
from pose3d_ros.estimation.single_view import PersonLifter
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
from pose3d_ros.ros.diagnostics import KEYPOINTS_FEW, KEYPOINTS_FIX, TOO_FEW, Record
from pose3d_ros.ros.distribution import Buffer, TransformListener
from pose3d_ros.ros.frame_decoders import FrameDecoder
from pose3d_ros.ros.frame_worker import FrameWorker
from pose3d_ros.ros.lifecycle import Lifecycle
from pose3d_ros.ros.log_lines import short
from pose3d_ros.ros.node_report import NodeReport, detector_facts
from pose3d_ros.ros.options import InputOptions, LiveOptions, PoseNodeOptions, SyncOptions
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.tf_look_up import tf_look_up, unheard_by
from pose3d_ros.ros.watch import Watch
from pose3d_ros.structures import Rig
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper, PayloadSet
from pose3d_ros.synchronisation.stamp_distances import Stream, none_agree

# A fraction of the wait for late cameras: how late its end may be noticed when nothing arrives.
POLL_S = 0.02
# Where ROS time stands still (a paused simulation), an incomplete set is released after so long of real time.
STANDSTILL_S = 1.0
# After this part of max_age_s without another camera one is alone: lifting must begin before people are forgotten.
ALONE_SHARE = 0.5
# Placement auto waits so long for TF before it takes the projection matrices: who starts first must not decide.
TF_PATIENCE_S = 2.0


@dataclass
class Networks:
    """What a configured node has loaded, and the estimator that an active one made of it."""

    detector: Detector
    decoder: FrameDecoder
    refinement: Refinement | None
    lifter: PersonLifter
    estimator: PoseEstimator | None = None


class Session:
    """Runs from activation to close(); raises what hinders it, and then has undone what it began."""

    def __init__(
        self,
        node: LifecycleNode,
        live: LiveOptions,
        networks: Networks,
        publisher: PosePublisher,
        report: NodeReport,
        lifecycle: Lifecycle,
        buffer: Buffer,
        options: PoseNodeOptions,
        inputs: InputOptions,
        sync: SyncOptions,
    ) -> None:
        self._node, self._live, self._networks, self._report = node, live, networks, report
        self._options, self._input_options, self._sync = options, inputs, sync
        self._several = len(options.cameras) > 1
        self._arrived_s = 0.0
        stopped = threading.Event()
        with ExitStack() as begun:
            report.begin(Record(self._waiting_for(), stale_s=inputs.stale_after_s, apart=self._stamps_apart))
            self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper(
                options.cameras,
                tolerance_s=sync.tolerance_s(inputs.stamps),
                wait_s=sync.sync_timeout_s,
                silent_s=inputs.silent_after_s,
                min_cameras=min(2, len(options.cameras)),
                alone_s=self._alone_s(),
            )
            self._inputs = self._make_inputs(begun)
            self._live_rig = self._make_rig(begun, buffer, stopped)
            watch = Watch(node, live, publisher, report)
            begun.callback(watch.close)
            self._worker = FrameWorker(
                self._live_rig,
                self._make_estimator,
                watch.publish,
                report,
                stopped,
                min_cameras=min(2, len(options.cameras)),
                settings=lambda: live.estimation,
                decoder=networks.decoder,
                end=lifecycle.end_worker,
            )
            begun.callback(self._worker.close)
            self._waiting = node.create_timer(POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
            begun.callback(node.destroy_timer, self._waiting)
            self._waiting.cancel()
            self._closed = False
            self._begun = begun.pop_all()
        note_stamps(node, inputs)
        topics = [topic for one in self._inputs.values() for topic in one.waited_for]
        node.get_logger().info(short(f"waiting for {', '.join(topics)}", ", "))

    def close(self) -> None:
        """Stop working; what is under way is finished first. Raises StillBusyError."""
        self._closed = True
        self._begun.close()

    def options_changed(self) -> None:
        """Take over the node's estimator options, as far as they matter here."""
        self._grouper.set_alone(self._alone_s())

    def missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        options = self._input_options
        return [
            *self._live_rig.warnings,
            *missing_inputs(self._inputs.values(), options.silent_after_s, options.stale_after_s),
        ]

    def facts(self) -> dict[str, str]:
        """What does not change from set to set, for /diagnostics."""
        rig, options = self._live_rig.rig, self._options
        in_place = self._several or options.fixed_frame or self._by_file
        return {
            "placement": self._live_rig.placement if in_place else "none",
            "fixed_frame": rig.frame_id if rig is not None else options.fixed_frame or "not known yet",
            "calibration_hash": self._worker.calibration_hash or "not known yet",
            "cameras": ", ".join(options.cameras),
            "input": options.input,
            **detector_facts(self._networks.detector, self._input_options.device),
            "lifter": self._networks.lifter.described,
            "images/not_grouped": str(self._grouper.dropped),
            "time_jumps": str(self._grouper.jumps),
            **camera_facts(self._inputs.values(), self._input_options),
            **{f"camera_info/{name}": one.pairing for name, one in self._inputs.items()},
        }

    @property
    def _by_file(self) -> bool:
        placement = self._options.placement
        return placement == "file" or (placement == "auto" and bool(self._options.rig_file))

    def _waiting_for(self) -> str:
        """What is waited for while images come and no frame set does."""
        if self._several:
            return TOO_FEW if self._options.input == "images" else KEYPOINTS_FEW
        return f"{self._options.input} come; waiting for the camera_info of one of them"

    def _alone_s(self) -> float:
        """When one camera of several is alone; never without a network that lifts."""
        return ALONE_SHARE * self._live.estimation.max_age_s if self._networks.lifter.load() else math.inf

    def _make_inputs(self, begun: ExitStack) -> dict[str, CameraInput]:
        options, inputs = self._options, self._input_options
        made = {}
        for name in options.cameras:
            images = options.input == "images"
            stream = image_stream(self._node, name, inputs) if images else keypoint_stream(name)
            made[name] = CameraInput(
                self._node,
                name,
                inputs,
                info_needed=not self._by_file,
                now_s=self._report.now_s,
                take=self._take,
                stream=stream,
            )
            begun.callback(made[name].close)
        return made

    def _make_rig(self, begun: ExitStack, buffer: Buffer, stopped: threading.Event) -> LiveRig:
        options, inputs, node = self._options, self._input_options, self._node
        # One camera without a frame to be placed in gives poses in its own.
        placement = options.placement if self._several or self._by_file else "tf"
        # Its own people come back to a listener of /tf, so it listens only where TF is needed.
        unheard: Callable[[], str] = str
        if options.fixed_frame or (self._several and not self._by_file):
            begun.callback(buffer.clear)
            listener = TransformListener(buffer, node)
            begun.callback(listener.unregister)
            unheard = partial(unheard_by, listener, node)
        topics = [node.resolve_topic_name(image_stream(node, name, inputs).topic) for name in options.cameras]
        return LiveRig(
            options.cameras,
            tf_look_up(buffer, inputs.tf_timeout_s, stopped, unheard),
            placement=placement,
            rectified=inputs.images_rectified(topics),
            fixed_frame=options.fixed_frame,
            rig_file=options.rig_file,
            tf_patience_s=TF_PATIENCE_S,
            min_cameras=min(2, len(options.cameras)),
        )

    def _make_estimator(self, rig: Rig) -> PoseEstimator:
        """The estimator for this rig; one that was active before has forgotten all people, and gives no id again."""
        networks = self._networks
        if networks.estimator is not None:
            networks.estimator.reset()
            networks.estimator.set_rig(rig)
        else:
            networks.estimator = PoseEstimator(
                rig, networks.detector, self._live.estimation, networks.lifter, refinement=networks.refinement
            )
        return networks.estimator

    # -- executor's thread ---------------------------------------------------------------------------------

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        self._report.record.heard(self._report.now_s())
        self._arrived_s = time.monotonic()
        now_ns = self._node.get_clock().now().nanoseconds
        if self._node.get_parameter("use_sim_time").value:
            # The image may overtake the /clock message of its own time.
            now_ns = max(now_ns, frame.stamp_ns)
        self._hand_over(self._grouper.add(camera, frame, frame.stamp_ns, now_ns))
        # The timer runs only while a set waits: each turn of rclpy's executor costs a fraction of a millisecond.
        if self._waiting.is_canceled() and self._grouper.due_ns() is not None:
            self._waiting.reset()

    def _poll(self) -> None:
        """Release a set whose wait is over though nothing arrives."""
        if self._closed:
            return  # an executor called a timer that is destroyed by now
        due_ns = self._grouper.due_ns()
        if due_ns is None:
            self._waiting.cancel()
            return
        now_ns = self._node.get_clock().now().nanoseconds
        if time.monotonic() - self._arrived_s > STANDSTILL_S:
            now_ns = max(now_ns, due_ns)
        self._hand_over(self._grouper.poll(now_ns))

    def _hand_over(self, ready: PayloadSet[Frame] | None) -> None:
        if ready is not None:
            self._worker.hand_over(ready)

    def _stamps_apart(self) -> str:
        """Whose stamps make no frame set, and how far apart they are; empty where they agree."""
        streams = [Stream(one.name, one.topic, one.checks.stamps_ns) for one in self._inputs.values()]
        fix = KEYPOINTS_FIX if self._options.input == "keypoints" else ""
        return none_agree(streams, self._sync.stamp_tolerance_s, fix)
