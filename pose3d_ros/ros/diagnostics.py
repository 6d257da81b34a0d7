"""What a node says of itself in /diagnostics: counts, running medians, and one line in plain words.

ROS-free, with injected time, so that every sentence can be tested in a millisecond.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import median
from typing import Any, NamedTuple

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.monitoring.exposure import Exposure
from pose3d_ros.ros.lateness import Way, lateness

# Medians run over so many frame sets: some seconds on any machine.
WINDOW = 100

# After so long without an image or a pose a controller must not believe the last one.
STALE_S = 0.5
# A frame set that is in work for longer is reported.
BUSY_S = 1.0

# Rates are those of so many last seconds.
RATE_S = 10.0
# Reported where so many frame sets are passed over for each that is worked on.
SLOW_SHARE = 0.2

# A cause is reported for so long after it was last seen: a reader at 1 Hz cannot miss it.
CAUSE_S = 3.0

# A detector that swaps left and right in so many of so many last frame sets is reported; now and then all do.
SWAPPED_OFTEN, SWAPPED_SETS = 5, 30

TOO_FEW = "images come, and no frame set yet: that takes two cameras' images with stamps within stamp_tolerance_s"
KEYPOINTS_FEW = "keypoints come, and no frame set yet: that takes two cameras' with stamps within stamp_tolerance_s"
KEYPOINTS_FIX = (
    "let every detector keep up with its camera (its /diagnostics counts frame_sets/replaced_by_newer), and "
    "synchronise the machines' clocks"
)


class Level(IntEnum):
    """diagnostic_msgs/DiagnosticStatus levels."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Health:
    """One diagnostic status."""

    level: Level
    message: str
    values: dict[str, str]


class Sent(NamedTuple):
    """When the poses of a frame set went out."""

    latency_s: float  # from the arrival of the last image
    age_s: float  # from the capture of the oldest
    visible_s: float  # from this age on people are no longer VISIBLE


@dataclass(frozen=True)
class Result:
    """What one processed frame set adds to the record."""

    stage_ms: Mapping[str, float]
    latency_ms: float  # arrival of the last image to publication
    spread_ms: float  # newest minus oldest capture stamp
    people: int
    cameras: tuple[str, ...]
    estimate: Estimate | None = None  # None where only keypoints were detected
    age_ms: float = 0.0  # capture of the oldest image to publication; 0 where nothing ages
    visible_ms: float = float("inf")  # from this age on people are no longer VISIBLE


