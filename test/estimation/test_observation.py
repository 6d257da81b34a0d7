"""Scores and weights that go into and come out of triangulation."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.observation import (
    calibration_shift,
    gathered,
    joint_score,
    triangulated,
    weighed_by_score,
    with_calibration_noise,
    without_uncertain,
)
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Keypoints2D

RIG = h36m_rig()


def test_every_group_is_placed_and_absent_views_are_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = np.stack([walker((-1, 0), (0, 0), 0), walker((1, 0.5), (0, 0), 0)])
    people = [seen(camera, truth, rng, noise_px=0.0) for camera in RIG.cameras]
    groups = np.array([[1, 1, 1, 1], [0, -1, 0, -1]])
    found = triangulated(RIG.cameras, gathered(people, groups), min_views=2, max_std_m=0.3)
    np.testing.assert_allclose(found.xyz, truth[[1, 0]], atol=1e-6)
    assert (found.n_views == [[4], [2]]).all()
    assert (found.joints == 17).all()
    strict = triangulated(RIG.cameras, gathered(people, groups), min_views=3, max_std_m=0.3)
    assert np.isnan(strict.xyz[1]).all()
    assert (strict.score[1] == 0).all()


def test_no_groups_give_no_people() -> None:
    no_people = [Keypoints2D.empty(H36M_17) for _ in RIG.cameras]
    groups = np.zeros((0, 4), dtype=int)
    assert len(triangulated(RIG.cameras, gathered(no_people, groups), min_views=2, max_std_m=0.3)) == 0


def test_more_views_and_higher_scores_give_a_higher_score() -> None:
    two, four = np.full((2, 1), 0.5), np.full((4, 1), 0.5)
    assert joint_score(two)[0] == pytest.approx(0.5)
    assert joint_score(four)[0] == pytest.approx(1 - 0.5**3)
    assert joint_score(np.array([[0.9], [0.0]]))[0] == 0
    assert joint_score(np.array([[0.8], [0.6], [0.0]]))[0] == pytest.approx(0.7)


def test_within_a_person_the_standard_deviation_goes_with_the_inverse_score() -> None:
    score = np.array([[0.9, 0.6, 0.3, 0.0]])
    covariance = np.array([4.0, 25.0, 900.0, np.nan])[None, :, None, None] * np.eye(2)
    weighed = weighed_by_score(covariance, score)
    sigma = np.sqrt(weighed[0, :, 0, 0])
    np.testing.assert_allclose(sigma[:3] * score[0, :3], 3.0)  # the median of 1.8, 3.0, 9.0
    assert np.isnan(sigma[3])
    assert np.isnan(weighed_by_score(np.full((1, 2, 2, 2), np.nan), np.zeros((1, 2)))).all()


@pytest.mark.parametrize("nonsense", [0.0, -4.0, np.inf, np.nan])
@pytest.mark.filterwarnings("error")
def test_a_covariance_that_is_none_says_nothing_of_the_other_joints(nonsense: float) -> None:
    score = np.full((1, 5), 0.5)
    covariance = np.array([4.0, 9.0, 16.0, nonsense, nonsense])[None, :, None, None] * np.ones((2, 2))
    weighed = weighed_by_score(covariance, score)
    np.testing.assert_allclose(weighed[0, :3], 9.0)
    assert np.isnan(weighed[0, 3:]).all()


def grouped(noise_px: float = 2.0):
    rng = np.random.default_rng(0)
    truth = walker((-1, 0), (0, 0), 0)[None]
    people = [seen(camera, truth, rng, noise_px=noise_px) for camera in RIG.cameras]
    return gathered(people, np.array([[0, 0, 0, 0]]))


def test_errors_of_cameras_widen_the_covariance_and_move_nothing() -> None:
    people = grouped()
    found = triangulated(RIG.cameras, people, min_views=2, max_std_m=np.inf)
    errors = calibration_shift(RIG.cameras, people, found)
    wider = with_calibration_noise(found, errors, 8.0)
    np.testing.assert_array_equal(wider.xyz, found.xyz)
    np.testing.assert_array_equal(wider.covariance, found.covariance)
    assert (np.linalg.eigvalsh(wider.calibration_covariance[np.isfinite(found.xyz).all(-1)]) > 0).all()
    twice = with_calibration_noise(found, errors, 16.0)
    np.testing.assert_allclose(twice.calibration_covariance, 4 * wider.calibration_covariance)


def test_a_filled_in_joint_is_moved_as_the_others_are() -> None:
    people = grouped()
    found = triangulated(RIG.cameras, people, min_views=2, max_std_m=np.inf)
    unseen = np.zeros(found.score.shape, dtype=bool)
    unseen[0, 3] = True
    wider = with_calibration_noise(found, calibration_shift(RIG.cameras, people.without(unseen), found), 8.0)
    known = np.isfinite(found.xyz).all(-1)[0] & ~unseen[0]
    np.testing.assert_allclose(wider.calibration_covariance[0, 3], wider.calibration_covariance[0, known].mean(axis=0))


def test_errors_of_cameras_leave_no_joint_out() -> None:
    people = grouped()
    found = triangulated(RIG.cameras, people, min_views=2, max_std_m=np.inf)
    wider = with_calibration_noise(found, calibration_shift(RIG.cameras, people, found), 200.0)
    np.testing.assert_array_equal(without_uncertain(wider, 0.5).xyz, found.xyz)


@pytest.mark.parametrize("known", range(6))
def test_the_level_is_the_median_of_the_known_joints(known: int) -> None:
    score = np.r_[np.random.default_rng(known).uniform(0.2, 1.0, known), np.zeros(5 - known)]
    std = np.random.default_rng(known + 9).uniform(1.0, 9.0, 5)
    weighed = weighed_by_score((std**2)[:, None, None] * np.eye(2), score)
    level = np.sqrt(weighed[:known, 0, 0]) * score[:known]
    np.testing.assert_allclose(level, np.full(known, np.median((std * score)[:known])) if known else level)
    assert np.isnan(weighed[known:]).all()
