"""JPEGs and PNGs with wrong bytes are refused, and every sound one is decoded, as it is stored."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pose3d_ros.calibration.board_views import find_boards
from pose3d_ros.calibration.boards import Board
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings import encoded_images
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.recordings.image_messages import bgr_from_compressed

RANDOM = np.random.default_rng(3)
SCENE = cv2.resize(RANDOM.integers(0, 255, (24, 32, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
SAMPLING = cv2.IMWRITE_JPEG_SAMPLING_FACTOR


def jpeg(*flags: int, image: np.ndarray = SCENE) -> bytes:
    return bytes(cv2.imencode(".jpg", image, flags)[1])


def decoded(data: bytes) -> np.ndarray:
    return bgr_from_compressed(SimpleNamespace(data=data, format="jpeg"))


def with_wrong_bytes(whole: bytes, count: int) -> bytes:
    """The picture's own data with so many bytes replaced; headers and the end marker stay."""
    data, start = bytearray(whole), whole.index(b"\xff\xda") + 14
    for at in RANDOM.integers(start, len(whole) - 2, count):
        data[at] ^= int(RANDOM.integers(1, 256))
    return bytes(data)


def libjpeg_warns(data: bytes, capfd: pytest.CaptureFixture[str]) -> bool:
    """Whether OpenCV's own libjpeg prints a warning; OpenCV gives the picture all the same."""
    capfd.readouterr()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    return "JPEG" in capfd.readouterr().err


@pytest.mark.parametrize("count", [1, 5, 20])
def test_fault_jpeg_with_wrong_bytes(count: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Fault: a JPEG's data hold 1 to 20 wrong bytes, and its markers are whole.
    Sees: "... cannot be decoded (Corrupt JPEG data: ...)", counted; where no check of JPEG fails, nothing is seen.
    Recovers: with the next sound image.
    Kind: K1
    Before: used, with 22 to 83 % of its pixels wrong, and no word.
    """
    warned = 0
    for _ in range(40):
        data = with_wrong_bytes(jpeg(), count)
        if libjpeg_warns(data, capfd):
            warned += 1
            with pytest.raises(InputError, match=r"bytes cannot be decoded \(.+\), expected a complete JPEG or PNG"):
                decoded(data)
        else:
            decoded(data)
    assert warned >= {1: 10, 5: 28, 20: 38}[count]


def test_fault_jpeg_cut_before_its_end() -> None:
    """Fault: a JPEG lacks its last bytes, its end marker alone included, or the marker stands over a hole.
    Sees: "... cannot be decoded (Premature end of JPEG file)", counted; the other cameras go on.
    Recovers: with the next sound image.
    Kind: K1
    Before: a hole before the end marker was filled with grey and used.
    """
    whole = jpeg()
    for cut in (whole[:-2], whole[:-1000], whole[:-3000] + b"\xff\xd9"):
        with pytest.raises(InputError, match="cannot be decoded"):
            decoded(cut)


def test_fault_picture_file_with_wrong_bytes(tmp_path: Path) -> None:
    """Fault: a picture given to `pose3d calibrate board` or `pose3d mono` holds wrong bytes.
    Sees: "picture ... cannot be decoded (Corrupt JPEG data: ...)" with the file and the camera; exit code 1.
    Recovers: with a sound copy, or without the picture.
    Kind: K1
    Before: used as OpenCV repaired it.
    """
    (tmp_path / "1.jpg").write_bytes(with_wrong_bytes(jpeg(), 40))
    with pytest.raises(FootageError, match=r"camera 'left': picture .*1\.jpg with \d+ bytes cannot be decoded \("):
        find_boards(Board(9, 6, 0.025), "left", str(tmp_path), 1, progress=False)
    damaged = bytearray(bytes(cv2.imencode(".png", SCENE)[1]))
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "1.png").write_bytes(damaged)
    with pytest.raises(InputError, match=r"1\.png with \d+ bytes cannot be decoded"):
        read_image(tmp_path / "1.png")


def without_tables(data: bytes) -> bytes:
    """As MJPEG cameras leave out the Huffman tables, which are always the same."""
    for _ in range(data.count(b"\xff\xc4")):
        at = data.index(b"\xff\xc4")
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    return data


SOUND = {
    "baseline": jpeg(),
    "progressive": jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "4:4:4": jpeg(SAMPLING, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "4:2:2": jpeg(SAMPLING, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    "restart markers": jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "optimised": jpeg(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "grey": jpeg(image=SCENE[..., 0]),
    "odd size": jpeg(image=SCENE[:239, :317]),
    "no Huffman tables": without_tables(jpeg()),
    "filled up behind": jpeg() + bytes(700),
    "filled up before the end": jpeg()[:-2] + bytes(9) + b"\xff\xd9",
    "fill bytes before the end": jpeg()[:-2] + b"\xff\xff\xff\xd9",
}


@pytest.mark.parametrize("kind", SOUND)
def test_every_sound_jpeg_is_decoded_as_stored(kind: str) -> None:
    expected = cv2.imdecode(np.frombuffer(SOUND[kind], np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded(SOUND[kind]).astype(int) - expected).max() <= 1


def test_a_jpeg_of_four_inks_is_decoded() -> None:
    image = pytest.importorskip("PIL.Image")
    stored = io.BytesIO()
    image.fromarray(SCENE[..., ::-1]).convert("CMYK").save(stored, "jpeg")
    assert np.abs(decoded(stored.getvalue()).astype(int) - SCENE).mean() < 10


def test_an_orientation_turns_no_pixels(tmp_path: Path) -> None:
    """EXIF's orientation 6 asks for a quarter turn: calibration and keypoints are of the pixels as stored."""
    image = pytest.importorskip("PIL.Image")
    exif = image.Exif()
    exif[0x112] = 6
    for ending in ("jpg", "png", "webp"):
        path = tmp_path / f"turned.{ending}"
        image.fromarray(SCENE[..., ::-1]).save(path, exif=exif)
        assert read_image(path).shape == SCENE.shape, ending
        if ending != "webp":
            assert decoded(path.read_bytes()).shape == SCENE.shape


@pytest.mark.parametrize("ending", ["bmp", "tiff", "webp", "pgm", "png"])
def test_files_may_be_of_opencvs_other_formats(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"board.{ending}"
    assert cv2.imwrite(str(path), SCENE[..., 0] if ending == "pgm" else SCENE)
    assert read_image(path).shape == SCENE.shape


def test_fault_no_strict_jpeg_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: simplejpeg is not installed, as in a ROS workspace without pip's packages.
    Sees: one warning, "JPEGs with wrong bytes are used as OpenCV repairs them: pip install simplejpeg".
    Recovers: once it is installed; until then only JPEGs without an end marker are refused.
    Kind: K1
    Before: no JPEG was checked further than for its end marker.
    """
    encoded_images._strict_decoder.cache_clear()
    monkeypatch.setattr(encoded_images, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    try:
        with pytest.warns(UserWarning, match="pip install simplejpeg") as caught:
            first = decoded(jpeg())
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (decoded(jpeg()) == first).all()
            with pytest.raises(InputError, match="cannot be decoded"):
                decoded(jpeg()[:-2000])
    finally:
        encoded_images._strict_decoder.cache_clear()
