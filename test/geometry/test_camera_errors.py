"""What cameras that are off do to triangulated points, against points triangulated from displaced cameras."""

import numpy as np
import pytest
from scenes import h36m_cameras, joints_on_stage, seen

from pose3d_ros.geometry.camera_errors import camera_error_covariance
from pose3d_ros.geometry.triangulation import triangulate

PX = 0.5  # small compared with the keypoints' 4 px, so that nothing is an outlier, and a first-order theory holds


@pytest.mark.parametrize("views", [(0, 1), (1, 2, 3), (0, 1, 2, 3)], ids=len)
@pytest.mark.parametrize("weighted", [False, True])
def test_points_move_by_the_predicted_amount(views, weighted):
    cameras = [h36m_cameras("S9")[number] for number in views]
    xyz = joints_on_stage(12, 0)
    random = np.random.default_rng(1)
    shape = (len(views), len(xyz))
    weight = random.uniform(0.3, 1.0, shape) if weighted else None
    root = random.uniform(1.0, 4.0, (*shape, 2, 1)) * np.eye(2) + random.uniform(-0.5, 0.5, (*shape, 2, 2))
    covariance = root @ root.swapaxes(-1, -2) if weighted else None
    said = camera_error_covariance(cameras, seen(cameras, xyz), xyz, weight, covariance, delta=2.0)
    trials = 1000
    shift = random.normal(0, PX, (len(views), trials, 1, 2))  # one a camera and trial: all points move together
    xy = seen(cameras, xyz)[:, None] + shift
    many = [None if one is None else np.broadcast_to(one[:, None], (len(views), trials, *one.shape[1:]))
            for one in (weight, covariance)]  # fmt: skip
    moved = triangulate(cameras, xy, many[0], many[1], delta=np.inf, max_std_m=np.inf).xyz - xyz
    measured = np.einsum("tni,tnj->nij", moved, moved) / trials
    size = PX**2 * np.trace(said, axis1=1, axis2=2)
    np.testing.assert_allclose(np.trace(measured, axis1=1, axis2=2), size, rtol=0.2)
    assert (np.abs(measured - PX**2 * said).max(axis=(1, 2)) < 0.15 * size).all()


def test_view_that_disagrees_moves_the_point_less():
    cameras, xyz = h36m_cameras("S9"), joints_on_stage(20, 2)
    xy = seen(cameras, xyz)
    xy[0] += 60.0
    said = [camera_error_covariance(cameras, xy, xyz, delta=delta) for delta in (np.inf, 2.0)]
    without = camera_error_covariance(cameras[1:], xy[1:], xyz, delta=2.0)
    trace = [np.trace(one, axis1=1, axis2=2) for one in (*said, without)]
    np.testing.assert_allclose(trace[1], trace[2], rtol=0.3)
    assert np.abs(trace[0] - trace[2]).mean() > np.abs(trace[1] - trace[2]).mean()


def test_point_in_one_view_has_no_position():
    cameras, xyz = h36m_cameras("S9")[:2], joints_on_stage(3, 0)
    xy = seen(cameras, xyz)
    xy[1, 1] = np.nan
    said = camera_error_covariance(cameras, xy, xyz, delta=2.0)
    assert np.isfinite(said[[0, 2]]).all()
    assert np.isnan(said[1]).all()
