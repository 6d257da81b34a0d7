import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.distortion import distort_views, radial_range, undistort_views
from pose3d_ros.geometry.projection import distort, project, project_with_covariance, rays, undistort
from pose3d_ros.structures import Camera

K = np.array([[1145.0, 0, 512.0], [0, 1143.0, 515.0], [0, 0, 1]])
# Coefficients of real cameras' size: Human3.6M, a wide webcam, OpenCV's rational fit, thin prism, tilted sensor.
LENSES = {
    "pinhole": ("plumb_bob", []),
    "plumb_bob4": ("plumb_bob", [-0.35, 0.12, 0.001, -0.002]),
    "plumb_bob5": ("plumb_bob", [-0.207, 0.2477, -0.000975, -0.00142, -0.003]),
    "rational8": ("rational_polynomial", [0.5, 0.1, 0.001, -0.0005, 0.02, 0.8, 0.2, 0.03]),
    "rational12": ("rational_polynomial", [0.5, 0.1, 0.001, -0.0005, 0.02, 0.8, 0.2, 0.03, 1e-3, -2e-3, 1.5e-3, 5e-4]),
    "rational14": (
        "rational_polynomial",
        [0.5, 0.1, 0.001, -0.0005, 0.02, 0.8, 0.2, 0.03, 1e-3, -2e-3, 1.5e-3, 5e-4, 0.02, -0.03],
    ),
    "fisheye": ("equidistant", [0.05, -0.01, 0.003, -0.001]),
    "fisheye0": ("equidistant", [0.0, 0.0, 0.0, 0.0]),
}


def camera(lens, transform=None):
    model, distortion = LENSES[lens]
    return Camera("cam", (1024, 1030), K, model, distortion, np.eye(4) if transform is None else transform)


def placed(lens):
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    transform[:3, 3] = (0.2, -0.1, 3.0)
    return camera(lens, transform)


@pytest.mark.parametrize("lens", LENSES)
def test_project_agrees_with_opencv(lens):
    cam = placed(lens)
    xyz = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    rotation, translation = cv2.Rodrigues(cam.cam_from_world[:3, :3])[0], cam.cam_from_world[:3, 3]
    coefficients = cam.distortion if cam.distortion.size else None
    opencv = cv2.fisheye.projectPoints if cam.distortion_model == "equidistant" else cv2.projectPoints
    points = np.ascontiguousarray(xyz[:, None])
    expected = opencv(points, rotation, translation, cam.K, coefficients)[0].reshape(-1, 2)
    np.testing.assert_allclose(project(cam, xyz), expected, atol=1e-9)


@pytest.mark.parametrize("lens", LENSES)
def test_undistort_agrees_with_opencv(lens):
    cam = camera(lens)
    px = np.random.default_rng(1).uniform(0, 1024, (500, 2))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-14)
    points = px[:, None]
    coefficients = cam.distortion if cam.distortion.size else None
    if cam.distortion_model == "equidistant":
        expected = cv2.fisheye.undistortPoints(points, cam.K, cam.distortion)
    elif hasattr(cv2, "undistortPointsIter"):  # OpenCV 4
        expected = cv2.undistortPointsIter(points, cam.K, coefficients, None, None, criteria)
    else:
        expected = cv2.undistortPoints(points, cam.K, coefficients, criteria=criteria)
    found = undistort(cam, px)
    good = np.isfinite(found).all(axis=1)
    assert good.mean() > 0.99
    # The fixed-point iteration of OpenCV stops earlier than Newton's: 1e-5 is a hundredth of a pixel.
    np.testing.assert_allclose(found[good], expected.reshape(-1, 2)[good], atol=1e-5)


@pytest.mark.parametrize("lens", LENSES)
@settings(max_examples=30, deadline=None)
@given(x=st.floats(-0.7, 0.7), y=st.floats(-0.7, 0.7))
def test_undistort_inverts_distort(lens, x, y):
    cam = camera(lens)
    np.testing.assert_allclose(undistort(cam, distort(cam, (x, y))), (x, y), atol=1e-11)


