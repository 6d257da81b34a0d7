"""What we ask of cv_bridge, of our stand-in and of the distribution's alike."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

RNG = np.random.default_rng(1)


def message(pixels, encoding, padding=0, height=None):
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    height, width = pixels.shape[:2]
    msg = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    msg.data = array.array("B", rows.tobytes())
    return msg


@pytest.fixture
def bridge(taken):
    return taken("cv_bridge").CvBridge()


def test_rgb8_becomes_bgr8(bridge):
    rgb = RNG.integers(0, 255, (4, 6, 3), np.uint8)
    assert (bridge.imgmsg_to_cv2(message(rgb, "rgb8"), desired_encoding="bgr8") == rgb[..., ::-1]).all()


def test_padding_at_the_end_of_rows_is_no_part_of_the_image(bridge):
    bgr = RNG.integers(0, 255, (4, 6, 3), np.uint8)
    # A multiple of the pixel's size: the original reads the step as a number of pixels.
    assert (bridge.imgmsg_to_cv2(message(bgr, "bgr8", padding=6)) == bgr).all()


def test_mono16_becomes_bgr8_by_its_upper_byte(bridge):
    grey = np.array([[0, 65535, 32768]], np.uint16)
    image = bridge.imgmsg_to_cv2(message(grey, "mono16"), desired_encoding="bgr8")
    assert image.dtype == np.uint8
    assert np.abs(image[0, :, 0].astype(int) - [0, 255, 128]).max() <= 1


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_mosaic_of_one_colour_becomes_that_colour(bridge, pattern):
    colour = {"b": 20, "g": 120, "r": 220}
    mosaic = np.tile(np.array([colour[c] for c in pattern], np.uint8).reshape(2, 2), (8, 8))
    image = bridge.imgmsg_to_cv2(message(mosaic, f"bayer_{pattern}8"), desired_encoding="bgr8")
    assert np.abs(image[4:-4, 4:-4].astype(int) - [20, 120, 220]).max() <= 1


def test_image_round_trip(bridge):
    bgr = RNG.integers(0, 255, (5, 7, 3), np.uint8)
    msg = bridge.cv2_to_imgmsg(bgr, encoding="bgr8")
    assert (msg.height, msg.width, msg.step, msg.encoding) == (5, 7, 21, "bgr8")
    assert (bridge.imgmsg_to_cv2(msg, desired_encoding="bgr8") == bgr).all()


def test_jpeg_becomes_bgr8(bridge):
    bgr = np.full((16, 16, 3), (10, 100, 200), np.uint8)
    msg = CompressedImage(format="jpeg", data=array.array("B", cv2.imencode(".jpg", bgr)[1].tobytes()))
    assert np.abs(bridge.compressed_imgmsg_to_cv2(msg, "bgr8").astype(int) - bgr).max() <= 3


def test_impossible_conversion_raises_cv_bridge_error(taken, bridge):
    error = taken("cv_bridge").CvBridgeError
    msg = message(np.zeros((2, 2, 3), np.uint8), "bgr8")
    with pytest.raises(error):
        bridge.imgmsg_to_cv2(msg, desired_encoding="no_such_encoding")
    with pytest.raises(error):
        bridge.cv2_to_imgmsg(np.zeros((2, 2), np.float32), encoding="bgr8")
