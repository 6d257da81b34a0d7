"""Rigs on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.data.rigs import load_rig, rig_from_qualisys, save_rig
from pose3d_ros.errors import CalibrationError
from pose3d_ros.structures import Camera, Rig

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


GOOD = (
    "{name: a, width: 4, height: 4, K: [5, 0, 2, 0, 5, 2, 0, 0, 1], "
    "cam_from_world: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]}"
)


@pytest.fixture
def qualisys(tmp_path: Path) -> Path:
    path = tmp_path / "Calib.qca.txt"
    path.write_text(QUALISYS)
    return path


def test_qualisys_placement_is_the_one_that_pose2sim_publishes(qualisys: Path) -> None:
    camera = rig_from_qualisys(qualisys).camera("cam01")
    rotation = cv2.Rodrigues(camera.cam_from_world[:3, :3])[0].ravel()
    np.testing.assert_allclose(rotation, [1.68827548, 1.04832205, -0.41955852], atol=1e-7)
    np.testing.assert_allclose(camera.cam_from_world[:3, 3], [0.32110489, 0.95633206, 2.89071305], atol=1e-7)


def test_qualisys_camera_sits_at_the_published_position_and_looks_down(qualisys: Path) -> None:
    camera = rig_from_qualisys(qualisys).camera("cam01")
    np.testing.assert_allclose(camera.centre, [1.46023237, -1.90915905, 1.89650585], atol=1e-7)
    assert camera.cam_from_world[2, 2] < 0  # the optical axis points below the horizon of a z-up world


def test_qualisys_principal_point_loses_the_corner_of_the_field_of_view(qualisys: Path) -> None:
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
    # Pixel centres lie at whole numbers, so the image's corner is at -0.5.
    np.testing.assert_allclose((boxed.K @ point / point[2])[:2], [x / 2 - 0.25, y / 2 - 0.25 + 21])


def test_video_of_the_calibrated_size_leaves_the_intrinsics(qualisys: Path) -> None:
    full, same = rig_from_qualisys(qualisys), rig_from_qualisys(qualisys, {"cam01": (1080, 1916)})
    assert same.calibration_hash == full.calibration_hash


def test_unknown_qualisys_camera_is_named(qualisys: Path) -> None:
    with pytest.raises(CalibrationError, match=r"no camera 'cam09': it has cam01"):
        rig_from_qualisys(qualisys, {"cam09": (10, 10)})


def test_file_that_is_no_calibration_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.qca.txt"
    path.write_text("hello")
    with pytest.raises(CalibrationError, match="export"):
        rig_from_qualisys(path)


def test_qualisys_camera_without_intrinsics_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.qca.txt"
    path.write_text(QUALISYS.replace("<intrinsic", "<other"))
    with pytest.raises(CalibrationError, match=r"'cam01'.*intrinsic"):
        rig_from_qualisys(path)


def test_rig_survives_the_round_trip_through_yaml(tmp_path: Path) -> None:
    placed = np.eye(4)
    placed[:3, :3] = cv2.Rodrigues(np.array([0.1, -0.7, 1.9]))[0]
    placed[:3, 3] = 0.1, 1 / 3, -2.5
    K = np.array([[1000.1, 0, 640.25], [0, 1001.7, 360], [0, 0, 1]])
    rig = Rig(
        (
            Camera("left", (1280, 720), K, "rational_polynomial", np.arange(8) / 70, placed),
            Camera("right", (640, 480), K, "equidistant", np.zeros(4)),
        ),
        frame_id="map",
    )
    save_rig(rig, tmp_path / "rig.yaml")
    back = load_rig(tmp_path / "rig.yaml")
    assert back.frame_id == "map"
    assert back.calibration_hash == rig.calibration_hash
    np.testing.assert_array_equal(back.cameras[0].cam_from_world, placed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: [", "not valid YAML"),
        ("rig: 1", "no list 'cameras'"),
        ("cameras: []\nbaseline: 1", "unknown key 'baseline'"),
        ("cameras: [{name: a, width: 4, height: 4, K: [1]}]", "camera 'a' lacks 'cam_from_world'"),
        ("cameras: [{name: a, width: 4, height: 4, K: [1], cam_from_world: [1]}]", "K needs 9 numbers"),
        ("cameras: [{nmae: a}]", "lacks 'name'"),
        ("cameras: []\n1: 2\nb: 3", "unknown key 1"),
        ("cameras: [a]", "must be a mapping.*got 'a'"),
        ("cameras: []", "at least one camera"),
        (f"cameras: [{GOOD}, {GOOD}]", "different names"),
        (f"cameras: [{GOOD.replace('4', 'wide')}]", "camera 'a': width needs a number of px, got 'wide'"),
        (f"cameras: [{GOOD.replace('4', '.inf')}]", "camera 'a': width needs a number of px, got inf"),
        (f"cameras: [{GOOD.replace('4', '')}]", "camera 'a': width needs a number of px, got None"),
        (f"cameras: [{GOOD.replace('4', '0')}]", "camera 'a': image size .* must be positive"),
        (f"cameras: [{GOOD.replace('5, 0, 2', '0, 0, 2')}]", "camera 'a' is not calibrated"),
        (f"cameras: [{GOOD.replace('}', ', distortion: none}')}]", "camera 'a': distortion needs a list of numbers"),
    ],
)
def test_broken_rig_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=rf"rig\.yaml.*{message}"):
        load_rig(path)


def test_the_rig_that_the_broken_ones_are_made_of_is_sound(tmp_path: Path) -> None:
    (tmp_path / "rig.yaml").write_text(f"cameras: [{GOOD}]")
    assert load_rig(tmp_path / "rig.yaml").names == ("a",)


def test_missing_rig_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"nowhere\.yaml cannot be read"):
        load_rig(tmp_path / "nowhere.yaml")