@pytest.mark.parametrize("lens", LENSES)
def test_distort_inverts_undistort_over_the_image(lens):
    cam = camera(lens)
    px = np.stack(np.meshgrid(np.linspace(0, 1023, 40), np.linspace(0, 1029, 40)), axis=-1)
    np.testing.assert_allclose(distort(cam, undistort(cam, px)), px, atol=1e-6)


def test_wide_fisheye_reaches_85_degrees():
    cam = camera("fisheye")
    x = np.tan(np.deg2rad(np.linspace(0, 85, 50)))
    ideal = np.column_stack([x, 0.3 * x]) / np.hypot(1, 0.3)
    np.testing.assert_allclose(undistort(cam, distort(cam, ideal)), ideal, rtol=1e-9)


def test_skewed_k_is_honoured():
    skewed = np.array([[1000.0, 20, 500], [0, 900, 400], [0, 0, 1]])
    cam = Camera("cam", (1000, 800), skewed)
    np.testing.assert_allclose(project(cam, (0.3, 0.2, 2.0)), (skewed @ (0.15, 0.1, 1))[:2])
    np.testing.assert_allclose(undistort(cam, project(cam, (0.3, 0.2, 2.0))), (0.15, 0.1))


@pytest.mark.parametrize("z", [0.0, -1.0, -1e-9])
def test_point_not_in_front_projects_to_nan(z):
    assert np.isnan(project(camera("plumb_bob5"), (0.1, 0.1, z))).all()


# Barrel distortion alone: r (1 - 0.3 r^2) grows up to r = 1 / sqrt(0.9) and folds back beyond.
FOLD = 1 / np.sqrt(0.9)
FOLDED = Camera("cam", (1000, 1000), K, "plumb_bob", [-0.3, 0, 0, 0])


def test_beyond_the_fold_distorting_gives_nan_instead_of_a_point_inside_the_image():
    assert np.isfinite(distort(FOLDED, (0.99 * FOLD, 0))).all()
    assert np.isnan(distort(FOLDED, (1.01 * FOLD, 0))).all()
    assert np.isnan(project(FOLDED, (1.7, 0, 1))).all()


def test_pixel_that_no_ray_reaches_undistorts_to_nan():
    edge = K[0, 0] * FOLD * (1 - 0.3 * FOLD**2)
    pixels = np.array([[512 + 0.99 * edge, 515], [512 + 1.01 * edge, 515], [512 + 10 * edge, 515]])
    found = undistort(FOLDED, pixels)
    assert np.isfinite(found[0]).all()
    assert np.hypot(*found[0]) < FOLD
    assert np.isnan(found[1:]).all()
    beyond_90_degrees = undistort(camera("fisheye0"), (512 + K[0, 0] * 1.7, 515))
    assert np.isnan(beyond_90_degrees).all()


def test_pixel_that_only_rays_beyond_the_fold_reach_undistorts_to_nan():
    """r - 0.5 r^3 + 0.1 r^5 folds back at r = 1 (0.6), and grows again from r = sqrt 2 on."""
    refolded = Camera("cam", (1000, 1000), K, "plumb_bob", [-0.5, 0.1, 0, 0])
    reach = np.array([0.59, 0.61, 0.7, 0.9])
    found = undistort(refolded, np.column_stack([512 + K[0, 0] * reach, np.full(4, 515.0)]))
    assert found[0, 0] < 1
    assert np.isnan(found[1:]).all()


def test_no_ideal_point_beyond_the_fold_is_ever_given():
    """With tangential terms Newton's steps can pass the fold and converge on its far side."""
    random = np.random.default_rng(6)
    wide = random.uniform(0, 1, (300, 2)) * 3000 - 1000
    for _ in range(50):
        coefficients = random.normal(0, (0.4, 0.3, 0.02, 0.02, 0.1))
        cam = Camera("cam", (1000, 1000), K, "plumb_bob", coefficients)
        found = undistort(cam, wide)
        good = np.isfinite(found).all(axis=-1)
        np.testing.assert_allclose(distort(cam, found[good]), wide[good], atol=1e-6)
        assert (np.hypot(*found[good].T) <= radial_range(cam).max_radius).all()


