from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SIGMA_PX, displaced, h36m_cameras, joints_on_stage, looking_along_z, noisy, seen
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from pose3d_ros.geometry.projection import distort, project, project_with_covariance, undistort
from pose3d_ros.geometry.triangulation import Rejection, huber_objective, triangulate, triangulate_linear
from pose3d_ros.structures import Camera

VIEWS = {"P1": (0, 1), "P2": (0, 2), "P3": (1, 3), "P4": (2, 3), "four": (0, 1, 2, 3)}


def rmse(result, truth):
    return np.sqrt(np.mean(np.sum((result.xyz - truth) ** 2, axis=-1)))


def fisher_information(cameras, xyz, sigma=SIGMA_PX):
    """Sum of J' J / sigma^2 with J by central differences of the exact, distorted projection: (N, 3, 3)."""
    total = np.zeros((len(xyz), 3, 3))
    for camera in cameras:
        steps = [(project(camera, xyz + d) - project(camera, xyz - d)) / 2e-5 for d in 1e-5 * np.eye(3)]
        J = np.stack(steps, axis=-1)
        total += J.swapaxes(-1, -2) @ J / sigma**2
    return total


@pytest.mark.parametrize("method", [triangulate, triangulate_linear])
@pytest.mark.parametrize("views", VIEWS)
def test_exact_pixels_give_back_the_points(method, views):
    cameras = [h36m_cameras("S9")[i] for i in VIEWS[views]]
    xyz = joints_on_stage(2000, 0)
    result = method(cameras, seen(cameras, xyz))
    np.testing.assert_allclose(result.xyz, xyz, atol=1e-9)  # asked: 1e-6 m
    assert (result.rejection == Rejection.NONE).all()
    assert (result.n_views == len(cameras)).all()
    assert result.reprojection_px.max() < 1e-6


@pytest.mark.parametrize("views", [("P1", "P2", "P3", "P4"), ("four",)], ids=["two views", "four views"])
def test_rmse_meets_the_cramer_rao_bound_and_ellipsoids_cover(views):
    """100,000 joints at two views (four pairs, two rigs) and 100,000 at four views (two rigs)."""
    squared, bound, covered = [], [], []
    for seed, (subject, name) in enumerate((s, v) for s in ("S9", "S11") for v in views):
        cameras = [h36m_cameras(subject)[i] for i in VIEWS[name]]
        xyz = joints_on_stage(50_000 // len(views), seed)
        result = triangulate(cameras, noisy(seen(cameras, xyz), seed + 100), sigma_px=SIGMA_PX, max_std_m=np.inf)
        miss = result.xyz - xyz
        squared.append(np.sum(miss**2, axis=-1))
        bound.append(np.trace(np.linalg.inv(fisher_information(cameras, xyz)), axis1=1, axis2=2))
        distance = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(result.covariance), miss)
        covered.append(distance < chi2.ppf(0.95, 3))
        assert 0.97 <= np.sqrt(squared[-1].mean() / bound[-1].mean()) <= 1.03
        assert 0.93 <= covered[-1].mean() <= 0.97
    assert sum(map(len, squared)) >= 100_000
    rmse_m, bound_m = (np.sqrt(np.concatenate(one).mean()) for one in (squared, bound))
    share = np.concatenate(covered).mean()
    # pytest -rP shows it: the README quotes it.
    print(f"RMSE {1000 * rmse_m:.2f} mm, {rmse_m / bound_m:.4f} of the bound; ellipsoids cover {100 * share:.1f} %")
    assert 0.97 <= rmse_m / bound_m <= 1.03
    assert 0.93 <= share <= 0.97


def test_huber_beats_linear_by_a_fifth_with_five_percent_outliers():
    cameras = h36m_cameras("S9")
    xyz = joints_on_stage(20_000, 3)
    xy = displaced(noisy(seen(cameras, xyz), 4), 0.05, 5)
    robust = rmse(triangulate(cameras, xy, sigma_px=SIGMA_PX), xyz)
    linear = rmse(triangulate_linear(cameras, xy), xyz)
    print(f"RMSE with 5 % outliers: Huber {1000 * robust:.1f} mm, linear {1000 * linear:.1f} mm")
    assert robust < 0.8 * linear


def test_huber_gains_at_least_as_much_with_gross_outliers():
    cameras = h36m_cameras("S11")
    xyz = joints_on_stage(5_000, 6)
    xy = displaced(noisy(seen(cameras, xyz), 7), 0.05, 8, reach=300.0)
    result = triangulate(cameras, xy, sigma_px=SIGMA_PX, max_std_m=np.inf)
    linear = triangulate_linear(cameras, xy, max_std_m=np.inf)
    both = np.isfinite(result.xyz[:, 0]) & np.isfinite(linear.xyz[:, 0])
    assert both.mean() > 0.999
    error = np.linalg.norm(result.xyz - xyz, axis=-1)[both].mean()
    assert error < 0.5 * np.linalg.norm(linear.xyz - xyz, axis=-1)[both].mean()


