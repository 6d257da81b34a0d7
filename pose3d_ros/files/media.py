"""Pictures and videos from users: the size in the header is checked before OpenCV allocates memory."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2

from pose3d_ros.files.door import PICTURE, VIDEO, Kind, checked, refused

# The largest sensors of machine vision have 65 Mpx; a PNG may hold a thousand times what it weighs.
MOST_PIXELS = 2**26
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP")


def check_picture(data: bytes, path: Path | str, kind: Kind = PICTURE) -> None:
    """Raise the kind's error for what is no picture by its header, or too large a one; nothing is decoded."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own warning of large pictures
            width, height = Image.open(io.BytesIO(data), formats=FORMATS).size
    except Image.DecompressionBombError as error:
        raise refused(path, kind, f"it has more than {MOST_PIXELS} pixels") from error
    except Exception as error:  # a reader for each format, each with its own errors
        raise refused(path, kind, f"not a picture of {', '.join(FORMATS)}") from error
    if width * height > MOST_PIXELS:
        raise refused(path, kind, f"it has {width} x {height} px, expected {MOST_PIXELS} pixels at most")


def open_video(path: Path | str, kind: Kind = VIDEO, packets: bool = False) -> cv2.VideoCapture:
    """An opened video of images of a possible size, decoded or as packets; raises the kind's error."""
    undecoded = [cv2.CAP_PROP_FORMAT, -1] if packets else []
    capture = cv2.VideoCapture(str(checked(path, kind)), cv2.CAP_FFMPEG, undecoded)
    if not capture.isOpened():
        capture.release()
        raise refused(path, kind, "not a video that OpenCV can open")
    # Pixels as stored: a phone's rotation flag is ignored, like the EXIF orientation of images.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    width, height = (int(capture.get(one)) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width <= 0 or height <= 0 or width * height > MOST_PIXELS:
        capture.release()
        raise refused(path, kind, f"its images are {width} x {height} px, expected {MOST_PIXELS} pixels at most")
    return capture


def first_bytes(path: Path | str, kind: Kind, count: int) -> bytes:
    """What a file begins with, which says of what form it is; raises the kind's error."""
    with checked(path, kind).open("rb") as file:
        return file.read(count)
