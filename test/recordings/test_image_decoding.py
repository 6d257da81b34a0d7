"""Images of messages that no ROS has made, as a bag's reader gives them."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from encoded_images import BLUE, GREEN, RED, YUV, H, W, plain, yuv

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.image_messages import PIXEL_BYTES, bgr_from_compressed, bgr_from_raw


@pytest.mark.parametrize("encoding", PIXEL_BYTES)
def test_every_encoding_becomes_bgr_without_ros(encoding: str) -> None:
    rows = yuv(encoding) if encoding in YUV else plain(encoding)
    data = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    msg = SimpleNamespace(height=H, width=W, encoding=encoding, step=data.shape[1], is_bigendian=0, data=data.ravel())
    image = bgr_from_raw(msg)
    grey = encoding.startswith("mono") or encoding == "8UC1"
    assert (image.dtype, image.shape) == (np.uint8, (H, W, 3))
    inside = image[2:-2, 2:-2].astype(int)  # demosaicing has no neighbours at the border
    assert np.abs(inside - ([RED] * 3 if grey else [BLUE, GREEN, RED])).max() <= (2 if encoding in YUV else 0)


def test_mosaic_keeps_where_its_colours_are() -> None:
    """A red half next to a blue one keeps its side, not shifted or swapped."""
    mosaic = np.zeros((H, W), np.uint8)
    mosaic[0::2, 0 : W // 2 : 2] = 200  # red sites of rggb, left
    mosaic[1::2, W // 2 + 1 :: 2] = 200  # blue sites, right
    image = bgr_from_raw(
        SimpleNamespace(height=H, width=W, encoding="bayer_rggb8", step=W, is_bigendian=0, data=mosaic.ravel())
    )
    assert image[H // 2, 2].tolist() == [0, 0, 200]
    assert image[H // 2, W - 3].tolist() == [200, 0, 0]


def test_png_and_jpeg_are_decoded_and_a_cut_one_is_rejected() -> None:
    image = np.full((32, 32, 3), (BLUE, GREEN, RED), np.uint8)
    for ending, error in ((".png", 0), (".jpg", 3)):
        data = np.asarray(cv2.imencode(ending, image)[1]).ravel()
        msg = SimpleNamespace(format=ending, data=data)
        assert np.abs(bgr_from_compressed(msg).astype(int) - image).max() <= error
        with pytest.raises(InputError, match="cannot be decoded"):
            bgr_from_compressed(SimpleNamespace(format=ending, data=data[: len(data) // 2]))
