"""`pose3d calibrate align`: a world that was moved comes back, and what cannot be right is rejected."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation
from synthetic_people import h36m_rig
from walking_feet import Walk, pose_of

from pose3d_ros.calibration.boards import parse_board
from pose3d_ros.calibration.world_board import by_board
from pose3d_ros.calibration.world_move import onto_floor
from pose3d_ros.cli import main
from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.projection import project, rays
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.rigs.rig_frames import in_frame
from pose3d_ros.rigs.rig_yaml import load_rig, save_rig
from pose3d_ros.structures import Camera, Floats, Floor, Rig

TRUTH = h36m_rig("S9")  # z up, the floor at 0
FIRST = TRUTH.names[0]


def transform(rotvec: tuple[float, float, float], move: tuple[float, float, float]) -> Floats:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(rotvec).as_matrix(), move
    return matrix


# The world before it is aligned: 3 degrees off the vertical and 0.2 m too high.
TILTED = transform((0.04, -0.03, 0.0), (0.0, 0.0, 0.2))


def centres(rig: Rig) -> Floats:
    return np.array([camera.centre for camera in rig.cameras])


def walked(rig: Rig, tilt: Floats, path: Path, frame_id: str = "world") -> Path:
    """A recording of a walker over the true floor, as a rig in the tilted world estimates him."""
    rng = np.random.default_rng(0)
    poses = []
    for k in range(300):
        t_s = k / 30
        body, _ = Walk(start=(-1.5, 0.3), heading=0.4, speed_m_s=0.6).at(t_s)
        moved = body @ tilt[:3, :3].T + tilt[:3, 3]
        poses.append(pose_of(moved[None], 0.01, rng, t_s, frame_id))
    Recording(rig, tuple(poses), np.arange(300), {}, {}, poses[0].stamp_ns, 30.0, 300, 300).save(path)
    return path


@pytest.mark.parametrize("frame", ["world", "optical"])
def test_people_put_the_world_on_the_floor(frame: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tilt = TILTED if frame == "world" else TRUTH.cameras[0].cam_from_world
    frame_id = frame if frame == "world" else f"{FIRST}_optical"
    rig = in_frame(TRUTH, tilt, frame_id)
    save_rig(rig, tmp_path / "rig.yaml")
    recording = walked(load_rig(tmp_path / "rig.yaml"), tilt, tmp_path / "recording.npz", frame_id)
    assert (
        main(
            [
                "calibrate",
                "align",
                str(tmp_path / "rig.yaml"),
                str(tmp_path / "a" / "rig.yaml"),
                "--people",
                str(recording),
            ]
        )
        == 0
    )
    aligned = load_rig(tmp_path / "a" / "rig.yaml")
    np.testing.assert_allclose(centres(aligned)[:, 2], centres(TRUTH)[:, 2], atol=0.06)  # an ankle's height, 3 sigma
    up = aligned.cameras[1].cam_from_world[:3, 2] @ TRUTH.cameras[1].cam_from_world[:3, 2]
    assert up > np.cos(np.deg2rad(1.0))
    if frame == "world":
        assert aligned.frame_id == "world"
        np.testing.assert_allclose(centres(aligned)[:, :2], centres(TRUTH)[:, :2], atol=0.2)
    else:
        assert aligned.frame_id == "floor"
        np.testing.assert_allclose(aligned.cameras[0].centre[:2], 0.0, atol=1e-9)
        assert aligned.cameras[0].cam_from_world[2, 0] > 0.5
        assert aligned.cameras[0].cam_from_world[2, 1] == pytest.approx(0.0, abs=1e-9)
    printed = capsys.readouterr().out
    assert "the world turns by" in printed
    assert f"{FIRST}: 1." in printed


def test_a_floor_above_a_camera_is_rejected() -> None:
    floor = Floor(np.array([0.0, 0.0, 1.0, -1.8]), np.diag([1e-4, 1e-4, 1e-4]))
    with pytest.raises(CalibrationError, match=r"would be 0\.\d+ m below the floor"):
        onto_floor(TRUTH, floor)


def test_a_recording_of_another_rig_or_without_a_floor_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_rig(TRUTH, tmp_path / "rig.yaml")
    words = ["calibrate", "align", str(tmp_path / "rig.yaml"), str(tmp_path / "out.yaml"), "--people"]
    other = walked(in_frame(TRUTH, TILTED, "world"), TILTED, tmp_path / "other.npz")
    assert main([*words, str(other)]) == 1
    assert "was estimated with another rig" in capsys.readouterr().err
    rig = load_rig(tmp_path / "rig.yaml")
    Recording(rig, (), np.zeros(0), {}, {}, 0, 30.0, 1, 1).save(tmp_path / "none.npz")
    assert main([*words, str(tmp_path / "none.npz")]) == 1
    assert "show no floor" in capsys.readouterr().err
    assert not (tmp_path / "out.yaml").exists()


BASE_FROM_WORLD = transform((0.1, 0.2, 1.0), (0.4, -0.3, 0.1))
NAMED = {"corner": (0.5, 0.2, 0.0), "plate": (-0.6, 0.4, 0.02), "post": (0.1, -0.7, 0.4), "bolt": (0.3, 0.3, 0.8)}

LINE = "points: {" + ", ".join(f"p{k}: {{base: [{k}, 0, 0], rig: [{k}, 0, 0]}}" for k in range(4)) + "}"


def points_file(path: Path, form: str, noise_m: float = 0.002, **changed: tuple[float, float, float]) -> Path:
    """Points of the true world as they are measured in the base, and as the rig has them."""
    rng = np.random.default_rng(1)
    entries = {}
    for name, xyz in {**NAMED, **changed}.items():
        base = BASE_FROM_WORLD[:3, :3] @ NAMED.get(name, xyz) + BASE_FROM_WORLD[:3, 3] + rng.normal(0, noise_m, 3)
        entry: dict[str, object] = {"base": base.tolist()}
        if form == "px":
            entry["px"] = {
                camera.name: project(camera, np.array(xyz)).round(1).tolist() for camera in TRUTH.cameras[:3]
            }
        else:
            entry["rig"] = list(xyz)
        entries[name] = entry
    path.write_text(yaml.safe_dump({"frame": "base_link", "points": entries}))
    return path


@pytest.mark.parametrize("form", ["px", "rig"])
def test_named_points_give_the_robots_base(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_rig(TRUTH, tmp_path / "rig.yaml")
    file = points_file(tmp_path / "points.yaml", form)
    assert (
        main(["calibrate", "align", str(tmp_path / "rig.yaml"), str(tmp_path / "out.yaml"), "--points", str(file)]) == 0
    )
    aligned = load_rig(tmp_path / "out.yaml")
    assert aligned.frame_id == "base_link"
    np.testing.assert_allclose(centres(aligned), centres(in_frame(TRUTH, BASE_FROM_WORLD, "x")), atol=0.03)
    printed = capsys.readouterr().out
    assert "corner: residual" in printed
    assert "+-" in printed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"post": (0.1, -0.2, 0.4)}, "points fit to"),
        ({name: tuple(1.3 * part for part in xyz) for name, xyz in NAMED.items()}, "times as long in the base's frame"),
        (
            {name: tuple(1000 * part for part in xyz) for name, xyz in NAMED.items()},
            "times as long in the base's frame",
        ),
    ],
)
def test_points_that_do_not_fit_are_rejected(
    change: dict[str, tuple[float, float, float]], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_rig(TRUTH, tmp_path / "rig.yaml")
    file = points_file(tmp_path / "points.yaml", "rig", **change)
    assert (
        main(["calibrate", "align", str(tmp_path / "rig.yaml"), str(tmp_path / "out.yaml"), "--points", str(file)]) == 1
    )
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("points: {a: {base: [0, 0, 0], rig: [0, 0, 0]}}", "1 points (a), expected 3 or more"),
        (LINE, "lie on one line"),
        ("points: {a: {base: [0, 0], rig: [0, 0, 0]}}", "named points"),
        ("points: {a: {base: [0, 0, 0]}}", "named points"),
        ("points: 7", "named points"),
        (f"points: {{a: {{base: [0, 0, 0], px: {{{FIRST}: [10, 10]}}}}}}", "expected two cameras or more"),
        (f"points: {{a: {{base: [0, 0, 0], px: {{{FIRST}: [10, 10], x: [1, 2]}}}}}}", "the rig has no camera 'x'"),
        (f"points: {{a: {{base: [0, 0, 0], px: {{{FIRST}: [10, 9000], {TRUTH.names[1]}: [1, 2]}}}}}}", "is outside of"),
    ],
)  # fmt: skip
def test_points_files_of_another_form_are_rejected(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_rig(TRUTH, tmp_path / "rig.yaml")
    (tmp_path / "points.yaml").write_text(text)
    words = ["calibrate", "align", str(tmp_path / "rig.yaml"), str(tmp_path / "out.yaml")]
    assert main([*words, "--points", str(tmp_path / "points.yaml")]) == 1
    assert says in capsys.readouterr().err


def picture_of(camera: Camera, world_from_board: Floats) -> np.ndarray:
    """A Charuco board of 7 x 5 squares of 0.1 m, its first inner corner at the origin of its plane."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    texture = cv2.aruco.CharucoBoard((7, 5), 0.1, 0.075, dictionary).generateImage((1400, 1000), marginSize=0)
    width, height = camera.size_wh
    centre, directions = rays(camera, np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(float))
    inverse = np.linalg.inv(world_from_board)
    start, along = inverse[:3, :3] @ centre + inverse[:3, 3], directions @ inverse[:3, :3].T
    hit = start[:2] - along[..., :2] * (start[2] / along[..., 2])[..., None] + 0.1
    at = (hit * 2000 - 0.5).astype(np.float32)
    return cv2.remap(texture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=200)


