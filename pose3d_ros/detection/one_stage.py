"""One-stage detection: one network detects all people and their joints in the whole image; there is no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch

from pose3d_ros.detection import movenet, multipose
from pose3d_ros.detection.backend import backend_of
from pose3d_ros.detection.box_tracks import better_half
from pose3d_ros.detection.boxes import MIN_BOX_SCORE, iou, suppress
from pose3d_ros.detection.crops import EVEN, shrunk
from pose3d_ros.detection.devices import one_thread, torch_device
from pose3d_ros.detection.finite import check_finite
from pose3d_ros.detection.keypoint_head import FoundKeypoints, Image
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.people import distinct, people
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton
from pose3d_ros.weights import store

SAME_BOX_IOU = 0.65  # RTMO's and YOLO-pose's own thresholds are 0.65 and 0.7
MAX_BOXES = 300  # before non-maximum suppression, as in YOLO
# A crop for MoveNet Thunder is larger than the person by this factor; it sets the scale of all standard deviations.
THUNDER_CROP = 1.1


@dataclass(frozen=True, eq=False)
class FoundPeople:
    """N people in a canvas; x and y in px from the canvas' upper left edge."""

    boxes: Floats  # (N, 5) left, top, right, bottom px, score
    points: Floats  # (N, J, 3) x, y px, score


class WholeImageNetwork(Protocol):
    """A network for whole images; spread: how much larger its keypoint errors are than Thunder's."""

    name: str
    skeleton: Skeleton
    device: str
    backend: str  # the backend that runs it
    spread: float
    background: int  # value of the canvas outside the image, 0 to 255

    def canvas_wh(self, size_wh: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size to scale an image of size_wh px to, and the canvas with it in the upper left corner."""
        ...

    def __call__(self, canvas: Image) -> FoundPeople:
        """Detect all people in a canvas (H, W, 3), BGR."""
        ...


class OneStageDetector:
    """Callable on a FrameSet; each image is processed independently."""

    def __init__(self, network: WholeImageNetwork, options: DetectorOptions) -> None:
        self.options, self._network = options, network
        self.name, self.skeleton = network.name, network.skeleton
        self.device, self.backend = network.device, network.backend

    def reset(self) -> None:
        """Do nothing: there is no state."""

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Return keypoints for every camera of the set, with score, covariance, boxes and the image's stamp."""
        return {camera: self._detect(image, frames.stamps_ns[camera]) for camera, image in frames.images.items()}

    def _detect(self, image: Image, stamp_ns: int) -> Keypoints2D:
        size_wh = image.shape[1], image.shape[0]
        small_wh, canvas_wh = self._network.canvas_wh(size_wh)
        canvas = np.full((canvas_wh[1], canvas_wh[0], 3), self._network.background, dtype=np.uint8)
        canvas[: small_wh[1], : small_wh[0]] = shrunk(image, small_wh)
        boxes, points = self._best(self._network(canvas))
        scale = np.array(size_wh) / np.array(small_wh)  # image px per canvas px
        xy = points[..., :2] * scale - 0.5  # 0 is the centre of the image's first pixel
        longer = ((boxes[:, 2:4] - boxes[:, :2]) * scale).max(axis=1, initial=0.0)
        joints = FoundKeypoints(xy, np.clip(points[..., 2], 0.0, 1.0), crop_scale(longer) * self._network.spread)
        detections = people(joints, self.skeleton, image.shape, stamp_ns)
        admitted = better_half(detections.score) >= self.options.person_score
        return detections.select(distinct(detections, admitted)[: self.options.max_detections])

    def _best(self, candidates: FoundPeople) -> tuple[Floats, Floats]:
        """Return boxes and joints of the people above MIN_BOX_SCORE, without duplicates, best first."""
        order = np.argsort(-candidates.boxes[:, 4], kind="stable")[:MAX_BOXES]
        sure = order[candidates.boxes[order, 4] >= MIN_BOX_SCORE]
        boxes, points = candidates.boxes[sure], candidates.points[sure]
        kept = suppress(iou(boxes[:, :4], boxes[:, :4]), boxes[:, 4], SAME_BOX_IOU)
        return boxes[kept], points[kept]


def crop_scale(longer_side_px: Floats) -> Floats:
    """Return image px per px of the 256 px crop that Thunder would use for a person of that size."""
    return np.asarray(np.maximum(longer_side_px * THUNDER_CROP, EVEN) / 256)


class MultiPoseNetwork:
    """MoveNet MultiPose as a network for whole images."""

    name = "movenet-multipose"
    skeleton: Skeleton = COCO_17
    spread = movenet.SPREAD["movenet-multipose"]
    background = 0

    def __init__(self, device: str, options: DetectorOptions) -> None:
        self._device = torch_device(device)
        self.device = str(self._device)
        network = multipose.MultiPose(store.path("movenet-multipose")).eval().network
        sides = multipose.WIDE_HW
        # Its tolerance of bfloat16 was not measured: on a CPU it runs in full precision.
        self._heads = backend_of("movenet-multipose", network, None, sides, self._device, options)
        self.backend = self._heads.name

    def canvas_wh(self, size_wh: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Scale the longer side to 256 px, and pad the other one to a multiple of 32."""
        scale = multipose.SIZE / max(size_wh)
        width, height = (max(round(side * scale), 1) for side in size_wh)
        step = multipose.MULTIPLE
        return (width, height), (-(-width // step) * step, -(-height // step) * step)

    def __call__(self, canvas: Image) -> FoundPeople:
        """Detect up to six people."""
        rgb = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        heads = multipose.Heads(*(head[0] for head in self._heads(rgb[None])))
        with one_thread(), torch.inference_mode():
            outputs = multipose.people(heads)
        points, boxes = (output.cpu().numpy().astype(np.float64) for output in outputs)
        for output in (points, boxes):
            check_finite(output, "movenet-multipose")
        return FoundPeople(boxes, points)
