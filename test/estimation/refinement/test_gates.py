"""Every gate refuses what it is for, and nothing else: one person in the middle of Human3.6M's cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from two_people import CAMERAS, TRUTH, observe

from pose3d_ros.estimation.observation import Grouped2D, triangulated
from pose3d_ros.estimation.refinement import gates
from pose3d_ros.estimation.refinement.gates import (
    Refusal,
    fit_worse,
    gate_refinement,
    moved_std,
    reprojection_px,
    worst_std,
)
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

WRIST = H36M_17.index("LWrist")


def verdicts(xyz: Floats, observed: Observed3D, found: Grouped2D, person: int = 0) -> set[Refusal]:
    return {Refusal(int(one)) for one in np.unique(gate_refinement(observed, xyz, CAMERAS, found)[person])}


def test_the_truth_is_accepted_and_so_is_what_was_triangulated() -> None:
    found, observed = observe()
    for xyz in (TRUTH, observed.xyz):
        assert not gate_refinement(observed, xyz, CAMERAS, found).any()


def test_a_joint_that_is_not_finite_is_refused_alone() -> None:
    found, observed = observe()
    for nonsense in (np.nan, np.inf, -np.inf):
        xyz = TRUTH.copy()
        xyz[0, WRIST, 1] = nonsense
        refusal = gate_refinement(observed, xyz, CAMERAS, found)
        assert refusal[0, WRIST] == Refusal.NOT_FINITE
        assert refusal.astype(bool).sum() == 1


def test_a_move_is_measured_by_the_covariance_of_the_triangulation() -> None:
    _, observed = observe()
    unsure = replace(observed, covariance=observed.covariance + np.diag([0.0, 0.0, 0.25]))
    xyz = observed.xyz.copy()
    xyz[0, WRIST, 2] += 0.5
    assert moved_std(observed, xyz)[0, WRIST] > 10
    assert moved_std(unsure, xyz)[0, WRIST] == pytest.approx(1.0, rel=0.05)
    assert moved_std(observed, xyz).astype(bool).sum() == 1


def test_an_overconfident_joint_may_still_move_by_the_calibration_error() -> None:
    found, observed = observe()
    exact = replace(observed, covariance=1e-6 * observed.covariance)
    assert not gate_refinement(exact, observed.xyz + np.array([0.0, 0.02, 0.0]), CAMERAS, found).any()


def test_a_joint_moved_too_far_is_refused_though_no_keypoint_speaks_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "REPROJECTION_STD", np.inf)
    found, observed = observe()
    xyz = TRUTH.copy()
    xyz[0, WRIST] += 0.3
    assert gate_refinement(observed, xyz, CAMERAS, found)[0, WRIST] == Refusal.TOO_FAR


def test_a_joint_that_leaves_its_keypoints_is_refused_though_its_triangulation_was_unsure() -> None:
    found, observed = observe()
    unsure = replace(observed, covariance=observed.covariance + np.eye(3))
    xyz = TRUTH.copy()
    xyz[0, WRIST] += (0.0, 0.0, 0.5)
    refusal = gate_refinement(unsure, xyz, CAMERAS, found)
    assert refusal[0, WRIST] == Refusal.REPROJECTION
    assert refusal.astype(bool).sum() == 1


def test_a_network_may_miss_a_keypoint_that_triangulation_missed() -> None:
    found, _ = observe()
    xy = found.xy.copy()
    xy[0, 0, WRIST] += 300.0  # an outlier in one of four views
    wild = replace(found, xy=xy)
    observed = triangulated(CAMERAS, wild, min_views=2, max_std_m=np.inf)
    assert worst_std(observed.xyz, CAMERAS, wild)[0, WRIST] > 20
    assert (
        gate_refinement(observed, np.where(np.arange(17)[:, None] == WRIST, TRUTH, observed.xyz), CAMERAS, wild)[
            0, WRIST
        ]
        == 0
    )


def test_a_joint_behind_a_camera_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "MOVE_STD", np.inf)
    found, observed = observe()
    xyz = TRUTH.copy()
    xyz[0, WRIST] = CAMERAS[0].centre - CAMERAS[0].cam_from_world[2, :3]
    assert gate_refinement(observed, xyz, CAMERAS, found)[0, WRIST] == Refusal.REPROJECTION
    assert np.isinf(worst_std(xyz, CAMERAS, found)[0, WRIST])


def test_a_person_is_rejected_when_most_joints_are_and_other_people_are_kept() -> None:
    found, observed = observe()
    xyz = TRUTH.copy()
    xyz[0, :8] += 1.0
    refusal = gate_refinement(observed, xyz, CAMERAS, found)
    assert (refusal[0, 8:] == Refusal.PERSON).all()
    assert not refusal[1].any()
    xyz = TRUTH.copy()
    xyz[0, :3] += 1.0
    assert not gate_refinement(observed, xyz, CAMERAS, found)[0, 3:].any()


def without_wrist(found: Grouped2D, views: int) -> Grouped2D:
    xy, score = found.xy.copy(), found.score.copy()
    xy[:views, 0, WRIST], score[:views, 0, WRIST] = np.nan, 0.0
    return Grouped2D(xy, score, None)


def test_a_joint_that_is_filled_in_must_be_within_reach_and_agree_with_the_one_camera_that_sees_it() -> None:
    found, _ = observe()
    unseen = without_wrist(found, 4)
    observed = triangulated(CAMERAS, unseen, min_views=2, max_std_m=np.inf)
    xyz = TRUTH.copy()
    assert gate_refinement(observed, xyz, CAMERAS, unseen)[0, WRIST] == Refusal.NONE
    xyz[0, WRIST] += 0.3
    assert gate_refinement(observed, xyz, CAMERAS, unseen)[0, WRIST] == Refusal.NONE
    once = without_wrist(found, 3)
    assert np.isnan(triangulated(CAMERAS, once, min_views=2, max_std_m=np.inf).xyz[0, WRIST]).all()
    assert (
        gate_refinement(triangulated(CAMERAS, once, min_views=2, max_std_m=np.inf), TRUTH, CAMERAS, once)[0, WRIST]
        == Refusal.NONE
    )
    assert (
        gate_refinement(triangulated(CAMERAS, once, min_views=2, max_std_m=np.inf), xyz, CAMERAS, once)[0, WRIST]
        == Refusal.REPROJECTION
    )
    xyz[0, WRIST] += 2.0
    assert gate_refinement(observed, xyz, CAMERAS, unseen)[0, WRIST] == Refusal.TOO_FAR


def test_a_joint_left_empty_where_there_was_none_is_not_refused() -> None:
    found, _ = observe()
    unseen = without_wrist(found, 4)
    xyz = TRUTH.copy()
    xyz[0, WRIST] = np.nan
    assert not gate_refinement(triangulated(CAMERAS, unseen, min_views=2, max_std_m=np.inf), xyz, CAMERAS, unseen).any()


def test_a_worse_fit_of_keypoints_is_reported_per_person() -> None:
    found, observed = observe()
    rng = np.random.default_rng(1)
    xy = found.xy.copy()
    xy[:, 1] += rng.normal(scale=6.0, size=xy[:, 1].shape)
    worse = replace(found, xy=xy)
    assert fit_worse(
        observed, triangulated(CAMERAS, worse, min_views=2, max_std_m=np.inf), CAMERAS, found, worse
    ).tolist() == [False, True]
    assert fit_worse(
        triangulated(CAMERAS, worse, min_views=2, max_std_m=np.inf), observed, CAMERAS, worse, found
    ).tolist() == [False, False]
    # Exact keypoints may become a little worse: two views fit together however biased they are.
    exact, at = observe(noise_px=0.0)
    nearly = replace(exact, xy=exact.xy + rng.normal(scale=0.3, size=exact.xy.shape))
    assert not fit_worse(at, triangulated(CAMERAS, nearly, min_views=2, max_std_m=np.inf), CAMERAS, exact, nearly).any()


def test_reprojection_is_the_rms_over_the_cameras_that_see_the_joint() -> None:
    found, observed = observe()
    np.testing.assert_allclose(reprojection_px(observed.xyz, CAMERAS, found), observed.reprojection_px, rtol=1e-3)
    unseen = without_wrist(found, 4)
    assert np.isnan(reprojection_px(TRUTH, CAMERAS, unseen)[0, WRIST])


def test_a_keypoint_without_a_valid_covariance_is_no_evidence() -> None:
    found, _ = observe()
    covariance, xy = np.tile(9.0 * np.eye(2), (*found.score.shape, 1, 1)), found.xy.copy()
    xy[0, 0, WRIST] += 500.0
    assert worst_std(TRUTH, CAMERAS, Grouped2D(xy, found.score, covariance))[0, WRIST] > 100
    covariance[0, 0, WRIST] = np.nan
    assert worst_std(TRUTH, CAMERAS, Grouped2D(xy, found.score, covariance))[0, WRIST] < 10
