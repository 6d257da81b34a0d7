"""sensor_msgs images as uint8 BGR arrays, for messages of rclpy or of a bag reader (OpenCV, NumPy).

A message here is any object with the fields of sensor_msgs/Image or sensor_msgs/CompressedImage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.encoded_images import Bytes, decode_image

# Bytes a pixel of the encodings read here (sensor_msgs/image_encodings.hpp). The planar nv12 and nv21
# hold 1.5 bytes a pixel; their step is that of the brightness plane.
PIXEL_BYTES = {
    "bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1, "8UC3": 3, "8UC4": 4, "8UC1": 1,
    "bgr16": 6, "rgb16": 6, "bgra16": 8, "rgba16": 8, "mono16": 2,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "bayer_rggb16": 2, "bayer_bggr16": 2, "bayer_gbrg16": 2, "bayer_grbg16": 2,
    "yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2, "nv12": 1, "nv21": 1,
}  # fmt: skip

# Encodings without a colour in the name have OpenCV's channel order.
ALIASES = {"8UC3": "bgr8", "8UC4": "bgra8", "8UC1": "mono8", "uyvy": "yuv422", "yuyv": "yuv422_yuy2"}

# One pass of OpenCV straight from the message's memory.
DIRECT = {
    "rgb8": cv2.COLOR_RGB2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "mono8": cv2.COLOR_GRAY2BGR,
    "yuv422": cv2.COLOR_YUV2BGR_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2,
}
# OpenCV names a pattern by its second row's second and third pixel (its page on colour conversions).
BAYER = {
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
}
PLANAR = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}
# Pixels across and down that share their colour; half such a group cannot be read.
SHARED_COLOUR = {"yuv422": (2, 1), "yuv422_yuy2": (2, 1), "nv12": (2, 2), "nv21": (2, 2)}


def demosaiced(pixels: Bytes, encoding: str) -> Bytes:
    """A Bayer image (H, W, 1) of 8 bits as BGR."""
    return np.asarray(cv2.cvtColor(pixels, BAYER[encoding]), dtype=np.uint8)


def bgr_from_raw(msg: Any, debayer: Callable[[Bytes, str], Bytes] = demosaiced) -> Bytes:
    """The image of a sensor_msgs/Image as uint8 BGR (H, W, 3).

    A bgr8 image is not copied: the array is a view of the message. Of 16 bits the upper eight are used, as in
    cv_bridge. debayer converts an 8-bit Bayer image (H, W, 1) and its encoding to BGR. Raises InputError for an
    unknown encoding, an empty or cut message.
    """
    if msg.encoding not in PIXEL_BYTES:
        raise InputError(
            f"image has encoding {msg.encoding!r}, expected one of {', '.join(PIXEL_BYTES)}: "
            "set the camera driver's pixel format to bgr8"
        )
    rows = _rows(msg)
    encoding = ALIASES.get(msg.encoding, msg.encoding)
    if encoding in PLANAR:
        return cv2.cvtColor(np.ascontiguousarray(rows), PLANAR[encoding])  # type: ignore[return-value]
    pixels = rows.reshape(msg.height, msg.width, -1) if rows.flags.c_contiguous else _unpadded(rows, msg)
    if encoding.endswith("16"):
        pixels, encoding = _eight_bits(pixels, msg), f"{encoding[:-2]}8"
    if encoding == "bgr8":
        return pixels
    if encoding in DIRECT:
        return cv2.cvtColor(pixels, DIRECT[encoding])  # type: ignore[return-value]
    return debayer(pixels, encoding)


def bgr_from_compressed(msg: Any) -> Bytes:
    """The JPEG or PNG of a sensor_msgs/CompressedImage as uint8 BGR (H, W, 3); raises InputError for a corrupt one."""
    # The message's format names the order of what was compressed; decoders here always give BGR.
    data = np.frombuffer(msg.data, dtype=np.uint8)
    return decode_image(
        data, f"compressed image of format {msg.format[:80]!r}", "check the camera driver and the network"
    )


def _rows(msg: Any) -> Bytes:
    """The message's bytes (H, width in bytes), without the padding that step allows; no copy."""
    width_bytes = msg.width * PIXEL_BYTES[msg.encoding]
    lines = msg.height * 3 // 2 if msg.encoding in PLANAR else msg.height
    if msg.width == 0 or msg.height == 0:
        raise InputError(f"image of {msg.width} x {msg.height} px is empty: check the camera driver")
    across, down = SHARED_COLOUR.get(ALIASES.get(msg.encoding, msg.encoding), (1, 1))
    if msg.width % across or msg.height % down:
        raise InputError(
            f"image of {msg.width} x {msg.height} px {msg.encoding}: {across} x {down} px share one colour, "
            "expected a multiple of it: check the camera driver"
        )
    if msg.step < width_bytes:
        raise InputError(
            f"image of {msg.width} px {msg.encoding} has a step of {msg.step} bytes, expected at least {width_bytes}: "
            "the driver's encoding does not fit its data"
        )
    data = np.frombuffer(msg.data, dtype=np.uint8)
    # Some drivers omit the padding of the last row; the image is still complete.
    if data.size < msg.step * (lines - 1) + width_bytes:
        raise InputError(
            f"image of {msg.width} x {msg.height} px {msg.encoding} with step {msg.step} has {data.size} bytes, "
            f"expected {msg.step * lines}: it was truncated in transit, check the driver"
        )
    if msg.step == width_bytes:
        return data[: width_bytes * lines].reshape(lines, width_bytes)
    return np.lib.stride_tricks.as_strided(data, (lines, width_bytes), (msg.step, 1), writeable=False)


def _unpadded(rows: Bytes, msg: Any) -> Bytes:
    """Rows of a padded image as pixels (H, W, bytes a pixel), copied."""
    return np.ascontiguousarray(rows).reshape(msg.height, msg.width, -1)


def _eight_bits(pixels: Bytes, msg: Any) -> Bytes:
    """16-bit numbers as 8-bit ones, by cv_bridge's scale; 40 times as fast as in floating point."""
    numbers = pixels.view(">u2" if msg.is_bigendian else "<u2").astype(np.uint16, copy=False)
    return np.asarray(cv2.convertScaleAbs(numbers, alpha=255.0 / 65535.0), dtype=np.uint8).reshape(numbers.shape)