def whitening(cameras, xy, weight, covariance):
    """Of one joint: ideal coordinates (V, 2), and w L^-1 d(px)/d(ideal) (V, 2, 2) by central differences."""
    ideal = np.stack([undistort(c, p) for c, p in zip(cameras, xy, strict=True)])
    steps = 1e-6 * np.eye(2)
    slope = [
        [(distort(c, q + d) - distort(c, q - d)) / 2e-6 for d in steps] for c, q in zip(cameras, ideal, strict=True)
    ]
    root = np.linalg.cholesky(covariance)
    return ideal, weight[:, None, None] * np.linalg.solve(root, np.swapaxes(slope, 1, 2))


def test_of_two_views_the_linear_solution_stands():
    """Where they disagree nothing tells which is wrong."""
    cameras = [h36m_cameras("S9")[i] for i in VIEWS["P1"]]
    xy = displaced(noisy(seen(cameras, joints_on_stage(2000, 9)), 10), 0.2, 11)
    weight = np.random.default_rng(12).uniform(0.3, 1, xy.shape[:-1])
    robust, linear = (solve(cameras, xy, weight, max_std_m=np.inf) for solve in (triangulate, triangulate_linear))
    np.testing.assert_array_equal(robust.xyz, linear.xyz)


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("outliers", [0.0, 0.2])
def test_objective_is_no_larger_than_scipys(count, outliers):
    """PoseRN's Eq. 3 written down once more, whitened, and left to scipy starting from the truth."""
    cameras = h36m_cameras("S9")[:count]
    transform = np.array([camera.cam_from_world for camera in cameras])
    xyz = joints_on_stage(40, 9)
    xy = displaced(noisy(seen(cameras, xyz), 10), outliers, 11)
    random = np.random.default_rng(12)
    weight = random.uniform(0.3, 1, xy.shape[:-1])
    covariance_root = random.normal(size=(*xy.shape, 2)) + 3 * np.eye(2)
    covariance = covariance_root @ covariance_root.swapaxes(-1, -2)
    result = triangulate(cameras, xy, weight, covariance, max_std_m=np.inf)
    claimed = huber_objective(cameras, xy, result.xyz, weight, covariance)
    for joint, truth in enumerate(xyz):
        ideal, whiten = whitening(cameras, xy[:, joint], weight[:, joint], covariance[:, joint])

        def roots(point, ideal=ideal, whiten=whiten):  # half the sum of their squares is Huber's sum
            in_camera = transform[:, :3, :3] @ point + transform[:, :3, 3]
            residual = ideal - in_camera[:, :2] / in_camera[:, 2:]
            size = np.linalg.norm((whiten @ residual[..., None])[..., 0], axis=-1)
            return np.sqrt(2 * np.where(size <= 2, 0.5 * size**2, 2 * (size - 1)))

        ours = 0.5 * np.sum(roots(result.xyz[joint]) ** 2)
        scipys = least_squares(roots, truth, x_scale=0.05, xtol=1e-12, ftol=1e-12, max_nfev=100).cost
        assert ours == pytest.approx(claimed[joint], rel=1e-6)
        assert ours <= scipys * (1 + 1e-6)


def test_objective_is_never_worse_than_the_linear_start():
    cameras = h36m_cameras("S9")
    xyz = joints_on_stage(20_000, 13)
    xy = displaced(noisy(seen(cameras, xyz), 14), 0.3, 15, reach=200.0)
    linear = triangulate_linear(cameras, xy, max_std_m=np.inf)
    robust = triangulate(cameras, xy, max_std_m=np.inf)
    start = huber_objective(cameras, xy, linear.xyz)
    assert (huber_objective(cameras, xy, robust.xyz) <= start)[np.isfinite(linear.xyz[:, 0])].all()


def test_order_of_cameras_does_not_matter():
    cameras = h36m_cameras("S9")
    xy = displaced(noisy(seen(cameras, joints_on_stage(300, 16)), 17), 0.05, 18)
    xy[0, ::7] = np.nan
    expected = triangulate(cameras, xy)
    for order in permutations(range(4)):
        result = triangulate([cameras[i] for i in order], xy[list(order)])
        np.testing.assert_allclose(result.xyz, expected.xyz, atol=1e-5)
        np.testing.assert_array_equal(result.rejection, expected.rejection)


def test_batch_does_not_matter():
    cameras = h36m_cameras("S9")
    xy = displaced(noisy(seen(cameras, joints_on_stage(51, 19)), 20), 0.1, 21)
    whole = triangulate(cameras, xy.reshape(4, 3, 17, 2))
    assert whole.xyz.shape == (3, 17, 3)
    assert whole.covariance.shape == (3, 17, 3, 3)
    assert whole.n_views.shape == whole.reprojection_px.shape == whole.rejection.shape == (3, 17)
    for joint in range(51):
        alone = triangulate(cameras, xy[:, joint])
        np.testing.assert_allclose(whole.xyz.reshape(-1, 3)[joint], alone.xyz, atol=1e-6)


