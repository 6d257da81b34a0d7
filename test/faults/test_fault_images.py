"""Images and calibrations that lie: each is refused by its cause, and takes no more memory than its data hold."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from encoded_images import BLUE, GREEN, RED, YUV, H, W, plain, yuv
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import CalibrationError, InputError, Pose3DError
from pose3d_ros.recordings.encoded_images import announced_size
from pose3d_ros.recordings.image_messages import PIXEL_BYTES, bgr_from_compressed, bgr_from_raw
from pose3d_ros.rigs.camera_info import camera_from_msgs

LARGEST = 2**32 - 1  # of a message's uint32
KNOWN_ENCODINGS = st.sampled_from(sorted(PIXEL_BYTES))
SIZES = st.integers(0, 9) | st.integers(0, LARGEST)


def raw(data: bytes, encoding: str = "bgr8", width: int = W, height: int = H, step: int | None = None, big: int = 0):
    step = width * PIXEL_BYTES.get(encoding, 1) if step is None else step
    return SimpleNamespace(
        data=data, encoding=encoding, width=width, height=height, step=step, is_bigendian=big
    )  # fmt: skip


def compressed(data: bytes):
    return SimpleNamespace(data=data, format="bgr8; jpeg compressed bgr8")


def png_announcing(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def jpeg_announcing(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def info(**changes):
    """A camera_info of 160 x 120 px with these fields changed."""
    fields = {
        "width": 160, "height": 120, "distortion_model": "plumb_bob", "d": [-0.05, 0.02, 0.001, -0.001, 0.0],
        "k": [150.0, 0, 79.5, 0, 150.0, 59.5, 0, 0, 1], "p": [150.0, 0, 79.5, 0, 0, 150.0, 59.5, 0, 0, 0, 1, 0],
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0), "binning_x": 0, "binning_y": 0,
        "r": [0.0] * 9,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def camera(**changes):
    return camera_from_msgs("left", info(**changes), np.eye(4), rectified=False)


@pytest.mark.parametrize("encoding", sorted(PIXEL_BYTES))
def test_fault_rows_are_padded(encoding: str) -> None:
    """Fault: a driver pads its rows, in any of the encodings that are read.
    Sees: nothing: the padding is left out.
    Recovers: nothing to recover.
    """
    rows = yuv(encoding) if encoding in YUV else plain(encoding)
    rows = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, 7)), constant_values=255)
    image = bgr_from_raw(raw(padded.tobytes(), encoding, step=padded.shape[1]))
    grey = encoding.startswith("mono") or encoding == "8UC1"
    expected = [RED] * 3 if grey else [BLUE, GREEN, RED]
    assert np.abs(image[2:-2, 2:-2].astype(int) - expected).max() <= (2 if encoding in YUV else 0)


@pytest.mark.parametrize(("encoding", "width", "height"), [("yuv422", 3, 4), ("yuyv", 5, 4), ("nv12", 4, 3)])
def test_fault_odd_size_where_pixels_share_their_colour(encoding: str, width: int, height: int) -> None:
    """Fault: an image of an odd size in an encoding whose neighbouring pixels share their colour.
    Sees: "image of 3 x 4 px yuv422: 2 x 1 px share one colour"; the other cameras go on.
    Recovers: with the next image of an even size.
    """
    with pytest.raises(InputError, match=f"{width} x {height} px {encoding}: 2 x . px share one colour"):
        bgr_from_raw(raw(bytes(100), encoding, width, height))


def test_fault_step_shorter_than_a_row() -> None:
    """Fault: the encoding does not fit the data: a step shorter than a row.
    Sees: "image of 12 px bgr8 has a step of 12 bytes, expected at least 36"; the other cameras go on.
    Recovers: with the next sound image.
    """
    with pytest.raises(InputError, match=f"image of {W} px bgr8 has a step of {W} bytes, expected at least {3 * W}"):
        bgr_from_raw(raw(bytes(1000), step=W))


def test_fault_absurd_header() -> None:
    """Fault: a header that says an image is of 4294967295 x 4294967295 px, over a few bytes of data.
    Sees: "image of 4294967295 x 4294967295 px mono8 ... has 48 bytes"; no memory is taken; the other cameras go on.
    Recovers: with the next sound image.
    """
    tracemalloc.start()
    for encoding in PIXEL_BYTES:
        width = LARGEST // PIXEL_BYTES[encoding] // 2 * 2
        with pytest.raises(InputError, match="has 48 bytes, expected"):
            bgr_from_raw(raw(bytes(48), encoding, width, LARGEST // 2 * 2, LARGEST))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@settings(max_examples=150, deadline=None)
@given(KNOWN_ENCODINGS, SIZES, SIZES, st.none() | SIZES, st.integers(0, 1), st.binary(max_size=400))
def test_fault_any_raw_image(encoding: str, width: int, height: int, step: int | None, big: int, data: bytes) -> None:
    """Fault: an image whose header and data are at odds in any way.
    Sees: the cause with the camera's topic; the other cameras go on.
    Recovers: with the next sound image.
    """
    try:
        image = bgr_from_raw(raw(data, encoding, width, height, step, big))
    except InputError:
        return
    assert (image.dtype, image.shape) == (np.uint8, (height, width, 3))
    assert width * height * PIXEL_BYTES[encoding] <= len(data)


@pytest.mark.parametrize(("make", "size"), [(jpeg_announcing, (5000, 4000)), (png_announcing, (20000, 20000))])
def test_fault_compressed_image_of_absurd_size(make, size: tuple[int, int]) -> None:
    """Fault: a JPEG or PNG of a few hundred bytes announces thousands of megapixels.
    Sees: "... announces 20000 x 20000 px, expected ... pixels at most" before memory is taken; the others go on.
    Recovers: with the next sound image.
    """
    data = make(*size)
    assert announced_size(np.frombuffer(data, np.uint8)) == size
    with pytest.raises(InputError, match=f"with {len(data)} bytes announces {size[0]} x {size[1]} px"):
        bgr_from_compressed(compressed(data))


@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("size", [(8, 8), (16, 640), (2000, 3000)])
def test_the_emptiest_pictures_are_not_taken_for_absurd(quality: int, progressive: int, size: tuple[int, int]) -> None:
    """One colour everywhere is the least data an image of a size can have."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    data = cv2.imencode(".jpg", np.zeros((*size, 3), np.uint8), flags)[1].tobytes()
    assert announced_size(np.frombuffer(data, np.uint8)) == size[::-1]
    assert bgr_from_compressed(compressed(data)).shape == (*size, 3)


