"""Calibrations in common variants: an echoed camera_info, extrinsics by way of an IMU, nested tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.formats.rig_file import read_rig

ECHO = """header:
  stamp: {{sec: 1, nanosec: 0}}
  frame_id: {name}_optical
height: 480
width: 640
distortion_model: plumb_bob
d: [-0.1, 0.02, 0.0, 0.0, 0.0]
k: [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [500.0, 0.0, 320.0, {tx}, 0.0, 500.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: {binning}
binning_y: 0
roi: {{x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}}
---
"""
INTRINSICS = """  camera_model: pinhole
  distortion_model: radtan
  distortion_coeffs: [0.0, 0.0, 0.0, 0.0]
  intrinsics: [500.0, 500.0, 320.0, 240.0]
  resolution: [640, 480]
"""


def test_fault_saved_echo_of_camera_info(tmp_path: Path) -> None:
    """Fault: `ros2 topic echo` of camera_info was saved as a calibration.
    Sees: nothing: it is read, a pair with its baseline; with binning "which a file cannot represent".
    Recovers: there is nothing to recover from.
    Kind: K2
    Before: "in no calibration format that is known here".
    """
    for name, tx in (("left", 0.0), ("right", -60.0)):
        (tmp_path / f"{name}.yaml").write_text(2 * ECHO.format(name=name, tx=tx, binning=0), encoding="utf-8-sig")
    rig = read_rig(tmp_path / "left.yaml", tmp_path / "right.yaml")
    assert rig.names == ("left", "right")
    np.testing.assert_allclose(rig.camera("right").centre, [0.12, 0, 0], atol=1e-12)
    (tmp_path / "left.yaml").write_text(ECHO.format(name="left", tx=0.0, binning=2), encoding="utf-8")
    with pytest.raises(CalibrationError, match="with binning or a region of interest"):
        read_rig(tmp_path / "left.yaml")


@pytest.mark.parametrize("key", ["T_cam_imu", "T_imu_cam"])
def test_extrinsics_relative_to_one_imu_give_relative_cameras(key: str, tmp_path: Path) -> None:
    cams = ""
    for name, along in (("cam0", 0.3), ("cam1", 0.1)):
        transform = np.eye(4)
        transform[0, 3] = along if key == "T_cam_imu" else -along
        cams += f"{name}:\n{INTRINSICS}  {key}: {transform.tolist()}\n"
    (tmp_path / "camchain.yaml").write_text(cams, encoding="utf-8")
    np.testing.assert_allclose(read_rig(tmp_path / "camchain.yaml").camera("cam1").centre, [0.2, 0, 0], atol=1e-12)
    (tmp_path / "camchain.yaml").write_text(cams.replace(key, "T_else"), encoding="utf-8")
    with pytest.raises(CalibrationError, match="cam1 lacks 'T_cn_cnm1'"):
        read_rig(tmp_path / "camchain.yaml")


def test_nested_camera_tables_are_read(tmp_path: Path) -> None:
    table = """[cameras.left]
name = "left"
size = [640, 480]
matrix = [[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]
distortions = [0.0, 0.0, 0.0, 0.0]
rotation = [0.0, 0.0, 0.0]
translation = [0.0, 0.0, 0.0]
"""
    (tmp_path / "Calib.toml").write_text(table, encoding="utf-8")
    assert read_rig(tmp_path / "Calib.toml").names == ("left",)


def test_fault_uncalibrated_camera_among_others_in_a_rig_file(tmp_path: Path) -> None:
    """Fault: one camera of a rig file is not calibrated.
    Sees: "camera 'b' is not calibrated", unless --cameras names the others.
    Recovers: with --cameras, or when it is calibrated.
    Kind: K2
    Before: the whole file was refused though --cameras named the others.
    """
    cam_from_world = np.eye(4).ravel().tolist()
    entry = "- {{name: {}, width: 640, height: 480, K: {}, cam_from_world: {}}}\n"
    text = "".join(
        entry.format(name, [f, 0.0, 320.0, 0.0, f, 240.0, 0.0, 0.0, 1.0], cam_from_world)
        for name, f in (("a", 500.0), ("b", 0.0), ("c", 500.0))
    )
    (tmp_path / "rig.yaml").write_text(f"cameras:\n{text}", encoding="utf-8")
    with pytest.raises(CalibrationError, match="'b' is not calibrated"):
        read_rig(tmp_path / "rig.yaml")
    assert read_rig(tmp_path / "rig.yaml", cameras=("c", "a")).names == ("c", "a")
