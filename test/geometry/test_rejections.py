"""What triangulation does with joints that cannot be had, and with arguments that do not fit."""

import numpy as np
import pytest
from scenes import h36m_cameras, joints_on_stage, looking_along_z, noisy, seen

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.triangulation import Rejection, triangulate, triangulate_linear


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
def test_missing_view_is_as_if_the_camera_were_not_there(method):
    cameras = h36m_cameras("S9")
    xyz = joints_on_stage(40, 22)
    xy = noisy(seen(cameras, xyz), 23)
    without = xy.copy()
    without[2] = np.nan
    weightless = np.ones(xy.shape[:-1])
    weightless[2] = 0.0
    expected = method([cameras[i] for i in (0, 1, 3)], xy[[0, 1, 3]])
    for result in (method(cameras, without), method(cameras, xy, weightless)):
        np.testing.assert_allclose(result.xyz, expected.xyz, atol=1e-7)
        np.testing.assert_allclose(result.covariance, expected.covariance, rtol=1e-5)
        assert (result.n_views == 3).all()


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
def test_fewer_than_two_views_are_rejected_and_counted(method):
    cameras = h36m_cameras("S9")
    xy = seen(cameras, joints_on_stage(3, 24))
    xy[1:, 0] = np.nan
    xy[:, 1] = np.nan
    result = method(cameras, xy)
    assert result.rejection.tolist() == [Rejection.FEW_VIEWS, Rejection.FEW_VIEWS, Rejection.NONE]
    assert result.n_views.tolist() == [1, 0, 4]
    for field in (result.xyz, result.covariance, result.reprojection_px):
        assert np.isnan(field[:2]).all()
        assert np.isfinite(field[2]).all()


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
def test_no_joints_and_one_camera_are_no_errors(method):
    cameras = h36m_cameras("S9")
    empty = method(cameras, np.zeros((4, 0, 17, 2)))
    assert empty.xyz.shape == (0, 17, 3)
    assert empty.covariance.shape == (0, 17, 3, 3)
    assert (method(cameras[:1], np.zeros((1, 5, 2))).rejection == Rejection.FEW_VIEWS).all()


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
def test_coincident_cameras_are_rejected_as_rank(method):
    pair = [looking_along_z("a", (0, 0, 0)), looking_along_z("b", (0, 0, 0), f=900.0)]
    xyz = np.array([[0.1, 0.2, 3.0], [0, 0, 2.0]])
    for xy in (seen(pair, xyz), noisy(seen(pair, xyz), 25)):
        result = method(pair, xy)
        assert (result.rejection == Rejection.RANK).all()
        assert (result.n_views == 2).all()
        assert np.isnan(result.xyz).all()


def test_third_camera_resolves_coincident_ones():
    trio = [looking_along_z("a", (0, 0, 0)), looking_along_z("b", (0, 0, 0)), looking_along_z("c", (1, 0, 0))]
    xyz = np.array([[0.1, 0.2, 3.0], [0.1, 0.2, 3.0]])
    xy = seen(trio, xyz)
    xy[2, 1] = np.nan
    result = triangulate(trio, xy)
    np.testing.assert_allclose(result.xyz[0], xyz[0], atol=1e-9)
    assert result.rejection.tolist() == [Rejection.NONE, Rejection.RANK]


@pytest.mark.parametrize("off_axis_m", [0.0, 1e-7])
def test_point_on_the_baseline_is_rejected(off_axis_m):
    front_and_back = [looking_along_z("a", (0, 0, 0)), looking_along_z("b", (0, 0, -1))]
    result = triangulate(front_and_back, seen(front_and_back, np.array([[off_axis_m, 0, 3.0]])), max_std_m=np.inf)
    assert result.rejection[0] == Rejection.RANK


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
def test_rays_that_meet_behind_the_cameras_are_rejected_as_cheirality(method):
    pair = [looking_along_z("left", (0, 0, 0)), looking_along_z("right", (0.5, 0, 0))]
    behind = np.array([0.2, 0.1, -3.0])
    xy = np.stack([(500 + 1000 * (behind - c.centre)[:2] / (behind - c.centre)[2])[None] for c in pair])
    result = method(pair, xy)
    assert result.rejection[0] == Rejection.CHEIRALITY
    assert np.isnan(result.xyz).all()
    assert result.n_views[0] == 2


def test_view_that_cannot_see_the_joint_from_behind_does_not_spoil_the_others():
    """One of four cameras claims a joint half an image away: the linear start may lie anywhere."""
    cameras = h36m_cameras("S9")
    xyz = joints_on_stage(2000, 26)
    xy = noisy(seen(cameras, xyz), 27, sigma=1.0)
    xy[1] += np.random.default_rng(28).choice([-600.0, 600.0], xy[1].shape)
    result = triangulate(cameras, xy, sigma_px=1.0, max_std_m=np.inf)
    accepted = result.rejection == Rejection.NONE
    assert accepted.mean() > 0.99
    # The bound of the three good views is 9 mm; a Huber outlier still pulls with a force of delta.
    assert np.median(np.linalg.norm(result.xyz - xyz, axis=-1)[accepted]) < 0.03


def test_short_baseline_is_uncertain_by_the_textbooks_formula():
    """sigma_Z = sqrt(2) sigma Z^2 / (f B) for a rectified pair: 1 px, 3 m, f 530 px, 12 cm gives 0.200 m."""
    head = [looking_along_z("left", (-0.06, 0, 0), f=530.0), looking_along_z("right", (0.06, 0, 0), f=530.0)]
    xyz = np.array([[0.0, 0.0, 3.0]])
    result = triangulate(head, seen(head, xyz), sigma_px=1.0, max_std_m=0.21)
    expected = np.sqrt(2) * 1.0 * 3.0**2 / (530 * 0.12)
    assert np.sqrt(result.covariance[0, 2, 2]) == pytest.approx(expected, rel=1e-3)
    assert np.sqrt(result.covariance[0, 0, 0]) == pytest.approx(3.0 / (np.sqrt(2) * 530), rel=1e-2)
    assert triangulate(head, seen(head, xyz), sigma_px=1.0, max_std_m=0.19).rejection[0] == Rejection.UNCERTAIN


def test_invalid_covariance_falls_back_to_sigma():
    cameras = h36m_cameras("S9")
    xy = noisy(seen(cameras, joints_on_stage(10, 34)), 35)
    covariance = np.full((*xy.shape, 2), np.nan)
    covariance[0] = 0.0
    np.testing.assert_allclose(triangulate(cameras, xy, covariance=covariance).xyz, triangulate(cameras, xy).xyz)


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
def test_wrong_shapes_and_settings_are_rejected(method):
    cameras = h36m_cameras("S9")
    with pytest.raises(InputError, match=r"xy has shape \(3, 17, 2\), expected \(4, \.\.\., 2\)"):
        method(cameras, np.zeros((3, 17, 2)))
    with pytest.raises(InputError, match=r"weight has shape \(4, 16\), expected \(4, 17\)"):
        method(cameras, np.zeros((4, 17, 2)), np.ones((4, 16)))
    with pytest.raises(InputError, match=r"sigma_px is 0"):
        method(cameras, np.zeros((4, 17, 2)), sigma_px=0)


def test_wrong_covariance_and_delta_are_rejected():
    with pytest.raises(InputError, match=r"covariance has shape"):
        triangulate(h36m_cameras("S9"), np.zeros((4, 17, 2)), covariance=np.ones((4, 17, 2)))
    with pytest.raises(InputError, match=r"delta is 0"):
        triangulate(h36m_cameras("S9"), np.zeros((4, 17, 2)), delta=0)
