"""Diagnose a file that cannot be read as a rosbag2 recording, from its first and last bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

MCAP, SQLITE, ROS1 = b"\x89MCAP0\r\n", b"SQLite format 3\0", b"#ROSBAG V"
# Records of MCAP's specification: one byte of kind, eight of length.
HEADER, CHANNEL, FOOTER = 0x01, 0x04, 0x02
RECORD, FOOTER_BYTES = 9, 20
# Summaries hold a few hundred bytes a topic and fifty a chunk.
MOST_SUMMARY = 1 << 20
CONVERT = "convert it to ROS 2: rosbags-convert --src FILE --dst FOLDER"


def damage(path: Path, error: str) -> str:
    """Describe the damage and a possible fix; error is the reader's message."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(256)
            file.seek(max(size - len(MCAP), 0))
            end = file.read(len(MCAP))
    except OSError:
        return f"{error}: record it again"
    if not size:
        return "it is empty: record it again"
    if head.startswith(ROS1):
        return f"it is a recording of ROS 1 (it begins with {head[:12].decode('ascii', 'replace')!r}): {CONVERT}"
    wanted = MCAP if path.suffix == ".mcap" else SQLITE
    if not head.startswith(wanted):
        other = next((kind for kind, magic in ((".mcap", MCAP), (".db3", SQLITE)) if head.startswith(magic)), "")
        if other:
            return f"it begins like a {other} file: rename it"
        return f"it begins with {head[:8]!r}, which is not a {path.suffix} file: is it another kind, or damaged?"
    if wanted == SQLITE:
        return f"{error}: it is damaged or incomplete: try `ros2 bag reindex {path.parent.name or path.name}`"
    if end != MCAP:
        return (
            f"its end is missing ({size} bytes), as after a recorder or a copy that was stopped: try "
            f"`mcap recover {path.name}`"
        )
    profile = _text(head, len(MCAP) + RECORD)
    if head[len(MCAP)] == HEADER and profile not in ("ros2", None):
        kinds = ", ".join(sorted(set(_encodings(path, size)))) or "of unknown encoding"
        return (
            f"its MCAP profile is {profile[:40]!r}, expected 'ros2', and its messages are {kinds[:80]}: give a "
            "recording of `ros2 bag record`, or convert its messages"
        )
    return f"{error}: try `mcap recover {path.name}`, or record it again"


def _text(data: bytes, at: int) -> str | None:
    """A length in four bytes and so many characters; None where they are not all there."""
    if len(data) < at + 4:
        return None
    (length,) = struct.unpack_from("<I", data, at)
    return data[at + 4 : at + 4 + length].decode("utf-8", "replace") if len(data) >= at + 4 + length else None


def _encodings(path: Path, size: int) -> Iterator[str]:
    """Message encodings of an MCAP file's channels, out of its summary: cdr, protobuf, json."""
    with path.open("rb") as file:
        file.seek(max(size - len(MCAP) - RECORD - FOOTER_BYTES, 0))
        footer = file.read(RECORD + FOOTER_BYTES)
        if len(footer) < RECORD + FOOTER_BYTES or footer[0] != FOOTER:
            return
        (start,) = struct.unpack_from("<Q", footer, RECORD)
        if not 0 < start < size:
            return
        file.seek(start)
        summary = file.read(MOST_SUMMARY)
    at = 0
    while at + RECORD <= len(summary):
        kind, length = summary[at], struct.unpack_from("<Q", summary, at + 1)[0]
        if kind == CHANNEL and length >= 8:
            record = summary[at + RECORD : at + RECORD + length]
            topic = _text(record, 4)
            encoding = None if topic is None else _text(record, 8 + len(topic.encode()))
            if encoding:
                yield encoding[:40]
        at += RECORD + length
