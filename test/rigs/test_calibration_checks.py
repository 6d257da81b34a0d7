import numpy as np
import pytest

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import baselines_m
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.structures import Camera, Rig


def rig(*centres):
    cameras = []
    for i, centre in enumerate(centres):
        transform = np.eye(4)
        transform[:3, 3] = -np.asarray(centre)
        cameras.append(
            Camera(f"cam{i}", (640, 480), [[500.0, 0, 320], [0, 500, 240], [0, 0, 1]], "plumb_bob", [], transform)
        )
    return Rig(tuple(cameras))


def test_two_cameras_at_one_position_are_rejected():
    with pytest.raises(CalibrationError, match=r"'cam0' and 'cam1' have the same position.*0\.000 mm.*TF"):
        validate_rig(rig((1, 2, 3), (1, 2, 3)))


def test_three_cameras_at_one_position_are_rejected():
    with pytest.raises(CalibrationError, match="same position"):
        validate_rig(rig((0, 0, 0), (0, 0, 0), (0, 1e-4, 0)))


def test_one_nonzero_baseline_is_enough():
    validate_rig(rig((0, 0, 0), (0, 0, 0), (0.12, 0, 0)))
    validate_rig(rig((0, 0, 0), (0.02, 0, 0)))


def test_single_camera_has_no_baseline_to_check():
    validate_rig(rig((0, 0, 0)))


def test_baselines_are_distances_between_camera_centres():
    assert baselines_m(rig((0, 0, 0), (3, 4, 0))) == {("cam0", "cam1"): pytest.approx(5.0)}
