"""Qualisys Track Manager's calibration files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.formats.qualisys import rig_from_qualisys

# Numbers of cam01 of Pose2Sim's demonstration (BSD-3-Clause).
QUALISYS = """<?xml version='1.0' encoding='ASCII'?>
<calibration><cameras><camera serial="cam01">
<fov_video bottom="1919" left="8" right="1087" top="4"/>
<transform r11="0.5536380477336265" r12="0.8046719867383512" r13="0.2144479094331626"
 r21="-0.4345300743838753" r22="0.05946489349975602" r23="0.8986921279821063"
 r31="0.7104002579937896" r32="-0.5907342212870501" r33="0.3825762057979294"
 x="1460.2323709212087" y="-1909.1590482454608" z="1896.5058524092062"/>
<intrinsic centerPointU="34110.316406" centerPointV="60680.792969" focalLengthU="107599.671875"
 focalLengthV="107588.828125" radialDistortion1="-0.046183" radialDistortion2="0.139983"
 tangentalDistortion1="0.000608" tangentalDistortion2="0.00069"/>
</camera></cameras></calibration>
"""


@pytest.fixture
def qualisys(tmp_path: Path) -> Path:
    path = tmp_path / "Calib.qca.txt"
    path.write_text(QUALISYS)
    return path


def test_qualisys_extrinsics_match_those_published_by_pose2sim(qualisys: Path) -> None:
    camera = rig_from_qualisys(qualisys).camera("cam01")
    rotation = cv2.Rodrigues(camera.cam_from_world[:3, :3])[0].ravel()
    np.testing.assert_allclose(rotation, [1.68827548, 1.04832205, -0.41955852], atol=1e-7)
    np.testing.assert_allclose(camera.cam_from_world[:3, 3], [0.32110489, 0.95633206, 2.89071305], atol=1e-7)


def test_qualisys_camera_has_the_published_position_and_faces_down(qualisys: Path) -> None:
    camera = rig_from_qualisys(qualisys).camera("cam01")
    np.testing.assert_allclose(camera.centre, [1.46023237, -1.90915905, 1.89650585], atol=1e-7)
    assert camera.cam_from_world[2, 2] < 0  # the optical axis points below the horizon of a z-up world


def test_qualisys_principal_point_is_relative_to_the_field_of_view(qualisys: Path) -> None:
    camera = rig_from_qualisys(qualisys).camera("cam01")
    np.testing.assert_allclose(camera.K[:2, 2], [34110.316406 / 64 - 8, 60680.792969 / 64 - 4])
    np.testing.assert_allclose([camera.K[0, 0], camera.K[1, 1]], [107599.671875 / 64, 107588.828125 / 64])
    assert camera.size_wh == (1080, 1916)


def test_qualisys_distortion_is_not_scaled(qualisys: Path) -> None:
    camera = rig_from_qualisys(qualisys).camera("cam01")
    np.testing.assert_allclose(camera.distortion, [-0.046183, 0.139983, 0.000608, 0.00069, 0])


def test_narrower_video_is_scaled_and_centred_between_black_bars(qualisys: Path) -> None:
    full = rig_from_qualisys(qualisys).camera("cam01")  # 1080x1916
    boxed = rig_from_qualisys(qualisys, {"cam01": (540, 1000)}).camera("cam01")  # 540x958 and 21 rows above
    assert boxed.size_wh == (540, 1000)
    point = np.array([0.21, -0.1, 3.0])
    x, y = (full.K @ point / point[2])[:2]
    # Pixel centres are at integers, so the image's corner is at -0.5.
    np.testing.assert_allclose((boxed.K @ point / point[2])[:2], [x / 2 - 0.25, y / 2 - 0.25 + 21])


def test_video_of_the_calibrated_size_keeps_the_intrinsics(qualisys: Path) -> None:
    full, same = rig_from_qualisys(qualisys), rig_from_qualisys(qualisys, {"cam01": (1080, 1916)})
    assert same.calibration_hash == full.calibration_hash


def test_unknown_qualisys_camera_is_named(qualisys: Path) -> None:
    with pytest.raises(CalibrationError, match=r"no camera 'cam09': it has cam01"):
        rig_from_qualisys(qualisys, {"cam09": (10, 10)})


def test_file_that_is_not_a_calibration_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "x.qca.txt"
    path.write_text("hello")
    with pytest.raises(CalibrationError, match="is not valid XML"):
        rig_from_qualisys(path)


def test_qualisys_camera_without_intrinsics_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.qca.txt"
    path.write_text(QUALISYS.replace("<intrinsic", "<other"))
    with pytest.raises(CalibrationError, match=r"'cam01'.*intrinsic"):
        rig_from_qualisys(path)


def test_third_radial_coefficient_is_read_where_the_file_has_one(qualisys: Path) -> None:
    qualisys.write_text(QUALISYS.replace("tangentalDistortion1", 'radialDistortion3="0.25" tangentalDistortion1'))
    np.testing.assert_allclose(
        rig_from_qualisys(qualisys).camera("cam01").distortion, [-0.046183, 0.139983, 0.000608, 0.00069, 0.25]
    )


def test_skew_of_unknown_unit_is_rejected(qualisys: Path) -> None:
    qualisys.write_text(QUALISYS.replace("<intrinsic", '<intrinsic skew="3"'))
    with pytest.raises(CalibrationError, match=r"cam01.*skew 3"):
        rig_from_qualisys(qualisys)