NOISE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
PICTURES = {kind: cv2.imencode(kind, NOISE)[1].tobytes() for kind in (".jpg", ".png")}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(PICTURES)), st.data())
def test_fault_corrupt_jpeg_or_png(kind: str, draw: st.DataObject) -> None:
    """Fault: a JPEG or PNG is cut, or its bytes are wrong.
    Sees: "compressed image of format ... with ... bytes cannot be decoded"; the other cameras go on.
    Recovers: with the next whole image.
    """
    whole = PICTURES[kind]
    length = draw.draw(st.integers(0, len(whole) - 20))
    with pytest.raises(InputError, match=f"with {length} bytes"):
        bgr_from_compressed(compressed(whole[:length]))
    data = bytearray(whole)
    for _ in range(draw.draw(st.integers(1, 30))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        image = bgr_from_compressed(compressed(bytes(data)))
    except InputError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


@pytest.mark.parametrize("kind", [".bmp", ".tiff", ".webp"])
def test_fault_picture_of_another_format(kind: str) -> None:
    """Fault: a compressed image is neither JPEG nor PNG.
    Sees: "... cannot be decoded, expected a complete JPEG or PNG"; OpenCV's other readers never see a message.
    Recovers: with the next JPEG or PNG.
    """
    data = cv2.imencode(kind, NOISE)[1].tobytes()
    with pytest.raises(InputError, match="expected a complete JPEG or PNG"):
        bgr_from_compressed(compressed(data))


@pytest.mark.parametrize("index", [0, 2, 4, 5])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0, -150.0, 1e308, 1e-300])
def test_fault_calibration_of_zeros_or_nan(index: int, number: float) -> None:
    """Fault: K holds zeros, NaN or absurd focal lengths.
    Sees: "camera 'left' (left/camera_info) is not calibrated: its K ...", "focal length 1e+308 px is ..." or
    "its principal point (1e+308, 240) px ...".
    Recovers: by itself with a sound camera_info.
    """
    k = info().k
    k[index] = number
    if index in (2, 5) and np.isfinite(number) and number < 1000:
        assert camera(k=k).K.ravel()[index] == number  # that of a crop may lie outside the image
        return
    words = "is not calibrated: its K"
    if number in (1e308, 1e-300):
        words = "its principal" if index in (2, 5) else "focal length"
    with pytest.raises(CalibrationError, match=rf"camera 'left'( \(left/camera_info\)|:) {words}"):
        camera(k=k)


