"""`pose3d mono`: metres only with a focal length, and every failure in one line."""

from __future__ import annotations

import ast
import csv
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from oracle_lifter import Oracle, OracleLoaded
from synthetic_people import walker

from pose3d_ros.cli import main
from pose3d_ros.commands import mono
from pose3d_ros.detection import factory
from pose3d_ros.detection import options as detector_options
from pose3d_ros.estimation import options, single_view
from pose3d_ros.geometry.projection import project
from pose3d_ros.ros.options import InputOptions, MonocularNodeOptions
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, FrameSet, Keypoints2D

SIZE, FOCAL = (800, 600), 700.0
CAMERA = Camera("image", SIZE, np.array([[FOCAL, 0, 399.5], [0, FOCAL, 299.5], [0, 0, 1]]))


def people() -> Floats:
    """(2, 17, 3) m in the camera's frame: at 4 and 6 m."""
    world = np.stack([walker((4.0, 0.8), (0.0, 1.0), 0.2), walker((6.0, -1.2), (1.0, 0.5), 0.4)])
    axes = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    return np.asarray((world - (0.0, 0.0, 1.0)) @ axes.T)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "people.jpg"
    cv2.imwrite(str(path), np.full((SIZE[1], SIZE[0], 3), 90, dtype=np.uint8))
    return path


