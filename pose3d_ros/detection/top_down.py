"""The default detector: NanoDet finds people now and then, MoveNet finds their joints in every image."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.detection import movenet, nanodet
from pose3d_ros.detection.box_tracks import BoxTracks, joint_box
from pose3d_ros.detection.boxes import grown, iou, oks, suppress
from pose3d_ros.detection.choice import DetectorOptions, joints_model
from pose3d_ros.detection.crops import Crop, cut, shrunk, square, to_image
from pose3d_ros.detection.uncertainty import covariance
from pose3d_ros.errors import InputError
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton
from pose3d_ros.weights import store

Image = NDArray[np.uint8]


# Boxes and people more alike than this are one: NanoDet's own threshold for its boxes, and COCO's "same person".
SAME_BOX_IOU = 0.6
SAME_PERSON_OKS = 0.5


class TopDownDetector:
    """Callable on a FrameSet; keeps the boxes of people that each camera saw last."""

    skeleton: Skeleton = COCO_17

    def __init__(self, device: str = "auto", options: DetectorOptions | None = None) -> None:
        """device: auto, cpu, cuda or any of torch's. Raises WeightsMissingError, WeightsCorruptError, InputError."""
        self.options = options or DetectorOptions()
        self.device = _device(device)
        model = joints_model(self.options)
        self.name = f"nanodet+{model}"
        self._pose = movenet.MoveNet(store.path(model), movenet.SIZES[model]).eval().to(self.device)
        self._boxes = nanodet.NanoDet(store.path("nanodet")).eval().to(self.device)
        if self.options.precision == "half" or (self.options.precision == "auto" and _halves_natively(self.device)):
            if self.device.type == "cpu":
                self._pose, self._boxes = self._pose.in_bfloat16(), self._boxes.to(torch.bfloat16)
            else:
                self._pose, self._boxes = self._pose.half(), self._boxes.half()
        self._tracks: dict[str, BoxTracks] = {}

    def reset(self) -> None:
        """Forget everybody: the next call looks for people in every image."""
        self._tracks.clear()

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """COCO-17 keypoints of every camera of the set, with score, covariance, boxes and the image's stamp."""
        crops: list[Crop] = []
        images: list[Image] = []
        mine: dict[str, tuple[slice, int]] = {}  # camera -> its crops, how many of them show followed people
        for camera, image in frames.images.items():
            boxes, followed = self._tracks_of(camera).expected(partial(self._search, image))
            boxes = boxes[: self.options.max_people]
            mine[camera] = slice(len(crops), len(crops) + len(boxes)), min(followed, len(boxes))
            crops += [square(box) for box in grown(boxes, self.options.box_scale)]
            images += [cut(image, crop, self._pose.size) for crop in crops[mine[camera][0]]]
        points = self._joints(images)
        result = {}
        for camera, (part, followed) in mine.items():
            size_hw = frames.images[camera].shape[:2]
            people = _people(points[part], crops[part], self._pose.size, size_hw, frames.stamps_ns[camera])
            kept = self._distinct(people)
            result[camera] = people.select(kept)
            lost = int((kept < followed).sum()) < followed
            self._tracks[camera].follow(result[camera].xy, result[camera].score, lost)
        return result

    def _tracks_of(self, camera: str) -> BoxTracks:
        if camera not in self._tracks:
            # An odd step, so that four cameras that start together are searched in different sets.
            phase = len(self._tracks) * (self.options.search_every // 4 | 1)
            self._tracks[camera] = BoxTracks(self.options.search_every, phase)
        return self._tracks[camera]

    def _search(self, image: Image) -> Floats:
        """Boxes px and scores (N, 5) of the people in one image, best first."""
        height, width = image.shape[:2]
        scale = nanodet.SIZE / max(height, width)
        small_wh = max(round(width * scale), 1), max(round(height * scale), 1)
        padded_wh = [-(-side // nanodet.MULTIPLE) * nanodet.MULTIPLE for side in small_wh]
        canvas = np.zeros((1, padded_wh[1], padded_wh[0], 3), dtype=np.uint8)
        canvas[0, : small_wh[1], : small_wh[0]] = shrunk(image, small_wh)
        with torch.inference_mode():
            cells = self._boxes(torch.from_numpy(canvas).to(self.device))[0]
            cells = cells[cells[:, 4] >= self.options.box_score].cpu().numpy().astype(np.float64)
        boxes, score = cells[:, :4], cells[:, 4]
        best = np.argsort(-score)[:200]  # NanoDet's own limit
        boxes, score = boxes[best], score[best]
        kept = suppress(iou(boxes, boxes), score, SAME_BOX_IOU)
        boxes = np.clip(boxes[kept] / scale, 0, [width, height, width, height]) - 0.5
        return np.concatenate((boxes, score[kept, None]), axis=1)

    def _joints(self, crops: list[Image]) -> Floats:
        """Keypoints (N, 17, 3): x, y in px of the crop, score; all crops in one forward."""
        if not crops:
            return np.zeros((0, movenet.JOINTS, 3))
        batch = np.ascontiguousarray(np.stack(crops)[..., ::-1])  # BGR to RGB
        with torch.inference_mode():
            points = self._pose(torch.from_numpy(batch).to(self.device))
        return np.asarray(points.cpu().numpy(), dtype=np.float64)

    def _distinct(self, people: Keypoints2D) -> NDArray[np.intp]:
        """Indices of the people that are real (well seen in part at least), each once."""
        better_half = np.sort(people.score, axis=1)[:, -(movenet.JOINTS // 2) :].mean(axis=1)
        real = np.flatnonzero(better_half >= self.options.person_score)
        some = people.select(real)
        assert some.boxes is not None
        alike = oks(some.xy, some.score, np.prod(some.boxes[:, 2:], axis=1))
        return np.sort(real[suppress(alike, some.score.mean(axis=1), SAME_PERSON_OKS)])


def _people(points: Floats, crops: list[Crop], size: int, size_hw: tuple[int, ...], stamp_ns: int) -> Keypoints2D:
    """Keypoints in the image, from points (P, 17, 3) in the crops of size px; joints outside the image are not seen."""
    if not crops:
        return Keypoints2D.empty(COCO_17, stamp_ns)
    xy = np.stack([to_image(one[:, :2], crop, size) for one, crop in zip(points, crops, strict=True)])
    score = np.clip(points[..., 2], 0.0, 1.0)
    size_wh = np.array([size_hw[1], size_hw[0]])
    outside = np.asarray(((xy < -0.5) | (xy > size_wh - 0.5)).any(axis=-1))
    xy = np.where(outside[..., None], np.nan, xy)
    score = np.where(outside, 0.0, score)
    scale = np.array([crop.side / size for crop in crops])
    boxes = np.array([joint_box(one, s) for one, s in zip(xy, score, strict=True)])
    spread = np.where(outside[..., None, None], np.nan, covariance(score, scale))
    return Keypoints2D(
        xy, score, COCO_17, stamp_ns, spread, np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    )


def _device(name: str) -> torch.device:
    """The device meant; raises InputError for one that torch does not have."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {error}: use auto, cpu or cuda") from error
    return torch.device(name)


def _halves_natively(device: torch.device) -> bool:
    """Whether a device has instructions for half precision: any GPU, and CPUs of the AVX-512 BF16 kind."""
    if device.type != "cpu":
        return True
    cpuinfo = Path("/proc/cpuinfo")  # torch has no public way to ask; elsewhere full precision is taken
    return cpuinfo.is_file() and "avx512_bf16" in cpuinfo.read_text()
