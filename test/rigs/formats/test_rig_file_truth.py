"""Other programs' calibrations are read as their published numbers and OpenCV's projection require."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from test_qualisys import QUALISYS

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.projection import project
from pose3d_ros.rigs.formats.rig_file import read_rig, write_rig
from pose3d_ros.structures import Camera, Floats, Rig

# cam_01 as Pose2Sim 0.4.5 publishes it (BSD-3-Clause), converted by itself from the Qualisys file of test_qualisys.
POSE2SIM = """
[cam_01]
name = "cam_01"
size = [ 1088.0, 1920.0]
matrix = [ [ 1681.244873046875, 0.0, 532.97369384375], [ 0.0, 1681.075439453125, 948.137390140625], [ 0.0, 0.0, 1.0]]
distortions = [ -0.000721609375, 0.002187234375, 9.5e-06, 1.078125e-05]
rotation = [ 1.6882754799999993, 1.0483220499999997, -0.41955852000000016]
translation = [ 0.3211048899999996, 0.9563320600000009, 2.8907130499999996]
fisheye = false

[metadata]
adjusted = false
error = 0.0
"""
# The form of camera_calibration's stereo result and of Kalibr's own, with numbers of our own.
K1 = np.array([[534.0, 0, 335.5], [0, 536.0, 240.7], [0, 0, 1]])
K2 = np.array([[531.0, 0, 328.1], [0, 530.0, 250.2], [0, 0, 1]])
D1, D2 = np.array([-0.29, 0.11, 0.001, -0.002, 0.02]), np.array([-0.27, 0.08, -0.001, 0.001, 0.01])
R = cv2.Rodrigues(np.array([0.01, -0.05, 0.02]))[0]
T = np.array([-0.12, 0.003, -0.004])  # the second camera is 12 cm to the right
POINTS = np.random.default_rng(5).uniform([-0.8, -0.6, 2], [0.8, 0.6, 5], (40, 3))  # m, in front of the first camera
LRYAML = """image_width: 640
image_height: 480
camera_name: narrow_stereo/{name}
camera_matrix:
  rows: 3
  cols: 3
  data: {K}
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: {D}
rectification_matrix:
  rows: 3
  cols: 3
  data: {R}
projection_matrix:
  rows: 3
  cols: 4
  data: {P}
