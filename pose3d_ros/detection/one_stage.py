"""One stage: a network that finds everybody and their joints in the whole image; nothing is kept between images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch

from pose3d_ros.detection import movenet, multipose
from pose3d_ros.detection.backend import backend_of
from pose3d_ros.detection.boxes import iou, suppress
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
MOST_BOXES = 300  # before the doubles are taken out, as YOLO does it
# A crop for MoveNet Thunder is by so much larger than the person: what it sees sets the scale of all spreads.
THUNDER_CROP = 1.1


@dataclass(frozen=True, eq=False)
class FoundPeople:
    """N people in a canvas; x and y in px of the canvas' upper left edge."""

    boxes: Floats  # (N, 5) left, top, right, bottom px, score
    points: Floats  # (N, J, 3) x, y px, score


class WholeImageNetwork(Protocol):
    """A network that takes whole images; spread: how much larger its keypoints' errors are than Thunder's."""

    name: str
    skeleton: Skeleton
    device: str
    backend: str  # what runs it
    spread: float
    background: int  # of the canvas where the image does not reach, 0 to 255

    def canvas_wh(self, size_wh: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """The size to scale an image of size_wh px to, and the canvas into whose upper left corner it is put."""
        ...

    def __call__(self, canvas: Image) -> FoundPeople:
        """Everybody in a canvas (H, W, 3), BGR."""
        ...


class OneStageDetector:
    """Callable on a FrameSet; every image is taken on its own."""

    def __init__(self, network: WholeImageNetwork, options: DetectorOptions) -> None:
        self.options, self._network = options, network
        self.name, self.skeleton = network.name, network.skeleton
        self.device, self.backend = network.device, network.backend

    def reset(self) -> None:
        """Nothing is remembered."""

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Keypoints of every camera of the set, with score, covariance, boxes and the image's stamp."""
        return {camera: self._of(image, frames.stamps_ns[camera]) for camera, image in frames.images.items()}

    def _of(self, image: Image, stamp_ns: int) -> Keypoints2D:
        size_wh = image.shape[1], image.shape[0]
        small_wh, canvas_wh = self._network.canvas_wh(size_wh)
        canvas = np.full((canvas_wh[1], canvas_wh[0], 3), self._network.background, dtype=np.uint8)
        canvas[: small_wh[1], : small_wh[0]] = shrunk(image, small_wh)
        found = self._network(canvas)
        boxes, points = self._best(found)
        scale = np.array(size_wh) / np.array(small_wh)  # image px in one px of the canvas
        xy = points[..., :2] * scale - 0.5  # 0 is the centre of the image's first pixel
        longer = ((boxes[:, 2:4] - boxes[:, :2]) * scale).max(axis=1, initial=0.0)
        joints = FoundKeypoints(xy, np.clip(points[..., 2], 0.0, 1.0), crop_scale(longer) * self._network.spread)
        everybody = people(joints, self.skeleton, image.shape, stamp_ns)
        return everybody.select(distinct(everybody, self.options.person_score)[: self.options.max_detections])

    def _best(self, found: FoundPeople) -> tuple[Floats, Floats]:
        """Boxes and joints of those sure enough, each once, best first."""
        order = np.argsort(-found.boxes[:, 4], kind="stable")[:MOST_BOXES]
        sure = order[found.boxes[order, 4] >= self.options.box_score]
        boxes, points = found.boxes[sure], found.points[sure]
        kept = suppress(iou(boxes[:, :4], boxes[:, :4]), boxes[:, 4], SAME_BOX_IOU)
        return boxes[kept], points[kept]


def crop_scale(longer_side_px: Floats) -> Floats:
    """Image px in one px of the crop of 256 px that Thunder would see a person of that size in."""
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
        # Which of its layers would bear bfloat16 was not measured: on a CPU it runs in full precision.
        self._heads = backend_of("movenet-multipose", network, None, sides, self._device, options)
        self.backend = self._heads.name

    def canvas_wh(self, size_wh: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """The longer side becomes 256 px, the other is filled up to a multiple of 32."""
        scale = multipose.SIZE / max(size_wh)
        width, height = (max(round(side * scale), 1) for side in size_wh)
        step = multipose.MULTIPLE
        return (width, height), (-(-width // step) * step, -(-height // step) * step)

    def __call__(self, canvas: Image) -> FoundPeople:
        """Up to six people."""
        rgb = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        heads = multipose.Heads(*(one[0] for one in self._heads(rgb[None])))
        with one_thread(), torch.inference_mode():
            found = multipose.people(heads)
        points, boxes = (one.cpu().numpy().astype(np.float64) for one in found)
        for one in (points, boxes):
            check_finite(one, "movenet-multipose")
        return FoundPeople(boxes, points)
