"""Two-stage detection: NanoDet detects people from time to time, another network their joints in every image."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.detection import nanodet
from pose3d_ros.detection.backend import backend_of
from pose3d_ros.detection.box_tracks import NO_BOXES, SURE_SCORE, BoxTracks, Candidates, better_half
from pose3d_ros.detection.boxes import MIN_BOX_SCORE, iou, suppress
from pose3d_ros.detection.crops import shrunk
from pose3d_ros.detection.devices import one_thread, torch_device
from pose3d_ros.detection.finite import check_finite
from pose3d_ros.detection.keypoint_head import FoundKeypoints, Image, KeypointHead, MoveNetJoints
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.detection.people import distinct, people, replaced
from pose3d_ros.detection.second_look import Wanted, astray, look_again, person_scores, wanted
from pose3d_ros.detection.spare_time import SpareTime
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton
from pose3d_ros.weights import store

# Keypoints of a person behind another, who was painted over, are taken to be three times as far off as others of their
# score: in the rendered scene of the tests joints were 63.7 mm off without, 55.7 mm with it; in rooms it is the same.
HIDDEN_VARIANCE = 9.0
SAME_BOX_IOU = 0.6  # boxes that overlap more are one person: NanoDet's own threshold


class TopDownDetector:
    """Callable on a FrameSet; keeps the last boxes of the people in each camera."""

    def __init__(
        self,
        device: str = "auto",
        options: DetectorOptions | None = None,
        joints: KeypointHead | None = None,
        spare: SpareTime | None = None,
    ) -> None:
        """device: auto, cpu, cuda or any of torch's; joints: the keypoint head, by default MoveNet Thunder.

        spare, for live cameras: the use of the exact network then depends on the time it takes.
        Raises WeightsMissingError, WeightsCorruptError, InputError.
        """
        self.options = options or DetectorOptions()
        self._device = torch_device(device)
        self._joints = joints or MoveNetJoints("movenet-thunder", device, self.options)
        network = nanodet.NanoDet(store.path("nanodet")).eval().network
        self._heads = backend_of("nanodet", network, nanodet.in_bfloat16, nanodet.WIDE_HW, self._device, self.options)
        self._tracks: dict[str, BoxTracks] = {}
        self._predicted: Mapping[str, Floats] = {}
        self._spare = spare

    @property
    def name(self) -> str:
        """The names of both networks: boxes + joints."""
        return f"nanodet+{self._joints.name}"

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the keypoint head."""
        return self._joints.skeleton

    @property
    def device(self) -> str:
        """The devices of both networks."""
        boxes, joints = str(self._device), self._joints.device
        return boxes if boxes == joints else f"boxes {boxes}, joints {joints}"

    @property
    def backend(self) -> str:
        """The backends of both networks: torch, openvino or ONNX Runtime."""
        boxes, joints = self._heads.name, self._joints.backend
        return boxes if boxes == joints else f"boxes {boxes}, joints {joints}"

    def reset(self) -> None:
        """Forget all people: the next call searches every image."""
        self._tracks.clear()

    def state_dict(self) -> dict[str, Any]:
        """The tracked boxes by camera, in the order of their first images."""
        return {camera: tracks.state_dict() for camera, tracks in self._tracks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of another instance."""
        self.reset()
        for camera, tracks in state.items():
            self._tracks_of(camera).load_state_dict(tracks)

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Return keypoints for every camera of the set, with score, covariance, boxes and the image's stamp."""
        began_s, cameras = time.monotonic(), len(frames.images)
        predicted, self._predicted = self._predicted, {}
        searched = {
            camera: image
            for camera, image in frames.images.items()
            if self._tracks_of(camera).search_due(predicted.get(camera, NO_BOXES))
        }
        detected_boxes = self._search(searched)
        candidates: dict[str, Candidates] = {}
        exact: list[NDArray[np.bool_]] = []
        for camera in frames.images:
            tracks = self._tracks[camera]
            boxes = tracks.candidates(detected_boxes.get(camera), predicted.get(camera, NO_BOXES), cameras)
            candidates[camera] = boxes.first(self.options.max_detections)
            count = len(candidates[camera].boxes)
            exact.append(tracks.use_exact(count, cameras, self._spare.people if self._spare else 0))
        if not candidates:
            return {}
        result, new_person = {}, False
        for camera, (detections, score) in self._detect(frames, candidates, np.concatenate(exact)).items():
            tracked = candidates[camera].tracked
            kept = distinct(detections, score >= self.options.person_score)
            result[camera] = detections.select(kept)
            lost = int((kept < tracked).sum()) < tracked
            self._tracks[camera].update(result[camera].xy, result[camera].score, kept, lost)
            new_person |= bool((better_half(result[camera].score[kept >= tracked]) >= SURE_SCORE).any())
        for camera in result if new_person else ():
            if camera not in searched:
                self._tracks[camera].search_soon()
        if self._spare is not None:
            self._spare.add(time.monotonic() - began_s, frames.stamp_ns)
        return result

    def _detect(
        self, frames: FrameSet, candidates: Mapping[str, Candidates], exact: NDArray[np.bool_]
    ) -> dict[str, tuple[Keypoints2D, Floats]]:
        """Return the keypoints of all candidates (P) and their scores (P,), by camera, after a second look at some."""
        images = [image for camera, image in frames.images.items() for _ in candidates[camera].boxes]
        joints = self._joints(images, np.concatenate([one.boxes for one in candidates.values()]), exact)
        found, again, begin = {}, [], 0
        for camera, one in candidates.items():
            rows = slice(begin, begin := begin + len(one.boxes))
            of_camera = FoundKeypoints(joints.xy[rows], joints.score[rows], joints.crop_scale[rows])
            found[camera] = people(of_camera, self.skeleton, frames.images[camera].shape, frames.stamps_ns[camera])
            again += [(camera, look) for look in wanted(found[camera], one, self.options.person_score)]
        if again:
            self._look_again(frames, candidates, found, again)
        return {
            camera: (detections, person_scores(detections.score, candidates[camera].score))
            for camera, detections in found.items()
        }

    def _look_again(
        self,
        frames: FrameSet,
        candidates: Mapping[str, Candidates],
        found: dict[str, Keypoints2D],
        again: Sequence[tuple[str, Wanted]],
    ) -> None:
        """Put the keypoints of a second look in the place of those that were found, all cameras at once.

        A look that finds a person elsewhere leaves a tracked or predicted person's weak keypoints as they were; others
        are dropped.
        """
        images = [frames.images[camera] for camera, _ in again]
        boxes = np.stack([candidates[camera].boxes[look.row] for camera, look in again])
        fronts = [
            None if look.front is None else (found[camera].xy[look.front], found[camera].score[look.front])
            for camera, look in again
        ]
        hidden = np.array([front is not None for front in fronts])
        joints = look_again(self._joints, images, boxes, fronts)
        elsewhere = astray(joints, boxes, hidden)
        joints.score[elsewhere] = 0.0
        as_before = elsewhere & ~np.array([look.replaces for _, look in again])
        for camera in dict.fromkeys(camera for camera, _ in again):
            rows = [row for row, (name, _) in enumerate(again) if name == camera and not as_before[row]]
            of_camera = FoundKeypoints(joints.xy[rows], joints.score[rows], joints.crop_scale[rows])
            ones = people(of_camera, self.skeleton, frames.images[camera].shape, frames.stamps_ns[camera])
            assert ones.covariance is not None
            ones = replace(
                ones, covariance=ones.covariance * np.where(hidden[rows], HIDDEN_VARIANCE, 1.0)[:, None, None, None]
            )
            found[camera] = replaced(found[camera], [again[row][1].row for row in rows], ones)

    def set_predicted_boxes(self, boxes: Mapping[str, Floats]) -> None:
        """Set boxes (K, 4) px of people located by the other cameras, by camera, for the next frame set."""
        self._predicted = boxes

    def _tracks_of(self, camera: str) -> BoxTracks:
        if camera not in self._tracks:
            # An odd step, so that four cameras that start together are searched in different sets.
            phase = len(self._tracks) * (self.options.search_every // 4 | 1)
            self._tracks[camera] = BoxTracks(self.options.search_every, phase)
        return self._tracks[camera]

    def _search(self, images: Mapping[str, Image]) -> dict[str, Floats]:
        """Detect people in each camera's image: boxes px and scores (N, 5), best first."""
        canvases = {camera: _canvas(image) for camera, image in images.items()}
        shapes = {canvas.shape for canvas in canvases.values()}
        detected = {}
        for batch in ([name for name, canvas in canvases.items() if canvas.shape == shape] for shape in shapes):
            heads = self._heads(np.stack([canvases[camera] for camera in batch]))
            with one_thread(), torch.inference_mode():
                for camera, cells in zip(batch, nanodet.boxes(heads), strict=True):
                    # NaN is kept; otherwise no person would be detected and no error reported.
                    kept_cells = cells[~(cells[:, 4] < MIN_BOX_SCORE)].cpu().numpy().astype(np.float64)
                    check_finite(kept_cells, "NanoDet")
                    detected[camera] = _boxes_of(kept_cells, images[camera])
        return detected


def _canvas(image: Image) -> Image:
    """Return the image at NanoDet's size in the upper left corner of a black canvas with valid sides for NanoDet."""
    height, width = image.shape[:2]
    scale = nanodet.SIZE / max(height, width)
    small_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    padded_wh = [-(-side // nanodet.MULTIPLE) * nanodet.MULTIPLE for side in small_wh]
    canvas = np.zeros((padded_wh[1], padded_wh[0], 3), dtype=np.uint8)
    canvas[: small_wh[1], : small_wh[0]] = shrunk(image, small_wh)
    return canvas


def _boxes_of(cells: Floats, image: Image) -> Floats:
    """Return boxes px and scores (N, 5) from NanoDet's cells (M, 5) on a canvas, without duplicates, best first."""
    height, width = image.shape[:2]
    boxes, score = cells[:, :4], cells[:, 4]
    best = np.argsort(-score)[:200]  # NanoDet's own limit
    boxes, score = boxes[best], score[best]
    kept = suppress(iou(boxes, boxes), score, SAME_BOX_IOU)
    scale = nanodet.SIZE / max(height, width)
    boxes = np.clip(boxes[kept] / scale, 0, [width, height, width, height]) - 0.5
    return np.concatenate((boxes, score[kept, None]), axis=1)
