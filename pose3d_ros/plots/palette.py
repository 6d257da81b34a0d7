"""One colour a person, the same in RViz, in the browser and in every picture."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Iterable
from itertools import count

RGB = tuple[int, int, int]

# Okabe & Ito's colours, distinct also for people with colour-blindness, brightened a little for video.
PALETTE: tuple[RGB, ...] = (
    (0, 200, 140), (240, 110, 0), (86, 180, 255), (240, 228, 66), (220, 120, 200), (30, 110, 220), (230, 159, 0),
)  # fmt: skip
UNKNOWN: RGB = (200, 200, 200)  # 2D people without an id
# Steps of the golden ratio spread hues evenly, however many there are.
GOLDEN = 0.6180339887
# Saturation and value of the colours after the palette, in turn: two hues that are near differ in these.
SHADES = ((0.85, 1.0), (0.45, 1.0), (0.85, 0.65))


class PersonColours:
    """Gives colours to people; no two living people share one, and a person keeps theirs for life."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}  # id -> place in the series of colours; no two have the same

    def __call__(self, ids: Iterable[str]) -> dict[str, RGB]:
        """Red, green, blue of all people who are alive now, by id.

        A new person gets the colour of the id's number, so that all drawings use the same one, or the first
        free one. People who left lose theirs only to a new person.
        """
        living = list(dict.fromkeys(ids))
        for person in living:
            if person not in self._places:
                self._admit(person, living)
        return {person: nth_colour(self._places[person]) for person in living}

    def _admit(self, person: str, living: list[str]) -> None:
        taken = {self._places[one] for one in living if one in self._places}
        own = (person_number(person) - 1) % len(PALETTE)
        place = own if own not in taken else next(n for n in count() if n not in taken)
        self._places = {one: held for one, held in self._places.items() if held != place}
        self._places[person] = place


def nth_colour(n: int) -> RGB:
    """The palette's colours, then as many more as there are people."""
    if n < len(PALETTE):
        return PALETTE[n]
    saturation, value = SHADES[n % len(SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(GOLDEN * n % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def person_number(person: str) -> int:
    """A person's number, in [0, 2^31): that of their id, or a hash of a name."""
    return int(person) & 0x7FFFFFFF if person.isascii() and person.isdecimal() else zlib.crc32(person.encode()) >> 1
