"""cv_bridge's CvBridge over rosbags-image: the colour encodings of sensor_msgs, and padding."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.image import ImageError, compressed_image_to_cvimage, image_to_cvimage
from rosbags.image.image import to_cvtype
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


class CvBridgeError(TypeError):
    """A conversion is not possible."""


class CvBridge:
    """Images between ROS messages and OpenCV; an image of one channel has shape (H, W)."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> NDArray[Any]:
        """The message's image in the desired encoding; raises CvBridgeError."""
        wanted = None if desired_encoding == "passthrough" else desired_encoding
        try:
            return np.asarray(image_to_cvimage(_without_padding(img_msg), wanted))
        except (ImageError, ValueError, TypeError, cv2.error) as error:
            raise CvBridgeError(f"{img_msg.encoding} to {desired_encoding}: {error}") from error

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> NDArray[Any]:
        """The JPEG's or PNG's image in the desired encoding; raises CvBridgeError."""
        wanted = None if desired_encoding == "passthrough" else desired_encoding
        try:
            return np.asarray(compressed_image_to_cvimage(cmprs_img_msg, wanted))
        except (ImageError, ValueError, AssertionError, cv2.error) as error:
            raise CvBridgeError(f"{cmprs_img_msg.format} to {desired_encoding}: it cannot be decoded") from error

    def cv2_to_imgmsg(self, cvim: NDArray[Any], encoding: str = "passthrough", header: Header | None = None) -> Image:
        """A message of the image, which must have the encoding's depth and channels; raises CvBridgeError."""
        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        kind = f"{8 * cvim.itemsize}{ {'u': 'U', 'i': 'S', 'f': 'F'}[cvim.dtype.kind] }C{channels}"
        msg = Image(height=cvim.shape[0], width=cvim.shape[1])
        msg.encoding = kind if encoding == "passthrough" else encoding
        if header is not None:
            msg.header = header
        try:
            _, _, dtype, wanted_channels = to_cvtype(msg.encoding)
        except ImageError as error:
            raise CvBridgeError(str(error)) from error
        if (cvim.dtype.name, channels) != (dtype, wanted_channels):
            raise CvBridgeError(f"encoding specified as {encoding}, but image has incompatible type {kind}")
        msg.data = array.array("B", cvim.tobytes())
        msg.step = cvim.shape[1] * channels * cvim.itemsize
        return msg


def _without_padding(msg: Image) -> Any:
    """The message with its rows end to end, as rosbags-image reads them; raises ValueError for too few bytes."""
    _, _, dtype, channels = to_cvtype(msg.encoding)
    row = msg.width * channels * np.dtype(dtype).itemsize
    data = np.frombuffer(msg.data, dtype=np.uint8)
    if msg.step < row or data.size < msg.step * msg.height:
        raise ValueError(f"{data.size} bytes in rows of {msg.step}, expected {msg.height} rows of at least {row}")
    rows = np.ascontiguousarray(data[: msg.step * msg.height].reshape(msg.height, msg.step)[:, :row])
    return SimpleNamespace(
        height=msg.height, width=msg.width, encoding=msg.encoding, is_bigendian=bool(msg.is_bigendian), data=rows.data
    )
