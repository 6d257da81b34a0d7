"""Images that cannot be used, or come otherwise than before, to a real node over DDS; each fault begun and ended."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from spoilt_camera import Faults, Spoil

from pose3d_ros.recordings.image_messages import PIXEL_BYTES


def changed_image(**fields: Any) -> Spoil:
    return lambda image, info: [setattr(image, name, value) for name, value in fields.items()] and None


def recoded(image: Any, encoding: str, count: int) -> None:
    """The camera's grey in that encoding, each row with 16 bytes behind it."""
    grey = int(np.frombuffer(image.data, np.uint8)[0])
    studio, rows = round(16 + grey * 219 / 255), image.height  # BT.601
    pixels = np.full((rows, image.width * PIXEL_BYTES[encoding]), grey, np.uint8)  # of 16 bits: grey * 257
    if encoding in ("nv12", "nv21"):
        pixels[:] = studio
        pixels = np.vstack([pixels, np.full((rows // 2, image.width), 128, np.uint8)])
    elif encoding in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv"):
        pixels[:] = np.tile([128, studio] if encoding in ("yuv422", "uyvy") else [studio, 128], image.width)
    image.encoding, image.step = encoding, pixels.shape[1] + 16
    # The padding differs, as nothing else does: no camera sends one image twice.
    image.data = np.pad(pixels, ((0, 0), (0, 16)), constant_values=count % 256).tobytes()


def test_fault_encodings_with_padded_rows(raw: Faults) -> None:
    """Fault: a driver changes its encoding while running, through every one that is read, its rows padded.
    Sees: nothing: the poses stay true.
    Recovers: nothing to recover.
    """
    for encoding in PIXEL_BYTES:
        raw.begin(lambda image, info, encoding=encoding: recoded(image, encoding, raw.graph.cameras.sent))
        raw.three_cameras(f"{encoding} is used")


def test_fault_encoding_unknown(raw: Faults) -> None:
    """Fault: a driver sends depth, or any encoding that is not read.
    Sees: WARN "camera 'side' on /side/image_raw: image has encoding '32FC1', expected one of ..."; others go on.
    Recovers: by itself with an encoding that is read.
    """
    raw.shows(changed_image(encoding="32FC1"), "camera 'side' on /side/image_raw: image has encoding '32FC1'")


def test_fault_image_cut(raw: Faults) -> None:
    """Fault: an image has fewer bytes than its header says.
    Sees: WARN "... has 100 bytes, expected 57600: it was truncated in transit"; others go on.
    Recovers: by itself with the next whole image.
    """

    def cut(image: Any, info: Any) -> None:
        image.data = image.data[:100]

    raw.shows(cut, "has 100 bytes, expected 57600: it was truncated in transit")


def test_fault_step_too_short(raw: Faults) -> None:
    """Fault: a step shorter than a row.
    Sees: WARN "image of 160 px bgr8 has a step of 160 bytes, expected at least 480"; others go on.
    Recovers: by itself with the next sound image.
    """
    raw.shows(changed_image(step=160), "image of 160 px bgr8 has a step of 160 bytes, expected at least 480")


def test_fault_image_without_pixels(raw: Faults) -> None:
    """Fault: an image of 0 x 0 px.
    Sees: WARN "image of 0 x 0 px is empty"; others go on.
    Recovers: by itself with the next sound image.
    """
    raw.shows(changed_image(width=0, height=0, step=0), "image of 0 x 0 px is empty")


def test_fault_header_of_absurd_size(raw: Faults) -> None:
    """Fault: a header that says 4294967295 x 4294967295 px over a small image's data.
    Sees: WARN "image is 4294967295 x 4294967295 px, its calibration is for 160 x 120 px"; no memory is taken.
    Recovers: by itself with the next sound image.
    """
    most = 2**32 - 1
    spoil = changed_image(encoding="mono8", width=most, height=most, step=most)
    raw.shows(spoil, f"image is {most} x {most} px, its calibration is for 160 x 120 px")


def test_fault_odd_width_of_yuv(raw: Faults) -> None:
    """Fault: an odd width in an encoding whose neighbouring pixels share their colour.
    Sees: WARN "image of 159 x 120 px yuv422: 2 x 1 px share one colour"; others go on.
    Recovers: by itself with the next image of an even width.
    """
    words = "image of 159 x 120 px yuv422: 2 x 1 px share one colour"
    raw.shows(changed_image(encoding="yuv422", width=159, step=318), words)


def replaced(data: bytes) -> Spoil:
    def spoil(image: Any, info: Any) -> None:
        image.data = data

    return spoil


def test_fault_jpeg_cut(compressed: Faults) -> None:
    """Fault: a JPEG is cut on its way.
    Sees: WARN "... compressed image of format ... cannot be decoded (...), expected a complete JPEG or PNG".
    Recovers: by itself with the next whole one.
    """

    def cut(image: Any, info: Any) -> None:
        image.data = image.data[: len(image.data) - 40]

    compressed.shows(cut, "cannot be decoded (Premature end of JPEG file), expected a complete JPEG or PNG")


def test_fault_jpeg_of_rubbish(compressed: Faults) -> None:
    """Fault: a compressed image that holds no picture, or nothing.
    Sees: WARN "... with 17 bytes cannot be decoded" on the camera's topic; others go on.
    Recovers: by itself with the next whole one.
    """
    topic = "camera 'side' on /side/image_raw/compressed: "
    compressed.shows(replaced(b"no picture at all"), topic + "compressed image of format 'bgr8; jpeg compressed bgr8'")
    compressed.shows(replaced(b""), "with 0 bytes cannot be decoded")


def test_fault_jpeg_announces_gigabytes(compressed: Faults) -> None:
    """Fault: a JPEG of some hundred bytes announces 65500 x 65500 px.
    Sees: WARN "image is 65500 x 65500 px, its calibration is for 160 x 120 px"; no memory is taken; others go on.
    Recovers: by itself with the next sound one.
    """

    def announce(image: Any, info: Any) -> None:
        data = bytearray(image.data.tobytes())
        frame = data.find(b"\xff\xc0")
        data[frame + 5 : frame + 9] = (65500).to_bytes(2, "big") * 2
        image.data = bytes(data)

    compressed.shows(announce, "image is 65500 x 65500 px, its calibration is for 160 x 120 px")


def test_fault_png_comes_instead_of_jpeg(compressed: Faults) -> None:
    """Fault: a driver changes from JPEG to PNG while running; then the PNG is corrupt.
    Sees: nothing while the PNG is whole; then WARN "... cannot be decoded"; others go on.
    Recovers: by itself with the next whole one.
    """

    def png(image: Any) -> bytes:
        pixels = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
        return bytes(cv2.imencode(".png", pixels)[1])

    compressed.begin(lambda image, info: setattr(image, "data", png(image)))
    compressed.three_cameras("PNGs are used")
    compressed.shows(lambda image, info: setattr(image, "data", png(image)[:60]), "with 60 bytes cannot be decoded")
