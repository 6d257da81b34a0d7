"""`pose3d calibrate board` validates its result: exact corners of known cameras, and boards drawn by OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from variable_videos import respaced

from pose3d_ros.calibration import board_views
from pose3d_ros.calibration.board_views import BoardViews, find_boards
from pose3d_ros.calibration.boards import Board, board_text, find_board, parse_board
from pose3d_ros.calibration.extrinsics import solve_extrinsics
from pose3d_ros.calibration.lenses import fit_lens
from pose3d_ros.calibration.validation import validate_calibration
from pose3d_ros.cli import main
from pose3d_ros.commands import calibrate_board
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.plots.overlay import open_writer
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.structures import Camera, Floats

BOARD = Board(9, 6, 0.03)
K = np.array([[700.0, 0, 325], [0, 705, 238], [0, 0, 1]])
COUNT = 9


def camera(name: str, x_m: float, turn: float) -> Camera:
    """x_m to the right of the first, turned inwards."""
    placed = np.eye(4)
    placed[:3, :3] = cv2.Rodrigues(np.array([0.0, turn, 0.0]))[0]
    placed[:3, 3] = -placed[:3, :3] @ [x_m, 0, 0]
    return Camera(name, (640, 480), K, "plumb_bob", np.array([-0.2, 0.05, 0.001, -0.002, 0]), placed)


TRUTH = (camera("a", 0, 0), camera("b", 0.3, 0.35), camera("c", 0.5, 0.6))


def views(tilt: float = 0.5, spread_m: float = 0.12, noise_px: float = 0.1, count: int = COUNT) -> list[BoardViews]:
    """Where the cameras see a board that is held at random within tilt (rad) and spread_m of the middle."""
    random = np.random.default_rng(2)
    corners: list[dict[int, tuple[Floats, Floats]]] = [{} for _ in TRUTH]
    for frame in range(count):
        turn = cv2.Rodrigues(random.uniform(-tilt, tilt, 3))[0]
        middle = np.array([0.2, 0, 0.75]) + random.uniform(-spread_m, spread_m, 3)
        xyz = (BOARD.points - BOARD.points.mean(axis=0)) @ turn.T + middle
        for seen, one in zip(corners, TRUTH, strict=True):
            px = project(one, xyz) + random.normal(0, noise_px, (len(xyz), 2))
            seen[frame] = (np.arange(len(px)), px)
    return [BoardViews(one.name, (640, 480), count, seen) for one, seen in zip(TRUTH, corners, strict=True)]


def renumbered(one: BoardViews, by: dict[int, int]) -> BoardViews:
    """The same pictures under other numbers."""
    kept = {by[frame]: found for frame, found in one.corners.items() if frame in by}
    return BoardViews(one.camera, one.size_wh, one.image_count, kept)


def judged(given: list[BoardViews]) -> tuple[Finding, ...]:
    fits = [fit_lens(BOARD, one, "plumb_bob") for one in given]
    return validate_calibration(BOARD, given, fits, solve_extrinsics(BOARD, given, fits))


def test_a_good_calibration_has_nothing_to_say() -> None:
    assert judged(views()) == ()
    # Free-running cameras and a board that moves a little: worth a word, and still a rig.
    assert not any(one.fault for one in judged(views(noise_px=0.6)))


@pytest.mark.parametrize("shift", [1, -2, 3])
def test_fault_pictures_paired_off(shift: int) -> None:
    """Fault: one camera's calibration pictures are numbered 1 to 3 higher or lower than the others'.
    Sees: "b: RMS 45 px with the others, 0.2 px alone ...: frame n of a fits frame n+1 of b"; exit 1, no rig.yaml.
    Recovers: with the pictures renumbered as the message says.
    Kind: K6
    Before: exit code 0 and a rig.yaml, though the cameras disagreed by 46.8 px.
    """
    given = views()[:2]
    given[1] = renumbered(given[1], {frame: frame + shift for frame in range(COUNT)})
    (found,) = judged(given)
    assert found.fault
    assert f"frame n of a fits frame n{shift:+d} of b" in found.text
    assert f"renumber b's by {-shift:+d}" in found.text
    assert "expected at most 2.0 together (worst: frame " in found.text


def test_fault_some_pictures_paired_wrong() -> None:
    """Fault: some calibration pictures of one number are of different moments.
    Sees: "RMS ... px with the others ... (worst: frame 3 ...): check that images of the same number ..."; exit 1.
    Recovers: without the pictures that are named.
    Kind: K6
    Before: exit code 0 and a rig.yaml.
    """
    given = views()[:2]
    swapped = {frame: {5: 7, 7: 5}.get(frame, frame) for frame in range(COUNT)}
    given[1] = renumbered(given[1], swapped)
    (found,) = judged(given)
    assert found.fault
    assert "check that images of the same number show the same moment" in found.text
    worst = {int(part.split()[1]) for part in found.text.split("worst: ")[1].split(")")[0].split(", ")}
    assert worst >= {5, 7}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tilt": 0.0}, "all boards are within"),
        ({"noise_px": 3.0}, "px alone, expected at most 1.0 (worst: frame"),
    ],
)
def test_fault_boards_that_fix_no_lens(given: dict[str, float], words: str) -> None:
    """Fault: the board was never tilted, or its corners do not fit a lens.
    Sees: "all boards are within 0.2 degrees of each other ...", or "RMS 3 px alone, expected at most 1"; exit 1.
    Recovers: with better pictures.
    Kind: K6
    Before: exit code 0 and a rig.yaml with a guessed focal length.
    """
    one = views(**given)[0]
    fit = fit_lens(BOARD, one, "plumb_bob")
    found = validate_calibration(BOARD, [one], [fit], calibrate_board.RigExtrinsics(None, {}, {}))
    assert any(finding.fault and words in finding.text for finding in found)


def test_fault_boards_in_the_middle_of_the_image_alone() -> None:
    """Fault: the board was shown far away in the middle of the image only.
    Sees: "boards cover 20 % of the image's width ...: show the board near and out to the corners"; exit 1.
    Recovers: with pictures nearer and out to the corners.
    Kind: K6
    Before: exit code 0 and a rig.yaml whose lens is a guess outside.
    """
    small = Board(9, 6, 0.008)
    random = np.random.default_rng(0)
    seen = {}
    for frame in range(12):
        turn = cv2.Rodrigues(random.uniform(-0.5, 0.5, 3))[0]
        xyz = (small.points - small.points.mean(axis=0)) @ turn.T + [0, 0, 0.5]
        seen[frame] = (np.arange(54), project(TRUTH[0], xyz) + random.normal(0, 0.05, (54, 2)))
    one = BoardViews("a", (640, 480), 12, seen)
    found = validate_calibration(
        small, [one], [fit_lens(small, one, "plumb_bob")], calibrate_board.RigExtrinsics(None, {}, {})
    )
    assert [finding.fault for finding in found] == [True]
    assert "boards cover" in found[0].text


@pytest.fixture
def paired_off(monkeypatch: pytest.MonkeyPatch) -> None:
    given = views()[:2]
    given[1] = renumbered(given[1], {frame: frame + 1 for frame in range(COUNT)})
    seen = {one.camera: one for one in given}
    monkeypatch.setattr(calibrate_board, "find_boards", lambda board, name, *more: seen[name])


@pytest.mark.usefixtures("paired_off")
def test_fault_bad_calibration_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fault: `pose3d calibrate board` ends with residuals that make no rig.
    Sees: the cause with the worst pictures, "rig.yaml is not written (--force writes it)"; exit code 1; report.yaml.
    Recovers: with better pictures, or --force.
    Kind: K6
    Before: exit code 0 and a rig.yaml.
    """
    given = ["calibrate", "board", "a=x", "b=y", "--board", "chessboard:9x6:0.03", "--output", str(tmp_path), "--quiet"]
    assert main(given) == 1
    assert "rig.yaml is not written (--force writes it)" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"report.yaml", "boards.png"}
    report = yaml.safe_load((tmp_path / "report.yaml").read_text())
    assert (report["good"], len(report["findings"])) == (False, 1)
    assert main([*given, "--force"]) == 0
    assert "FAULT: " in capsys.readouterr().out
    assert load_rig(tmp_path / "rig.yaml").names == ("a", "b")


