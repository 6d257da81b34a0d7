"""Numbers and names from a document, as Python's own conversions read true as 1 and null as the name "None"."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import shown

# YAML 1.1 parses 1e-05, as written by C++, as a string.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
LONGEST_NAME = 200
MOST_LISTS = 2  # a matrix by rows


def numbers(value: Any, *shape: int) -> NDArray[np.float64]:
    """A number, or lists of them, as float64 of a shape (-1: any length); raises ValueError for anything else."""
    flat: list[float] = []
    _gather(value, flat, MOST_LISTS)
    return np.array(flat, dtype=np.float64).reshape(shape)


def name(value: Any) -> str:
    """A text, or a whole number as a text, that can name a camera or a frame; raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{shown(value)} is not a name, expected a text")
    if len(str(value)) > LONGEST_NAME:
        raise ValueError(f"{shown(value)} has {len(str(value))} characters, expected {LONGEST_NAME} at most")
    return str(value)


def _gather(value: Any, flat: list[float], lists: int) -> None:
    """Append every number, by rows; so many lists may stand in each other."""
    if isinstance(value, (list, tuple)) and lists:
        for one in value:
            _gather(one, flat, lists - 1)
        return
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{shown(value)} is not a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a number")
    try:
        flat.append(float(value))
    except OverflowError as error:
        raise ValueError(f"{shown(value)} is too large") from error