class Record:
    """Counts what the node does; written by the executor's and the worker's thread.

    waiting says what is waited for while images come and no frame set does; apart says, where it can be measured, why
    cameras' images make no frame set; product is what the node gives; stale_s is how long there may be no image or no
    result before that is an error.
    """

    def __init__(
        self,
        waiting: str = TOO_FEW,
        product: str = "poses",
        stale_s: float = STALE_S,
        apart: Callable[[], str] = str,
    ) -> None:
        self._apart = apart
        self._waiting, self._product, self._stale_s = waiting, product, stale_s
        self._heard_s: float | None = None
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._not_refined: Counter[str] = Counter()
        self._results: deque[tuple[float, Result]] = deque(maxlen=WINDOW)
        self._replaced: deque[tuple[float, int]] = deque(maxlen=WINDOW)  # how many had been, at each result
        self._cause: tuple[float, str] = (-float("inf"), "")
        self._busy_since_s: float | None = None
        self._exposure = Exposure()

    def count(self, what: str, n: int = 1) -> None:
        """Add to one of the counts: received, replaced, dropped."""
        with self._lock:
            self._counts[what] += n

    def cause(self, now_s: float, why: str) -> None:
        """Why a frame or a frame set was dropped just now."""
        with self._lock:
            self._cause = (now_s, why)

    def heard(self, now_s: float) -> None:
        """An image came that can be used."""
        with self._lock:
            self._heard_s = now_s

    def decoded(self, now_s: float, images: Mapping[str, Any]) -> None:
        """Images of one frame set, by camera; keypoints in their place say nothing."""
        with self._lock:
            for camera, image in images.items():
                self._exposure.add(camera, image, now_s)

    def begun(self, now_s: float) -> None:
        """The worker took a frame set."""
        with self._lock:
            self._busy_since_s = now_s

    def ended(self) -> None:
        """The worker is done with it, with or without a result."""
        with self._lock:
            self._busy_since_s = None

    def in_work_s(self, now_s: float) -> float | None:
        """For how long the worker has had its frame set; None where it has none."""
        with self._lock:
            return None if self._busy_since_s is None else now_s - self._busy_since_s

    def processed(self, now_s: float, result: Result) -> None:
        """One frame set was published."""
        with self._lock:
            self._counts["processed"] += 1
            if result.estimate is not None:
                self._rejected.update(result.estimate.rejected)
                self._not_refined.update(result.estimate.not_refined)
            self._results.append((now_s, result))
            self._replaced.append((now_s, self._counts["replaced"]))

    def health(self, now_s: float, missing: Iterable[str], facts: Mapping[str, str]) -> Health:
        """The status at now_s; missing says in words which inputs do not come, facts are key values to pass on."""
        with self._lock:
            missing = list(missing)
            level, message = self._judge(now_s, missing)
            return Health(level, message, {**facts, "missing": "; ".join(missing) or "nothing", **self._values(now_s)})

    def level(self, now_s: float) -> Level:
        """The level alone where nothing is missing, which costs little."""
        with self._lock:
            return self._judge(now_s, [])[0]

    def _judge(self, now_s: float, missing: list[str]) -> tuple[Level, str]:
        cause_s, cause = self._cause
        cause = cause if now_s - cause_s <= CAUSE_S else ""
        silent = self._heard_s is not None and now_s - self._heard_s > self._stale_s
        if silent or not self._results or now_s - self._results[-1][0] > self._stale_s:
            ago = f"for {max(now_s - self._results[-1][0], 0.0):.1f} s" if self._results else "yet"
            since = f"no {self._product} {ago}"
            slow, late = self._slow(now_s)
            # A set that takes as long as those before it is under way; one that takes much longer is stuck.
            expected = late and now_s - self._results[-1][0] <= 2e-3 * self._results[-1][1].age_ms
            apart = "" if silent else self._apart()
            why = [why for why in (cause, slow if expected else self._busy(now_s), apart, *missing) if why]
            why = why or [self._in_between(silent)]
            return Level.ERROR, f"{since}: {'; '.join(why)}"
        last = self._results[-1][1]
        severe = last.estimate.faults(severe=True) if last.estimate is not None else []
        other = last.estimate.faults(severe=False) if last.estimate is not None else []
        # Slower than the cameras is no fault while the newest images make poses that are fresh.
        slow, late = self._slow(now_s)
        faults = [
            *severe,
            *missing,
            cause,
            slow if late else "",
            *self._exposure.faults(now_s),
            *other,
            self._swapped(),
        ]
        if why := [why for why in faults if why]:
            return Level.ERROR if severe else Level.WARN, f"running, but {'; '.join(why)}"
        people = "1 person" if last.people == 1 else f"{last.people} people"
        skipping = f"; {slow}" if slow else ""
        return Level.OK, f"running: {self._rate_hz(now_s):.1f} frame sets a second, {people}{skipping}"

    def _in_between(self, silent: bool) -> str:
        """Why there are no poses though nothing is known to be wrong."""
        if silent:
            return "no image comes that can be used"
        if self._counts["received"]:
            return "images come and are being worked on"
        return self._waiting

    def _busy(self, now_s: float) -> str:
        """Says so when one frame set has been under way for too long."""
        if self._busy_since_s is None or now_s - self._busy_since_s <= BUSY_S:
            return ""
        return (
            f"one frame set has been in work for {now_s - self._busy_since_s:.1f} s: this machine may be busy, or too "
            "slow for these images"
        )

    def _slow(self, now_s: float) -> tuple[str, bool]:
        """How late poses are and why, where they are, or where frame sets come faster than they are worked on.

        The second: whether they are too late to be VISIBLE.
        """
        recent = [count for at_s, count in self._replaced if now_s - at_s <= RATE_S]
        if len(recent) < 2:
            return "", False
        results = [result for _, result in self._results][-len(recent) :]
        skipped, taken = recent[-1] - recent[0], len(recent) - 1
        limit_ms = min(results[-1].visible_ms, 1000 * self._stale_s)
        late = median(result.age_ms or result.latency_ms for result in results) >= limit_ms
        if not late and skipped < SLOW_SHARE * taken:
            return "", False
        return lateness(_way(results), limit_ms, taken, skipped), late

    def _swapped(self) -> str:
        """Says so where the detector often swaps left and right in one camera."""
        recent = [result.estimate.swapped for _, result in list(self._results)[-SWAPPED_SETS:] if result.estimate]
        counts = Counter(name for names in recent for name in names)
        often = [f"{name!r} in {n} of {len(recent)} frame sets" for name, n in counts.items() if n >= SWAPPED_OFTEN]
        if not often:
            return ""
        return (
            f"the 2D detector swaps left and right in camera {', '.join(often)}: the swap is undone; use more "
            "light, or another detector"
        )

    def _rate_hz(self, now_s: float) -> float:
        """Frame sets a second over the results kept; 0 where none is fresh."""
        times = [at_s for at_s, _ in self._results if now_s - at_s <= RATE_S]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def _values(self, now_s: float) -> dict[str, str]:
        """Counts and medians as key values."""
        values = {f"frame_sets/{what}": str(self._counts[what]) for what in ("received", "processed", "dropped")}
        values["frame_sets/replaced_by_newer"] = str(self._counts["replaced"])
        values["frames/dropped"] = str(self._counts["frames_dropped"])
        values["rate_hz"] = f"{self._rate_hz(now_s):.2f}"
        values["last_cause"] = self._cause[1] or "none"
        if not self._results:
            return values
        results = [result for _, result in self._results]
        values["latency_ms"] = _median(result.latency_ms for result in results)
        values["age_ms"] = _median(result.age_ms or result.latency_ms for result in results)
        values["stamp_spread_ms"] = _median(result.spread_ms for result in results)
        for stage in results[-1].stage_ms:
            values[f"stage_ms/{stage}"] = _median(
                result.stage_ms[stage] for result in results if stage in result.stage_ms
            )
        last = results[-1]
        values["people"] = str(last.people)
        values["cameras_used"] = ", ".join(last.cameras)
        if last.estimate is not None:
            values.update(last.estimate.facts())
        values.update({f"joints_rejected/{reason}": str(count) for reason, count in sorted(self._rejected.items())})
        values.update({f"refine/refused/{reason}": str(n) for reason, n in sorted(self._not_refined.items())})
        return values


def _way(results: Sequence[Result]) -> Way:
    """The medians of some results."""
    age_ms = median(result.age_ms or result.latency_ms for result in results)
    latency_ms = median(result.latency_ms for result in results)
    stages = {
        stage: median(result.stage_ms[stage] for result in results if stage in result.stage_ms)
        for stage in results[-1].stage_ms
    }
    return Way(age_ms, latency_ms, stages, detected_here="detect" in stages)


def _median(numbers: Iterable[float]) -> str:
    return f"{median(numbers):.2f}"
