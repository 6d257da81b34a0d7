"""What a real detector makes of rendered scenes: whose keypoints they are, and the views that training takes.

A detected person and a true one are the same in an image when the detected keypoints lie near the true points that the
camera sees, one to one. (NumPy, float64; V cameras, T moments, P people.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from pose3d_ros.detection.detector import Detector, UsesPredictedBoxes
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.detector_residuals import Residuals, against_labels
from pose3d_ros.simulation.noise_models import crop_scale
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.views import SimulatedViews, to_h36m
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, Skeleton

# Median distance of a detected person's keypoints from the true ones, over the person's size in the image: right pairs
# have 0.01 to 0.1, even half occluded; a neighbour's more than a third.
SAME_IN_IMAGE = 0.25
# COCO-17 keypoints that are a joint of the body.
JOINT_OF_KEYPOINT = {
    number: H36M_17.index(name) for number, name in enumerate(COCO_17.joint_names) if name in H36M_17.joint_names
}
# A keypoint's error, an axis, for the weights of a triangulation, px of the detector's crop.
SIGMA_CROP_PX = 3.0

Detected = Mapping[str, Keypoints2D]  # all people in the images of one moment, by camera


@dataclass(frozen=True, eq=False)
class Detections:
    """A detector's keypoints of the true people of one scene; V cameras, T moments, P people."""

    xy: Floats  # (V, T, P, 17, 2) px of COCO-17, NaN where not found
    score: Floats  # (V, T, P, 17), 0 where not found
    covariance: Floats  # (V, T, P, 17, 2, 2) px^2
    false: NDArray[np.intp]  # (V, T) people detected where there is none

    @property
    def found(self) -> NDArray[np.bool_]:
        """(V, T, P) which people were detected."""
        return np.asarray((self.score > 0).any(axis=-1))


class _Watched:
    """A detector that keeps what it gave."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.given: list[Detected] = []

    @property
    def name(self) -> str:
        """The detector's."""
        return self._detector.name

    @property
    def skeleton(self) -> Skeleton:
        """The detector's."""
        return self._detector.skeleton

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """What the detector gives."""
        found = self._detector(frames)
        self.given.append(found)
        return found

    def reset(self) -> None:
        """Forget earlier images."""
        self._detector.reset()

    def set_predicted_boxes(self, boxes: Mapping[str, Floats]) -> None:
        """Passed on."""
        if isinstance(self._detector, UsesPredictedBoxes):
            self._detector.set_predicted_boxes(boxes)


def run_chain(
    scene: RenderedScene, detector: Detector, options: EstimatorOptions
) -> tuple[list[Estimate], list[Detected]]:
    """Images through detector and estimator as in the node, moment by moment; the detector's people too."""
    detector.reset()
    watched = _Watched(detector)
    estimator = PoseEstimator(scene.rig, watched, options)
    estimates = [
        estimator.estimate(frames)
        for frames in tqdm(scene.read(), total=len(scene), desc=scene.name, unit=" moments", disable=None)
    ]
    return estimates, watched.given


def match_detections(scene: RenderedScene, detected: Sequence[Detected]) -> Detections:
    """Which true person each detection is of."""
    true_px, visible = true_points(scene), scene.truth.visibility
    shape = visible.shape
    xy, score, covariance = np.full((*shape, 2), np.nan), np.zeros(shape), np.full((*shape, 2, 2), np.nan)
    false = np.zeros(shape[:2], dtype=np.intp)
    for moment, by_camera in enumerate(detected):
        for view, name in enumerate(scene.rig.names):
            found = by_camera[name]
            pairs = _same_in_image(found.xy, true_px[view, moment], visible[view, moment])
            for one, person in pairs:
                at = view, moment, person
                xy[at], score[at] = found.xy[one], found.score[one]
                if found.covariance is not None:
                    covariance[at] = found.covariance[one]
            false[view, moment] = len(found) - len(pairs)
    return Detections(xy, score, covariance, false)


def true_points(scene: RenderedScene) -> Floats:
    """Where every camera sees all people's COCO points, (V, T, P, 17, 2) px."""
    return np.stack([project(camera, scene.truth.coco_m) for camera in scene.rig.cameras])


