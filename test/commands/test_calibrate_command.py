"""`pose3d calibrate` on OpenCV's own boards, and on rendered boards with exact ground truth."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pose3d_ros.calibration.boards import parse_board
from pose3d_ros.cli import main
from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import rays
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.structures import Camera, Floats

BOARDS = Path(__file__).parents[1] / "data" / "boards"  # Apache-2.0, see its README
SQUARE_M = 0.025
# samples/data/left_intrinsics.yml and intrinsics.yml of OpenCV: its own calibrations of these pictures.
LEFT_F, LEFT_C, LEFT_RMS_PX, PAIR_F = 535.91573396163199, (342.28315473308373, 235.57082909788173), 0.3926, 534.803


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("pair")
    sources = [f"{side}={BOARDS}/{side}*.jpg" for side in ("left", "right")]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        board = f"chessboard:9x6:{SQUARE_M}"
        assert main(["calibrate", "board", *sources, "--board", board, "--output", str(out), "--quiet"]) == 0
    return out, printed.getvalue()


def test_opencv_boards_give_the_lens_published_by_opencv(pair: tuple[Path, str]) -> None:
    rig = load_rig(pair[0] / "rig.yaml")
    left, right = rig.cameras
    assert left.size_wh == (640, 480)
    assert left.K[0, 0] == pytest.approx(LEFT_F, rel=0.01)
    np.testing.assert_allclose(left.K[:2, 2], LEFT_C, atol=4)
    assert right.K[0, 0] == pytest.approx(PAIR_F, rel=0.01)
    report = yaml.safe_load((pair[0] / "report.yaml").read_text())
    assert {row["boards_used"] for row in report["cameras"].values()} == {8}
    assert all(0.05 < row["rms_px_together"] < LEFT_RMS_PX for row in report["cameras"].values())


def test_opencv_boards_give_the_extrinsics_of_opencvs_stereo_sample(pair: tuple[Path, str]) -> None:
    # stereo_calib.cpp: the older detector, refined corners, and both lenses solved together with the extrinsics.
    corners_of: dict[str, list[Floats]] = {"left": [], "right": []}
    for side, detected in corners_of.items():
        for file in sorted(BOARDS.glob(f"{side}*.jpg")):
            grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            ok, corners = cv2.findChessboardCorners(grey, (9, 6))
            assert ok
            stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 30, 0.01)
            detected.append(cv2.cornerSubPix(grey, corners, (11, 11), (-1, -1), stop))
    board = np.zeros((54, 3), np.float32)
    board[:, :2] = np.mgrid[0:9, 0:6].T.reshape(-1, 2) * SQUARE_M
    boards = [board] * len(corners_of["left"])
    flags = (
        cv2.CALIB_FIX_ASPECT_RATIO | cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_USE_INTRINSIC_GUESS
        | cv2.CALIB_SAME_FOCAL_LENGTH | cv2.CALIB_FIX_K3
    )  # fmt: skip
    K = [cv2.initCameraMatrix2D(boards, corners, (640, 480), 0) for corners in corners_of.values()]
    result = cv2.stereoCalibrate(
        boards, corners_of["left"], corners_of["right"], K[0], np.zeros(5), K[1], np.zeros(5), (640, 480), flags=flags
    )
    R, T = result[5], result[6].ravel()
    right = load_rig(pair[0] / "rig.yaml").camera("right")
    assert np.linalg.norm(right.centre) == pytest.approx(np.linalg.norm(T), rel=0.01)
    # OpenCV's lenses share one focal length without tangential terms; 10 px of principal point are a degree here.
    assert np.rad2deg(np.linalg.norm(cv2.Rodrigues(right.cam_from_world[:3, :3] @ R.T)[0])) < 2.0
    assert f"left - right: {np.linalg.norm(right.centre):.4f} m apart" in pair[1]


def test_calibration_writes_a_report_and_plots(pair: tuple[Path, str]) -> None:
    for name, panels in (("boards.png", 2), ("rig.png", 2)):
        picture = cv2.imread(str(pair[0] / name))
        for half in np.array_split(picture, panels, axis=1):
            assert (half < 200).all(axis=-1).sum() > 500  # something is drawn in each panel


def render(camera: Camera, board: np.ndarray, board_m: tuple[float, float], world_from_board: Floats) -> np.ndarray:
    """Render a flat board exactly, its top left corner at the origin of its plane z = 0."""
    width, height = camera.size_wh
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    centre, directions = rays(camera, pixels)
    board_from_world = np.linalg.inv(world_from_board)
    start = board_from_world[:3, :3] @ centre + board_from_world[:3, 3]
    along = directions @ board_from_world[:3, :3].T
    hit = start[:2] - along[..., :2] * (start[2] / along[..., 2])[..., None]
    texture = (hit / board_m * board.shape[1::-1] - 0.5).astype(np.float32)
    picture = cv2.remap(board, texture, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=200)
    return cv2.GaussianBlur(picture, (3, 3), 0.6)


@pytest.fixture(scope="module")
def charuco(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Camera]]:
    """Folders of ten images of a Charuco board per camera, and the true cameras."""
    out = tmp_path_factory.mktemp("charuco")
    K = np.array([[560.0, 0, 322], [0, 562, 236], [0, 0, 1]])
    truth = []
    for n, name in enumerate("abc"):
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = cv2.Rodrigues(np.array([0, 0.2 * n, 0]))[0]
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ [0.25 * n, 0.02 * n, 0]
        truth.append(Camera(name, (640, 480), K, "plumb_bob", np.array([-0.1, 0.02, 0.001, 0, 0]), cam_from_world))
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    texture = cv2.aruco.CharucoBoard((7, 5), 0.04, 0.03, dictionary).generateImage((1120, 800), marginSize=0)
    texture = cv2.GaussianBlur(texture, (5, 5), 1.0)  # the images have a third of its pixels
    random = np.random.default_rng(4)
    for frame in range(10):
        turn = cv2.Rodrigues(np.array([*random.uniform(-0.5, 0.5, 2), random.uniform(-3, 3)]))[0]
        middle = np.array([0.2, 0, 0.62]) + random.uniform([-0.08, -0.06, -0.1], [0.08, 0.06, 0.1])
        world_from_board = np.eye(4)
        world_from_board[:3, :3], world_from_board[:3, 3] = turn, middle - turn @ [0.14, 0.1, 0]
        for camera in truth:
            (out / camera.name).mkdir(exist_ok=True)
            picture = render(camera, texture, (0.28, 0.2), world_from_board)
            cv2.imwrite(str(out / camera.name / f"{frame:03d}.png"), picture)
    return out, truth


def videos_of(pictures: Path, cameras: list[Camera], into: Path, repeats: int) -> list[str]:
    """CAMERA=VIDEO of the images, each repeated for so many frames."""
    sources = []
    for camera in cameras:
        file = into / f"{camera.name}.avi"
        video = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 30.0, camera.size_wh)
        assert video.isOpened()
        for picture in sorted((pictures / camera.name).glob("*.png")):
            for _ in range(repeats):
                video.write(cv2.imread(str(picture)))
        video.release()
        sources.append(f"{camera.name}={file}")
    return sources


@pytest.mark.parametrize("kind", ["pictures", "videos"])
def test_rendered_charuco_boards_of_three_cameras_give_the_true_rig(
    kind: str, charuco: tuple[Path, list[Camera]], tmp_path: Path
) -> None:
    pictures, truth = charuco
    sources = [f"{camera.name}={pictures / camera.name}" for camera in truth]
    if kind == "videos":
        sources = [*videos_of(pictures, truth, tmp_path, repeats=3), "--every", "3"]
    board = "charuco:7x5:0.04:0.03:DICT_4X4_50"
    assert main(["calibrate", "board", *sources, "--board", board, "--output", str(tmp_path / "out"), "--quiet"]) == 0
    solved = load_rig(tmp_path / "out" / "rig.yaml")
    for ours, theirs in zip(solved.cameras, truth, strict=True):
        assert ours.K[0, 0] == pytest.approx(560, rel=0.01)
        np.testing.assert_allclose(ours.centre, theirs.centre, atol=0.008)  # corners are detected to 0.1 px
    report = yaml.safe_load((tmp_path / "out" / "report.yaml").read_text())
    assert max(row["rms_px_together"] for row in report["cameras"].values()) < 0.3
    assert {row["images"] for row in report["cameras"].values()} == {10}


def test_wrong_board_size_is_rejected_with_the_right_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--board", "chessboard:10x7:0.025", "--output", str(tmp_path / "out"), "--quiet"]
    assert main(["calibrate", "board", f"left={BOARDS}/left01.jpg", *arguments]) == 1
    message = capsys.readouterr().err
    assert "no board of 10 x 7 inner corners in 1 images" in message
    assert "give chessboard:9x6:0.025" in message
    assert not (tmp_path / "out").exists()


def test_too_few_boards_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--board", "chessboard:9x6:0.025", "--output", str(tmp_path / "out"), "--quiet"]
    assert main(["calibrate", "board", f"left={BOARDS}/left0[12].jpg", *arguments]) == 1
    assert "found in 2 of 2 images, at least 5 are needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["left"], "'left' has no camera name: expected CAMERA=VIDEO"),
        (["a=x", "a=y"], "camera 'a' is given twice"),
        (["a=/nowhere/*.png"], "camera 'a': no image or video at /nowhere"),
        (["a=x", "b=y", "--board", "chessboard:8x6:0.025"], "looks the same upside down"),
        (["a=x", "--board", "chess:9x6"], "expected chessboard:COLUMNSxROWS:SQUARE"),
        (["a=x", "--board", "chessboard:9x6:25"], "25 mm is 0.025"),
        (["a=x", "--every", "0"], "--every is 0"),
    ],
)
def test_wrong_usage_is_rejected(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    board = [] if "--board" in arguments else ["--board", "chessboard:9x6:0.025"]
    assert main(["calibrate", "board", *arguments, *board]) == 1
    assert message in capsys.readouterr().err


def test_unknown_dictionary_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"unknown dictionary 'DICT_9X9'.*DICT_4X4_50"):
        parse_board("charuco:7x5:0.04:0.03:DICT_9X9")