def drawn(size: tuple[int, int], legacy: bool, inverted: bool) -> np.ndarray:
    """A Charuco board as OpenCV draws it, seen a little from the side."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    board = cv2.aruco.CharucoBoard(size, 0.04, 0.03, dictionary)
    board.setLegacyPattern(legacy)
    flat = cv2.copyMakeBorder(board.generateImage((60 * size[0], 60 * size[1])), 40, 40, 40, 40, 0, value=255)
    flat = 255 - flat if inverted else flat
    wide, high = flat.shape[::-1]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    side = corners + np.array([[25, 12], [0, 20], [-14, 0], [8, -9]], np.float32)
    return cv2.warpPerspective(flat, cv2.getPerspectiveTransform(corners, side), (wide, high), borderValue=128)


@pytest.mark.parametrize("size", [(7, 5), (7, 6), (6, 8)])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_fault_charuco_board_of_another_kind(
    size: tuple[int, int], legacy: bool, inverted: bool, tmp_path: Path
) -> None:
    """Fault: the Charuco board is of the old kind (OpenCV before 4.6, even rows) or printed inverted.
    Sees: nothing: it is detected; "the board is not the kind that was given: it was detected as --board charuco:...".
    Recovers: nothing to recover; --board may name the kind, and then no other is tried first.
    Kind: K6
    Before: "no board of 6 x 5 inner corners in 20 images".
    """
    cv2.imwrite(str(tmp_path / "1.png"), drawn(size, legacy, inverted))
    named = parse_board(f"charuco:{size[0]}x{size[1]}:0.04:0.03:DICT_4X4_50")
    views = find_boards(named, "a", str(tmp_path), 1, progress=False)
    across, down = named.grid
    numbers, px = views.corners[1]
    assert numbers.tolist() == list(range(across * down))
    # The numbers run along the rows as the board's points do: a plane's homography fits them to 0.6 px of 60.
    plane, _ = cv2.findHomography(named.points[:, :2], px)
    off = cv2.perspectiveTransform(named.points[None, :, :2], plane)[0] - px
    assert np.abs(off).max() < 0.6
    kinds = ":legacy" * (legacy and size[1] % 2 == 0) + ":inverted" * inverted
    assert board_text(views.board) == f"charuco:{size[0]}x{size[1]}:0.04:0.03:DICT_4X4_50{kinds}"
    explicit = parse_board(board_text(views.board))
    assert explicit == views.board
    assert find_board(explicit, drawn(size, legacy, inverted)) is not None


@pytest.mark.parametrize("text", ["charuco:7x5:0.04:0.03:DICT_4X4_50:old", "chessboard:9x6:0.025:legacy",
                                  "charuco:7x5:0.04:0.03:DICT_4X4_50:legacy:legacy"])  # fmt: skip
def test_a_kind_that_no_board_has_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected chessboard:COLUMNSxROWS:SQUARE .*:legacy, :inverted"):
        parse_board(text)


def test_fault_cameras_see_boards_of_different_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fault: one camera's pictures are inverted, or show another print of the board.
    Sees: "the cameras see boards of different kinds (a charuco:..., b charuco:...:inverted)"; exit code 1.
    Recovers: with pictures of one board.
    Kind: K6
    Before: no board was found in the inverted pictures.
    """
    named = parse_board("charuco:7x5:0.04:0.03:DICT_4X4_50")
    kinds = {"a": named, "b": parse_board("charuco:7x5:0.04:0.03:DICT_4X4_50:inverted")}
    monkeypatch.setattr(
        calibrate_board, "find_boards",
        lambda board, name, *more: BoardViews(name, (640, 480), 1, {}, board=kinds[name]),
    )  # fmt: skip
    given = ["calibrate", "board", "a=x", "b=y", "--board", board_text(named), "--output", str(tmp_path / "out")]
    assert main(given) == 1
    assert "boards of different kinds (a charuco:7x5" in capsys.readouterr().err