"""


def opencv_pixels(K: Floats, D: Floats, rotation: Floats, translation: Floats, points: Floats = POINTS) -> Floats:
    return cv2.projectPoints(points, cv2.Rodrigues(rotation)[0], translation, K, D)[0][:, 0]


@pytest.fixture
def ros_pair(tmp_path: Path) -> Path:
    """left.yaml, right.yaml and a report, as packed by camera_calibration."""
    R1, R2, P1, P2, *_ = cv2.stereoRectify(K1, D1, K2, D2, (640, 480), R, T)
    for name, *matrices in (("right", K2, D2, R2, P2), ("left", K1, D1, R1, P1)):
        lists = {key: matrix.ravel().tolist() for key, matrix in zip("KDRP", matrices, strict=True)}
        (tmp_path / f"{name}.yaml").write_text(LRYAML.format(name=name, **lists))
    (tmp_path / "ost.txt").write_text("# oST version 5.0 parameters\n[image]\nwidth\n640\n")
    return tmp_path


def test_pose2sim_file_and_its_qualisys_source_give_the_same_camera(tmp_path: Path) -> None:
    (tmp_path / "Calib.toml").write_text(POSE2SIM)
    (tmp_path / "Calib.qca.txt").write_text(
        QUALISYS.replace('left="8" right="1087" top="4"', 'left="0" right="1087" top="0"')
    )
    theirs, ours = (read_rig(tmp_path / name).cameras[0] for name in ("Calib.toml", "Calib.qca.txt"))
    assert theirs.size_wh == ours.size_wh == (1088, 1920)
    np.testing.assert_allclose(ours.K, theirs.K, rtol=1e-12)
    np.testing.assert_allclose(ours.cam_from_world, theirs.cam_from_world, atol=2e-8)
    points = np.array([[0.2, -0.1, 0.0], [-0.4, 0.3, 1.7]])  # m, on the floor and at a head
    pixels = [project(camera.rectified(), points) for camera in (ours, theirs)]
    np.testing.assert_allclose(*pixels, atol=1e-3)
    assert (pixels[0][1, 1] < pixels[0][0, 1]).all()  # z is up: the head is higher in the image


def test_pose2sim_file_that_we_write_equals_the_original(tmp_path: Path) -> None:
    (tmp_path / "in.toml").write_text(POSE2SIM)
    camera = read_rig(tmp_path / "in.toml").cameras[0]
    write_rig(Rig((camera,)), tmp_path / "out.toml", "pose2sim")
    original = dict(line.split(" = ") for line in POSE2SIM.splitlines() if " = " in line)
    written = dict(line.split(" = ") for line in (tmp_path / "out.toml").read_text().splitlines() if " = " in line)
    for key in ("size", "matrix", "distortions", "rotation", "translation"):
        np.testing.assert_allclose(yaml.safe_load(written[key]), yaml.safe_load(original[key]), rtol=1e-9)
    assert written["fisheye"] == "false"


def test_ros_stereo_pair_gives_the_calibrated_extrinsics_and_opencvs_pixels(ros_pair: Path) -> None:
    rig = read_rig(ros_pair)
    assert rig.names == ("narrow_stereo/left", "narrow_stereo/right")
    assert rig.frame_id == "narrow_stereo/left_optical"
    left, right = rig.cameras
    np.testing.assert_allclose(left.cam_from_world, np.eye(4))
    np.testing.assert_allclose(right.cam_from_world[:3, :3], R, atol=1e-9)
    np.testing.assert_allclose(right.cam_from_world[:3, 3], T, atol=1e-9)
    np.testing.assert_allclose(project(left, POINTS), opencv_pixels(K1, D1, np.eye(3), np.zeros(3)), atol=1e-6)
    np.testing.assert_allclose(project(right, POINTS), opencv_pixels(K2, D2, R, T), atol=1e-6)


def test_ros_pair_that_we_write_rectifies_rows_and_its_disparity_gives_the_depth(tmp_path: Path) -> None:
    right_from_left = np.eye(4)
    right_from_left[:3, :3], right_from_left[:3, 3] = R, T
    left = Camera("left", (640, 480), K1, "plumb_bob", D1)
    rig = Rig((left, Camera("right", (640, 480), K2, "plumb_bob", D2, right_from_left)))
    write_rig(rig, tmp_path, "ros")
    rectified, P, R1 = [], [], []
    for name, pixels in (
        ("left", opencv_pixels(K1, D1, np.eye(3), np.zeros(3))),
        ("right", opencv_pixels(K2, D2, R, T)),
    ):
        info = yaml.safe_load((tmp_path / f"{name}.yaml").read_text())
        data = {key: np.array(info[key]["data"]) for key in info if isinstance(info[key], dict)}
        K, turn = (data[key].reshape(3, 3) for key in ("camera_matrix", "rectification_matrix"))
        P.append(data["projection_matrix"].reshape(3, 4))
        R1.append(turn)
        rectified.append(cv2.undistortPoints(pixels, K, data["distortion_coefficients"], R=turn, P=P[-1][:, :3])[:, 0])
    (x1, y1), (x2, y2) = rectified[0].T, rectified[1].T
    np.testing.assert_allclose(y1, y2, atol=0.02)  # cv2.undistortPoints stops after five steps
    baseline = -P[1][0, 3] / P[1][0, 0]
    assert baseline == pytest.approx(np.linalg.norm(T), abs=1e-9)
    depth = P[1][0, 0] * baseline / (x1 - x2)
    np.testing.assert_allclose(depth, (POINTS @ R1[0].T)[:, 2], rtol=2e-3)


def test_second_camera_of_a_ros_pair_alone_is_rejected(ros_pair: Path) -> None:
    with pytest.raises(CalibrationError, match=r"right\.yaml is the second camera of a pair .*give the first"):
        read_rig(ros_pair / "right.yaml")


def test_two_single_ros_calibrations_are_rejected_as_a_pair(ros_pair: Path) -> None:
    text = (ros_pair / "left.yaml").read_text()
    (ros_pair / "right.yaml").write_text(text)
    with pytest.raises(CalibrationError, match="neither projection_matrix has a baseline"):
        read_rig(ros_pair)


def test_kalibr_chain_transforms_from_each_camera_to_the_next(tmp_path: Path) -> None:
    # Three cameras in a row along x of the first, 0.1 m apart; the last is rotated about its y by 30 degrees.
    turned = cv2.Rodrigues(np.array([0, np.deg2rad(30), 0]))[0]
    steps = [np.eye(4), np.eye(4)]
    steps[0][0, 3] = -0.1
    steps[1][:3, :3] = turned
    steps[1][:3, 3] = turned @ [-0.1, 0, 0]
    lenses = ["radtan", "equidistant", "none"]
    coefficients = [[-0.2, 0.05, 0.001, 0.002], [0.01, -0.02, 0.003, -0.001], []]
    chain = {
        f"cam{n}": {
            "camera_model": "pinhole",
            "distortion_coeffs": coefficients[n],
            "distortion_model": lenses[n],
            "intrinsics": [460.0, 461.0, 376.0, 240.0],
            "resolution": [752, 480],
            "rostopic": f"/stereo/cam{n}/image_raw",
            **({"T_cn_cnm1": steps[n - 1].tolist()} if n else {}),
        }
        for n in range(3)
    }
    (tmp_path / "camchain.yaml").write_text(yaml.safe_dump(chain))
    rig = read_rig(tmp_path / "camchain.yaml")
    assert rig.names == ("stereo/cam0", "stereo/cam1", "stereo/cam2")
    np.testing.assert_allclose(
        [camera.centre for camera in rig.cameras], [[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0]], atol=1e-12
    )
    K = np.array([[460.0, 0, 376], [0, 461, 240], [0, 0, 1]])
    moved = [POINTS - [x, 0, 0] for x in (0, 0.1, 0.2)]
    still = np.zeros(3)
    np.testing.assert_allclose(
        project(rig.cameras[0], POINTS), opencv_pixels(K, np.array(coefficients[0]), np.eye(3), still), atol=1e-6
    )
    fisheye = cv2.fisheye.projectPoints(moved[1][:, None], still, still, K, np.array(coefficients[1]))[0][:, 0]
    np.testing.assert_allclose(project(rig.cameras[1], POINTS), fisheye, atol=1e-6)
    np.testing.assert_allclose(
        project(rig.cameras[2], POINTS), opencv_pixels(K, np.zeros(4), turned, still, moved[2]), atol=1e-6
    )


def test_unsupported_kalibr_camera_model_is_rejected(tmp_path: Path) -> None:
    text = "cam0: {camera_model: omni, distortion_model: radtan, intrinsics: [1.0, 2.0], resolution: [4, 4]}"
    (tmp_path / "camchain.yaml").write_text(text)
    with pytest.raises(CalibrationError, match=r"camchain\.yaml: cam0 has camera_model 'omni'.*pinhole-radtan"):
        read_rig(tmp_path / "camchain.yaml")


def test_opencv_stereo_calib_is_read_from_its_two_files(tmp_path: Path) -> None:
    intrinsics = cv2.FileStorage(str(tmp_path / "intrinsics.yml"), cv2.FILE_STORAGE_WRITE)
    for key, matrix in {"M1": K1, "D1": D1[None], "M2": K2, "D2": np.append(D2, [0.1, 0.2, 0.3])[None]}.items():
        intrinsics.write(key, matrix)
    intrinsics.release()
    extrinsics = cv2.FileStorage(str(tmp_path / "extrinsics.yml"), cv2.FILE_STORAGE_WRITE)
    for key, matrix in {"R": R, "T": T[:, None], "Q": np.eye(4)}.items():
        extrinsics.write(key, matrix)
    extrinsics.release()
    files = tmp_path / "intrinsics.yml", tmp_path / "extrinsics.yml"
    left, right = read_rig(*files, size_wh=(640, 480)).cameras
    assert (left.name, right.name, left.size_wh) == ("left", "right", (640, 480))
    assert right.distortion_model == "rational_polynomial"
    np.testing.assert_allclose(project(left, POINTS), opencv_pixels(K1, D1, np.eye(3), np.zeros(3)), atol=1e-6)
    wanted = opencv_pixels(K2, np.append(D2, [0.1, 0.2, 0.3]), R, T)
    np.testing.assert_allclose(project(right, POINTS), wanted, atol=1e-6)
    with pytest.raises(CalibrationError, match="size: give it with `--size"):
        read_rig(*files)
    with pytest.raises(CalibrationError, match=r"lacks R, T of .*give both intrinsics\.yml and extrinsics\.yml"):
        read_rig(files[0], size_wh=(640, 480))


def test_anipose_fisheye_projects_like_opencvs(tmp_path: Path) -> None:
    # As aniposelib's FisheyeCamera.get_dict writes it.
    coefficients, vector, move = [0.05, -0.01, 0.002, 0.001], [0.2, -0.1, 0.05], [0.1, 0.2, 0.3]
    (tmp_path / "calibration.toml").write_text(
        f'[cam_0]\nname = "A"\nsize = [ 640, 480,]\nmatrix = {K1.tolist()}\ndistortions = {coefficients}\n'
        f"rotation = {vector}\ntranslation = {move}\nfisheye = true\n\n[metadata]\nadjusted = false\nerror = 0.0\n"
    )
    camera = read_rig(tmp_path / "calibration.toml").camera("A")
    assert camera.distortion_model == "equidistant"
    expected = cv2.fisheye.projectPoints(POINTS[:, None], np.array(vector), np.array(move), K1, np.array(coefficients))
    np.testing.assert_allclose(project(camera, POINTS), expected[0][:, 0], atol=1e-6)


def test_qualisys_file_that_we_write_has_mm_transposed_rotation_and_64ths_of_a_pixel(tmp_path: Path) -> None:
    # A camera 2 m up, facing along world y: right is x, down is -z.
    placed = np.eye(4)
    placed[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    placed[:3, 3] = -placed[:3, :3] @ [0.5, -3, 2]
    write_rig(Rig((Camera("a", (640, 480), K1, cam_from_world=placed),)), tmp_path / "c.qca.txt", "qualisys")
    text = (tmp_path / "c.qca.txt").read_text()
    assert 'x="500.0" y="-3000.0" z="2000.0"' in text
    assert f'focalLengthU="{534.0 * 64}"' in text
    # QTM's camera axes: right, up, back; r11 r12 r13 are the first one in world coordinates, and so on.
    values = [float(text.split(f' r{row}{column}="')[1].split('"')[0]) for row in "123" for column in "123"]
    np.testing.assert_allclose(values, [1, 0, 0, 0, 0, 1, 0, -1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [("hello", "in no supported calibration format.*kalibr: Kalibr camchain"), ("cam0: [1", "not valid YAML"),
     ("matrix = [", "not valid TOML"), ("<calibration/>", "no <cameras><camera>"), ("cameras: []", "at least one")],
)  # fmt: skip
def test_files_that_are_not_calibrations_are_rejected(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(CalibrationError, match=rf"x\.yaml.*{message}"):
        read_rig(tmp_path / "x.yaml")


def test_files_of_different_formats_are_rejected(ros_pair: Path) -> None:
    (ros_pair / "a.toml").write_text(POSE2SIM)
    with pytest.raises(CalibrationError, match=r"different formats.*a\.toml \(pose2sim\).*left\.yaml \(ros\)"):
        read_rig(ros_pair)