def true_joints(scene: RenderedScene) -> Floats:
    """Where the body's joints project that COCO keypoints stand for, (V, T, P, 17, 2) px; NaN for eyes and ears."""
    xyz = np.full_like(scene.truth.coco_m, np.nan)
    for keypoint, joint in JOINT_OF_KEYPOINT.items():
        xyz[..., keypoint, :] = scene.truth.joints_m[..., joint, :]
    return np.stack([project(camera, xyz) for camera in scene.rig.cameras])


def size_px(points_px: Floats) -> Floats:
    """The longer side of the box about people's points (..., J, 2) px, (...,); NaN of a person behind the camera."""
    out: Floats = (np.fmax.reduce(points_px, axis=-2) - np.fmin.reduce(points_px, axis=-2)).max(axis=-1)
    return out


def views_of(scene: RenderedScene, detections: Detections) -> SimulatedViews:
    """People at single moments (T * P windows of one frame) as simulated ones; joints of the body are the truth.

    The bias is not known apart from the noise: biased_px is as detected.
    """
    views, moments, people = scene.truth.visibility.shape[:3]
    shape = (views, moments * people, 1, COCO_17.size)
    joints = true_joints(scene).reshape(*shape, 2)
    known = np.where(np.isfinite(joints).all(axis=-1), 1.0, 0.0)
    xy, score = to_h36m(detections.xy.reshape(*shape, 2), detections.score.reshape(shape))
    true_px = to_h36m(joints, known)[0]
    sigma_px = SIGMA_CROP_PX * float(np.nanmedian(crop_scale(joints)))
    truth = scene.truth.joints_m.reshape(-1, 1, H36M_17.size, 3)
    cameras = scene.rig.cameras
    return SimulatedViews(cameras, cameras, truth, true_px, true_px, xy, score, sigma_px, xy, true_px)


def residuals_of_scenes(scenes: Sequence[RenderedScene], found: Sequence[Detections]) -> Residuals:
    """Errors of a detector against where the body's joints project: one series a person and camera of every scene.

    Raises InputError where scenes differ in frame rate, and where no person was detected.
    """
    if len({scene.fps for scene in scenes}) > 1:
        raise InputError(
            f"scenes of {sorted({scene.fps for scene in scenes})} frames a second: render them at one rate"
        )
    if not any(one.found.any() for one in found):
        raise InputError("no person was detected in the rendered scenes: check their images, or render more scenes")
    longest = max(map(len, scenes))
    parts = []
    for scene, one in zip(scenes, found, strict=True):
        label = true_joints(scene)
        label[scene.truth.visibility == Visibility.OUTSIDE] = np.nan
        label[~one.found] = np.nan
        for values in (one.xy, label, one.score):  # (V, T, P, ...) to (V * P, T, ...), as long as the longest
            series = np.moveaxis(values, 2, 1).reshape(-1, *values.shape[1:2], *values.shape[3:])
            short = longest - series.shape[1]
            parts.append(np.pad(series, ((0, 0), (0, short), *[(0, 0)] * (series.ndim - 2)), constant_values=np.nan))
    detected, label, score = (np.concatenate(parts[number::3]) for number in range(3))
    return against_labels(detected, label, score, scenes[0].fps)


def _same_in_image(xy: Floats, true_px: Floats, visible: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(detected, true) pairs of one image: xy (D, 17, 2), true_px (P, 17, 2), visible (P, 17)."""
    shown = np.where((visible >= Visibility.SELF_OCCLUDED)[..., None], true_px, np.nan)
    apart = np.linalg.norm(xy[:, None] - shown[None], axis=-1)
    known = np.isfinite(apart).any(axis=-1)
    distance = np.full(known.shape, np.inf)
    distance[known] = np.nanmedian(apart[known], axis=-1)
    return one_to_one(distance / size_px(true_px), SAME_IN_IMAGE)


def one_to_one(cost: Floats, most: float) -> list[tuple[int, int]]:
    """(row, column) pairs below `most`, each row and column once, with the least cost in all."""
    gain = np.where(cost < most, most - cost, 0.0)
    rows, columns = linear_sum_assignment(-np.nan_to_num(gain))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if gain[row, column] > 0]
