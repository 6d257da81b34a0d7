"""The number of the frame that a file or an image id is named after, by one rule.

The number is the only group of digits that differs between the names of one camera: a camera number, a date or a size
that all names share is ignored. Names in which more than one group differs are ambiguous, and are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pose3d_ros.errors import FootageError

# A frame number has no more digits than nanoseconds since 1970.
MAX_DIGITS = 18
SHOWN = 60  # characters of a name in a message


def frame_numbers(names: Sequence[str], what: str) -> list[int]:
    """The frame's number of each name (all different), each number once; what they belong to, for the messages.

    Raises FootageError for names without a number, with several that differ, or of which two have the same.
    """
    groups = [re.findall(r"\d+", name) for name in names]
    for name, digits in zip(names, groups, strict=True):
        if not digits or len(digits) != len(groups[0]):
            raise FootageError(
                f"{what}: {name[:SHOWN]!r} has {len(digits)} numbers, {names[0][:SHOWN]!r} {len(groups[0])}, expected "
                "the same count, with the frame's: rename them alike"
            )
        if max(map(len, digits)) > MAX_DIGITS:
            raise FootageError(f"{what}: {name[:SHOWN]!r} has a number of more than {MAX_DIGITS} digits: rename it")
    if not groups:
        return []
    columns = [[int(number) for number in column] for column in zip(*groups, strict=True)]
    differing = [column for column in columns if len(set(column)) > 1] or columns[-1:]
    if len(differing) > 1:
        second = next(k for k in range(len(names)) if any(column[k] != column[0] for column in differing))
        raise FootageError(
            f"{what}: {len(differing)} numbers differ between names such as {names[0][:SHOWN]!r} and "
            f"{names[second][:SHOWN]!r}, expected one, the frame's: rename them so that only it differs"
        )
    (numbers,) = differing
    first: dict[int, str] = {}
    for number, name in zip(numbers, names, strict=True):
        if number in first:
            raise FootageError(
                f"{what}: {first[number][:SHOWN]!r} and {name[:SHOWN]!r} are both frame {number}: keep one camera's "
                "frames together, each with its own number"
            )
        first[number] = name
    return numbers
