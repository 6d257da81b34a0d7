"""Image and CompressedImage messages, and uint8 BGR arrays."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.encoded_images import Bytes, announced_size
from pose3d_ros.recordings.image_messages import bgr_from_compressed, bgr_from_raw
from pose3d_ros.ros import distribution
from pose3d_ros.ros.conversions.stamps import header

_bridge: Any = None


def image_from_msg(msg: Any) -> Bytes:
    """The image as uint8 BGR (H, W, 3); a bgr8 image shares the message's memory, Bayer goes through cv_bridge.

    msg is an Image or a CompressedImage, or has its fields (ros/serialized_images.py). Raises InputError for an unknown
    encoding, an empty or cut message, a corrupt JPEG.
    """
    return bgr_from_raw(msg, _bridged) if hasattr(msg, "encoding") else bgr_from_compressed(msg)


def image_size(msg: Any) -> tuple[int, int] | None:
    """Width and height in px from a message, before decoding; None if it has none."""
    if hasattr(msg, "encoding"):
        return msg.width, msg.height
    return announced_size(np.frombuffer(msg.data, dtype=np.uint8))


def image_to_msg(image: Bytes, stamp_ns: int, frame_id: str) -> Image:
    """A bgr8 (H, W, 3) or mono8 (H, W) image as a message; raises InputError for any other array."""
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise InputError(f"expected a uint8 image of shape (H, W, 3) or (H, W), got {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    msg = Image(header=header(stamp_ns, frame_id), height=height, width=width)
    msg.encoding = "mono8" if image.ndim == 2 else "bgr8"
    msg.is_bigendian = 0
    msg.step = width * (1 if image.ndim == 2 else 3)
    msg.data = _byte_array(image)
    return msg


def image_to_compressed_msg(image: Bytes, stamp_ns: int, frame_id: str, quality: int = 90) -> CompressedImage:
    """A BGR image as a JPEG message, format as image_transport's compressed plug-in writes it."""
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError(f"OpenCV cannot write a JPEG of an image of {image.dtype} {image.shape}")
    msg = CompressedImage(header=header(stamp_ns, frame_id), format="bgr8; jpeg compressed bgr8")
    msg.data = _byte_array(np.asarray(jpeg, dtype=np.uint8))
    return msg


def _byte_array(numbers: Bytes) -> array.array[int]:
    """An array for a uint8[] field without a copy per element: 0.08 ms for a VGA frame, an ndarray takes 53 ms."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(numbers).data.cast("B"))
    return data


def _bridged(pixels: Bytes, encoding: str) -> Bytes:
    """A Bayer image (H, W, 1) by cv_bridge."""
    global _bridge
    if _bridge is None:
        _bridge = distribution.CvBridge()
    height, width = pixels.shape[:2]
    plain = Image(height=height, width=width, encoding=encoding, step=width)
    plain.data = _byte_array(pixels)
    try:
        image = _bridge.imgmsg_to_cv2(plain, desired_encoding="bgr8")
    except distribution.CvBridgeError as error:
        raise InputError(
            f"cv_bridge ({distribution.sources['cv_bridge']}) cannot turn {encoding!r} into bgr8: {error}: "
            "set the camera driver's pixel format to bgr8"
        ) from error
    return np.ascontiguousarray(image, dtype=np.uint8)
