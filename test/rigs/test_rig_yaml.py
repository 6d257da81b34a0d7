"""Our rig.yaml."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.structures import Camera, Rig

GOOD = (
    "{name: a, width: 4, height: 4, K: [5, 0, 2, 0, 5, 2, 0, 0, 1], "
    "cam_from_world: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]}"
)


def test_rig_round_trips_through_yaml(tmp_path: Path) -> None:
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = cv2.Rodrigues(np.array([0.1, -0.7, 1.9]))[0]
    cam_from_world[:3, 3] = 0.1, 1 / 3, -2.5
    K = np.array([[1000.1, 0, 640.25], [0, 1001.7, 360], [0, 0, 1]])
    rig = Rig(
        (
            Camera("left", (1280, 720), K, "rational_polynomial", np.arange(8) / 70, cam_from_world),
            Camera("right", (640, 480), K, "equidistant", np.zeros(4)),
        ),
        frame_id="map",
    )
    save_rig(rig, tmp_path / "rig.yaml")
    back = load_rig(tmp_path / "rig.yaml")
    assert back.frame_id == "map"
    assert back.calibration_hash == rig.calibration_hash
    np.testing.assert_array_equal(back.cameras[0].cam_from_world, cam_from_world)


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
def test_broken_rig_file_is_rejected_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=rf"rig\.yaml.*{message}"):
        load_rig(path)


def test_template_of_the_broken_rigs_is_valid(tmp_path: Path) -> None:
    (tmp_path / "rig.yaml").write_text(f"cameras: [{GOOD}]")
    assert load_rig(tmp_path / "rig.yaml").names == ("a",)


def test_missing_rig_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"nowhere\.yaml cannot be read"):
        load_rig(tmp_path / "nowhere.yaml")
