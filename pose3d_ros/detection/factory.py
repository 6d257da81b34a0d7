"""Create a Detector from options.

torch and ONNX Runtime are imported only when a detector is created.
"""

from __future__ import annotations

from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.options import DetectorOptions, joints_models, weights_of
from pose3d_ros.weights import store


def fetch_weights(options: DetectorOptions) -> None:
    """Download the weights that a detector needs, where they are not in the cache; raises DownloadError."""
    for name in weights_of(options):
        store.fetch(name)


def make_detector(options: DetectorOptions | None = None, device: str = "auto", *, live: bool = False) -> Detector:
    """Create the detector of the options on a device: auto, cpu, cuda, cuda:1, ...; with onnx also tensorrt.

    live: the images come from cameras, and their rate decides how often auto uses the exact network. Otherwise the
    same images always give the same joints.

    Raises WeightsMissingError, WeightsCorruptError, InputError; DependencyError without ONNX Runtime.
    """
    options = options or DetectorOptions()
    if options.detector == "onnx":
        from pose3d_ros.detection.onnx_detector import onnx_detector

        return onnx_detector(options, device)
    if options.detector == "movenet-multipose":
        from pose3d_ros.detection.one_stage import MultiPoseNetwork, OneStageDetector

        return OneStageDetector(MultiPoseNetwork(device, options), options)
    from pose3d_ros.detection.keypoint_head import KeypointHead, LightAndExact, MoveNetJoints
    from pose3d_ros.detection.spare_time import SpareTime
    from pose3d_ros.detection.top_down import TopDownDetector

    heads: list[KeypointHead] = [MoveNetJoints(name, device, options) for name in joints_models(options)]
    if len(heads) == 1:
        return TopDownDetector(device, options, heads[0])
    return TopDownDetector(device, options, LightAndExact(*heads), SpareTime() if live else None)
