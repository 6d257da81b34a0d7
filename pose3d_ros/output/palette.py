"""One colour a person, the same in RViz, in the browser and in every picture."""

from __future__ import annotations

import zlib

RGB = tuple[int, int, int]

# Okabe & Ito's colours, told apart also by people with colour-blindness, brightened a little for video.
PALETTE: tuple[RGB, ...] = (
    (0, 200, 140), (240, 110, 0), (86, 180, 255), (240, 228, 66), (220, 120, 200), (30, 110, 220), (230, 159, 0),
)  # fmt: skip
UNKNOWN: RGB = (200, 200, 200)  # 2D people without an id


def person_number(person: str) -> int:
    """A person's number, in [0, 2^31): that of their id, or a hash of a name."""
    return int(person) & 0x7FFFFFFF if person.isascii() and person.isdecimal() else zlib.crc32(person.encode()) >> 1


def person_colour(person: str) -> RGB:
    """Red, green, blue of an id; colours repeat after seven people."""
    return PALETTE[(person_number(person) - 1) % len(PALETTE)]
