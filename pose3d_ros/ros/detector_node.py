"""The node "detector": images of one or more cameras in, <camera>/keypoints_2d out, for a multi-view node elsewhere.

It needs no calibration. The executor's thread only takes messages and groups them; one worker thread works on the
newest frame set. Keypoints carry their image's own stamp and frame.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher

from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.out_of_memory import MemoryShortage, free
from pose3d_ros.errors import InputError, Pose3DError
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import Frame, image_stream, note_stamps
from pose3d_ros.ros.camera_sets import CameraSets
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
from pose3d_ros.synchronisation.frame_sets import PayloadSet

OPTIONS = (LifecycleOptions, DetectorNodeOptions, SyncOptions, InputOptions, DetectorOptions)

# Reliable, keep last: a message is small, and the multi-view node should miss none of it.
DEPTH = 10


class DetectorNode(LifecycleNode):
    """2D keypoints of all people in the images of one or more cameras.

    detector replaces the default one, e.g. in tests. Raises OptionError for wrong or unknown parameters, with autostart
    also WeightsError when the detector's weights are missing or not those published. Call close() before
    destroy_node().
    """

    def __init__(self, detector: Detector | None = None, **node_arguments: Any) -> None:
        super().__init__("detector", **node_arguments)
        self._given = detector
        self._detector: Detector | None = None  # of a configured node
        self._topics: dict[str, Publisher[Keypoints2DArray]] = {}
        self._session: DetectorSession | None = None  # of an active one
        self._lifecycle = Lifecycle(self, self._configure, self._activate, self._deactivate, self._cleanup)
        self._declare()
        self._report = NodeReport(self, Record(), self._missing, self._facts, self._lifecycle, product="keypoints_2d")
        if current(self, LifecycleOptions).autostart:
            self._lifecycle.start()

    def close(self) -> None:
        """Stop working; what is under way is finished first."""
        self._lifecycle.close()

    def _declare(self) -> None:
        take_boolean_rectified(self)
        for kind in OPTIONS:
            declare(self, kind, fixed=self._lifecycle.fixed)
        # One parameter file, such as config/realsense.yaml, serves both ends.
        refuse_unknown(self, others=(PoseNodeOptions, OutputOptions, EstimatorOptions))

    def _configure(self) -> None:
        """Load what the parameters name: weights that cannot be had end it, not the first image."""
        cameras, inputs = current(self, DetectorNodeOptions).cameras, current(self, InputOptions)
        check_topics(cameras, inputs, parameter="cameras")
        self._detector = self._given or make_detector(current(self, DetectorOptions), inputs.device, live=True)
        for name in cameras:
            self._topics[name] = self.create_publisher(Keypoints2DArray, f"{name}/keypoints_2d", DEPTH)

    def _activate(self) -> None:
        assert self._detector is not None
        inputs, sync = current(self, InputOptions), current(self, SyncOptions)
        self._session = DetectorSession(self, self._detector, self._topics, self._report, self._lifecycle, inputs, sync)

    def _deactivate(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _cleanup(self) -> None:
        for one in self._topics.values():
            self.destroy_publisher(one)
        self._topics, self._detector = {}, None
        free()

    def _missing(self) -> list[str]:
        """Which inputs do not come, in words."""
        return self._session.missing() if self._session is not None else []

    def _facts(self) -> dict[str, str]:
        """What does not change from set to set."""
        return self._session.facts() if self._session is not None else {}


class DetectorSession:
    """What an active detector node works with, from activation to close()."""

    def __init__(
        self,
        node: LifecycleNode,
        detector: Detector,
        publishers: Mapping[str, Publisher[Keypoints2DArray]],
        report: NodeReport,
        lifecycle: Lifecycle,
        inputs: InputOptions,
        sync: SyncOptions,
    ) -> None:
        self._detector, self._topics, self._report, self._inputs = detector, publishers, report, inputs
        self._stopped, self._shortage = threading.Event(), MemoryShortage()
        waiting = "images come; the first of them are waited for"
        report.begin(Record(waiting, product="keypoints", stale_s=inputs.stale_after_s))
        detector.reset()
        streams = {name: image_stream(node, name, inputs) for name in publishers}
        self._mailbox: Mailbox[PayloadSet[Frame]] = Mailbox()
        with ExitStack() as begun:
            # Late cameras are waited for in real time, whatever ROS time does.
            self._sets = CameraSets(
                node, streams, inputs, sync, report, self._hand_over, lambda _: time.monotonic_ns(), info_needed=False
            )
            begun.callback(self._sets.close)
            thread = start_worker(self._mailbox, self._work, self._failed, "detector worker")
            begun.callback(lifecycle.end_worker, self._mailbox, thread)
            self._begun = begun.pop_all()
        note_stamps(node, inputs)
        words = detector_words(detector_facts(detector, inputs.device))
        node.get_logger().info(short(f"{words}, waiting for {', '.join(self._sets.topics)}", ", "))

    def close(self) -> None:
        """Stop working; what is under way is finished first, and not published. Raises StillBusyError."""
        self._stopped.set()
        self._begun.close()

    def missing(self) -> list[str]:
        """Which inputs do not come, in words."""
        return self._sets.missing()

    def facts(self) -> dict[str, str]:
        """Key values for /diagnostics."""
        return {**detector_facts(self._detector, self._inputs.device), **self._sets.facts()}

    def _hand_over(self, ready: PayloadSet[Frame]) -> None:
        self._report.record.count("received")
        if self._mailbox.put(ready):
            self._report.record.count("replaced")

    # -- worker's thread -----------------------------------------------------------------------------------

    def _failed(self, error: Exception) -> None:
        if not self._stopped.is_set():
            self._report.failed(self._shortage.explained(error))

    def _work(self, frames: PayloadSet[Frame]) -> None:
        """One frame set, from images to keypoints, and what is reported of it."""
        record = self._report.record
        record.begun(self._report.now_s())
        try:
            images, decode_ms = timed(lambda: self._decode(frames))
            record.decoded(self._report.now_s(), images)
            stamps_ns = {name: frames.stamps_ns[name] for name in images}
            keypoints, detect_ms = timed(lambda: self._detector(FrameSet(images, stamps_ns)))
            if self._stopped.is_set():
                return
            sizes = {name: (image.shape[1], image.shape[0]) for name, image in images.items()}
            latency_s, publish_ms = timed(lambda: self._publish(keypoints, frames.payloads, sizes))
        finally:
            record.ended()
        record.processed(
            self._report.now_s(),
            Result(
                stage_ms={"decode": decode_ms, "detect": detect_ms, "publish": publish_ms},
                latency_ms=1000 * latency_s,
                spread_ms=(max(stamps_ns.values()) - min(stamps_ns.values())) / 1e6,
                people=max((len(one) for one in keypoints.values()), default=0),
                cameras=tuple(images),
            ),
        )
        self._shortage.over()

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
            self._topics[name].publish(
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