def test_a_board_on_the_floor_is_the_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Down on the floor 2.5 m before the camera; a board's y points down its picture and its z into the floor.
    K = np.array([[900.0, 0, 480], [0, 900.0, 320], [0, 0, 1]])
    down = Rotation.from_euler("x", -55, degrees=True).as_matrix() @ np.diag([1.0, -1.0, -1.0])
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = down
    cam_from_world[:3, 3] = -down @ [0.0, -1.6, 1.2]
    camera = Camera("eye", (960, 640), K, cam_from_world=cam_from_world)
    world_from_board = transform((0.0, 0.0, 0.3), (-0.3, 0.2, 0.0)) @ np.diag([1.0, -1.0, -1.0, 1.0])
    cv2.imwrite(str(tmp_path / "board.png"), picture_of(camera, world_from_board))
    rig = Rig((camera,), "odd")
    save_rig(rig, tmp_path / "rig.yaml")
    words = ["calibrate", "align", str(tmp_path / "rig.yaml"), str(tmp_path / "out.yaml"), "--board"]
    form = "charuco:7x5:0.1:0.075:DICT_4X4_50"
    assert main([*words, form, f"eye={tmp_path / 'board.png'}"]) == 0
    aligned = load_rig(tmp_path / "out.yaml").cameras[0]
    truth = in_frame(rig, np.linalg.inv(world_from_board @ np.diag([1.0, -1.0, -1.0, 1.0])), "floor").cameras[0]
    np.testing.assert_allclose(aligned.centre, truth.centre, atol=0.01)
    assert aligned.centre[2] == pytest.approx(1.2, abs=0.01)
    assert "corners fit to" in capsys.readouterr().out
    assert main([*words, form, f"eye={tmp_path / 'none.png'}"]) == 1
    assert main([*words, form, "eye"]) == 1
    assert main([*words, "charuco:7x5:0.1:0.075:DICT_6X6_50", f"eye={tmp_path / 'board.png'}"]) == 1
    assert "the board is not found" in capsys.readouterr().err
    with pytest.raises(CalibrationError, match="image is 100 x 100 px"):
        by_board(camera, parse_board(form), np.zeros((100, 100), np.uint8), "floor")


