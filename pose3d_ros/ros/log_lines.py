"""How much of what is wrong goes into the log, and how often; /diagnostics has all of it, once a second."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A line of a terminal of usual width, twice.
LONGEST = 160
# A line that says the same as before waits twice as long each time, from the first number to the second.
EVERY_S, SELDOM_S = 5.0, 320.0
# What nothing was heard of for so long is news again.
OVER_S = 30.0
# Texts may hold names out of messages: so many different ones are remembered.
MOST_TEXTS = 64
# Not the 1 of /cam1/image_raw or of 'cam 1': those are names.
NUMBER = re.compile(r"""(?<![\w/'"])\d[\d.]*(?!['"])""")


def short(message: str, separator: str = "; ") -> str:
    """As many whole parts of a message as fit in LONGEST characters, and how many more there are."""
    if len(message) <= LONGEST:
        return message
    parts = message.split(separator)
    for kept in range(len(parts) - 1, 0, -1):
        line = f"{separator.join(parts[:kept])}{separator}{len(parts) - kept} more in /diagnostics"
        if len(line) <= LONGEST:
            return line
    hint = " ... (see /diagnostics)"
    return parts[0][: LONGEST - len(hint)].rpartition(" ")[0] + hint


@dataclass
class _Said:
    """A text that was logged."""

    logged_s: float
    wait_s: float
    asked_s: float


class Repetition:
    """Lets a line through when it is new, and again after growing times while it stays true."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], _Said] = {}
        self._last_s: dict[str, float] = {}  # of each kind

    def due(self, kind: str, message: str, now_s: float) -> bool:
        """Whether to log a message now; call it whenever it is true. Lines of one kind are EVERY_S apart at least.

        Messages that differ in numbers alone are the same.
        """
        key = kind, NUMBER.sub("#", message)
        said = self._texts.pop(key, None)
        if said is None or now_s - said.asked_s > OVER_S:
            said = _Said(logged_s=-SELDOM_S, wait_s=0.0, asked_s=now_s)
        said.asked_s = now_s
        self._texts[key] = said
        while len(self._texts) > MOST_TEXTS:
            del self._texts[next(iter(self._texts))]
        if now_s - said.logged_s < said.wait_s or now_s - self._last_s.get(kind, -EVERY_S) < EVERY_S:
            return False
        said.logged_s = self._last_s[kind] = now_s
        said.wait_s = min(max(EVERY_S, 2 * said.wait_s), SELDOM_S)
        return True
