"""The same cameras in another frame or unit project to the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
from transforms import transform

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.rigs.rig_frames import WORLDS, relative_to, scaled, with_z_up
from pose3d_ros.structures import Camera, Rig

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
RIG = Rig(
    (
        Camera("a", (640, 480), K, cam_from_world=transform([0.3, -0.2, 0.1], [0.5, 0.1, 3.0])),
        Camera("b", (640, 480), K, cam_from_world=transform([-0.2, 0.4, 0.0], [-0.5, 0.2, 2.0])),
    ),
    "map",
)
POINTS = np.array([[0.1, 0.2, 0.3], [-0.4, 0.1, 0.5]])  # m, map


def test_points_in_a_camera_frame_project_to_the_same_pixels() -> None:
    moved = relative_to(RIG, "b")
    b = RIG.camera("b").cam_from_world
    for before, after in zip(RIG.cameras, moved.cameras, strict=True):
        np.testing.assert_allclose(project(after, POINTS @ b[:3, :3].T + b[:3, 3]), project(before, POINTS), atol=1e-9)
    assert moved.frame_id == "b_optical"
    np.testing.assert_array_equal(moved.camera("b").cam_from_world, np.eye(4))


@pytest.mark.parametrize("world", WORLDS)
def test_up_axis_of_any_world_becomes_z_and_pixels_are_unchanged(world: str) -> None:
    axis = WORLDS[world]
    up = np.zeros(3)
    up["xyz".index(axis[1])] = 1.0 if axis[0] == "+" else -1.0
    moved = with_z_up(RIG, axis)
    for before, after in zip(RIG.cameras, moved.cameras, strict=True):
        rotation = after.cam_from_world[:3, :3].T @ before.cam_from_world[:3, :3]
        np.testing.assert_allclose(rotation @ up, (0, 0, 1), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        np.testing.assert_allclose(project(after, POINTS @ rotation.T), project(before, POINTS), atol=1e-9)
    if axis == "+y":
        x, y, z = POINTS.T
        np.testing.assert_allclose(POINTS @ rotation.T, np.stack([x, -z, y], -1), atol=1e-9)


def test_millimetres_become_metres() -> None:
    in_mm = Rig(tuple(camera.placed(_times(camera.cam_from_world, 1000)) for camera in RIG.cameras))
    for before, after in zip(RIG.cameras, scaled(in_mm, 0.001).cameras, strict=True):
        np.testing.assert_allclose(project(after, POINTS), project(before, POINTS), atol=1e-9)


@pytest.mark.parametrize("unit", [0.0, -1.0, np.nan])
def test_invalid_unit_is_rejected(unit: float) -> None:
    with pytest.raises(InputError, match="unit of length"):
        scaled(RIG, unit)


def _times(matrix: np.ndarray, factor: float) -> np.ndarray:
    result = matrix.copy()
    result[:3, 3] *= factor
    return result
