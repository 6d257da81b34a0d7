"""Faults of the stamps and images of one camera, and their messages.

No ROS and no clock in here: the caller passes the time.
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

# Stamps kept to detect duplicates, and for rate and loss: 4 s at 30 Hz.
KEPT = 120
# How long an event is reported: a reader of /diagnostics at 1 Hz cannot miss it.
REPORTED_S = 3.0
# Events within REPORTED_S that are reported, for faults that any network has now and then; of others one is enough.
MIN_EVENTS = 3
# Stamps required for rate and loss, and the share of lost images that is reported: a best-effort reader on a busy
# machine loses a few in a hundred.
MIN_STAMPS, MIN_LOSS = 100, 0.1
# The ratio of the cameras' rates that is reported: the slower camera limits the rate of frame sets.
RATES_DIFFER = 1.5
# After a longer gap the camera had stopped; no images were lost.
STOPPED_NS = 2_000_000_000
# Bytes of an image in its digest: with a sensor's noise two images never have all of them equal.
SAMPLED = 4096


class StampFault(Enum):
    """Faults of an image's stamp or pixels; the value is the name in /diagnostics."""

    ZERO = "zero"
    OLD = "old"
    FUTURE = "future"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    REPEATED = "repeated"
    BACK = "back"


# An image with one of these is not used: its pose would seem current but be old.
UNUSABLE = frozenset({StampFault.ZERO, StampFault.OLD, StampFault.FUTURE, StampFault.DUPLICATE, StampFault.REPEATED})
OFF_CLOCK = (StampFault.OLD, StampFault.FUTURE)
# A single one of these is not reported: a network reorders messages now and then, and when a bag loops a few images
# arrive before, or after, the /clock message of their time.
SELDOM = frozenset({*OFF_CLOCK, StampFault.DUPLICATE, StampFault.REORDERED})


class StampChecks:
    """Checks every image of one camera by its stamp and its pixels' digest, counts faults and reports them.

    Zero, old, future, duplicate and repeated images must not be used (UNUSABLE); old and future ones are outside
    window_s around the clock. Images after a time jump (time_jumps.py) and reordered ones may be used.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._off_clock = (0, 0)  # the last stamp outside the window, and the clock then
        self.counts: Counter[StampFault] = Counter()
        self._times = Timeline()
        self._stamps: deque[int] = deque(maxlen=KEPT)
        self._digest: int | None = None
        self._events: dict[StampFault, deque[float]] = {fault: deque(maxlen=MIN_EVENTS) for fault in StampFault}
        self._by_s = 0.0  # how far ahead, or back, of the last such fault

    def check(self, stamp_ns: int, now_ns: int, at_s: float, digest: int | None = None) -> StampFault | None:
        """The fault of an image that has just arrived, None if it has none.

        now_ns is ROS time, 0 before it is known; at_s any monotonic clock; digest of its pixels, None if they carry no
        information.
        """
        faults = self._faults(stamp_ns, now_ns, digest)
        for fault in faults:
            self.counts[fault] += 1
            self._events[fault].append(at_s)
        return faults[0] if faults else None

    def _faults(self, stamp_ns: int, now_ns: int, digest: int | None) -> tuple[StampFault, ...]:
        """All faults; the one that decides whether the image is used comes first."""
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
        # A bag that loops may start with the image it ended with: then both faults apply.
        repeated = (StampFault.REPEATED,) if digest is not None and digest == self._digest else ()
        self._digest = digest
        if back_ns:
            for fault in (StampFault.REORDERED, StampFault.DUPLICATE):
                self._events[fault].clear()  # the first stamps after the jump caused these
            self._by_s = back_ns * 1e-9
            return (*repeated, StampFault.BACK)
        if repeated or newest_ns is None or stamp_ns > newest_ns:
            return repeated
        return (StampFault.REORDERED,)

    @property
    def stamps_ns(self) -> tuple[int, ...]:
        """The last KEPT stamps."""
        return tuple(self._stamps)

    @property
    def rate_hz(self) -> float:
        """Rate of the last KEPT stamps; 0 while there are too few."""
        period_s = self._period_s()
        return 1.0 / period_s if period_s else 0.0

    @property
    def lost(self) -> float:
        """Share of lost images, from gaps in the stamps."""
        period_s = self._period_s()
        if not period_s:
            return 0.0
        sent = round((max(self._stamps) - min(self._stamps)) * 1e-9 / period_s) + 1
        return max(1.0 - len(self._stamps) / sent, 0.0)

    def _period_s(self) -> float:
        if len(self._stamps) < MIN_STAMPS:
            return 0.0
        stamps = sorted(self._stamps)
        between_ns = sorted(after - before for before, after in pairwise(stamps))
        # Not the median: with half of the images lost it is two periods. NumPy takes ten times as long here.
        return between_ns[len(between_ns) // 5] * 1e-9

    def words(self, topic: str, plural: str, at_s: float) -> list[str]:
        """Current faults except off_clock(), each with its fix; plural is the noun for the topic's messages: images."""
        faults = [words.format(n=self.counts[fault], plural=plural, topic=topic, by_s=self._by_s)
                for fault, words in _WORDS.items() if self._is_reported(fault, at_s)]  # fmt: skip
        if self.lost >= MIN_LOSS:
            faults.append(
                f"{self.lost:.0%} of the {plural} on {topic} are lost (gaps in their stamps): unless the driver skips "
                "them, send fewer or smaller ones, or see config/fastdds.xml"
            )
        return faults

    def off_clock(self, at_s: float) -> tuple[int, int] | None:
        """The last stamp outside the window and the clock then, ns, while such images arrive."""
        return self._off_clock if any(self._is_reported(fault, at_s) for fault in OFF_CLOCK) else None

    def _is_reported(self, fault: StampFault, at_s: float) -> bool:
        recent = [one for one in self._events[fault] if at_s - one <= REPORTED_S]
        return len(recent) >= (MIN_EVENTS if fault in SELDOM else 1)

    def facts(self) -> str:
        """Rate, loss and counts in a line, for a key value."""
        counted = ", ".join(f"{self.counts[fault]} {fault.value}" for fault in StampFault if self.counts[fault])
        return f"{self.rate_hz:.1f} Hz, {self.lost:.0%} lost, {counted or 'no faults'}"