def test_fault_sensor_size_of_zero() -> None:
    """Fault: camera_info says that the images are of 0 x 0 px.
    Sees: "... has images of 0 x 120 px, expected the sensor's size".
    Recovers: by itself with a sound camera_info.
    """
    with pytest.raises(CalibrationError, match=r"left/camera_info\) has images of 0 x 120 px, expected"):
        camera(width=0)


def test_fault_no_distortion_coefficients() -> None:
    """Fault: D is empty.
    Sees: nothing: the lens is taken to have no distortion, whatever the model's name.
    Recovers: with the camera_info that has coefficients.
    """
    for model in ("", "plumb_bob", "rational_polynomial"):
        assert not camera(d=[], distortion_model=model).distortion.any()
    assert camera(d=[], distortion_model="equidistant").distortion_model == "equidistant"


def test_fault_unknown_distortion_model() -> None:
    """Fault: camera_info names a distortion model that is unknown, or coefficients that its model has not.
    Sees: "... has distortion model 'division', expected one of ..." or "... has 3 coefficients for plumb_bob ...".
    Recovers: by itself with a sound camera_info.
    """
    with pytest.raises(CalibrationError, match=r"left/camera_info\) has distortion model 'division', expected one of"):
        camera(distortion_model="division")
    with pytest.raises(CalibrationError, match="has 3 coefficients for plumb_bob, expected 0 or 4 or 5"):
        camera(d=[0.1, 0.0, 0.0])
    with pytest.raises(CalibrationError, match=r"distortion .*nan.* must be finite"):
        camera(d=[float("nan")] * 5)


def test_fault_binning_leaves_nothing() -> None:
    """Fault: binning or a region of interest leaves nothing of the image, or lies beyond the sensor.
    Sees: "... has a binning of 1000 x 1000: nothing is left ..." or "... region of interest ... beyond its ...".
    Recovers: by itself with a sound camera_info.
    """
    with pytest.raises(CalibrationError, match="has a binning of 1000 x 1000: nothing is left of 160 x 120 px"):
        camera(binning_x=1000, binning_y=1000)
    with pytest.raises(CalibrationError, match=r"region of interest of 100 x 100 px at .100, 0., beyond its 160 x 120"):
        camera(roi=SimpleNamespace(x_offset=100, y_offset=0, width=100, height=100))


NUMBERS = st.floats(width=64) | st.sampled_from([0.0, 1.0, 150.0, 79.5])
COUNTS = st.integers(0, 3) | st.integers(0, LARGEST)


@settings(max_examples=150, deadline=None)
@given(
    k=st.lists(NUMBERS, min_size=9, max_size=9) | st.just([150.0, 0, 79.5, 0, 150.0, 59.5, 0, 0, 1]),
    p=st.lists(NUMBERS, min_size=12, max_size=12),
    d=st.lists(NUMBERS, max_size=9),
    model=st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "", "thin_prism"]),
    sizes=st.tuples(COUNTS, COUNTS) | st.just((160, 120)),
    roi=st.builds(SimpleNamespace, x_offset=COUNTS, y_offset=COUNTS, width=COUNTS, height=COUNTS),
    binning=st.tuples(COUNTS, COUNTS),
    rectified=st.booleans(),
)
def test_fault_any_camera_info(k, p, d, model, sizes, roi, binning, rectified) -> None:
    """Fault: a camera_info with any numbers whatever.
    Sees: the cause with the camera and its topic; the other cameras go on.
    Recovers: by itself with a sound camera_info.
    """
    changed = info(
        k=k, p=p, d=d, distortion_model=model, width=sizes[0], height=sizes[1], roi=roi,
        binning_x=binning[0], binning_y=binning[1],
    )  # fmt: skip
    try:
        found = camera_from_msgs("left", changed, np.eye(4), rectified)
    except Pose3DError as error:
        named = "camera 'left'" in str(error)
    else:
        named = bool(np.isfinite(found.K).all() and min(found.size_wh) > 0)
    assert named