@pytest.mark.parametrize("names", [("1_0001.png", "2_0002.png"), ("one.png", "two.png"), ("a1_1.png", "2.png")])
def test_fault_pictures_whose_names_do_not_say_their_number(names: tuple[str, ...], tmp_path: Path) -> None:
    """Fault: several cameras' calibration pictures have names in which two numbers differ, or none is.
    Sees: "camera 'a': 2 numbers differ between names such as ...: rename them so that only it differs"; exit code 1.
    Recovers: with the pictures renamed; one camera alone is calibrated all the same.
    Kind: K5
    Before: pictures went together by their place in the sorted folder.
    """
    for name in names:
        cv2.imwrite(str(tmp_path / name), drawn((7, 5), False, False))
    board = parse_board("charuco:7x5:0.04:0.03:DICT_4X4_50")
    with pytest.raises(FootageError, match=r"camera 'a': .* numbers.*: rename them"):
        find_boards(board, "a", str(tmp_path), 1, progress=False, alone=False)
    assert set(find_boards(board, "a", str(tmp_path), 1, progress=False).corners) == {0, 1}


def test_fault_calibration_videos_that_lost_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: a calibration video lost frames, or the cameras' videos have different rates.
    Sees: nothing: images of one time go together, and a camera that has none there is left out of that moment.
    Recovers: nothing to recover.
    Kind: K5
    Before: frame n went with frame n.
    """
    lost = [k for k in range(30) if k not in range(7, 13)]
    videos = {"a": (range(30), 1), "b": (lost, 1), "c": (range(60), 2)}
    seen: dict[str, dict[int, int]] = {name: {} for name in videos}
    for name, (shown, faster) in videos.items():
        writer = open_writer(tmp_path / f"{name}_even.mp4", 25.0 * faster, (64, 48))
        for k in shown:
            writer.write(np.full((48, 64, 3), 8 * k // faster, np.uint8))
        writer.release()
        respaced(tmp_path / f"{name}_even.mp4", [k / 25 / faster for k in shown], tmp_path / f"{name}.mp4")
    monkeypatch.setattr(
        board_views, "find_board", lambda board, grey: (np.arange(54), np.full((54, 2), grey.mean() / 8))
    )
    for name in videos:
        found = find_boards(BOARD, name, str(tmp_path / f"{name}.mp4"), 5, False, period_ns=4e7)
        seen[name] = {number: round(px[0, 0]) for number, (_, px) in found.corners.items()}
    assert seen["a"] == seen["c"] == {k: k for k in range(0, 30, 5)}
    assert seen["b"] == {k: k for k in (0, 5, 15, 20, 25)}
