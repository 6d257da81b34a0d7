"""How much of the exact network the camera rate leaves time for. Injected times."""

from __future__ import annotations

# Of the time between two sets: a detector that takes less has time for one person more in each image, one that takes
# more has time for half as many. Both leave room for what else a set takes.
LEAST_SHARE, MOST_SHARE = 0.4, 0.6
MOST_PEOPLE = 10


class SpareTime:
    """Counts the people of each image that may be looked at closely though it is not their turn."""

    def __init__(self) -> None:
        self.people = 0
        self._stamp_ns: int | None = None

    def took(self, call_s: float, stamp_ns: int) -> None:
        """The detector took call_s for the set of this stamp. Sets that were dropped before it show in the stamps."""
        before_ns, self._stamp_ns = self._stamp_ns, stamp_ns
        if before_ns is None or stamp_ns <= before_ns:
            return
        share = call_s / ((stamp_ns - before_ns) / 1e9)
        if share < LEAST_SHARE:
            self.people = min(self.people + 1, MOST_PEOPLE)
        elif share > MOST_SHARE:
            self.people //= 2
