"""Values that callers give, checked where they come in: whatever is wrong is an InputError that names the value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError, shown

Floats = NDArray[np.float64]
LONGEST_NAME = 200  # ROS's own names end at 255
_CONTROL = re.compile("[\x00-\x1f\ud800-\udfff]")  # ends a text in C, breaks a line, or has no UTF-8


def check_name(what: str, name: object) -> None:
    """Raise InputError unless name is a text that can stand in a line, a file and a topic's list of names."""
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or _CONTROL.search(name):
        raise InputError(
            f"{what} is {shown(name)}, expected 1 to {LONGEST_NAME} printable characters: for example 'left'"
        )


def check_is(what: str, value: object, kind: type) -> None:
    """Raise InputError unless value is one of kind."""
    if not isinstance(value, kind):
        raise InputError(f"{what} is {shown(value)}, expected a {kind.__name__}")


def floats(what: str, value: Any, shape: Sequence[int | None]) -> Floats:
    """value as float64, a copy, checked against shape (None: any length); raises InputError naming what."""
    wanted = tuple("any" if n is None else n for n in shape)
    try:
        numbers = np.array(value)
        # Texts that read as numbers, dates and True are not numbers by mistake.
        if numbers.size and numbers.dtype.kind not in "fiu":
            raise TypeError(f"{numbers.dtype} is no kind of real number")
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{what} is {shown(value)}, expected real numbers of shape {wanted}") from error
    if numbers.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, numbers.shape, strict=True)):
        raise InputError(f"{what} has shape {numbers.shape}, expected {wanted}")
    return numbers


def small_numbers(what: str, value: Any, shape: tuple[int, ...], most: int) -> NDArray[np.uint8]:
    """value as whole numbers 0..most (255 at most); raises InputError naming what."""
    numbers = floats(what, value, shape)
    if not ((numbers >= 0) & (numbers <= most) & (numbers == np.round(numbers))).all():
        raise InputError(f"{what} is {shown(numbers.ravel()[:8].tolist())}, expected whole numbers of 0 to {most}")
    return numbers.astype(np.uint8)


def whole_number(what: str, value: Any) -> int:
    """A whole number of any kind (640, numpy's, 640.0); raises InputError naming what."""
    try:
        number = int(value)
        whole = not isinstance(value, (bool, str, bytes)) and number == value
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise InputError(f"{what} is {shown(value)}, expected a whole number")
    return number


def sequence(what: str, value: Any) -> tuple[Any, ...]:
    """The items of a list or the like; raises InputError naming what."""
    try:
        return tuple(value)
    except TypeError as error:
        raise InputError(f"{what} is {shown(value)}, expected a list") from error
