"""Which frame set to process, so that poses are VISIBLE when published. ROS-free, with injected times."""

from __future__ import annotations

from collections import deque
from statistics import median

# Ages and durations of the last frame sets: enough to be steady, few enough to follow a change.
KEPT = 20
# Quantile of the durations that is expected of the next one.
QUANTILE = 0.9


class Pacing:
    """Skips a frame set whose poses would be too old to be VISIBLE, if those of the next one would not be.

    A worker that takes nearly as long as people stay VISIBLE finds sets of any age up to a camera's period. Waiting for
    the next one costs part of that period, and each pose is then VISIBLE. It skips none if no set can give VISIBLE
    poses, and never two in a row. arrived() may be called from another thread.
    """

    def __init__(self) -> None:
        self._fresh_s: deque[float] = deque(maxlen=KEPT)
        self._took_s: deque[float] = deque(maxlen=KEPT)
        self._limit_s = 0.0
        self._skipped = False

    def arrived(self, age_s: float) -> None:
        """A frame set arrived, of images captured age_s ago."""
        self._fresh_s.append(age_s)

    def done(self, took_s: float, limit_s: float) -> None:
        """A set's poses were published took_s after it was taken; from the age limit_s on people are not VISIBLE."""
        self._took_s.append(took_s)
        self._limit_s = limit_s

    def skips(self, age_s: float) -> bool:
        """Whether to skip a set that is age_s old now, and take the next."""
        if not self._took_s or not self._fresh_s:
            return False
        took_s = sorted(self._took_s)[int(QUANTILE * (len(self._took_s) - 1))]
        fresh_s = median(list(self._fresh_s))
        late, in_time = age_s + took_s >= self._limit_s, fresh_s + took_s < self._limit_s
        self._skipped = late and in_time and not self._skipped
        return self._skipped
