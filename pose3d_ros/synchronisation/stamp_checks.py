"""What is wrong with the stamps and images of one camera, and the words that say so.

No ROS and no clock in here: the caller says what time it is.
"""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Mapping
from enum import Enum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.synchronisation.stamp_window import WINDOW_S, is_outside
from pose3d_ros.synchronisation.time_jumps import Timeline

# Stamps kept to tell a duplicate from a new one, and for rate and loss: 4 s at 30 Hz.
KEPT = 120
# What happened is told for so long after: a reader of /diagnostics at 1 Hz cannot miss it.
TOLD_S = 3.0
# Of what happens now and then on any network, so many within TOLD_S are told; of the rest one is enough.
BEFORE_TOLD = 3
# Stamps before rate and loss are judged, and the share that must be missing to be told: a best-effort reader on a
# busy machine loses a few in a hundred.
JUDGED_FROM, LOSS_TOLD = 100, 0.1
# Of cameras whose rates differ by more, the slower one decides how many frame sets there are.
RATES_DIFFER = 1.5
# A longer gap is a camera that stopped, not images that were lost.
STOPPED_NS = 2_000_000_000
# Bytes of an image that its digest is made of: beside any sensor's noise two images never agree in all of them.
SAMPLED = 4096


class StampFault(Enum):
    """What may be wrong with an image's stamp or pixels; the value is its name in /diagnostics."""

    ZERO = "zero"
    OLD = "old"
    FUTURE = "future"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    REPEATED = "repeated"
    BACK = "back"


# An image with one of these is not used: a pose made of it would look fresh and not be.
UNUSABLE = frozenset({StampFault.ZERO, StampFault.OLD, StampFault.FUTURE, StampFault.DUPLICATE, StampFault.REPEATED})
OFF_CLOCK = (StampFault.OLD, StampFault.FUTURE)
# One of these alone is no fault to report: a network loses order now and then, and of a bag that loops a few images
# come before, or after, the /clock message of their time.
SELDOM = frozenset({*OFF_CLOCK, StampFault.DUPLICATE, StampFault.REORDERED})


