"""A thread that works on the newest frame set: update the rig, decode, estimate, publish, take the times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pose3d_ros.detection.out_of_memory import MemoryShortage
from pose3d_ros.errors import InputError, Pose3DError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.staleness import DELIVERY_S
from pose3d_ros.rigs.live_rig import CameraUpdate, LiveRig
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.diagnostics import Result, Sent
from pose3d_ros.ros.frame_decoders import FrameDecoder
from pose3d_ros.ros.mailbox import Mailbox, end_worker, start_worker
from pose3d_ros.ros.node_report import NodeReport
from pose3d_ros.structures import Rig
from pose3d_ros.synchronisation.frame_sets import PayloadSet
from pose3d_ros.synchronisation.pacing import Pacing

MOST_LATE = 5  # the largest lag_sets

Answer = TypeVar("Answer")

# Sends an estimate made of these frames and this rig; arrived_s is when the last image came (monotonic).
Publish = Callable[[Estimate, dict[str, Frame], Rig, float], Sent]


class FrameWorker:
    """Works on the newest set of undecoded frames handed over; remembers people and calibration between sets.

    make gives the estimator for the first rig; settings its options, which may be others from set to set; decoder says
    what frames hold. Once a set's poses are out, the estimator learns from it. stopped is set by close(). A
    camera whose frame cannot be used is left out, and the report gets the reason; a set with fewer than min_cameras
    left is lost (unless it had fewer from the start), as it is where the estimator raises.
    """

    def __init__(
        self,
        live_rig: LiveRig,
        make: Callable[[Rig], PoseEstimator],
        publish: Publish,
        report: NodeReport,
        stopped: threading.Event,
        *,
        min_cameras: int,
        settings: Callable[[], EstimatorOptions],
        decoder: FrameDecoder,
        end: Callable[[Mailbox[Any], threading.Thread], None] = end_worker,
    ) -> None:
        self.live_rig = live_rig
        self._decoder = decoder
        self.calibration_hash = ""
        self._make = make
        self._publish = publish
        self._report = report
        self._stopped = stopped
        self._min_cameras = min_cameras
        self._estimator: PoseEstimator | None = None
        self._settings = settings
        self._applied: EstimatorOptions | None = None
        self._shortage = MemoryShortage()
        self._pacing = Pacing()
        self._sets: list[tuple[dict[str, Frame], Rig, float]] = []  # the last ones: poses may be of an earlier one
        self._mailbox: Mailbox[PayloadSet[Frame]] = Mailbox()
        self._end = end
        self._thread = start_worker(self._mailbox, self._work, self._failed, "frame worker")

    def hand_over(self, frames: PayloadSet[Frame]) -> None:
        """Lay a set down for the thread, in the place of one that it has not taken yet."""
        self._report.record.count("received")
        self._pacing.arrived(self._age_s(frames))
        if self._mailbox.put(frames):
            self._report.record.count("replaced")

    def close(self) -> None:
        """Stop working; what is under way is finished first, and not published. Raises StillBusyError."""
        self._stopped.set()
        self._end(self._mailbox, self._thread)

    def _failed(self, error: Exception) -> None:
        if not self._stopped.is_set():
            self._report.failed(self._shortage.explained(error))

    def _work(self, frames: PayloadSet[Frame]) -> None:
        """One frame set, and what is reported of it."""
        record = self._report.record
        if self._pacing.skips(age_s := self._age_s(frames)):
            record.count("replaced")  # by the one that is waited for
            return
        record.begun(self._report.now_s())
        try:
            result = self._process(frames)
        finally:
            record.ended()
        if result is not None:
            record.processed(self._report.now_s(), result)
            self._pacing.done(result.age_ms / 1000 - age_s, result.visible_ms / 1000 - DELIVERY_S)
            if (rig := self.live_rig.rig) is not None:
                tuned = self._estimator.refinement.tuned if self._estimator is not None else ""
                self._report.say_that_it_runs(rig, tuned)
            if self._estimator is not None and (error := self._estimator.update_background()):
                self._report.not_learnt(error)  # the poses are out: the set is not lost

    def _age_s(self, frames: PayloadSet[Frame]) -> float:
        """How long ago the oldest of the images was captured."""
        return self._report.now_s() - min(frame.captured_s for frame in frames.payloads.values())

    def _process(self, frames: PayloadSet[Frame]) -> Result | None:
        """One frame set, from messages to messages; None when the node stopped meanwhile, or the pose waits."""
        cameras = {
            name: CameraUpdate(frame.info, frame.message.header.frame_id, frame.stamp_ns)
            for name, frame in frames.payloads.items()
        }
        rig = self.live_rig.update(cameras)
        problems = self.live_rig.problems
        for problem in dict.fromkeys(problems.values()):
            self._report.dropped_frame(problem)
        estimator = self._estimator_for(rig)
        placed = {name: one for name, one in frames.payloads.items() if name in rig.names and name not in problems}
        decoded, decode_ms = timed(lambda: self._decode(placed, rig))
        self._report.record.decoded(self._report.now_s(), decoded)
        used = {name: placed[name] for name in decoded}
        stamps_ns = {name: frame.stamp_ns for name, frame in used.items()}
        estimate = self._decoder.estimate(estimator, decoded, stamps_ns)
        if self._stopped.is_set():
            return None
        arrived_s = max(frame.arrived_s for frame in frames.payloads.values())
        self._sets = [*self._sets, (used, rig, arrived_s)][-MOST_LATE - 1 :]
        if estimate.waits:
            return None
        used, rig, arrived_s = self._sets[-1 - estimate.sets_late]
        sent, publish_ms = timed(lambda: self._publish(estimate, used, rig, arrived_s))
        self._shortage.over()
        self.calibration_hash = rig.calibration_hash
        return Result(
            stage_ms={"decode": decode_ms, **estimate.stage_ms, "publish": publish_ms},
            latency_ms=1000 * sent.latency_s,
            age_ms=1000 * sent.age_s,
            visible_ms=1000 * sent.visible_s,
            spread_ms=(max(stamps_ns.values()) - min(stamps_ns.values())) / 1e6,
            people=len(estimate.pose),
            cameras=tuple(used),
            estimate=estimate,
        )

    def _estimator_for(self, rig: Rig) -> PoseEstimator:
        """The estimator with this rig and the options of now; people are kept when either changes."""
        if self._estimator is None:
            self._estimator = self._make(rig)
        elif self._estimator.rig is not rig:
            self._estimator.set_rig(rig)
        if (settings := self._settings()) is not self._applied:
            self._estimator.set_options(settings)
            self._applied = settings
        return self._estimator

    def _decode(self, frames: dict[str, Frame], rig: Rig) -> dict[str, Any]:
        """What frames hold by camera, less those that cannot be used; raises InputError for fewer than min_cameras."""
        decoded, problems = {}, list(self.live_rig.problems.values())
        for name, frame in frames.items():
            try:
                decoded[name] = self._decoder.decode(frame, rig.camera(name))
            except Pose3DError as error:
                problems.append(f"camera {name!r} on {frame.topic}: {error}")
                self._report.dropped_frame(problems[-1])
        # Where the only camera left is to be used, its images come alone: one of several that failed is no such case.
        if len(decoded) < min(self._min_cameras, len(frames) + len(self.live_rig.problems)):
            few = f"fewer than {self._min_cameras} cameras of this set can be used"
            raise InputError("; ".join(dict.fromkeys(problems)) or few)
        return decoded


def timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """The answer of work, and how long it took in ms."""
    start = time.perf_counter()
    answer = work()
    return answer, 1000 * (time.perf_counter() - start)
