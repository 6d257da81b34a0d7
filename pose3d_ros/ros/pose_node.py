"""The pose node: images of calibrated cameras, or keypoints made of them, in, /human_pose_3d out.

`multiview_node` and `monocular_node` are this node with other default names and cameras. What an active node works with
is its Session. A frame that cannot be used is dropped, its cause is logged and reported in /diagnostics, and the node
goes on.
"""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode

from pose3d_ros import kernels
from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.out_of_memory import free
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.stage import load_refinement
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.ros.camera_topics import check_topics
from pose3d_ros.ros.diagnostics import Record
from pose3d_ros.ros.distribution import Buffer
from pose3d_ros.ros.frame_decoders import DetectorsElsewhere, FrameDecoder, ImageDecoder, KeypointDecoder
from pose3d_ros.ros.lifecycle import Lifecycle
from pose3d_ros.ros.node_report import NodeReport
from pose3d_ros.ros.options import (
    InputOptions,
    LifecycleOptions,
    LiveOptions,
    OutputOptions,
    PoseNodeOptions,
    SyncOptions,
)
from pose3d_ros.ros.parameters import current, declare, refuse_unknown, take_boolean_rectified
from pose3d_ros.ros.pose_publisher import PosePublisher
from pose3d_ros.ros.session import Networks, Session

OPTIONS = (
    LifecycleOptions,
    PoseNodeOptions,
    SyncOptions,
    InputOptions,
    OutputOptions,
    DetectorOptions,
    EstimatorOptions,
)


class PoseNode(LifecycleNode):
    """Absolute 3D human poses from one camera or more.

    One camera's people are lifted by a network; so they are when one camera of several is left (monocular_fallback).
    detector and lifter replace the default ones, e.g. in tests; kind has the defaults of the node called name. Raises
    OptionError for wrong or unknown parameters; with autostart also CalibrationError for a rig file that cannot be
    used, WeightsError when the default detector's weights, or those that the parameters name, are missing
    or not those published. Call close() before destroy_node().
    """

    def __init__(
        self,
        detector: Detector | None = None,
        lifter: PersonLifter | None = None,
        *,
        name: str = "multiview",
        kind: type[PoseNodeOptions] = PoseNodeOptions,
        **node_arguments: Any,
    ) -> None:
        super().__init__(name, **node_arguments)
        self._given_detector, self._given_lifter, self._kind = detector, lifter, kind
        self._networks: Networks | None = None  # of a configured node
        self._publisher: PosePublisher | None = None
        self._session: Session | None = None  # of an active one
        self._buffer = Buffer(node=self)
        self._lifecycle = Lifecycle(self, self._configure, self._activate, self._deactivate, self._cleanup)
        self._declare()
        self._report = NodeReport(self, Record(), self._missing, self._facts, self._lifecycle)
        if current(self, LifecycleOptions).autostart:
            self._lifecycle.start()

    def close(self) -> None:
        """Stop working; what is under way is finished first."""
        self._lifecycle.close()

    def _declare(self) -> None:
        take_boolean_rectified(self)
        fixed = self._lifecycle.fixed
        for kind in (LifecycleOptions, self._kind, SyncOptions, InputOptions, DetectorOptions):
            declare(self, kind, fixed=fixed)
        outputs = declare(self, OutputOptions, self._change_outputs, fixed)
        self.live = LiveOptions(outputs, declare(self, EstimatorOptions, self._change_estimation, fixed))
        refuse_unknown(self)

    def _configure(self) -> None:
        """Load what the parameters name: weights that cannot be had end it, not the first frame set."""
        options, inputs = current(self, self._kind), current(self, InputOptions)
        check_topics(options.cameras, inputs, parameter="cameras")
        estimation = self.live.estimation
        with kernels.loading(self.get_logger().info):  # here, not in the first frame set
            detector, decoder, keypoints_topic = self._make_detector(options.input, inputs.device)
            several = len(options.cameras) > 1
            refinement = load_refinement(estimation, detector) if several else None
            choice = estimation.monocular_fallback if several else "auto"
            lifter = self._given_lifter or PersonLifter(choice, estimation.lifter)
            # In the middle of the work it would hold up the poses.
            if several:
                lifter.load()
            else:
                lifter.require()
        self._networks = Networks(detector, decoder, refinement, lifter)
        self._publisher = PosePublisher(self, options.cameras, detector, self.live.outputs, keypoints_topic)

    def _activate(self) -> None:
        assert self._networks is not None
        assert self._publisher is not None
        self._session = Session(
            self,
            self.live,
            self._networks,
            self._publisher,
            self._report,
            self._lifecycle,
            self._buffer,
            current(self, self._kind),
            current(self, InputOptions),
            current(self, SyncOptions),
        )

    def _deactivate(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _cleanup(self) -> None:
        publisher, self._publisher, self._networks = self._publisher, None, None
        if publisher is not None:
            publisher.close()
        free()

    def _make_detector(self, input_kind: str, device: str) -> tuple[Detector, FrameDecoder, str]:
        """Who detects, how frames are decoded, and where keypoints with ids go out."""
        if input_kind == "images":
            detector = self._given_detector or make_detector(current(self, DetectorOptions), device, live=True)
            return detector, ImageDecoder(), "{camera}/keypoints_2d"
        elsewhere = DetectorsElsewhere(device if device.startswith("cuda") else "cpu")
        # Not on the topic that they come on.
        return elsewhere, KeypointDecoder(elsewhere), "{camera}/keypoints_2d/with_ids"

    def _change_outputs(self, outputs: OutputOptions) -> None:
        self.live.outputs = outputs
        if self._publisher is not None:
            self._publisher.switch(outputs)

    def _change_estimation(self, estimation: EstimatorOptions) -> None:
        self.live.estimation = estimation  # the worker takes them over between two frame sets
        if self._session is not None:
            self._session.options_changed()

    def _missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        return self._session.missing() if self._session is not None else []

    def _facts(self) -> dict[str, str]:
        """What does not change from set to set."""
        return self._session.facts() if self._session is not None else {}
