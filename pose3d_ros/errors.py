"""Every error that a user of pose3d_ros can cause.

Pose3DError
├── InputError                an argument has the wrong shape, unit, type or range (a ValueError too)
│   └── OptionError           an option or parameter is unknown or out of its range
├── CalibrationError          cameras that cannot be used: zero K, zero baseline, missing transform
├── WeightsError              a 2D model's weights
│   ├── WeightsMissingError   not fetched yet
│   └── WeightsCorruptError   fetched, but not the file that was published
├── DownloadError             no network, or what came is not what was asked for
├── OutOfMemoryError          no memory was left for the work, on the GPU or the CPU
├── FootageError              a video or recording that cannot be read
└── DependencyError           an optional part of the installation is missing

A message names the value, what was expected and how to fix it. No message grows with the input: every error cuts its
own text, so that no path can echo a whole file; `shown` shortens a value where it is quoted.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any

# A value is quoted with this many characters: a line of a log holds 160 in all.
SHOWN = 80
# A whole message, bytes of UTF-8: what comes first names the file, what comes last the fix.
HEAD, TAIL = 1000, 400
# A path may be this long; a longer run without a space is data.
LONGEST_WORD = 300

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxdict, _short.maxset = 3, 6, 6, 6, 6
_short.maxstring = _short.maxother = _short.maxlong = SHOWN


def shown(value: Any, most: int = SHOWN) -> str:
    """A value's repr in about `most` characters; the work does not grow with the value."""
    try:
        # The repr of an integer takes time that grows with the square of its digits.
        if isinstance(value, int) and value.bit_length() > 1000:
            return f"a whole number of {value.bit_length()} bits"
        text = _short.repr(value)
    except Exception:  # a repr of a foreign object may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most * 2 // 3]}...{text[-most // 4 :]}"


def cut(text: str) -> str:
    """A message of about 1.4 kB at most: its beginning and its end."""
    text = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: f"{word[0][:SHOWN]}...{word[0][-SHOWN:]}", text)
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= HEAD + TAIL:
        return text
    head, tail = data[:HEAD].decode("utf-8", "ignore"), data[-TAIL:].decode("utf-8", "ignore")
    return f"{head} ... ({len(data) - HEAD - TAIL} bytes left out) ... {tail}"


class Pose3DError(Exception):
    """Root of every error that pose3d_ros raises on purpose; its text is cut to about 1.4 kB."""

    def __init__(self, *args: object) -> None:
        """args: the message."""
        super().__init__(*(cut(one) if isinstance(one, str) else one for one in args))


class InputError(Pose3DError, ValueError):
    """An argument has the wrong shape, unit, type or range."""


class OptionError(InputError):
    """An option or parameter is unknown or out of its range."""


class CalibrationError(Pose3DError):
    """The cameras' calibration or placement cannot be used."""


class WeightsError(Pose3DError):
    """A model's weights cannot be used."""


class WeightsMissingError(WeightsError):
    """The weights are not on this machine yet."""


class WeightsCorruptError(WeightsError):
    """The weights' SHA-256 is not the published one."""


class DownloadError(Pose3DError):
    """A file could not be fetched, or is not the one that was asked for."""


class OutOfMemoryError(Pose3DError):
    """No memory was left for the work."""


class StillBusyError(Pose3DError):
    """Work that was to stop goes on."""


class FootageError(Pose3DError):
    """A video or recording cannot be read."""


class DependencyError(Pose3DError):
    """An optional part of the installation is missing."""
