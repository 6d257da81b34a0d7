"""The node "detector": images of one or more cameras in, <camera>/keypoints_2d out, for a multi-view node elsewhere.

It needs no calibration. The executor's thread only takes messages and groups them; one worker thread works on the
newest frame set. Keypoints carry their image's own stamp and frame.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode

from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.out_of_memory import MemoryShortage, free
from pose3d_ros.errors import InputError, Pose3DError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import CameraInput, Frame, camera_facts, missing_inputs, note_stamps
from pose3d_ros.ros.camera_topics import check_topics
from pose3d_ros.ros.diagnostics import Record, Result
from pose3d_ros.ros.frame_worker import timed
from pose3d_ros.ros.lifecycle import Lifecycle
from pose3d_ros.ros.log_lines import short
from pose3d_ros.ros.mailbox import Mailbox, start_worker
from pose3d_ros.ros.node_report import NodeReport, detector_facts, detector_words
from pose3d_ros.ros.options import (
    DetectorNodeOptions,
    InputOptions,
    LifecycleOptions,
    OutputOptions,
    PoseNodeOptions,
    SyncOptions,
)
from pose3d_ros.ros.parameters import current, declare, refuse_unknown, take_boolean_rectified
from pose3d_ros.ros.running import run_node
from pose3d_ros.structures import FrameSet, Keypoints2D
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper, PayloadSet

OPTIONS = (LifecycleOptions, DetectorNodeOptions, SyncOptions, InputOptions, DetectorOptions)

# How late the end of the wait for a late camera may be noticed when nothing arrives.
POLL_S = 0.02
# Reliable, keep last: a message is small, and the multi-view node should miss none of it.
DEPTH = 10


class DetectorNode(LifecycleNode):
    """2D keypoints of everybody in the images of one or more cameras.

    detector replaces the default one, e.g. in tests. Raises OptionError for wrong or unknown parameters, with autostart
    also WeightsError when the detector's weights are missing or not those published. Call close() before
    destroy_node().
    """

    def __init__(self, detector: Detector | None = None, **node_arguments: Any) -> None:
        super().__init__("detector", **node_arguments)
        self._given = detector
        self._inputs: list[CameraInput] = []
        self._configured, self._running = ExitStack(), ExitStack()
        self._lifecycle = Lifecycle(self, self._configure, self._activate, self._deactivate, self._cleanup)
        self._declare()
        self._report = NodeReport(self, Record(), self._missing, self._facts, self._lifecycle, product="keypoints_2d")
        if current(self, LifecycleOptions).autostart:
            self._lifecycle.start()

    def close(self) -> None:
        """Stop working; what is under way is finished first."""
        self._lifecycle.close()

    # -- states --------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        take_boolean_rectified(self)
        for kind in (LifecycleOptions, DetectorNodeOptions, SyncOptions, InputOptions, DetectorOptions):
            declare(self, kind, fixed=self._lifecycle.fixed)
        # One parameter file, such as config/realsense.yaml, serves both ends.
        refuse_unknown(self, others=(PoseNodeOptions, OutputOptions, EstimatorOptions))

    def _configure(self) -> None:
        """Load what the parameters name: weights that cannot be had end it, not the first image."""
        self.options, self.sets = current(self, DetectorNodeOptions), current(self, SyncOptions)
        self.inputs = current(self, InputOptions)
        cameras = self.options.cameras
        check_topics(cameras, self.inputs, parameter="cameras")
        self._detector = self._given or make_detector(current(self, DetectorOptions), self.inputs.device, live=True)
        self._keypoints = {
            name: self.create_publisher(Keypoints2DArray, f"{name}/keypoints_2d", DEPTH) for name in cameras
        }
        for one in self._keypoints.values():
            self._configured.callback(self.destroy_publisher, one)

    def _activate(self) -> None:
        cameras = self.options.cameras
        waiting = "images come; the first of them are waited for"
        self._report.begin(Record(waiting, product="keypoints", stale_s=self.inputs.stale_after_s))
        self._detector.reset()
        self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper(
            cameras,
            tolerance_s=self.sets.tolerance_s(self.inputs.stamps),
            wait_s=self.sets.sync_timeout_s,
            silent_s=self.inputs.silent_after_s,
        )
        self._inputs = [
            CameraInput(self, name, self.inputs, info_needed=False, now_s=self._report.now_s, take=self._take)
            for name in cameras
        ]
        for one in self._inputs:
            self._running.callback(one.close)
        self._mailbox: Mailbox[PayloadSet[Frame]] = Mailbox()
        self._running.callback(self._start_worker(self._mailbox))
        if len(cameras) > 1:  # one camera alone never waits for another
            timer = self.create_timer(POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
            self._running.callback(self.destroy_timer, timer)
        note_stamps(self, self.inputs)
        facts = detector_facts(self._detector, self.inputs.device)
        waiting = f"{detector_words(facts)}, waiting for {', '.join(self._topics())}"
        self.get_logger().info(short(waiting, ", "))

    def _start_worker(self, mailbox: Mailbox[PayloadSet[Frame]]) -> Callable[[], None]:
        """A thread that works on what lies in the mailbox; returns what stops it."""
        stopped, shortage = threading.Event(), MemoryShortage()

        def work(frames: PayloadSet[Frame]) -> None:
            self._work(frames, stopped)
            shortage.over()

        def failed(error: Exception) -> None:
            if not stopped.is_set():
                self._report.failed(shortage.explained(error))

        thread = start_worker(mailbox, work, failed, "detector worker")

        def stop() -> None:
            stopped.set()
            self._lifecycle.end_worker(mailbox, thread)

        return stop

    def _deactivate(self) -> None:
        self._running.close()
        self._inputs = []

    def _cleanup(self) -> None:
        self._configured.close()
        self._keypoints = {}
        self.__dict__.pop("_detector", None)
        free()

    # -- executor's thread ---------------------------------------------------------------------------------

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        self._report.record.heard(self._report.now_s())
        now_ns = time.monotonic_ns()  # waiting is for images that arrive, whatever ROS time does
        self._hand_over(self._grouper.add(camera, frame, frame.stamp_ns, now_ns))

    def _poll(self) -> None:
        """Release a set whose wait is over though nothing arrives."""
        self._hand_over(self._grouper.poll(time.monotonic_ns()))

    def _hand_over(self, ready: PayloadSet[Frame] | None) -> None:
        if ready is None:
            return
        self._report.record.count("received")
        if self._mailbox.put(ready):
            self._report.record.count("replaced")

    def _topics(self) -> list[str]:
        return [one.topic for one in self._inputs]

    def _missing(self) -> list[str]:
        """Which inputs do not come, in words."""
        if not self._inputs:
            return []
        return missing_inputs(self._inputs, self.inputs.silent_after_s, self.inputs.stale_after_s)

    def _facts(self) -> dict[str, str]:
        """What does not change from set to set."""
        if not self._inputs:
            return {}
        return {
            "cameras": ", ".join(self.options.cameras),
            **detector_facts(self._detector, self.inputs.device),
            "images/not_grouped": str(self._grouper.dropped),
            "time_jumps": str(self._grouper.jumps),
            **camera_facts(self._inputs, self.inputs),
        }

    # -- worker's thread -----------------------------------------------------------------------------------

    def _work(self, frames: PayloadSet[Frame], stopped: threading.Event) -> None:
        """One frame set, from images to keypoints, and what is told of it."""
        record = self._report.record
        record.begun(self._report.now_s())
        try:
            images, decode_ms = timed(lambda: self._decode(frames))
            record.decoded(self._report.now_s(), images)
            stamps_ns = {name: frames.stamps_ns[name] for name in images}
            found, detect_ms = timed(lambda: self._detector(FrameSet(images, stamps_ns)))
            if stopped.is_set():
                return
            sizes = {name: (image.shape[1], image.shape[0]) for name, image in images.items()}
            latency_s, publish_ms = timed(lambda: self._publish(found, frames.payloads, sizes))
        finally:
            record.ended()
        record.processed(
            self._report.now_s(),
            Result(
                stage_ms={"decode": decode_ms, "detect": detect_ms, "publish": publish_ms},
                latency_ms=1000 * latency_s,
                spread_ms=(max(stamps_ns.values()) - min(stamps_ns.values())) / 1e6,
                people=max((len(one) for one in found.values()), default=0),
                cameras=tuple(images),
            ),
        )

    def _decode(self, frames: PayloadSet[Frame]) -> dict[str, Any]:
        """uint8 BGR images by camera, less those that cannot be used; raises InputError where none can."""
        images: dict[str, Any] = {}
        problems = []
        for name, frame in frames.payloads.items():
            try:
                images[name] = conversions.image_from_msg(frame.message)
            except Pose3DError as error:
                problems.append(f"camera {name!r} on {frame.topic}: {error}")
                self._report.dropped_frame(problems[-1])
        if not images:
            raise InputError("; ".join(problems))
        return images

    def _publish(self, found: dict[str, Keypoints2D], frames: Any, sizes: dict[str, tuple[int, int]]) -> float:
        """Send every camera's keypoints; returns the latency in s of the slowest."""
        slowest_s = 0.0
        for name, keypoints in found.items():
            latency_s = time.monotonic() - frames[name].arrived_s
            slowest_s = max(slowest_s, latency_s)
            self._keypoints[name].publish(
                conversions.keypoints_to_msg(
                    keypoints,
                    [""] * len(keypoints),
                    camera_name=name,
                    frame_id=frames[name].message.header.frame_id,
                    size_wh=sizes[name],
                    detector=self._detector.name,
                    latency_s=latency_s,
                )
            )
        return slowest_s


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    return run_node(DetectorNode, OPTIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