def test_covariance_of_keypoints_is_carried_through_a_strong_lens():
    """With anisotropic keypoints far from a fisheye's axis, where distortion turns and squeezes them."""
    places = [(-1.0, 0, 0), (1.0, 0.2, 0), (0, -0.5, 0.3)]
    lens = [0.05, -0.01, 0.003, -0.001]
    cameras = [
        Camera(c.name, c.size_wh, [[300.0, 0, 500], [0, 300, 500], [0, 0, 1]], "equidistant", lens, c.cam_from_world)
        for c in (looking_along_z(str(i), place) for i, place in enumerate(places))
    ]
    random = np.random.default_rng(29)
    xyz = np.column_stack([random.uniform(-1.5, 1.5, (40_000, 2)), random.uniform(0.8, 1.6, 40_000)])
    xy = seen(cameras, xyz)
    root = np.array([[2.0, 0.0], [1.5, 0.5]])
    result = triangulate(
        cameras,
        xy + random.normal(size=xy.shape) @ root.T,
        covariance=np.broadcast_to(root @ root.T, (*xy.shape, 2)),
        max_std_m=np.inf,
    )
    miss = result.xyz - xyz
    squared = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(result.covariance), miss)
    assert 0.93 <= np.mean(squared < chi2.ppf(0.95, 3)) <= 0.97


def test_weight_is_a_relative_inverse_standard_deviation():
    """w inside Huber's function: weight 1/2 with sigma is weight 1 with twice the sigma."""
    cameras = h36m_cameras("S9")
    xy = displaced(noisy(seen(cameras, joints_on_stage(50, 30)), 31), 0.1, 32)
    weight = np.random.default_rng(33).uniform(0.2, 1.0, xy.shape[:-1])
    covariance = (SIGMA_PX / weight)[..., None, None] ** 2 * np.eye(2)
    by_weight = triangulate(cameras, xy, weight, sigma_px=SIGMA_PX)
    by_covariance = triangulate(cameras, xy, covariance=covariance)
    np.testing.assert_allclose(by_weight.xyz, by_covariance.xyz, atol=1e-9)
    np.testing.assert_allclose(by_weight.covariance, by_covariance.covariance, rtol=1e-9)


def test_reprojection_is_the_rms_distance_in_the_original_image():
    cameras = h36m_cameras("S9")
    xy = noisy(seen(cameras, joints_on_stage(200, 36)), 37)
    xy[3, ::3] = np.nan
    result = triangulate(cameras, xy)
    distance = np.linalg.norm(seen(cameras, result.xyz) - xy, axis=-1)
    np.testing.assert_allclose(result.reprojection_px, np.sqrt(np.nanmean(distance**2, axis=0)), rtol=0.02)


@settings(max_examples=25, deadline=None)
@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.tuples(*[st.floats(-100, 100)] * 3), seed=st.integers(0, 1000))
def test_moving_the_world_moves_the_result(turn, shift, seed):
    cameras = h36m_cameras("S9")
    xyz = joints_on_stage(17, seed)
    xy = displaced(noisy(seen(cameras, xyz), seed), 0.1, seed)
    old_from_new = np.eye(4)
    old_from_new[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    old_from_new[:3, 3] = shift
    moved = triangulate([c.placed(c.cam_from_world @ old_from_new) for c in cameras], xy)
    still = triangulate(cameras, xy)
    R = old_from_new[:3, :3]
    np.testing.assert_allclose(moved.xyz @ R.T + shift, still.xyz, atol=1e-5)
    np.testing.assert_allclose(R @ moved.covariance @ R.T, still.covariance, atol=1e-3 * np.nanmax(still.covariance))


def test_covariance_projects_back_to_less_than_the_keypoints_own():
    cameras = h36m_cameras("S9")
    result = triangulate(cameras, seen(cameras, joints_on_stage(100, 38)), sigma_px=SIGMA_PX)
    for camera in cameras:
        _, covariance = project_with_covariance(camera, result.xyz, result.covariance)
        assert np.linalg.eigvalsh(covariance).max() < SIGMA_PX**2 * (1 + 1e-6)


def test_view_that_disagrees_adds_little_certainty():
    cameras = h36m_cameras("S9")
    xy = seen(cameras, joints_on_stage(200, 39))
    four = np.trace(triangulate(cameras, xy).covariance, axis1=1, axis2=2)
    three = np.trace(triangulate(cameras[:3], xy[:3]).covariance, axis1=1, axis2=2)
    xy[3] += (300.0, 300.0)
    outlying = np.trace(triangulate(cameras, xy).covariance, axis1=1, axis2=2)
    assert np.median((three - outlying) / (three - four)) < 0.2
