"""The estimator of one camera, for tests: people are lifted by a network that knows the answer, or by the real one."""

from __future__ import annotations

from typing import Any

import numpy as np

from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.structures import Camera, Rig


def one_camera(
    camera: Camera,
    network: Any = None,
    options: EstimatorOptions = EstimatorOptions(),
    *,
    frame_id: str = "",
    detector: Detector | None = None,
) -> PoseEstimator:
    """Poses in the camera's own frame; with a frame_id in that one, in which the camera is placed."""
    placed = camera if frame_id else camera.placed(np.eye(4))
    rig = Rig((placed,), frame_id or f"{camera.name}_optical")
    return PoseEstimator(rig, detector, options, PersonLifter(lifter=network))