def test_the_transform_of_one_camera_places_the_rig(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_rig(TRUTH, tmp_path / "rig.yaml")
    base_from_camera = BASE_FROM_WORLD @ np.linalg.inv(TRUTH.cameras[0].cam_from_world)
    numbers = [*base_from_camera[:3, 3], *Rotation.from_matrix(base_from_camera[:3, :3]).as_quat()]
    words = ["calibrate", "align", str(tmp_path / "rig.yaml"), str(tmp_path / "out.yaml"), "--camera", FIRST]
    given = ["--base-from-camera", *(f"{number:.6f}" for number in numbers)]
    assert main([*words, *given, "--frame", "torso"]) == 0
    aligned = load_rig(tmp_path / "out.yaml")
    assert aligned.frame_id == "torso"
    np.testing.assert_allclose(centres(aligned), centres(in_frame(TRUTH, BASE_FROM_WORLD, "x")), atol=1e-4)
    # The body's transform: x forward, z up.
    assert main([*words, "--base-from-camera", "1", "0", "1", "0", "0", "0", "1"]) == 0
    assert "looks straight up then: is it the transform of its body" in capsys.readouterr().out
    for bad, says in (
        (["1000", "0", "1200", "0", "0", "0", "1"], "are lengths in mm"),
        (["1", "0", "1", "0", "0", "0", "0.5"], "a quaternion of length 0.5"),
    ):
        assert main([*words, "--base-from-camera", *bad]) == 1
        assert says in capsys.readouterr().err
    assert main([*words[:-2], *given]) == 1
    assert "give --camera too" in capsys.readouterr().err
    assert main([*words[:-2]]) == 1
    assert "nothing to align to is given" in capsys.readouterr().err
