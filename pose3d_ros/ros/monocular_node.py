"""The node "monocular": images of one calibrated camera in, /human_pose_3d in metres out.

The executor's thread only takes messages; one worker thread works on the newest image: take over its camera_info and
place, decode, detect, lift, publish. An image that cannot be used is dropped, its cause is logged and told in
/diagnostics, and the node goes on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecycleNode

from pose3d_ros import kernels
from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.out_of_memory import free
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.monocular import MonocularEstimator, MonocularOptions, load_lifter
from pose3d_ros.rigs.live_rig import LiveRig
from pose3d_ros.ros.camera_inputs import CameraInput, Frame, camera_facts, missing_inputs, note_stamps
from pose3d_ros.ros.camera_topics import check_topics
from pose3d_ros.ros.diagnostics import Record
from pose3d_ros.ros.distribution import Buffer, TransformListener
from pose3d_ros.ros.frame_worker import FrameWorker
from pose3d_ros.ros.input_options import InputOptions
from pose3d_ros.ros.lifecycle import Lifecycle
from pose3d_ros.ros.lifecycle_options import LifecycleOptions
from pose3d_ros.ros.monocular_options import MonocularNodeOptions
from pose3d_ros.ros.node_report import NodeReport, detector_facts
from pose3d_ros.ros.output_options import OutputOptions
from pose3d_ros.ros.parameters import current, declare, refuse_unknown, take_boolean_rectified
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.running import run_node
from pose3d_ros.ros.tf_look_up import tf_look_up, unheard_by
from pose3d_ros.ros.watch import Watch
from pose3d_ros.structures import FrameSet, Rig
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper

if TYPE_CHECKING:
    from pose3d_ros.weights.trained import Loaded

OPTIONS = (LifecycleOptions, MonocularNodeOptions, InputOptions, OutputOptions, DetectorOptions, MonocularOptions)


class MonocularNode(LifecycleNode):
    """Absolute 3D human poses from one camera.

    detector and lifter replace the default ones, e.g. in tests. Raises OptionError for wrong or unknown parameters;
    with autostart also WeightsError when the weights of either are missing or not those published. Call close() before
    destroy_node().
    """

    def __init__(self, detector: Detector | None = None, lifter: Loaded | None = None, **node_arguments: Any) -> None:
        super().__init__("monocular", **node_arguments)
        self._given = detector, lifter
        self._input: CameraInput | None = None
        self._estimator: MonocularEstimator | None = None
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
        for kind in (LifecycleOptions, MonocularNodeOptions, InputOptions, DetectorOptions):
            declare(self, kind, fixed=fixed)
        self.outputs = declare(self, OutputOptions, self._change_outputs, fixed)
        self._estimator_options = declare(self, MonocularOptions, self._change_estimation, fixed)
        refuse_unknown(self)

    def _configure(self) -> None:
        """Load what the parameters name: weights that cannot be had end it, not the first image."""
        self.options, self.inputs = current(self, MonocularNodeOptions), current(self, InputOptions)
        camera = self.options.camera
        check_topics((camera,), self.inputs, parameter="camera")
        detector, lifter = self._given
        with kernels.loading(self.get_logger().info):  # here, not at the first image
            self._detector = detector or make_detector(current(self, DetectorOptions), self.inputs.device)
            self._lifter = lifter or load_lifter(self._estimator_options.lifter)
        self._publisher = PosePublisher(self, (camera,), self._detector, self.outputs)
        self._configured.callback(self._publisher.close)

    def _activate(self) -> None:
        camera, stopped = self.options.camera, threading.Event()
        # A set of one: late and repeated images are sorted out as in the multi-view node.
        self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper((camera,))
        self._input = CameraInput(
            self, camera, self.inputs, info_needed=True, now_s=self._report.now_s, take=self._take
        )
        self._running.callback(self._input.close)
        # Its own people come back to a listener of /tf, so it listens only where TF is needed.
        unheard: Callable[[], str] = str
        if self.options.fixed_frame:
            self._running.callback(self._buffer.clear)
            listener = TransformListener(self._buffer, self)
            self._running.callback(listener.unregister)
            unheard = partial(unheard_by, listener, self)
        self._live_rig = LiveRig(
            (camera,),
            tf_look_up(self._buffer, self.inputs.tf_timeout_s, stopped, unheard),
            placement="tf",
            rectified=self.inputs.images_rectified((self._input.topic,)),
            fixed_frame=self.options.fixed_frame,
            min_cameras=1,
        )
        waiting = f"images come on {self._input.topic}; waiting for the camera_info of one of them"
        self._report.begin(Record(waiting, stale_s=self.inputs.stale_after_s))
        self._watch = Watch(self, self._publisher, lambda: self.outputs, lambda: self._estimator_options, self._report)
        self._running.callback(self._watch.close)
        self._worker = FrameWorker(
            self._live_rig,
            self._make_estimator,
            self._watch.publish,
            self._report,
            stopped,
            min_cameras=1,
            settings=lambda: self._estimator_options,
            end=self._lifecycle.end_worker,
        )
        self._running.callback(self._worker.close)
        note_stamps(self, self.inputs)
        self.get_logger().info(f"waiting for {', '.join(self._input.waited_for)}")

    def _deactivate(self) -> None:
        self._running.close()
        self._input = None

    def _cleanup(self) -> None:
        self._configured.close()
        for name in ("_detector", "_lifter", "_publisher", "_worker", "_watch"):
            self.__dict__.pop(name, None)
        self._estimator = None
        free()

    def _change_outputs(self, outputs: OutputOptions) -> None:
        self.outputs = outputs
        if hasattr(self, "_publisher"):
            self._publisher.switch(outputs)

    def _change_estimation(self, estimation: MonocularOptions) -> None:
        self._estimator_options = estimation  # the worker takes them over between two images

    # -- executor's thread ---------------------------------------------------------------------------------

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        self._report.record.heard(self._report.now_s())
        ready = self._grouper.add(camera, frame, frame.stamp_ns, self.get_clock().now().nanoseconds)
        if ready is not None:
            self._worker.hand_over(ready)

    def _missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        if self._input is None:
            return []
        return missing_inputs((self._input,), self.inputs.silent_after_s, self.inputs.stale_after_s)

    def _facts(self) -> dict[str, str]:
        """What does not change from image to image."""
        if self._input is None:
            return {}
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
            **camera_facts((self._input,), self.inputs),
            f"camera_info/{options.camera}": self._input.pairing,
        }

    def _make_estimator(self, rig: Rig) -> OneCameraRig:
        """The estimator in this place; one that was active before has forgotten everybody, and gives no id again."""
        if self._estimator is not None:
            self._estimator.reset()
        else:
            self._estimator = MonocularEstimator(rig.cameras[0], self._detector, self._lifter, self._estimator_options)
        return OneCameraRig(self._estimator, rig)


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

    def set_options(self, options: MonocularOptions) -> None:
        """Work by these options from now on; people keep their ids."""
        self._estimator.set_options(options)

    def estimate(self, frames: FrameSet) -> Estimate:
        """Everybody's pose, in the rig's frame."""
        return self._estimator.estimate(frames)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 0 after a clean end, 1 with the reason when it cannot start."""
    return run_node(MonocularNode, OPTIONS, argv)


if __name__ == "__main__":
    sys.exit(main())
