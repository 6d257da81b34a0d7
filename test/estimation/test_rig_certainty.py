"""What a rig could see, and joints that are far less certain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_people import STANDING, h36m_rig

from pose3d_ros.estimation.observation import Grouped2D, triangulated, without_uncertain
from pose3d_ros.estimation.rig_certainty import SURE_M, TIMES, possible_std_m, uncertain_for_rig
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.structures import Camera, Floats

RIG = h36m_rig()
WRIST = 16


def looking_along_z(x_m: float) -> Camera:
    cam_from_world = np.eye(4)
    cam_from_world[0, 3] = -x_m
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    return Camera(f"at{x_m}", (640, 480), K, "plumb_bob", (), cam_from_world)


def test_depth_of_a_stereo_pair_is_as_uncertain_as_the_textbook_has_it() -> None:
    """sigma_z = sqrt(2) z^2 sigma / (f b), for points far beyond the baseline."""
    pair = [looking_along_z(-0.06), looking_along_z(0.06)]
    points = np.array([(0.0, 0.0, 2.0), (0.0, 0.0, 4.0)])
    expected = np.sqrt(2) * points[:, 2] ** 2 * 3.0 / (500 * 0.12)
    np.testing.assert_allclose(possible_std_m(pair, np.full(2, 3.0), points), expected, rtol=1e-3)


def test_it_is_that_of_triangulation_and_counts_only_images_that_have_the_point() -> None:
    px = np.stack([project(camera, STANDING) for camera in RIG.cameras])
    found = triangulate(RIG.cameras, px, sigma_px=4.0)
    std = np.sqrt(np.linalg.eigvalsh(found.covariance)[:, -1])
    np.testing.assert_allclose(possible_std_m(RIG.cameras, np.full(17, 4.0), STANDING), std, rtol=0.15)
    away = [looking_along_z(0.0), looking_along_z(0.5)]
    assert np.isinf(possible_std_m(away, np.array([4.0]), np.array([[-2.2, 0.0, 4.0]]))).all()


def grouped(wrist_std_px: float, views: int) -> Grouped2D:
    px = np.stack([project(camera, STANDING) for camera in RIG.cameras])[:, None]
    score = np.full(px.shape[:-1], 0.8)
    score[views:, 0, WRIST] = 0.0
    std = np.full(px.shape[:-1], 4.0)
    std[:, 0, WRIST] = wrist_std_px
    covariance: Floats = std[..., None, None] ** 2 * np.eye(2)
    return Grouped2D(px, score, covariance)


@pytest.mark.parametrize(("std_px", "stays"), [(4.0, True), (20.0, True), (70.0, False)])
def test_a_wrist_far_less_certain_than_the_cameras_see_is_left_out(std_px: float, stays: bool) -> None:
    keypoints = grouped(std_px, views=3)
    found = triangulated(RIG.cameras, keypoints, min_views=2, max_std_m=np.inf)
    kept = without_uncertain(found, 0.5, uncertain_for_rig(RIG.cameras, keypoints, found))
    assert np.isfinite(kept.xyz[0, WRIST]).all() == stays
    assert np.isfinite(kept.xyz[0, :WRIST]).all()
    assert kept.rejected.get("uncertain", 0) == (0 if stays else 1)


def test_certain_joints_and_those_that_a_network_filled_in_stay() -> None:
    keypoints = grouped(4.0, views=4)
    found = triangulated(RIG.cameras, keypoints, min_views=2, max_std_m=np.inf)
    wide = found.covariance.copy()
    wide[0, WRIST] = (0.9 * SURE_M) ** 2 * np.eye(3)
    assert not uncertain_for_rig(RIG.cameras, keypoints, replace(found, covariance=wide)).any()
    wide[0, WRIST] = (TIMES * SURE_M) ** 2 * np.eye(3)
    assert uncertain_for_rig(RIG.cameras, keypoints, replace(found, covariance=wide)).sum() == 1
    n_views = found.n_views.copy()
    n_views[0, WRIST] = 0
    assert not uncertain_for_rig(RIG.cameras, keypoints, replace(found, covariance=wide, n_views=n_views)).any()
