"""The node "monocular": images of one calibrated camera in, /human_pose_3d in metres out.

The executor's thread only takes messages; one worker thread works on the newest image: take over its camera_info and
place, decode, detect, lift, publish. An image that cannot be used is dropped, its cause is logged and told in
/diagnostics, and the node goes on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rclpy.node import Node

from pose3d_ros.detection.choice import DetectorOptions, make_detector
from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.frame_sets import FrameSetGrouper
from pose3d_ros.estimation.monocular import MonocularEstimator, MonocularOptions, load_lifter
from pose3d_ros.estimation.multiview import Estimate
from pose3d_ros.ros.camera_inputs import CameraInput, Frame, missing_inputs, stamp_facts
from pose3d_ros.ros.camera_topics import check_topics
from pose3d_ros.ros.diagnostics import Record
from pose3d_ros.ros.distribution import Buffer, TransformListener
from pose3d_ros.ros.frame_worker import FrameWorker
from pose3d_ros.ros.input_options import InputOptions
from pose3d_ros.ros.live_rig import LiveRig
from pose3d_ros.ros.monocular_options import MonocularNodeOptions
from pose3d_ros.ros.node_report import NodeReport, detector_facts
from pose3d_ros.ros.output_options import OutputOptions
from pose3d_ros.ros.parameters import declare, hold, refuse_unknown, take_boolean_rectified
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.running import run_node
from pose3d_ros.ros.tf_look_up import tf_look_up
from pose3d_ros.structures import FrameSet, Rig

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

OPTIONS = (MonocularNodeOptions, InputOptions, OutputOptions, DetectorOptions, MonocularOptions)


class MonocularNode(Node):
    """Absolute 3D human poses from one camera.

    detector and lifter replace the default ones, e.g. in tests. Raises OptionError for wrong or unknown parameters,
    WeightsError when the weights of either are missing or not those published. Call close() before destroy_node().
    """

    def __init__(self, detector: Detector | None = None, lifter: Loaded | None = None, **node_arguments: Any) -> None:
        super().__init__("monocular", **node_arguments)
        self._stopped = threading.Event()
        self._declare()
        camera = self.options.camera
        check_topics((camera,), self.inputs, parameter="camera")
        self._detector = detector or make_detector(self._detector_options, self.inputs.device)
        self._lifter = lifter or load_lifter(self._estimator_options.lifter)
        # A set of one: late and repeated images are sorted out as in the multi-view node.
        self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper((camera,))
        self._publisher = PosePublisher(self, (camera,), self._detector)
        self._input = CameraInput(self, camera, self.inputs, info_needed=True, take=self._take)
        buffer = Buffer(node=self)
        # Its own people come back to a listener of /tf, so it listens only where TF is needed.
        self._listener = TransformListener(buffer, self) if self.options.fixed_frame else None
        self._live_rig = LiveRig(
            (camera,),
            tf_look_up(buffer, self.inputs.tf_wait, self._stopped),
            placement="tf",
            rectified=self.inputs.images_rectified((self._input.topic,)),
            fixed_frame=self.options.fixed_frame,
            min_cameras=1,
        )
        record = Record(waiting=f"images come on {self._input.topic}; waiting for the camera_info of one of them")
        self._report = NodeReport(self, record, self._missing, self._facts, self._stopped)
        self._worker = FrameWorker(
            self._live_rig, self._make_estimator, self._publish, self._report, self._stopped, min_cameras=1
        )
        self.get_logger().info(f"waiting for {self._input.topic}, {self._input.info_topic}")

    def close(self) -> None:
        """Stop working; what is under way is finished first."""
        self._stopped.set()
        self._worker.close()

    def _declare(self) -> None:
        take_boolean_rectified(self)
        self.options = declare(self, MonocularNodeOptions)
        self.inputs = declare(self, InputOptions)
        self.outputs = declare(self, OutputOptions, self._change)
        self._detector_options = declare(self, DetectorOptions)
        self._estimator_options = declare(self, MonocularOptions)
        refuse_unknown(self)
        # Detector and tracker would forget everybody under new options, so they hold from start to end.
        hold(self, DetectorOptions, MonocularOptions)

    def _change(self, outputs: OutputOptions) -> None:
        self.outputs = outputs

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        ready = self._grouper.add(camera, frame, frame.stamp_ns, self.get_clock().now().nanoseconds)
        if ready is not None:
            self._worker.hand_over(ready)

    def _missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        return missing_inputs((self._input,), self.inputs.silent_after)

    def _facts(self) -> dict[str, str]:
        """What does not change from image to image."""
        rig, options = self._live_rig.rig, self.options
        return {
            "placement": self._live_rig.placement if options.fixed_frame else "none",
            "fixed_frame": rig.frame_id if rig is not None else options.fixed_frame or "not known yet",
            "calibration_hash": self._worker.calibration_hash or "not known yet",
            "cameras": options.camera,
            **detector_facts(self._detector, self.inputs.device),
            "lifter": self._lifter.name,
            "images/not_grouped": str(self._grouper.dropped),
            "time_jumps": str(self._grouper.jumps),
            **stamp_facts((self._input,)),
            f"camera_info/{options.camera}": self._input.pairing,
        }

    def _make_estimator(self, rig: Rig) -> OneCameraRig:
        return OneCameraRig(
            MonocularEstimator(rig.cameras[0], self._detector, self._lifter, self._estimator_options), rig
        )

    def _publish(self, estimate: Estimate, frames: dict[str, Frame], rig: Rig, arrived_s: float) -> float:
        return self._publisher.publish(estimate, frames, rig, arrived_s, self.outputs)


class OneCameraRig:
    """A monocular estimator whose camera is placed by a rig of one; poses are in the rig's frame."""

    def __init__(self, estimator: MonocularEstimator, rig: Rig) -> None:
        self._estimator = estimator
        self.set_rig(rig)

    @property
    def rig(self) -> Rig:
        """The camera as it is placed now."""
        return self._rig

    def set_rig(self, rig: Rig) -> None:
        """Use another calibration or place from now on; people keep their ids."""
        self._rig = rig
        self._estimator.set_camera(rig.cameras[0], rig.frame_id)

    def estimate(self, frames: FrameSet) -> Estimate:
        """Everybody's pose, in the rig's frame."""
        return self._estimator.estimate(frames)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    return run_node(MonocularNode, OPTIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
