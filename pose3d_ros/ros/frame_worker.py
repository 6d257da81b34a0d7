"""What the worker's thread does with one frame set: update the rig, decode, estimate, publish, take the times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pose3d_ros.detection.detector import Detector
from pose3d_ros.errors import InputError, Pose3DError
from pose3d_ros.estimation.frame_sets import PayloadSet
from pose3d_ros.estimation.multiview import Estimate, MultiViewEstimator, MultiViewOptions
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.conversions import image_from_msg
from pose3d_ros.ros.diagnostics import Result
from pose3d_ros.ros.live_rig import LiveRig, Sighting
from pose3d_ros.structures import FrameSet, Rig

Answer = TypeVar("Answer")

# Sends an estimate made of these frames and this rig; arrived_s is when the last image came (monotonic).
# Returns the latency in s.
Publish = Callable[[Estimate, dict[str, Frame], Rig, float], float]


class FrameWorker:
    """Callable on a set of undecoded frames; remembers people and calibration between calls.

    A camera whose frame cannot be used is left out, and dropped gets the reason. Raises Pose3DError where
    fewer than two cameras are left, and whatever the detector raises.
    """

    def __init__(
        self,
        live_rig: LiveRig,
        detector: Detector,
        options: MultiViewOptions,
        publish: Publish,
        dropped: Callable[[str], None],
        stopped: threading.Event,
    ) -> None:
        self.live_rig = live_rig
        self.calibration_hash = ""
        self._detector = detector
        self._options = options
        self._publish = publish
        self._dropped = dropped
        self._stopped = stopped
        self._estimator: MultiViewEstimator | None = None

    def __call__(self, frames: PayloadSet[Frame]) -> Result | None:
        """One frame set, from messages to messages; None when the node stopped meanwhile."""
        sightings = {
            name: Sighting(frame.info, frame.image.header.frame_id, frame.stamp_ns)
            for name, frame in frames.payloads.items()
        }
        rig = self.live_rig.update(sightings)
        problems = self.live_rig.problems
        for problem in dict.fromkeys(problems.values()):
            self._dropped(problem)
        estimator = self._estimator_for(rig)
        placed = {name: one for name, one in frames.payloads.items() if name in rig.names and name not in problems}
        images, decode_ms = timed(lambda: self._decode(placed, rig))
        used = {name: placed[name] for name in images}
        stamps_ns = {name: frame.stamp_ns for name, frame in used.items()}
        estimate = estimator.estimate(FrameSet(images, stamps_ns))
        if self._stopped.is_set():
            return None
        arrived_s = max(frame.arrived_s for frame in frames.payloads.values())
        latency_s, publish_ms = timed(lambda: self._publish(estimate, used, rig, arrived_s))
        self.calibration_hash = rig.calibration_hash
        return Result(
            stage_ms={"decode": decode_ms, **estimate.stage_ms, "publish": publish_ms},
            latency_ms=1000 * latency_s,
            spread_ms=(max(stamps_ns.values()) - min(stamps_ns.values())) / 1e6,
            people=len(estimate.pose),
            single_view=estimate.single_view,
            cameras=tuple(used),
            rejected=estimate.rejected,
        )

    def _estimator_for(self, rig: Rig) -> MultiViewEstimator:
        """The estimator with this rig; people are kept when the calibration changes."""
        if self._estimator is None:
            self._estimator = MultiViewEstimator(rig, self._detector, self._options)
        elif self._estimator.rig is not rig:
            self._estimator.set_rig(rig)
        return self._estimator

    def _decode(self, frames: dict[str, Frame], rig: Rig) -> dict[str, Any]:
        """uint8 BGR images by camera, less those that cannot be used; raises InputError for fewer than two."""
        images, problems = {}, list(self.live_rig.problems.values())
        for name, frame in frames.items():
            try:
                image = image_from_msg(frame.image)
                check_image_size(rig.camera(name), image.shape)
                images[name] = image
            except Pose3DError as error:
                problems.append(f"camera {name!r} on {frame.topic}: {error}")
                self._dropped(problems[-1])
        if len(images) < 2:
            raise InputError("; ".join(dict.fromkeys(problems)) or "fewer than two cameras of this set can be used")
        return images


def timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """The answer of work, and how long it took in ms."""
    start = time.perf_counter()
    answer = work()
    return answer, 1000 * (time.perf_counter() - start)
