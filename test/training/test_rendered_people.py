"""A detector's errors on rendered people, of known size on made-up scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from rendered_people import FPS, displaced, made_up_scene, walkers
from synthetic_people import h36m_rig

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.rendered import trial_of, true_detections
from pose3d_ros.simulation.augmentation import swapped
from pose3d_ros.simulation.detector_residuals import BODY, BODY_PAIRS, EXCHANGE_PX, Residuals
from pose3d_ros.simulation.noise_models import DETECTED, crop_scale
from pose3d_ros.simulation.rendering.rendered_set import RenderedScene
from pose3d_ros.simulation.rendering.tracing import Visibility
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Keypoints2D
from pose3d_ros.training.rendered_people import (
    JOINT_OF_KEYPOINT,
    match_detections,
    residuals_of_scenes,
    true_joints,
    views_of,
)

STARTS = [(-0.8, -0.4), (0.7, 0.5)]
VIEWS, FRAMES, PEOPLE = 4, 6, 2
Change = Callable[[int, int, Keypoints2D], Keypoints2D]  # of (moment, view, keypoints)


@pytest.fixture(scope="module")
def scene() -> RenderedScene:
    """Two people before four cameras; joints are the COCO points."""
    return made_up_scene(h36m_rig(), walkers(STARTS, FRAMES))


def as_detected(moment: int, view: int, found: Keypoints2D) -> Keypoints2D:
    return found


def residuals(*scenes: RenderedScene, change: Change = as_detected) -> Residuals:
    found = []
    for scene in scenes:
        detected = [
            {name: change(moment, view, one) for view, (name, one) in enumerate(by_camera.items())}
            for moment, by_camera in enumerate(true_detections(scene))
        ]
        found.append(match_detections(scene, detected))
    return residuals_of_scenes(scenes, found)


def by_view(values: np.ndarray) -> np.ndarray:
    """Series (V * P, T, ...) as (V, P, T, ...)."""
    return values.reshape(VIEWS, PEOPLE, *values.shape[1:])


def with_visibility(scene: RenderedScene, at: object, value: Visibility) -> RenderedScene:
    visibility = scene.truth.visibility.copy()
    visibility[at] = value
    return replace(scene, truth=replace(scene.truth, visibility=visibility))


def test_detector_without_errors_leaves_no_residuals(scene):
    found = residuals(scene)
    assert found.error.shape == (VIEWS * PEOPLE, FRAMES, len(BODY), 2)
    assert found.error == pytest.approx(0.0, abs=1e-9)
    assert (found.score == 1.0).all()
    assert not found.exchanged.any()
    assert found.fps == FPS
    assert len(found.series) == VIEWS * PEOPLE


def test_displaced_detector_leaves_its_displacement_in_crop_px(scene):
    scale = crop_scale(true_joints(scene))  # (V, T, P) px

    def change(moment: int, view: int, found: Keypoints2D) -> Keypoints2D:
        return displaced(found, scale[view, moment][:, None, None] * (3.0, -1.5))

    found = residuals(scene, change=change)
    assert found.error == pytest.approx(np.broadcast_to((3.0, -1.5), found.error.shape), abs=1e-9)
    assert found.px_per_crop_px == pytest.approx(np.median(scale))
    assert not found.exchanged.any()


def test_displacement_of_one_person_in_one_camera_is_in_that_series(scene):
    def change(moment: int, view: int, found: Keypoints2D) -> Keypoints2D:
        return displaced(found, np.array([[0.0, 0.0], [5.0, 0.0]])[:, None]) if view == 2 else found

    error = by_view(residuals(scene, change=change).error)
    assert (error[2, 1, ..., 0] > 0.1).all()
    error[2, 1] = 0.0
    assert error == pytest.approx(0.0, abs=1e-9)


def test_swapped_left_and_right_are_reported_and_are_no_errors(scene):
    other = swapped(COCO_17)

    def change(moment: int, view: int, found: Keypoints2D) -> Keypoints2D:
        return replace(found, xy=found.xy[:, other])

    found = residuals(scene, change=change)
    label = np.moveaxis(true_joints(scene), 2, 1).reshape(-1, FRAMES, 17, 2)
    scale, body = crop_scale(label), label[:, :, DETECTED]
    expected = np.zeros(found.exchanged.shape, dtype=bool)
    for left, right in BODY_PAIRS:
        apart = np.linalg.norm(body[:, :, left] - body[:, :, right], axis=-1)
        expected[..., left] = expected[..., right] = apart > EXCHANGE_PX * scale
    assert expected.mean() > 0.5
    assert np.array_equal(found.exchanged, expected)
    assert found.error[expected] == pytest.approx(0.0, abs=1e-9)
    assert (found.score == 1.0).all()


def test_person_outside_of_the_image_is_not_counted(scene):
    found = residuals(with_visibility(scene, (0, slice(3, None), 1), Visibility.OUTSIDE))
    score = by_view(found.score)
    assert np.isnan(score[0, 1, 3:]).all()
    assert np.isnan(by_view(found.error)[0, 1, 3:]).all()
    assert np.isfinite(score).sum() == score.size - 3 * len(BODY)


def test_joint_outside_of_the_image_is_not_counted_though_the_person_is(scene):
    wrist = COCO_17.index("LWrist")
    score = by_view(residuals(with_visibility(scene, (1, slice(None), 0, wrist), Visibility.OUTSIDE)).score)
    assert np.isnan(score[1, 0, :, BODY.index("LWrist")]).all()
    assert np.isfinite(score).sum() == score.size - FRAMES


def test_person_who_is_not_detected_is_not_counted(scene):
    found = residuals(scene, change=lambda moment, view, one: one.select([1]) if view == 1 else one)
    score = by_view(found.score)
    assert np.isnan(score[1, 0]).all()
    assert np.isfinite(score).sum() == score.size - FRAMES * len(BODY)
    assert np.array_equal(np.isfinite(found.error).all(axis=-1), np.isfinite(found.score))


def test_missed_joint_of_a_detected_person_has_score_0(scene):
    knee = COCO_17.index("RKnee")

    def change(moment: int, view: int, found: Keypoints2D) -> Keypoints2D:
        xy, score = found.xy.copy(), found.score.copy()
        xy[:, knee], score[:, knee] = np.nan, 0.0
        return replace(found, xy=xy, score=score, covariance=None)

    found = residuals(scene, change=change)
    joint = BODY.index("RKnee")
    assert (found.score[..., joint] == 0.0).all()
    assert np.isnan(found.error[..., joint, :]).all()
    assert (np.delete(found.score, joint, axis=-1) == 1.0).all()


def test_shorter_scenes_are_padded_with_moments_that_do_not_count(scene):
    short = made_up_scene(h36m_rig(), walkers([(0.0, 0.0)], 2))
    found = residuals(scene, short)
    assert found.error.shape == (VIEWS * PEOPLE + VIEWS, FRAMES, len(BODY), 2)
    added = found.score[VIEWS * PEOPLE :]
    assert (added[:, :2] == 1.0).all()
    assert np.isnan(added[:, 2:]).all()
    assert np.isnan(found.error[VIEWS * PEOPLE :, 2:]).all()
    assert np.isfinite(found.error[: VIEWS * PEOPLE]).all()
    assert not found.exchanged.any()


def test_scenes_of_different_frame_rates_are_rejected_with_the_fix(scene):
    faster = replace(scene, truth=replace(scene.truth, fps=25.0))
    with pytest.raises(InputError, match=r"scenes of \[12\.0, 25\.0\] frames a second: render them at one rate"):
        residuals(scene, faster)


def test_scenes_in_which_no_person_is_detected_are_rejected(scene):
    with pytest.raises(InputError, match="no person was detected in the rendered scenes"):
        residuals(scene, change=lambda moment, view, one: one.select([]))


def test_triangulated_true_keypoints_are_the_true_joints(scene):
    detections = match_detections(scene, true_detections(scene))
    trial = trial_of(scene, detections)
    found = trial.robust().xyz
    assert found.shape == (FRAMES * PEOPLE, 17, 3)
    joints = list(JOINT_OF_KEYPOINT.values())
    assert np.linalg.norm(found - trial.truth, axis=-1)[:, joints].max() < 1e-3
    assert np.array_equal(trial.truth.reshape(scene.truth.joints_m.shape), scene.truth.joints_m)


def test_views_keep_people_and_moments_apart(scene):
    detected = [
        {name: one.select([0]) if moment == 2 and name == scene.rig.names[3] else one for name, one in found.items()}
        for moment, found in enumerate(true_detections(scene))
    ]
    views = views_of(scene, match_detections(scene, detected))
    missed = (views.score == 0).all(axis=-1)[..., 0].reshape(VIEWS, FRAMES, PEOPLE)
    assert missed[3, 2, 1]
    assert missed.sum() == 1
    assert np.isnan(views.xy_px[3, 2 * PEOPLE + 1]).all()
