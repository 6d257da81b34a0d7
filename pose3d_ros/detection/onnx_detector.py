"""A detector for a user's ONNX file; its kind and joints follow from its outputs or the options."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.detection.boxes import grown
from pose3d_ros.detection.detector import Detector
from pose3d_ros.detection.keypoint_head import FoundKeypoints, Image
from pose3d_ros.detection.one_stage import FoundPeople, OneStageDetector, crop_scale
from pose3d_ros.detection.onnx_model import OnnxModel
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.pose_decoding import ONE_STAGE, heatmap_points, one_stage_people, simcc_points
from pose3d_ros.detection.top_down import TopDownDetector
from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import SKELETONS, pairs_by_name
from pose3d_ros.structures import Floats, Skeleton

# MMPose enlarges the box of a person by a quarter; networks are used as they were trained.
PADDING = 1.25
GREY = 114  # background of the canvas in YOLO and RTMO


def onnx_detector(options: DetectorOptions, device: str) -> Detector:
    """Create the detector for detector_model. Raises InputError, DependencyError, WeightsError."""
    model = OnnxModel(options.detector_model, device)
    skeleton = skeleton_of(options.detector_skeleton)
    kind = _kind(model, options.detector_kind, skeleton)
    if kind == "one-stage":
        return OneStageDetector(OnnxPeople(model, skeleton, options), options)
    # The boxes come from torch, which has no TensorRT and may lack CUDA even if ONNX Runtime has it.
    boxes_device = device if device == "cpu" or torch.cuda.is_available() else "auto"
    boxes_device = boxes_device.replace("tensorrt", "cuda")
    return TopDownDetector(boxes_device, options, OnnxJoints(model, kind, skeleton, options))


def skeleton_of(names: str) -> Skeleton:
    """Return a skeleton by its name, or from joint names separated by commas; raises InputError."""
    if names in SKELETONS:
        return SKELETONS[names]
    joints = tuple(name.strip() for name in names.split(",") if name.strip())
    if len(joints) < 2 or len(set(joints)) < len(joints):
        raise InputError(
            f"detector_skeleton {names!r}: use one of {', '.join(SKELETONS)}, or the different names of two joints or "
            "more, separated by commas (Nose,LShoulder,RShoulder,...)"
        )
    supported = {name for skeleton in SKELETONS.values() for name in skeleton.joint_names}
    if not supported.intersection(joints):
        raise InputError(
            f"detector_skeleton {names!r}: no joint is supported: use names such as {', '.join(sorted(supported))}"
        )
    return Skeleton(",".join(joints), joints, (-1,) * len(joints), pairs_by_name(joints))


def _kind(model: OnnxModel, requested: str, skeleton: Skeleton) -> str:
    """Return simcc, heatmap or one-stage; raises InputError for other outputs or another number of joints."""
    shapes, joints = model.shapes, skeleton.size
    described = ", ".join(f"{name} {shape}" for name, shape in zip(model.output_names, shapes, strict=True))
    fits = {kind: counts for kind in ("simcc", "heatmap", "one-stage") if (counts := _joints_of(kind, shapes, model))}
    if requested != "auto":
        fits = {kind: counts for kind, counts in fits.items() if kind == requested}
    for kind, counts in fits.items():
        if joints in counts:
            return kind
    problem = f"detector_model {model.file}: its outputs are {described}"
    if fits:
        counted = " or ".join(str(count) for counts in fits.values() for count in counts)
        raise InputError(
            f"{problem}, which is {counted} joints, but detector_skeleton {skeleton.name!r} has {joints}: set it to "
            "the network's joints"
        )
    width, height = model.size_wh
    raise InputError(
        f"{problem} for an input of {width} x {height} px, expected "
        + {
            "simcc": "SimCC's (N, J, k * width) and (N, J, k * height)",
            "heatmap": "heatmaps (N, J, height / s, width / s)",
            "one-stage": ONE_STAGE,
            "auto": "those of SimCC (RTMPose), heatmaps (HRNet, ViTPose) or one stage (RTMO, YOLO-pose): "
            "docs/detectors.md shows their forms",
        }[requested]
    )


def _joints_of(kind: str, shapes: Sequence[tuple[int, ...]], model: OnnxModel) -> set[int]:
    """Return the possible numbers of joints for outputs of these shapes; empty if they are of another kind."""
    width, height = model.size_wh
    ranks = [len(shape) for shape in shapes]
    if kind == "simcc" and ranks == [3, 3]:
        (_, joints, x), (_, joints_y, y) = shapes
        same = joints == joints_y and x % width == 0 and x // width * height == y
        return {joints} if same else set()
    if kind == "heatmap" and ranks == [4]:
        _, joints, rows, columns = shapes[0]
        return {joints} if columns > 1 and rows * width == columns * height else set()
    if kind == "one-stage" and sorted(ranks) == [3, 4]:
        boxes, points = sorted(shapes, key=len)
        return {points[2]} if boxes[1] == points[1] and boxes[2] >= 5 and points[3] == 3 else set()
    if kind == "one-stage" and ranks == [3]:
        return {(n - rest) // 3 for n in shapes[0][1:] for rest in (5, 6) if n > rest and (n - rest) % 3 == 0}
    return set()


class OnnxJoints:
    """A SimCC or heatmap network for people in given boxes."""

    def __init__(self, model: OnnxModel, kind: str, skeleton: Skeleton, options: DetectorOptions) -> None:
        self._model, self._kind = model, kind
        self._normalisation = "imagenet" if options.detector_input == "auto" else options.detector_input
        self.name, self.skeleton, self.device = model.file.stem, skeleton, model.device
        self.backend = "onnxruntime"

    def __call__(self, images: Sequence[Image], boxes: Floats, exact: NDArray[np.bool_]) -> FoundKeypoints:
        """Detect all people in one batch, if the file allows it."""
        if not len(boxes):
            return FoundKeypoints(np.zeros((0, self.skeleton.size, 2)), np.zeros((0, self.skeleton.size)), np.zeros(0))
        size_wh = self._model.size_wh
        affine = np.stack([crop_from_image(box, size_wh) for box in boxes])  # (N, 2, 3)
        crops = np.stack([cv2.warpAffine(image, matrix, size_wh) for image, matrix in zip(images, affine, strict=True)])
        outputs = self._model(crops.astype(np.uint8, copy=False), self._normalisation)
        if self._kind == "simcc":
            points = simcc_points(outputs[0], outputs[1], size_wh)
        else:
            points = heatmap_points(outputs[0], size_wh)
        scale, shift = affine[:, 0, 0], affine[:, :, 2]
        xy = (points[..., :2] - shift[:, None]) / scale[:, None, None]
        longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        return FoundKeypoints(xy, np.clip(points[..., 2], 0.0, 1.0), crop_scale(longer))


def crop_from_image(box: Floats, size_wh: tuple[int, int]) -> Floats:
    """Return the affine map (2, 3) of a box (4,) px with PADDING to the centre of size_wh px, keeping its aspect.

    As in MMPose's TopdownAffine, 0 is the centre of the first pixel on both sides.
    """
    width, height = (grown(box, PADDING)[2:] - grown(box, PADDING)[:2]).tolist()
    scale = min(size_wh[0] / max(width, 1.0), size_wh[1] / max(height, 1.0))
    middle = (box[:2] + box[2:]) / 2
    shift = np.array(size_wh) / 2 - scale * middle
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


class OnnxPeople:
    """A one-stage network for whole images."""

    background = GREY

    def __init__(self, model: OnnxModel, skeleton: Skeleton, options: DetectorOptions) -> None:
        self._model = model
        auto = "unit" if len(model.output_names) == 1 else "raw"
        self._normalisation = auto if options.detector_input == "auto" else options.detector_input
        self.name, self.skeleton, self.device = model.file.stem, skeleton, model.device
        self.backend = "onnxruntime"
        self.spread = 1.0

    def canvas_wh(self, size_wh: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Scale the image to fit into the upper left of the network's input."""
        scale = min(self._model.size_wh[0] / size_wh[0], self._model.size_wh[1] / size_wh[1])
        width, height = (max(round(side * scale), 1) for side in size_wh)
        return (width, height), self._model.size_wh

    def __call__(self, canvas: Image) -> FoundPeople:
        """Return all people that the network detects, at any score."""
        boxes, points = one_stage_people(self._model(canvas[None], self._normalisation), self.skeleton.size)
        # Network coordinates are relative to the centre of the first pixel, FoundPeople's to its edge.
        return FoundPeople(boxes + np.array([0.5, 0.5, 0.5, 0.5, 0.0]), points + np.array([0.5, 0.5, 0.0]))
