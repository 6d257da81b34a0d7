"""What phones and action cameras write about the lens into their videos and pictures; nothing is decoded.

Apple's QuickTime File Format (metadata items named by a `keys` atom) and GoPro's GPMF, of which two flags are read.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2

from pose3d_ros.files.door import MB, PICTURE, VIDEO, checked, read_bytes
from pose3d_ros.files.media import FORMATS, check_picture, open_video

FOCAL_35MM = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
MAKE = "com.apple.quicktime.make"
# GoPro: stabilised by software, and digital zoom; each is Y or N.
STABILISED, ZOOMED = "EISE", "DZOM"
MOST_MB = 64  # of the index of frames with its metadata; an hour has 5 MB
# Types of values (table 3-5 of the format): text, integers and floats, big-endian.
NUMBERS = {23: ">f", 24: ">d", 65: ">b", 66: ">h", 67: ">i", 74: ">q", 75: ">B", 76: ">H", 77: ">I", 78: ">Q"}
EXIF, EXIF_FOCAL_35MM = 0x8769, 0xA405  # CIPA DC-008 (Exif 2.32), 4.6.5


def rotation_deg(path: Path | str) -> int:
    """By how much a player turns the video clockwise: 0, 90, 180, 270; raises FootageError for what is no video."""
    capture = open_video(path)
    turned = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    capture.release()
    return turned


def video_tags(path: Path | str) -> Mapping[str, str]:
    """Metadata of an MP4 or MOV file by name, all tracks together; empty for other files. Raises FootageError."""
    tags: dict[str, str] = {}
    moov = _index_of(checked(path, VIDEO))
    for places in ((b"meta",), (b"trak", b"meta"), (b"udta", b"meta")):
        for meta in _inside(moov, places):
            # ISO 14496-12 has four bytes of version in front of the content, QuickTime has none.
            content = dict(_atoms(meta if meta[4:8] in (b"hdlr", b"keys") else meta[4:]))
            names = _names(content.get(b"keys", b""))
            for number, item in _atoms(content.get(b"ilst", b"")):
                name = names.get(int.from_bytes(number, "big"))
                value = _value(dict(_atoms(item)).get(b"data", b""))
                if name and value:
                    tags.setdefault(name, value)
    for gpmf in _inside(moov, (b"udta", b"GPMF")):
        for name in (STABILISED, ZOOMED):
            at = gpmf.find(name.encode() + b"c\x01\x00\x01")  # one character
            if at >= 0:
                tags[name] = gpmf[at + 8 : at + 9].decode("ascii", "replace")
    return tags


def picture_focal_35mm(path: Path | str) -> float | None:
    """35-mm-equivalent focal length of a picture by its Exif data, mm; None where it says none. Raises InputError."""
    from PIL import Image

    data = read_bytes(path, PICTURE)
    check_picture(data, path)
    try:
        tags = Image.open(io.BytesIO(data), formats=FORMATS).getexif().get_ifd(EXIF)
        focal = float(tags.get(EXIF_FOCAL_35MM, 0.0))
    except Exception:  # damaged Exif data: the picture may still be whole
        return None
    return focal if 5.0 <= focal <= 2000.0 else None


def _index_of(path: Path) -> bytes:
    """The content of the file's moov atom; empty without one."""
    most = path.stat().st_size
    with path.open("rb") as file:
        while len(head := file.read(16)) >= 8:
            size, kind = struct.unpack(">I4s", head[:8])
            begin = 8
            if size == 1 and len(head) == 16:
                size, begin = struct.unpack(">Q", head[8:])[0], 16
            if kind == b"moov" and begin <= size <= MOST_MB * MB:
                file.seek(begin - len(head), 1)
                return file.read(size - begin)
            if not kind.isalnum() or not begin <= size <= most:
                break
            file.seek(size - len(head), 1)
    return b""


def _atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each atom in a row; ends where sizes no longer fit."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if not 8 <= size <= len(data) - at:
            return
        yield kind, data[at + 8 : at + size]
        at += size


def _inside(data: bytes, kinds: tuple[bytes, ...]) -> Iterator[bytes]:
    for kind, content in _atoms(data):
        if kind == kinds[0]:
            yield from _inside(content, kinds[1:]) if len(kinds) > 1 else (content,)


def _names(keys: bytes) -> dict[int, str]:
    """Names by number, from 1, of a keys atom: version and count, then names as if each was an atom."""
    entries = enumerate(_atoms(keys[8:]), 1)
    return {number: name.decode("utf-8", "replace") for number, (_, name) in entries}


def _value(data: bytes) -> str:
    if len(data) < 8:
        return ""
    kind, content = int.from_bytes(data[1:4], "big"), data[8:]
    if kind == 1:
        return content.decode("utf-8", "replace")
    if kind in (21, 22):
        return str(int.from_bytes(content, "big", signed=kind == 21))
    if kind in NUMBERS and len(content) == struct.calcsize(NUMBERS[kind]):
        return f"{struct.unpack(NUMBERS[kind], content)[0]:g}"
    return ""
