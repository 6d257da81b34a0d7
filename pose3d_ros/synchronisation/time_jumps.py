"""Whether the time of one camera goes back: a clock was set, a bag restarted, or images were reordered."""

from __future__ import annotations

# A stamp this far behind comes from a clock set back, or from a bag that loops, not from a late image.
TIME_JUMP_NS = 1_000_000_000
# So many increasing stamps in a row, all behind the newest, are a smaller jump. Fewer reordered images come in a row:
# DDS keeps three for a best-effort reader (camera_inputs.IMAGE_QOS).
JUMP_STAMPS = 5


class Timeline:
    """The stamps of one camera in the order of their arrival."""

    def __init__(self) -> None:
        self.newest_ns: int | None = None  # of the time since the last jump
        self._late_ns, self._late = 0, 0  # the last stamp behind newest_ns, and how many increased in a row
        self._back_ns = 0  # of the first of them

    def add(self, stamp_ns: int) -> int:
        """Add a stamp; returns by how many ns time went back with it, 0 if it did not."""
        if self.newest_ns is None or stamp_ns > self.newest_ns:
            self.newest_ns, self._late = stamp_ns, 0
            return 0
        back_ns = self.newest_ns - stamp_ns
        if back_ns == 0 or (self._late and stamp_ns == self._late_ns):
            return 0  # a duplicate
        rises = self._late and stamp_ns > self._late_ns
        self._late, self._back_ns = (self._late + 1, self._back_ns) if rises else (1, back_ns)
        self._late_ns = stamp_ns
        if back_ns <= TIME_JUMP_NS and self._late < JUMP_STAMPS:
            return 0
        self.newest_ns, self._late = stamp_ns, 0
        return max(back_ns, self._back_ns)
