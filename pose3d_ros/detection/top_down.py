"""The default detector: NanoDet finds people now and then, MoveNet Thunder finds their joints in every image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.detection import movenet, nanodet
from pose3d_ros.detection.boxes import around, grown, iou, oks, suppress
from pose3d_ros.detection.crops import Crop, cut, square, to_image
from pose3d_ros.detection.uncertainty import covariance
from pose3d_ros.errors import InputError
from pose3d_ros.options import check, option
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton
from pose3d_ros.weights import store

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class DetectorOptions:
    """How people are looked for in the images."""

    search_every: int = option(
        8, "look for new people in every n-th image of a camera, and whenever somebody is lost", low=1, high=1000
    )
    box_score: float = option(0.15, "lowest score of a box around a person", low=0.0, high=1.0)
    box_scale: float = option(1.1, "how much larger than the person the crop is", low=1.0, high=2.0)
    person_score: float = option(0.3, "lowest mean score of a person's better half of joints", low=0.0, high=1.0)
    max_people: int = option(10, "most people in one image", low=1, high=100)
    precision: str = option("auto", "auto: half on a GPU, full on a CPU", choices=("auto", "full", "half"))

    def __post_init__(self) -> None:
        check(self)


# Boxes and people more alike than this are one: NanoDet's own threshold for its boxes, and COCO's "same person".
SAME_BOX_IOU = 0.6
SAME_PERSON_OKS = 0.5
# A tracked box and a found one that overlap less than this are two people.
SAME_TRACK_IOU = 0.3
# Joints below this score do not shape the next box.
BOX_JOINT_SCORE = 0.2


class TopDownDetector:
    """Callable on a FrameSet; keeps the boxes of people that each camera saw last."""

    name = "nanodet+movenet-thunder"
    skeleton: Skeleton = COCO_17

    def __init__(self, device: str = "auto", options: DetectorOptions | None = None) -> None:
        """device: auto, cpu, cuda or any of torch's. Raises WeightsMissingError, WeightsCorruptError, InputError."""
        self.options = options or DetectorOptions()
        self.device = _device(device)
        half = self.options.precision == "half" or (self.options.precision == "auto" and self.device.type == "cuda")
        dtype = torch.float16 if half else torch.float32
        pose_path, box_path = store.path("movenet-thunder"), store.path("nanodet")
        self._pose = movenet.MoveNet(pose_path).eval().to(self.device, dtype)
        self._boxes = nanodet.NanoDet(box_path).eval().to(self.device, dtype)
        self._tracked: dict[str, Floats] = {}  # camera -> (P, 4) px, where people are expected
        self._wait: dict[str, int] = {}  # camera -> images until the next search

    def reset(self) -> None:
        """Forget everybody: the next call looks for people in every image."""
        self._tracked.clear()
        self._wait.clear()

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """COCO-17 keypoints of every camera of the set, with score, covariance, boxes and the image's stamp."""
        boxes = {camera: self._expected(camera, image) for camera, image in frames.images.items()}
        crops = [
            (camera, square(grown(box, self.options.box_scale))) for camera, found in boxes.items() for box in found
        ]
        points = self._joints([cut(frames.images[camera], crop, movenet.SIZE) for camera, crop in crops])
        result = {}
        for camera, image in frames.images.items():
            mine = [i for i, (name, _) in enumerate(crops) if name == camera]
            people = _people(points[mine], [crops[i][1] for i in mine], image.shape[:2], frames.stamps_ns[camera])
            result[camera] = kept = self._distinct(people)
            if len(kept) < len(mine):
                self._wait[camera] = 0
            self._tracked[camera] = np.array([_next_box(xy, s) for xy, s in zip(kept.xy, kept.score, strict=True)])
        return result

    def _expected(self, camera: str, image: Image) -> Floats:
        """Boxes (P, 4) px to look into: the tracked ones, and what a search finds when one is due."""
        tracked = self._tracked.get(camera, np.zeros((0, 4)))
        wait = self._wait.get(camera, 0)
        if wait > 0 and len(tracked):
            self._wait[camera] = wait - 1
            return tracked
        # Cameras that start together search at different times later, so that the load is even.
        first = camera not in self._wait
        shift = len(self._wait) * self.options.search_every // 4 if first else 0
        self._wait[camera] = self.options.search_every - 1 - shift % self.options.search_every
        found = self._search(image)
        if len(tracked):
            found = found[(iou(found, tracked) < SAME_TRACK_IOU).all(axis=1)]
            found = np.concatenate((tracked, found))
        return found[: self.options.max_people]

    def _search(self, image: Image) -> Floats:
        """Boxes (P, 4) px of the people in one image, best first."""
        height, width = image.shape[:2]
        scale = nanodet.SIZE / max(height, width)
        small_wh = round(width * scale), round(height * scale)
        small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA)
        padded_wh = [-(-side // nanodet.MULTIPLE) * nanodet.MULTIPLE for side in small_wh]
        canvas = np.zeros((1, padded_wh[1], padded_wh[0], 3), dtype=np.uint8)
        canvas[0, : small_wh[1], : small_wh[0]] = small
        with torch.inference_mode():
            cells = self._boxes(torch.from_numpy(canvas).to(self.device))[0]
            cells = cells[cells[:, 4] >= self.options.box_score].cpu().numpy().astype(np.float64)
        boxes, score = cells[:, :4], cells[:, 4]
        best = np.argsort(-score)[:200]  # NanoDet's own limit
        boxes, score = boxes[best], score[best]
        kept = boxes[suppress(iou(boxes, boxes), score, SAME_BOX_IOU)]
        return np.asarray(np.clip(kept / scale, 0, [width, height, width, height]) - 0.5)

    def _joints(self, crops: list[Image]) -> Floats:
        """Keypoints (N, 17, 3): x, y in px of the crop, score; all crops in one forward."""
        if not crops:
            return np.zeros((0, movenet.JOINTS, 3))
        batch = np.ascontiguousarray(np.stack(crops)[..., ::-1])  # BGR to RGB
        with torch.inference_mode():
            points = self._pose(torch.from_numpy(batch).to(self.device))
        return np.asarray(points.cpu().numpy(), dtype=np.float64)

    def _distinct(self, people: Keypoints2D) -> Keypoints2D:
        """Without hallucinations and without seeing one person twice."""
        if not len(people):
            return people
        better_half = np.sort(people.score, axis=1)[:, -(movenet.JOINTS // 2) :].mean(axis=1)
        real = people.select(np.flatnonzero(better_half >= self.options.person_score))
        if not len(real) or real.boxes is None:
            return real
        alike = oks(real.xy, real.score, np.prod(real.boxes[:, 2:], axis=1))
        return real.select(np.sort(suppress(alike, real.score.mean(axis=1), SAME_PERSON_OKS)))


def _people(points: Floats, crops: list[Crop], size_hw: tuple[int, ...], stamp_ns: int) -> Keypoints2D:
    """Keypoints in the image, from points (P, 17, 3) in the crops; joints outside the image are not seen."""
    if not crops:
        return Keypoints2D.empty(COCO_17, stamp_ns)
    xy = np.stack([to_image(one[:, :2], crop, movenet.SIZE) for one, crop in zip(points, crops, strict=True)])
    score = np.clip(points[..., 2], 0.0, 1.0)
    size_wh = np.array([size_hw[1], size_hw[0]])
    outside = np.asarray(((xy < -0.5) | (xy > size_wh - 0.5)).any(axis=-1))
    xy = np.where(outside[..., None], np.nan, xy)
    score = np.where(outside, 0.0, score)
    scale = np.array([crop.side / movenet.SIZE for crop in crops])
    boxes = np.array([_box(one, s) for one, s in zip(xy, score, strict=True)])
    spread = np.where(outside[..., None, None], np.nan, covariance(score, scale))
    return Keypoints2D(
        xy, score, COCO_17, stamp_ns, spread, np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    )


def _box(xy: Floats, score: Floats) -> Floats:
    """Box (4,) px around a person's joints: the surer ones, or all that lie in the image."""
    least = BOX_JOINT_SCORE if (score >= BOX_JOINT_SCORE).sum() >= 2 else 1e-6
    return around(xy, score, least) if (score >= least).any() else np.zeros(4)


def _next_box(xy: Floats, score: Floats) -> Floats:
    """Where to look for this person in the next image: joints lie inside a body's outline."""
    return grown(_box(xy, score), 1.2)


def _device(name: str) -> torch.device:
    """The device meant; raises InputError for one that torch does not have."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {error}: use auto, cpu or cuda") from error
    return torch.device(name)