@pytest.mark.parametrize("lens", LENSES)
def test_nan_stays_nan_and_touches_no_other_point(lens):
    cam = camera(lens)
    px = np.array([[600.0, 500.0], [np.nan, 500.0], [np.nan, np.nan], [np.inf, 1.0], [400.0, 450.0]])
    found = undistort(cam, px)
    assert np.isnan(found[1:4]).all()
    np.testing.assert_array_equal(found[[0, 4]], undistort(cam, px[[0, 4]]))
    assert np.isnan(project(cam, (np.nan, 0, 1))).all()


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3, 4)])
def test_every_leading_shape_works(lens, shape):
    cam = camera(lens)
    xyz = np.broadcast_to([0.1, 0.2, 2.0], (*shape, 3))
    px = project(cam, xyz)
    assert px.shape == (*shape, 2)
    assert undistort(cam, px).shape == (*shape, 2)
    assert rays(cam, px)[1].shape == (*shape, 3)
    xy, covariance = project_with_covariance(cam, xyz, np.broadcast_to(np.eye(3), (*shape, 3, 3)))
    assert xy.shape == (*shape, 2)
    assert covariance.shape == (*shape, 2, 2)


def test_wrong_last_axis_is_rejected():
    with pytest.raises(InputError, match=r"xyz has shape \(4, 2\), expected \(\.\.\., 3\)"):
        project(camera("pinhole"), np.zeros((4, 2)))


@pytest.mark.parametrize("lens", LENSES)
def test_rays_pass_through_the_points_they_came_from(lens):
    cam = placed(lens)
    xyz = np.random.default_rng(2).uniform(-1, 1, (50, 3))
    origin, direction = rays(cam, project(cam, xyz))
    np.testing.assert_allclose(origin, cam.centre)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=-1), 1)
    np.testing.assert_allclose(np.cross(xyz - origin, direction), 0, atol=1e-9)
    assert (np.sum((xyz - origin) * direction, axis=-1) > 0).all()


@pytest.mark.parametrize("lens", LENSES)
def test_projected_covariance_is_that_of_many_projected_samples(lens):
    cam = placed(lens)
    random = np.random.default_rng(3)
    root = random.normal(size=(3, 3)) * 0.003
    xyz = np.array([0.4, -0.3, 0.1])
    samples = project(cam, xyz + random.normal(size=(40_000, 3)) @ root.T)
    xy, covariance = project_with_covariance(cam, xyz, root @ root.T)
    np.testing.assert_allclose(xy, project(cam, xyz))
    np.testing.assert_allclose(covariance, np.cov(samples.T), rtol=0.03, atol=0.03 * np.trace(covariance))
    assert np.isnan(project_with_covariance(camera(lens), (0, 0, -1.0), np.eye(3))[1]).all()


@pytest.mark.parametrize("lens", LENSES)
def test_undistorting_cameras_together_is_undistorting_each(lens):
    others = [camera(lens), camera("plumb_bob5"), camera("fisheye"), camera("pinhole"), camera("rational14")]
    xy = np.random.default_rng(4).uniform(-0.4, 0.4, (5, 20, 2))
    together, slope = undistort_views(others, xy)
    for i, one in enumerate(others):
        alone, alone_slope = undistort_views([one], xy[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-12)
        np.testing.assert_allclose(slope[i], alone_slope[0], atol=1e-9)


@pytest.mark.parametrize("lens", LENSES)
def test_derivative_of_distortion_agrees_with_differences(lens):
    cam = [camera(lens)]
    xy = np.concatenate(
        [np.random.default_rng(5).uniform(-0.6, 0.6, (1, 40, 2)), [[[0.0, 0.0], [1e-5, -1e-5]]]], axis=1
    )
    _, slope = distort_views(cam, xy)
    for axis in range(2):
        step = 1e-6 * np.eye(2)[axis]
        difference = (distort_views(cam, xy + step)[0] - distort_views(cam, xy - step)[0]) / 2e-6
        np.testing.assert_allclose(slope[..., axis], difference, atol=1e-8)