_WORDS = {
    StampFault.ZERO: (
        "{n} {plural} on {topic} have the stamp 0.000 s and are not used: make the driver stamp each with its capture "
        "time"
    ),
    StampFault.DUPLICATE: (
        "{n} {plural} on {topic} repeat an earlier stamp, and only the first is used: make the driver stamp each with "
        "its capture time, and use one publisher"
    ),
    StampFault.REORDERED: (
        "{n} {plural} on {topic} arrived after a newer one: use one publisher, and a network that keeps the order"
    ),
    StampFault.REPEATED: (
        "{n} {plural} on {topic} repeat the previous pixels under a new stamp and are not used: restart the camera's "
        "driver; for a simulation without noise set repeated_images: keep"
    ),
    StampFault.BACK: (
        "time went back by {by_s:.1f} s on {topic} (a bag restarted, or a clock was set): everything that depends on "
        "time was reset"
    ),
}


def rate_words(rates_hz: Mapping[str, float]) -> list[str]:
    """The fault of cameras whose rates differ; rates_hz by camera, 0 if unknown."""
    measured = {name: rate for name, rate in rates_hz.items() if rate > 0}
    if len(measured) < 2 or max(measured.values()) < RATES_DIFFER * min(measured.values()):
        return []
    rates = ", ".join(f"{name} {rate:.0f} Hz" for name, rate in measured.items())
    return [f"cameras have different rates ({rates}), and the slowest limits poses: set their drivers to one rate"]


def pixel_digest(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> int | None:
    """A number that is equal for images with equal bytes; from up to SAMPLED of them, spread over all.

    None for an image of one colour: a covered lens is no fault of the driver.
    """
    flat = np.frombuffer(data, dtype=np.uint8)
    # An odd stride covers all columns and channels, whatever the width.
    sampled = flat[:: max(len(flat) // SAMPLED, 1) | 1]
    if not len(sampled) or (sampled == sampled[0]).all():
        return None
    return zlib.crc32(sampled.tobytes(), len(flat))
