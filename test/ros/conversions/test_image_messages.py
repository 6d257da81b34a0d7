"""Image messages of every supported encoding, and those that must be rejected with the reason."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from encoded_images import BLUE, GREEN, RED, H, W, plain, yuv
from sensor_msgs.msg import CompressedImage, Image
from timing import cpu_s

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.image_messages import PIXEL_BYTES
from pose3d_ros.ros import conversions


def message(rows, encoding, height=H, width=W, padding=0):
    rows = np.pad(np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8), ((0, 0), (0, padding)))
    msg = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    msg.data = array.array("B", rows.tobytes())
    return msg


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", PIXEL_BYTES)
def test_every_encoding_becomes_bgr(encoding, padding):
    is_yuv = encoding in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21")
    rows = yuv(encoding) if is_yuv else plain(encoding)
    image = conversions.image_from_msg(message(rows, encoding, padding=padding))
    grey = encoding.startswith("mono") or encoding == "8UC1"
    assert (image.dtype, image.shape) == (np.uint8, (H, W, 3))
    # Demosaicing has no neighbours at the border.
    inside = image[2:-2, 2:-2].astype(int)
    assert np.abs(inside - ([RED] * 3 if grey else [BLUE, GREEN, RED])).max() <= (2 if is_yuv else 0)


def test_big_endian_numbers_are_turned():
    msg = message(plain("mono16").astype(">u2").view(np.uint8), "mono16")
    msg.is_bigendian = 1
    msg.data = array.array("B", np.full((H, W), 0x1234, ">u2").tobytes())
    assert np.abs(conversions.image_from_msg(msg).astype(int) - 0x12).max() <= 1


def test_bgr_round_trip_keeps_stamp_and_frame():
    image = np.random.default_rng(0).integers(0, 255, (H, W, 3), np.uint8)
    msg = conversions.image_to_msg(image[:, ::-1], 1_700_000_000_123_456_789, "left_optical")
    assert (msg.encoding, msg.step, msg.height, msg.width) == ("bgr8", 3 * W, H, W)
    assert conversions.stamp_to_ns(msg.header.stamp) == 1_700_000_000_123_456_789
    assert msg.header.frame_id == "left_optical"
    assert (conversions.image_from_msg(msg) == image[:, ::-1]).all()


def test_bgr8_image_is_read_without_a_copy():
    msg = message(plain("bgr8"), "bgr8")
    image = conversions.image_from_msg(msg)
    msg.data[0] = 77
    assert image[0, 0, 0] == 77


def test_full_hd_frame_is_read_within_a_millisecond_and_written_within_ten():
    image = np.zeros((1088, 1920, 3), np.uint8)
    msg = conversions.image_to_msg(image, 0, "")
    assert np.shares_memory(conversions.image_from_msg(msg), np.frombuffer(msg.data, np.uint8))
    # With field checks, as in these tests, the message looks at its type only: it is an array already. Measured: 3.5
    # times a copy; a thousand times where each byte is checked.
    assert cpu_s(conversions.image_to_msg, image, 0, "") < 50 * cpu_s(image.tobytes)


def test_unknown_encoding_is_rejected_with_the_known_ones():
    with pytest.raises(InputError, match=r"'32FC1'.*bgr8.*pixel format"):
        conversions.image_from_msg(message(np.zeros((H, W, 4), np.uint8), "32FC1"))


def test_cut_image_is_rejected_with_the_expected_bytes():
    msg = message(plain("bgr8"), "bgr8")
    msg.data = msg.data[:-1]
    with pytest.raises(InputError, match=f"{H * W * 3 - 1} bytes, expected {H * W * 3}"):
        conversions.image_from_msg(msg)


def test_last_row_without_its_padding_is_whole():
    msg = message(plain("bgr8"), "bgr8", padding=4)
    msg.data = msg.data[:-4]
    assert (conversions.image_from_msg(msg) == [BLUE, GREEN, RED]).all()


def test_step_shorter_than_a_row_is_rejected():
    msg = message(plain("mono8"), "mono8")
    msg.encoding = "bgr8"
    with pytest.raises(InputError, match=f"step of {W} bytes, expected at least {3 * W}"):
        conversions.image_from_msg(msg)


def test_empty_image_is_rejected():
    with pytest.raises(InputError, match="0 x 0 px is empty"):
        conversions.image_from_msg(Image(encoding="bgr8"))


def test_jpeg_round_trip():
    image = np.full((64, 64, 3), (BLUE, GREEN, RED), np.uint8)
    msg = conversions.image_to_compressed_msg(image, 5, "left")
    assert isinstance(msg, CompressedImage)
    assert np.abs(conversions.image_from_msg(msg).astype(int) - image).max() <= 3


def test_png_of_grey_becomes_bgr():
    data = array.array("B", cv2.imencode(".png", np.full((4, 4), 9, np.uint8))[1].tobytes())
    assert (conversions.image_from_msg(CompressedImage(format="mono8; png compressed ", data=data)) == 9).all()


@pytest.mark.parametrize("data", [b"", b"no jpeg at all", b"\xff\xd8\xff"])
def test_corrupt_jpeg_is_rejected_with_its_format_and_size(data):
    with pytest.raises(InputError, match=f"'jpeg' with {len(data)} bytes cannot be decoded"):
        conversions.image_from_msg(CompressedImage(format="jpeg", data=array.array("B", data)))


def test_cut_jpeg_is_rejected_although_opencv_would_fill_it_with_grey():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    msg = conversions.image_to_compressed_msg(noise, 5, "left")
    whole = len(msg.data)
    msg.data = msg.data[: whole - 100]
    with pytest.raises(InputError, match=f"with {whole - 100} bytes cannot be decoded"):
        conversions.image_from_msg(msg)


def test_only_pictures_are_written():
    with pytest.raises(InputError, match="float64"):
        conversions.image_to_msg(np.zeros((4, 4, 3)), 0, "")
