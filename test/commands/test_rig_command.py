"""`pose3d rig` from the command line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.cli import main
from pose3d_ros.rigs.formats.rig_file import read_rig
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.structures import Camera, Rig

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
# x of the camera is -y of the world, y is -z, z is x: it faces along world x.
ALONG_X = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])


def pair(scale: float = 1.0) -> Rig:
    cameras = []
    for name, y in (("left", 0.5), ("right", -0.5)):
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = ALONG_X
        cam_from_world[:3, 3] = -ALONG_X @ [0, y * scale, 1.2 * scale]
        cameras.append(Camera(name, (1280, 720), K, cam_from_world=cam_from_world))
    return Rig(tuple(cameras), "map")


@pytest.fixture
def rig_yaml(tmp_path: Path) -> Path:
    save_rig(pair(), tmp_path / "rig.yaml")
    return tmp_path / "rig.yaml"


def test_show_prints_distances_and_draws(rig_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rig", "show", str(rig_yaml), "--output", str(tmp_path / "rig.png")]) == 0
    printed = capsys.readouterr().out
    assert "left - right: 1.0000 m apart, 0.0 degrees" in printed
    assert "judging by the images, up is +z (only a hint" in printed
    assert "no fault found" in printed
    picture = cv2.imread(str(tmp_path / "rig.png"))
    # Both cameras' colours (matplotlib's C0 and C1) are in the top view: y points left, as does the left camera.
    above = np.array_split(picture.astype(int), 2, axis=1)[0]
    columns = [np.nonzero(np.abs(above - rgb[::-1]).max(axis=-1) < 30)[1] for rgb in ((31, 119, 180), (255, 127, 14))]
    assert min(map(len, columns)) > 50
    assert np.median(columns[0]) < np.median(columns[1])


def test_show_returns_1_for_a_fault_and_the_recommended_option_fixes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_rig(pair(scale=1000), tmp_path / "mm.yaml")
    assert main(["rig", "show", str(tmp_path / "mm.yaml")]) == 1
    assert "FAULT: camera 'left' is 1000 m from the nearest" in capsys.readouterr().out
    assert main(["rig", "show", str(tmp_path / "mm.yaml"), "--unit", "mm"]) == 0
    assert "left - right: 1.0000 m apart" in capsys.readouterr().out


def test_convert_rejects_a_loss_and_the_recommended_option_fixes_it(
    rig_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ros = tmp_path / "ros"
    assert main(["rig", "convert", str(rig_yaml), str(ros), "--format", "ros"]) == 1
    assert "--origin left" in capsys.readouterr().err
    assert main(["rig", "convert", str(rig_yaml), str(ros), "--format", "ros", "--origin", "left"]) == 0
    assert sorted(path.name for path in ros.iterdir()) == ["left.yaml", "right.yaml"]
    np.testing.assert_allclose(read_rig(ros).camera("right").centre, [1, 0, 0], atol=1e-9)


def test_convert_rotates_a_y_up_world_and_keeps_the_selected_cameras(rig_yaml: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    arguments = ["--format", "anipose", "--world", "y-up", "--cameras", "right"]
    assert main(["rig", "convert", str(rig_yaml), str(out), *arguments]) == 0
    back = read_rig(out)
    assert back.names == ("right",)
    np.testing.assert_allclose(back.cameras[0].centre, [0, -1.2, -0.5], atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "640"], "--size is '640', expected WIDTHxHEIGHT"),
        (["--cameras", "front"], "no camera 'front': it has left, right"),
    ],
)
def test_wrong_arguments_are_rejected(
    rig_yaml: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["rig", "show", str(rig_yaml), *arguments]) == 1
    assert message in capsys.readouterr().err
