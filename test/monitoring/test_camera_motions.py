"""Small motions of cameras from what they see, against cameras that were moved so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.monitoring.camera_motions import measure, none
from pose3d_ros.simulation.simulated_rigs import rotation_vector, simulated_rig
from pose3d_ros.structures import Camera, Floats

CAMERAS = simulated_rig("h36m", 0, held_out=True).rig.cameras


def points(count: int = 60) -> Floats:
    return np.random.default_rng(2).normal(size=(count, 3)) * (0.5, 0.5, 0.4) + (0.0, 0.0, 1.0)


def moved(camera: Camera, motion: Floats) -> Camera:
    change = np.eye(4)
    change[:3, :3], change[:3, 3] = rotation_vector(motion[:3]), motion[3:]
    return camera.placed(change @ camera.cam_from_world)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 3), st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6))
def test_motion_of_a_camera_is_recovered_and_explains_all_residuals(which: int, amounts: list[float]) -> None:
    motion = np.array(amounts) * np.repeat([np.deg2rad(0.1), 0.003], 3)
    xyz = points()
    true = [moved(one, motion) if n == which else one for n, one in enumerate(CAMERAS)]
    xy = np.stack([project(one, xyz) for one in true])
    found, _ = measure(CAMERAS, xy, np.ones(xy.shape[:2]))
    own = slice(6 * which, 6 * which + 6)
    solved = np.linalg.solve(found.H[own, own], found.g[own])
    np.testing.assert_allclose(solved, motion, atol=2e-4)
    assert found.squared_px - found.g[own] @ solved <= 1e-3 * found.squared_px + 1e-6


def test_left_out_residual_is_the_distance_to_the_triangulation_of_the_others() -> None:
    xyz = points()
    rng = np.random.default_rng(5)
    xy = np.stack([project(one, xyz) for one in CAMERAS]) + rng.normal(0.0, 3.0, (4, len(xyz), 2))
    _, residuals = measure(CAMERAS, xy, np.ones(xy.shape[:2]))
    for n, camera in enumerate(CAMERAS):
        rest = [m for m in range(4) if m != n]
        others = triangulate([CAMERAS[m] for m in rest], xy[rest], delta=1e6).xyz
        expected = np.linalg.norm(project(camera, others) - xy[n], axis=-1)
        np.testing.assert_allclose(residuals.left_out_px[n], expected, rtol=0.03, atol=0.2)


def test_epipolar_residual_is_the_distance_from_the_line_and_zero_for_exact_points() -> None:
    xyz = points()
    flat = [Camera(c.name, c.size_wh, c.K, cam_from_world=c.cam_from_world) for c in CAMERAS[:2]]
    xy = np.stack([project(one, xyz) for one in flat])
    _, exact = measure(flat, xy, np.ones(xy.shape[:2]))
    assert np.nanmax(exact.epipolar_px) < 1e-6
    xy[0] += (3.0, -2.0)
    _, residuals = measure(flat, xy, np.ones(xy.shape[:2]))
    relative = flat[0].cam_from_world @ np.linalg.inv(flat[1].cam_from_world)
    x, y, z = relative[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ relative[:3, :3]
    F = np.linalg.inv(flat[0].K).T @ essential @ np.linalg.inv(flat[1].K)
    one, other = (np.concatenate([each, np.ones((len(xyz), 1))], axis=1) for each in xy)
    line = other @ F.T
    expected = np.abs((line * one).sum(axis=1)) / np.hypot(line[:, 0], line[:, 1])
    np.testing.assert_allclose(residuals.epipolar_px[0, 1], expected, rtol=2e-3)
    assert np.isnan(residuals.epipolar_px[0, 0]).all()
    assert np.isnan(residuals.left_out_px).all()  # two views say a line only


def test_joints_behind_a_camera_are_counted_and_sums_add_up() -> None:
    xyz = points()
    turned = CAMERAS[1].placed(np.diag([-1.0, 1.0, -1.0, 1.0]) @ CAMERAS[1].cam_from_world)
    xy = np.stack([project(CAMERAS[0], xyz), project(CAMERAS[1], xyz)])
    _, residuals = measure([CAMERAS[0], turned], xy, np.ones(xy.shape[:2]))
    assert residuals.behind.mean() > 0.5
    both = np.stack([project(one, xyz) for one in CAMERAS])
    found, right = measure(CAMERAS, both, np.ones(both.shape[:2]))
    assert right.behind.sum() == 0
    twice = found + found + none(4)
    assert twice.freedom == pytest.approx(2 * found.freedom) == pytest.approx(2 * 60 * 5)
    np.testing.assert_allclose(twice.H, 2 * found.H)
