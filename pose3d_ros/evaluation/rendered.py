"""Poses of rendered people, matched to the truth (NumPy, float64).

A published person and a true one are the same when their joints are near each other in space, one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.body_tables import smoothed
from pose3d_ros.evaluation.trials import Trial
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.simulation.simulated_rigs import Floor, SimulatedRig
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, Keypoints2D, PersonState, Pose3D
from pose3d_ros.training.rendered_people import Detected, Detections, one_to_one, true_points, views_of

# Mean distance of joints; pelvises of two people are 0.65 m apart at least.
SAME_IN_SPACE_M = 0.5
ENOUGH_KEYPOINTS = 4  # of a person that a detector without errors detects


@dataclass(frozen=True, eq=False)
class Published:
    """Poses of the true people of one scene; T moments, P people."""

    xyz: Floats  # (T, P, 17, 3) m, NaN where not published
    covariance: Floats  # (T, P, 17, 3, 3) m^2
    ids: NDArray[np.str_]  # (T, P), "" where not published
    false: NDArray[np.intp]  # (T,) people published where there is none
    predicted_age_s: Floats  # (N,) of all who are published as predicted, not seen


def trial_of(scene: RenderedScene, detections: Detections) -> Trial:
    """People at single moments of a scene as the refinement tables take them."""
    views = views_of(scene, detections)
    rig = SimulatedRig(scene.name, scene.rig, Floor((0.0, 0.0), 0.0, 0.0), views.sigma_px)
    return Trial("rendered", rig, views, views.sigma_px)


def estimate(
    scene: RenderedScene,
    detected: Sequence[Detected],
    options: EstimatorOptions,
    cameras: Sequence[str] = (),
    *,
    two_sides: bool = False,
) -> list[Pose3D]:
    """Poses from detections by some of the scene's cameras, moment by moment; two_sides: smoothed in the end."""
    rig = scene.rig.subset(cameras) if cameras else scene.rig
    estimator = PoseEstimator(rig, None, options)
    estimates = [estimator.estimate_from_keypoints({name: one[name] for name in rig.names}) for one in detected]
    if two_sides:
        return smoothed(estimates)
    return [one.pose for one in estimates]


def match_poses(scene: RenderedScene, poses: Sequence[Pose3D | None]) -> Published:
    """Which true person each published one is at every moment; None: no pose.

    People who are only predicted or lost count as not published; of the predicted ones the age is kept.
    """
    moments, people = scene.truth.joints_m.shape[:2]
    xyz = np.full(scene.truth.joints_m.shape, np.nan)
    covariance = np.full((*xyz.shape, 3), np.nan)
    ids = np.full((moments, people), "", dtype="U32")
    false = np.zeros(moments, dtype=np.intp)
    age_s: list[float] = []
    for moment, pose in enumerate(poses):
        if pose is None:
            continue
        age_s += pose.age_s[pose.state == PersonState.OCCLUDED].tolist()
        shown = np.flatnonzero(pose.state == PersonState.VISIBLE)
        truth = scene.truth.joints_m[moment]
        apart = _mean_finite(np.linalg.norm(pose.xyz[shown][:, None] - truth[None], axis=-1)[..., GIVEN])
        pairs = one_to_one(apart, SAME_IN_SPACE_M)
        for row, person in pairs:
            xyz[moment, person], covariance[moment, person] = pose.xyz[shown[row]], pose.covariance[shown[row]]
            ids[moment, person] = pose.ids[shown[row]]
        false[moment] = len(shown) - len(pairs)
    return Published(xyz, covariance, ids, false, np.array(age_s))


def by_moment(recording: Recording) -> list[Pose3D | None]:
    """The poses of a recording that a node made of a scene, moment by moment; None where it published none."""
    poses: list[Pose3D | None] = [None] * recording.frames_per_loop
    for pose in recording.poses:
        poses[recording.footage_frame(pose.stamp_ns)] = pose
    return poses


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


def _mean_finite(values: Floats) -> Floats:
    """Mean over the last axis of what is finite; inf where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    out: Floats = np.where(known.any(axis=-1), total / np.maximum(known.sum(axis=-1), 1), np.inf)
    return out
