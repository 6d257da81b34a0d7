"""How often the exact network may run at the camera rate. Time is injected."""

from __future__ import annotations

# Share of the time between two sets: a detector that takes less gets one more person per image, one that takes more
# gets half as many. Both leave time for the rest of the work per set.
MIN_SHARE, MAX_SHARE = 0.4, 0.6
MAX_PEOPLE = 10


class SpareTime:
    """Adapts how many people per image may use the exact network before they are due."""

    def __init__(self) -> None:
        self.people = 0
        self._stamp_ns: int | None = None

    def add(self, call_s: float, stamp_ns: int) -> None:
        """Record that the detector took call_s for the set of this stamp; dropped sets show in the stamps."""
        before_ns, self._stamp_ns = self._stamp_ns, stamp_ns
        if before_ns is None or stamp_ns <= before_ns:
            return
        share = call_s / ((stamp_ns - before_ns) / 1e9)
        if share < MIN_SHARE:
            self.people = min(self.people + 1, MAX_PEOPLE)
        elif share > MAX_SHARE:
            self.people //= 2