class StampChecks:
    """Judges every image of one camera by its stamp and its pixels' digest, counts faults and names them.

    Zero, old, future, duplicate and repeated images are not to be used (UNUSABLE); old and future ones lie outside
    window_s around the clock. Where time goes back (timeline.py) or one image overtook another, they are.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._off_clock = (0, 0)  # the last stamp outside the window, and the clock then
        self.counts: Counter[StampFault] = Counter()
        self._times = Timeline()
        self._stamps: deque[int] = deque(maxlen=KEPT)
        self._digest: int | None = None
        self._told: dict[StampFault, deque[float]] = {fault: deque(maxlen=BEFORE_TOLD) for fault in StampFault}
        self._by_s = 0.0  # how far ahead, or back, of the last such fault

    def check(self, stamp_ns: int, now_ns: int, at_s: float, digest: int | None = None) -> StampFault | None:
        """What is wrong with an image that came just now, None if nothing is.

        now_ns is ROS time, 0 where none has come; at_s any clock that rises; digest of its pixels, None where they say
        nothing.
        """
        faults = self._judge(stamp_ns, now_ns, digest)
        for fault in faults:
            self.counts[fault] += 1
            self._told[fault].append(at_s)
        return faults[0] if faults else None

    def _judge(self, stamp_ns: int, now_ns: int, digest: int | None) -> tuple[StampFault, ...]:
        """All that is wrong; first what decides whether the image is used."""
        if stamp_ns <= 0:
            return (StampFault.ZERO,)
        if is_outside(stamp_ns, now_ns, self._window_s):
            self._off_clock = stamp_ns, now_ns
            return (StampFault.FUTURE if stamp_ns > now_ns else StampFault.OLD,)
        newest_ns = self._times.newest_ns
        back_ns = self._times.add(stamp_ns)
        if back_ns or (self._stamps and stamp_ns - self._stamps[-1] > STOPPED_NS):
            self._stamps.clear()
        if stamp_ns in self._stamps:
            return (StampFault.DUPLICATE,)
        self._stamps.append(stamp_ns)
        # A bag that begins again may do so with the image it ended with: both are true then.
        repeated = (StampFault.REPEATED,) if digest is not None and digest == self._digest else ()
        self._digest = digest
        if back_ns:
            for fault in (StampFault.REORDERED, StampFault.DUPLICATE):
                self._told[fault].clear()  # those were the jump's first
            self._by_s = back_ns * 1e-9
            return (*repeated, StampFault.BACK)
        if repeated or newest_ns is None or stamp_ns > newest_ns:
            return repeated
        return (StampFault.REORDERED,)

    @property
    def stamps_ns(self) -> tuple[int, ...]:
        """The last KEPT."""
        return tuple(self._stamps)

    @property
    def rate_hz(self) -> float:
        """Images a second by their stamps, of the last KEPT; 0 while there are too few."""
        period_s = self._period_s()
        return 1.0 / period_s if period_s else 0.0

    @property
    def lost(self) -> float:
        """Share of images missing between those that came, told by gaps in their stamps."""
        period_s = self._period_s()
        if not period_s:
            return 0.0
        sent = round((max(self._stamps) - min(self._stamps)) * 1e-9 / period_s) + 1
        return max(1.0 - len(self._stamps) / sent, 0.0)

    def _period_s(self) -> float:
        if len(self._stamps) < JUDGED_FROM:
            return 0.0
        stamps = sorted(self._stamps)
        between_ns = sorted(after - before for before, after in pairwise(stamps))
        # Not the median: where half of the images are lost, that is two periods. NumPy takes ten times as long here.
        return between_ns[len(between_ns) // 5] * 1e-9

    def words(self, topic: str, plural: str, at_s: float) -> list[str]:
        """What is wrong now but for off_clock(), each with its fix; plural is what comes on the topic: images."""
        told = [words.format(n=self.counts[fault], plural=plural, topic=topic, by_s=self._by_s)
                for fault, words in _WORDS.items() if self._is_told(fault, at_s)]  # fmt: skip
        if self.lost >= LOSS_TOLD:
            told.append(
                f"{self.lost:.0%} of the {plural} on {topic} are lost (gaps in their stamps): unless the driver "
                "leaves them out, send fewer or smaller ones, or see config/fastdds.xml"
            )
        return told

    def off_clock(self, at_s: float) -> tuple[int, int] | None:
        """The last stamp outside the window and the clock then, ns, while such images come."""
        return self._off_clock if any(self._is_told(fault, at_s) for fault in OFF_CLOCK) else None

    def _is_told(self, fault: StampFault, at_s: float) -> bool:
        recent = [one for one in self._told[fault] if at_s - one <= TOLD_S]
        return len(recent) >= (BEFORE_TOLD if fault in SELDOM else 1)

    def facts(self) -> str:
        """Rate, loss and counts in a line, for a key value."""
        counted = ", ".join(f"{self.counts[fault]} {fault.value}" for fault in StampFault if self.counts[fault])
        return f"{self.rate_hz:.1f} Hz, {self.lost:.0%} lost, {counted or 'no faults'}"


_WORDS = {
    StampFault.ZERO: (
        "{n} {plural} on {topic} carry the stamp 0.000 s and are not used: let the driver stamp each with its capture "
        "time"
    ),
    StampFault.DUPLICATE: (
        "{n} {plural} on {topic} carry a stamp that one before them has; only the first is used: let the driver stamp "
        "each with its capture time, and let one node publish them"
    ),
    StampFault.REORDERED: (
        "{n} {plural} on {topic} came after a newer one: one publisher, and a network that keeps the order, mend that"
    ),
    StampFault.REPEATED: (
        "{n} {plural} on {topic} repeat the pixels of the one before under a new stamp and are not used: does the "
        "camera hang? Restart its driver; for a simulation without noise set repeated_images to keep"
    ),
    StampFault.BACK: (
        "time went back by {by_s:.1f} s on {topic} (as a bag that begins again, or a clock that is set): all that "
        "depends on time began again"
    ),
}


def rate_words(rates_hz: Mapping[str, float]) -> list[str]:
    """Says so where cameras' rates differ; rates_hz by camera, 0 where it is not known."""
    known = {name: rate for name, rate in rates_hz.items() if rate > 0}
    if len(known) < 2 or max(known.values()) < RATES_DIFFER * min(known.values()):
        return []
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in known.items())
    return [f"cameras differ in images a second ({told}), and the slowest decides: set their drivers to one rate"]


def pixel_digest(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> int | None:
    """A number that two images share if they have the same bytes; of up to SAMPLED of them, spread over all.

    None for an image of one colour: a covered lens says nothing about the driver.
    """
    flat = np.frombuffer(data, dtype=np.uint8)
    # An odd stride goes through all columns and channels, whatever the width.
    sampled = flat[:: max(len(flat) // SAMPLED, 1) | 1]
    if not len(sampled) or (sampled == sampled[0]).all():
        return None
    return zlib.crc32(sampled.tobytes(), len(flat))
