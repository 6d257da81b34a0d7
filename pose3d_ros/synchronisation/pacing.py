"""Which frame set to work on, so that poses are fresh when they leave. ROS-free, with injected times."""

from __future__ import annotations

from collections import deque
from statistics import median

# Ages and durations of so many last frame sets: long enough to be steady, short enough to follow a change.
KEPT = 20
# Of the durations, so many of a hundred are no longer than what is counted on.
COUNTED_ON = 0.9


class Pacing:
    """Passes over a frame set whose poses would be too old to be VISIBLE, where those of the next one would not be.

    A worker that takes nearly as long as people stay VISIBLE finds sets of any age up to a camera's period. Waiting for
    the next one costs a part of that period, and each pose is then fresh. Where no set can make fresh poses none is
    passed over, and never two in a row. came() may be called from another thread.
    """

    def __init__(self) -> None:
        self._fresh_s: deque[float] = deque(maxlen=KEPT)
        self._took_s: deque[float] = deque(maxlen=KEPT)
        self._limit_s = 0.0
        self._passed = False

    def came(self, age_s: float) -> None:
        """A frame set came, of images captured age_s ago."""
        self._fresh_s.append(age_s)

    def done(self, took_s: float, limit_s: float) -> None:
        """A set's poses went out took_s after it was taken; from the age of limit_s on people are not VISIBLE."""
        self._took_s.append(took_s)
        self._limit_s = limit_s

    def passes_over(self, age_s: float) -> bool:
        """Whether to leave a set that is age_s old now, and take the next."""
        if not self._took_s or not self._fresh_s:
            return False
        took_s = sorted(self._took_s)[int(COUNTED_ON * (len(self._took_s) - 1))]
        fresh_s = median(list(self._fresh_s))
        late, in_time = age_s + took_s >= self._limit_s, fresh_s + took_s < self._limit_s
        self._passed = late and in_time and not self._passed
        return self._passed