@pytest.fixture
def oracles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Detector and lifter that return the true people for any image."""

    class Detector:
        name, skeleton = "oracle", H36M_17

        def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
            xy = project(CAMERA, people())
            return {name: Keypoints2D(xy, np.full(xy.shape[:2], 0.8), H36M_17) for name in frames.images}

    def make_detector(options: detector_options.DetectorOptions, device: str) -> Detector:
        assert (options, device) == (detector_options.DetectorOptions(), "auto")
        return Detector()

    monkeypatch.setattr(factory, "make_detector", make_detector)
    monkeypatch.setattr(single_view, "load_lifter", lambda name: OracleLoaded(Oracle(people())))
    monkeypatch.setattr(detector_options, "weights_of", lambda options: ())


@pytest.mark.usefixtures("oracles")
def test_with_a_focal_length_all_people_are_in_metres(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(["mono", "--image", str(picture), "--focal-px", str(FOCAL), "--output", str(output)]) == 0
    assert {file.name for file in output.iterdir()} == set(mono.RESULTS)
    content = json.loads((output / "people.json").read_text())
    assert content["focal_px"] == [FOCAL, FOCAL]
    assert content["principal_point_px"] == [399.5, 299.5]
    for person, truth in zip(content["people"], people(), strict=True):
        np.testing.assert_allclose(person["root_m"], truth[0], atol=1e-3)
        np.testing.assert_allclose([person["joints"][n]["xyz_m"] for n in H36M_17.joint_names], truth, atol=1e-3)
        assert person["canonical_depth_m"] == pytest.approx(truth[0, 2] * 1000 / FOCAL, abs=1e-3)
        assert person["height_m"] == pytest.approx(1.75, abs=0.2)
    rows = list(csv.DictReader((output / "people.csv").open()))
    assert len(rows) == 34
    assert float(rows[0]["z_m"]) == pytest.approx(people()[0, 0, 2], abs=1e-3)
    assert {row["source"] for row in rows} == {"MONOCULAR"}
    drawn = cv2.imread(str(output / "overlay.png"))
    assert drawn.shape == (600, 800, 3)
    assert (drawn != 90).any(axis=-1).mean() > 0.01
    printed = capsys.readouterr().out
    x, y, z = people()[0, 0]
    assert f"     1{x:8.2f}{y:8.2f}{z:8.2f}" in printed
    assert "focal length 700 px" in printed


@pytest.mark.usefixtures("oracles")
def test_without_a_focal_length_no_distance_is_reported(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The oracle is right only for its own camera: use that as the default.
    monkeypatch.setattr(mono, "DEFAULT_FOCAL", FOCAL / SIZE[0])
    output = tmp_path / "out"
    assert main(["mono", "--image", str(picture), "--output", str(output)]) == 0
    content = json.loads((output / "people.json").read_text())
    assert content["focal_px"] is None
    assert content["frame"] == "pelvis"
    assert "canonical_depth_m" in content["note"]
    for person, truth in zip(content["people"], people(), strict=True):
        assert person["root_m"] is None
        assert person["canonical_depth_m"] == pytest.approx(truth[0, 2] * 1000 / FOCAL, abs=1e-3)
        relative = [person["joints"][name]["xyz_m"] for name in H36M_17.joint_names]
        np.testing.assert_allclose(relative, truth - truth[0], atol=1e-3)
        assert person["joints"]["LWrist"]["std_m"] == [None] * 3
    printed = capsys.readouterr().out
    assert "focal length unknown" in printed
    assert f"{people()[0, 0, 2]:.2f}" not in printed


def test_body_height_reaches_the_lifter(picture: Path, oracles: None, tmp_path: Path) -> None:
    depths = {}
    for height in ("1.6", "1.9"):
        output = tmp_path / height
        arguments = ["--focal-px", str(FOCAL), "--body-height-m", height, "--output", str(output)]
        assert main(["mono", "--image", str(picture), *arguments]) == 0
        content = json.loads((output / "people.json").read_text())
        depths[height] = content["people"][0]["root_m"][2]
    assert depths["1.9"] / depths["1.6"] == pytest.approx(1.9 / 1.6, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "nowhere.jpg"], "picture nowhere.jpg cannot be read (no such file)"),
        (["--image", "."], "picture . cannot be read (it is a folder"),
        (["--image", __file__], "not a picture of JPEG, PNG"),
        (["--image", __file__, "--focal-px", "0"], "--focal-px 0: give 10 to 100000 px"),
        (["--image", __file__, "--body-height-m", "180"], "--body-height-m 180: give 0.5 to 2.5 m"),
        (["--focal-px", "900"], "--focal-px belongs to a still image: give --image FILE too"),
        (["--frames", "3"], "--frames 3: give 1 or more, and --footage"),
        (["--footage", "single", "--frames", "0"], "--frames 0: give 1 or more"),
        (["--footage", "single", "--image", "a.jpg"], "--footage single and --image a.jpg: give one of the two"),
        (["--param", "device=cpu"], "--param device=cpu: give it as NAME:=VALUE"),
    ],
)
def test_wrong_usage_is_rejected_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mono", *arguments]) == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert message in printed[0]


@pytest.mark.usefixtures("oracles")
def test_output_folder_that_cannot_be_created_is_rejected(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mono", "--image", str(picture), "--output", str(picture / "out")]) == 1
    assert "cannot write there" in capsys.readouterr().err


@pytest.mark.usefixtures("weights")
def test_image_without_a_person_is_rejected(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(single_view, "load_lifter", lambda name: OracleLoaded(Oracle(people())))
    assert main(["mono", "--image", str(picture), "--output", str(tmp_path / "out")]) == 1
    assert f"no person found in {picture}" in capsys.readouterr().err


def test_without_an_image_the_node_starts_and_its_launch_file_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(mono, "require_ros", lambda: None)
    monkeypatch.setattr(mono, "prepare", lambda: None)

    def become(path: str, command: list[str]) -> None:
        started.append(command)
        sys.exit(0)

    monkeypatch.setattr(mono.os, "execv", become)
    with pytest.raises(SystemExit):
        main(["mono", "--camera", "front", "--param", "body_height_m:=1.7"])
    (command,) = started
    assert command[-6:] == ["pose3d_ros.ros.monocular_node", "--ros-args", "-p", "cameras:=[front]", "-p",
                            "body_height_m:=1.7"]  # fmt: skip
    printed = capsys.readouterr().out
    assert "ros2 launch pose3d_ros mono.launch.py camera:=front body_height_m:=1.7" in printed


def test_launch_file_declares_the_documented_arguments() -> None:
    declared = set()
    for file in ("mono.launch.py", "pose_node.py"):
        for node in ast.parse((Path(__file__).parents[2] / "launch" / file).read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("PARAMETERS", "ARGUMENTS", "OTHERS"):
                declared |= {name for name, _, _ in ast.literal_eval(node.value)}
    kinds = (MonocularNodeOptions, InputOptions, options.EstimatorOptions)
    parameters = {field.name for kind in kinds for field in fields(kind)} | {"use_sim_time"}
    assert set(mono.LAUNCH_ARGUMENTS) == declared & parameters


def test_importing_the_command_needs_neither_torch_nor_ros() -> None:
    code = "import sys, pose3d_ros.commands.mono; print('torch' in sys.modules, 'rclpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
