"""A detector around a user's ONNX file: its kind and joints are told by its outputs, or by the options."""

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
from pose3d_ros.skeletons import SKELETONS
from pose3d_ros.structures import Floats, Skeleton

# MMPose crops people with a quarter of their box around them; networks are used as they were trained.
PADDING = 1.25
GREY = 114  # what YOLO and RTMO fill the canvas with


def onnx_detector(options: DetectorOptions, device: str) -> Detector:
    """The detector that the options' detector_model makes. Raises InputError, DependencyError, WeightsError."""
    model = OnnxModel(options.detector_model, device)
    skeleton = skeleton_of(options.detector_skeleton)
    kind = _kind(model, options.detector_kind, skeleton)
    if kind == "one-stage":
        return OneStageDetector(OnnxPeople(model, skeleton, options), options)
    # The boxes' network is torch's, which knows no TensorRT and may lack the CUDA that ONNX Runtime has.
    boxes_device = device if device == "cpu" or torch.cuda.is_available() else "auto"
    boxes_device = boxes_device.replace("tensorrt", "cuda")
    return TopDownDetector(boxes_device, options, OnnxJoints(model, kind, skeleton, options))


def skeleton_of(names: str) -> Skeleton:
    """A skeleton by its name, or of joints whose names are separated by commas; raises InputError."""
    if names in SKELETONS:
        return SKELETONS[names]
    joints = tuple(name.strip() for name in names.split(",") if name.strip())
    if len(joints) < 2 or len(set(joints)) < len(joints):
        raise InputError(
            f"detector_skeleton {names!r}: use one of {', '.join(SKELETONS)}, or the different names of two joints or "
            "more, separated by commas (Nose,LShoulder,RShoulder,...)"
        )
    known = {name for one in SKELETONS.values() for name in one.joint_names}
    if not known.intersection(joints):
        raise InputError(f"detector_skeleton {names!r}: none is a known joint: use names as {', '.join(sorted(known))}")
    return Skeleton(",".join(joints), joints, (-1,) * len(joints), ())


def _kind(model: OnnxModel, asked: str, skeleton: Skeleton) -> str:
    """simcc, heatmap or one-stage; raises InputError for outputs of none of these or of another number of joints."""
    shapes, joints = model.shapes, skeleton.size
    described = ", ".join(f"{name} {shape}" for name, shape in zip(model.output_names, shapes, strict=True))
    fits = {kind: counts for kind in ("simcc", "heatmap", "one-stage") if (counts := _joints_of(kind, shapes, model))}
    if asked != "auto":
        fits = {kind: counts for kind, counts in fits.items() if kind == asked}
    for kind, counts in fits.items():
        if joints in counts:
            return kind
    told = f"detector_model {model.file}: its outputs are {described}"
    if fits:
        found = " or ".join(str(count) for counts in fits.values() for count in counts)
        raise InputError(
            f"{told}, which is {found} joints, but detector_skeleton {skeleton.name!r} has {joints}: name theirs"
        )
    width, height = model.size_wh
    raise InputError(
        f"{told} for an input of {width} x {height} px, expected "
        + {
            "simcc": "SimCC's (N, J, k * width) and (N, J, k * height)",
            "heatmap": "heatmaps (N, J, height / s, width / s)",
            "one-stage": ONE_STAGE,
            "auto": "those of SimCC (RTMPose), heatmaps (HRNet, ViTPose) or one stage (RTMO, YOLO-pose): "
            "docs/detectors.md shows their forms",
        }[asked]
    )


def _joints_of(kind: str, shapes: Sequence[tuple[int, ...]], model: OnnxModel) -> set[int]:
    """How many joints outputs of these shapes may have as a kind; empty where they are not of that kind."""
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
    """A SimCC or heatmap network for people whose boxes are known."""

    def __init__(self, model: OnnxModel, kind: str, skeleton: Skeleton, options: DetectorOptions) -> None:
        self._model, self._kind = model, kind
        self._look = "imagenet" if options.detector_input == "auto" else options.detector_input
        self._spread = options.detector_spread
        self.name, self.skeleton, self.device = model.file.stem, skeleton, model.device
        self.backend = "onnxruntime"

    def __call__(self, images: Sequence[Image], boxes: Floats, closely: NDArray[np.bool_]) -> FoundKeypoints:
        """All people in one batch, where the file allows it."""
        if not len(boxes):
            return FoundKeypoints(np.zeros((0, self.skeleton.size, 2)), np.zeros((0, self.skeleton.size)), np.zeros(0))
        size_wh = self._model.size_wh
        affine = np.stack([crop_from_image(box, size_wh) for box in boxes])  # (N, 2, 3)
        crops = np.stack([cv2.warpAffine(image, one, size_wh) for image, one in zip(images, affine, strict=True)])
        outputs = self._model(crops.astype(np.uint8, copy=False), self._look)
        if self._kind == "simcc":
            points = simcc_points(outputs[0], outputs[1], size_wh)
        else:
            points = heatmap_points(outputs[0], size_wh)
        scale, shift = affine[:, 0, 0], affine[:, :, 2]
        xy = (points[..., :2] - shift[:, None]) / scale[:, None, None]
        longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        return FoundKeypoints(xy, np.clip(points[..., 2], 0.0, 1.0), crop_scale(longer) * self._spread)


def crop_from_image(box: Floats, size_wh: tuple[int, int]) -> Floats:
    """The affine map (2, 3) that puts a box (4,) px with PADDING into the middle of size_wh px, undistorted.

    As MMPose's TopdownAffine does it: 0 is the centre of the first pixel on both sides.
    """
    width, height = (grown(box, PADDING)[2:] - grown(box, PADDING)[:2]).tolist()
    scale = min(size_wh[0] / max(width, 1.0), size_wh[1] / max(height, 1.0))
    middle = (box[:2] + box[2:]) / 2
    shift = np.array(size_wh) / 2 - scale * middle
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


class OnnxPeople:
    """A one-stage network as a network for whole images."""

    background = GREY

    def __init__(self, model: OnnxModel, skeleton: Skeleton, options: DetectorOptions) -> None:
        self._model = model
        auto = "unit" if len(model.output_names) == 1 else "raw"
        self._look = auto if options.detector_input == "auto" else options.detector_input
        self.name, self.skeleton, self.device = model.file.stem, skeleton, model.device
        self.backend = "onnxruntime"
        self.spread = options.detector_spread

    def canvas_wh(self, size_wh: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """The image fits into the network's input, in its upper left."""
        scale = min(self._model.size_wh[0] / size_wh[0], self._model.size_wh[1] / size_wh[1])
        width, height = (max(round(side * scale), 1) for side in size_wh)
        return (width, height), self._model.size_wh

    def __call__(self, canvas: Image) -> FoundPeople:
        """Everybody whom the network gives, sure or not."""
        boxes, points = one_stage_people(self._model(canvas[None], self._look), self.skeleton.size)
        # Networks count from the centre of the first pixel, FoundPeople from its edge.
        return FoundPeople(boxes + np.array([0.5, 0.5, 0.5, 0.5, 0.0]), points + np.array([0.5, 0.5, 0.0]))
