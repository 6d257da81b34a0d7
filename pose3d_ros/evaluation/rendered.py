"""Rendered scenes through the detector and the estimator, matched to the truth (NumPy, float64).

A detected person and a true one are the same in an image when the detected keypoints lie near the true points that the
camera sees; a published person and a true one when their joints are near each other in space. Both one to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from pose3d_ros.detection.detector import Detector, UsesPredictedBoxes
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats, FrameSet, Keypoints2D, PersonState, Pose3D, Skeleton

# Median distance of a detected person's keypoints from the true ones, over the person's size in the image: right pairs
# have 0.01 to 0.1, even half occluded; a neighbour's more than a third.
SAME_IN_IMAGE = 0.25
# Mean distance of joints; pelvises of two people are 0.65 m apart at least.
SAME_IN_SPACE_M = 0.5
# COCO-17 keypoints that are a joint of the body.
JOINT_OF_KEYPOINT = {
    number: H36M_17.index(name) for number, name in enumerate(COCO_17.joint_names) if name in H36M_17.joint_names
}
ENOUGH_KEYPOINTS = 4  # of a person that a detector without errors detects

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


@dataclass(frozen=True, eq=False)
class Published:
    """Poses of the true people of one scene; T moments, P people."""

    xyz: Floats  # (T, P, 17, 3) m, NaN where not published
    covariance: Floats  # (T, P, 17, 3, 3) m^2
    ids: NDArray[np.str_]  # (T, P), "" where not published
    false: NDArray[np.intp]  # (T,) people published where there is none


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


def estimate(
    scene: RenderedScene, detected: Sequence[Detected], options: EstimatorOptions, cameras: Sequence[str] = ()
) -> list[Pose3D]:
    """Poses from detections by some of the scene's cameras, moment by moment."""
    rig = scene.rig.subset(cameras) if cameras else scene.rig
    estimator = PoseEstimator(rig, None, options)
    return [estimator.estimate_from_keypoints({name: one[name] for name in rig.names}).pose for one in detected]


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


def match_poses(scene: RenderedScene, poses: Sequence[Pose3D]) -> Published:
    """Which true person each published one is; people who are only predicted or lost are not published."""
    moments, people = scene.truth.joints_m.shape[:2]
    xyz = np.full(scene.truth.joints_m.shape, np.nan)
    covariance = np.full((*xyz.shape, 3), np.nan)
    ids = np.full((moments, people), "", dtype="U32")
    false = np.zeros(moments, dtype=np.intp)
    for moment, pose in enumerate(poses):
        shown = np.flatnonzero(pose.state == PersonState.VISIBLE)
        truth = scene.truth.joints_m[moment]
        apart = _mean_finite(np.linalg.norm(pose.xyz[shown][:, None] - truth[None], axis=-1)[..., GIVEN])
        pairs = _one_to_one(apart, SAME_IN_SPACE_M)
        for row, person in pairs:
            xyz[moment, person], covariance[moment, person] = pose.xyz[shown[row]], pose.covariance[shown[row]]
            ids[moment, person] = pose.ids[shown[row]]
        false[moment] = len(shown) - len(pairs)
    return Published(xyz, covariance, ids, false)


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


def true_detections(scene: RenderedScene) -> list[Detected]:
    """What a detector without errors gives: the COCO points that the image shows, or the body itself covers."""
    true_px, shown = true_points(scene), scene.truth.visibility >= Visibility.SELF_OCCLUDED
    out: list[Detected] = []
    for moment, stamp in enumerate(scene.moments_ns.tolist()):
        by_camera = {}
        for view, name in enumerate(scene.rig.names):
            people = np.flatnonzero(shown[view, moment].sum(axis=1) >= ENOUGH_KEYPOINTS)
            known = shown[view, moment, people]
            by_camera[name] = Keypoints2D(
                xy=np.where(known[..., None], true_px[view, moment, people], np.nan),
                score=known.astype(np.float64),
                skeleton=COCO_17,
                stamp_ns=stamp,
                covariance=np.where(known[..., None, None], np.eye(2), np.nan),
            )
        out.append(by_camera)
    return out


def matched_detections(scene: RenderedScene, detections: Detections, person: int) -> list[Detected]:
    """Only one true person's detections: what the estimator would be given if association were known."""
    out: list[Detected] = []
    for moment, stamp in enumerate(scene.moments_ns.tolist()):
        by_camera = {}
        for view, name in enumerate(scene.rig.names):
            at = view, moment, slice(person, person + 1) if detections.found[view, moment, person] else slice(0, 0)
            by_camera[name] = Keypoints2D(
                xy=detections.xy[at], score=detections.score[at], skeleton=COCO_17, stamp_ns=stamp,
                covariance=detections.covariance[at],
            )  # fmt: skip
        out.append(by_camera)
    return out


def _same_in_image(xy: Floats, true_px: Floats, visible: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(detected, true) pairs of one image: xy (D, 17, 2), true_px (P, 17, 2), visible (P, 17)."""
    shown = np.where((visible >= Visibility.SELF_OCCLUDED)[..., None], true_px, np.nan)
    apart = np.linalg.norm(xy[:, None] - shown[None], axis=-1)
    known = np.isfinite(apart).any(axis=-1)
    distance = np.full(known.shape, np.inf)
    distance[known] = np.nanmedian(apart[known], axis=-1)
    return _one_to_one(distance / size_px(true_px), SAME_IN_IMAGE)


def _one_to_one(cost: Floats, most: float) -> list[tuple[int, int]]:
    """(row, column) pairs below `most`, each row and column once, with the least cost in all."""
    gain = np.where(cost < most, most - cost, 0.0)
    rows, columns = linear_sum_assignment(-np.nan_to_num(gain))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if gain[row, column] > 0]


def _mean_finite(values: Floats) -> Floats:
    """Mean over the last axis of what is finite; inf where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    out: Floats = np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.inf)
    return out
