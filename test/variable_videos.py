"""MP4 files as phones make them, uneven or turned: OpenCV writes a plain one, and its tables are rewritten here."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

# The way to the table of how long each frame is shown (ISO/IEC 14496-12, 8.6.1.2).
WAY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")


def respaced(source: Path, times_s: list[float], target: Path) -> Path:
    """A copy of an MP4 of OpenCV's whose frame k is at times_s[k]; its index lies behind its images."""
    data = source.read_bytes().replace(b"edts", b"free")
    boxes = []
    begin, end = 0, len(data)
    for kind in WAY:
        at, size = _box(data, begin, end, kind)
        boxes.append(at)
        begin, end = at + 8, at + size
        if kind == b"mdia":
            clock, _ = _box(data, begin, end, b"mdhd")
            (scale,) = struct.unpack(">I", data[clock + 20 : clock + 24])
    assert boxes[0] > data.find(b"mdat"), "offsets of the images would move"
    ticks = [round(time * scale) for time in times_s]
    steps = [after - before for before, after in pairwise(ticks)]
    steps.append(steps[-1])
    table = struct.pack(">4sII", b"stts", 0, len(steps)) + b"".join(struct.pack(">II", 1, step) for step in steps)
    table = struct.pack(">I", len(table) + 4) + table
    old = data[boxes[-1] : boxes[-1] + struct.unpack(">I", data[boxes[-1] : boxes[-1] + 4])[0]]
    changed = bytearray(data[: boxes[-1]] + table + data[boxes[-1] + len(old) :])
    for at in boxes[:-1]:
        (size,) = struct.unpack(">I", changed[at : at + 4])
        changed[at : at + 4] = struct.pack(">I", size + len(table) - len(old))
    target.write_bytes(changed)
    return target


def _box(data: bytes, begin: int, end: int, kind: bytes) -> tuple[int, int]:
    """Where the first box of a kind begins, and its size."""
    for _ in range(begin, end, 8):  # a box has 8 bytes or more
        if begin >= end:
            break
        (size,) = struct.unpack(">I", data[begin : begin + 4])
        if data[begin + 4 : begin + 8] == kind:
            return begin, size
        begin += size
    raise AssertionError(f"no {kind!r}")


def turned(source: Path, target: Path) -> Path:
    """A copy of an MP4 whose player is to turn it by a quarter (ISO/IEC 14496-12, 8.3.2: the matrix of tkhd)."""
    data = bytearray(source.read_bytes())
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(plain, data.index(b"tkhd"))
    data[at : at + len(plain)] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target
