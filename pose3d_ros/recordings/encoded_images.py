"""Encoded pictures (JPEG, PNG; of files also OpenCV's other formats) as uint8 BGR arrays: complete, or rejected.

Images of topics, bags and files are all decoded here. Pixels are returned as stored: an EXIF orientation is ignored.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import PICTURE, read_bytes
from pose3d_ros.files.media import MOST_PIXELS, check_picture

Bytes = NDArray[np.uint8]

# Some cameras pad the data after a JPEG's end marker.
TAIL_BYTES = 1024
# Every 8 x 8 block of a JPEG's finest component takes at least one bit (ITU-T T.81, F.1.2.1 and G.1.2.1).
JPEG_PIXELS_PER_BYTE = 8 * 64
# Start-of-frame markers of a JPEG (ITU-T T.81, table B.1).
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_image(data: Bytes, what: str, fix: str, any_format: bool = False) -> Bytes:
    """Decode bytes (N,) as uint8 BGR (H, W, 3), never rotated.

    what and fix start and end the error message. any_format: also accept OpenCV's other formats.
    Raises InputError for truncated or corrupt bytes, and for an absurd image size in the header.
    """
    size_wh = announced_size(data)
    jpeg = data[:2].tobytes() == JPEG_START
    # Before a decoder allocates memory: a header of a few hundred bytes may announce gigabytes.
    most = min(MOST_PIXELS, JPEG_PIXELS_PER_BYTE * data.size) if jpeg else MOST_PIXELS
    if size_wh is not None and size_wh[0] * size_wh[1] > most:
        raise InputError(
            f"{what} with {data.size} bytes announces {size_wh[0]} x {size_wh[1]} px, expected {most} pixels at most: "
            f"{fix}"
        )
    image: Any = None
    reason = ""
    try:
        if jpeg and size_wh is not None:
            image = _jpeg(data)
        elif size_wh is not None or (any_format and not jpeg):
            image = cv2.imdecode(data, AS_STORED)
    except (cv2.error, ValueError) as error:
        reason = f" ({str(error)[:80]})" if jpeg else ""
    if image is None:
        wanted = "picture" if any_format else "JPEG or PNG"
        raise InputError(
            f"{what} with {data.size} bytes cannot be decoded{reason}, expected a complete {wanted}: {fix}"
        )
    return np.asarray(image, dtype=np.uint8)


def read_image(path: Path | str) -> Bytes:
    """The picture in a file as uint8 BGR (H, W, 3), pixels as stored; raises InputError."""
    encoded = read_bytes(path, PICTURE)
    check_picture(encoded, path)
    data = np.frombuffer(encoded, dtype=np.uint8)
    return decode_image(data, f"picture {path}", "save or copy it again", any_format=True)


def announced_size(data: Bytes) -> tuple[int, int] | None:
    """Width and height in px that a JPEG's or PNG's header announces; None for anything else."""
    if data[:16].tobytes() == PNG_START and data.size >= 24:
        return int(data[16:20].view(">u4")[0]), int(data[20:24].view(">u4")[0])
    at = 2 if data[:2].tobytes() == JPEG_START else data.size
    # Segments: 0xff, marker, length of what follows including these two bytes.
    while at + 9 <= data.size and data[at] == 0xFF:
        marker = int(data[at + 1])
        if marker in JPEG_FRAMES:
            height, width = data[at + 5 : at + 9].copy().view(">u2")
            return int(width), int(height)
        at += 1 if marker == 0xFF else 2 + int(data[at + 2]) * 256 + int(data[at + 3])
    return None


def _jpeg(data: Bytes) -> Bytes | None:
    """Decode a JPEG without libjpeg warnings; raises ValueError with the warning."""
    strict = _strict_decoder()
    if strict is None:
        # OpenCV silently fills the rest of a truncated JPEG with grey; the end marker is missing.
        whole = JPEG_END in data[-TAIL_BYTES:].tobytes()
        return np.asarray(cv2.imdecode(data, AS_STORED), dtype=np.uint8) if whole else None
    try:
        return np.asarray(strict.decode_jpeg(data, "BGR"))
    except ValueError as error:
        if "extraneous bytes before marker 0xd9" not in str(error):
            raise
        # Some webcams pad a frame with zeros before its end marker: the image is valid.
        end = data.tobytes().rfind(JPEG_END)
        filled = data[:end].tobytes()
        return np.asarray(strict.decode_jpeg(filled.rstrip(b"\0") + JPEG_END, "BGR"))


@cache
def _strict_decoder() -> Any:
    """Return simplejpeg, whose decoder rejects what libjpeg only warns of; None, with one warning, without it."""
    try:
        return import_module("simplejpeg")
    except ImportError as error:
        warnings.warn(
            f"simplejpeg cannot be imported ({error}): JPEGs with wrong bytes are used as OpenCV repairs them: "
            "pip install simplejpeg",
            stacklevel=2,
        )
        return None
