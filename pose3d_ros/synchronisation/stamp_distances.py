"""How far apart two cameras' capture stamps are, and the messages if they give no frame sets; for node and doctor.

No ROS and no clock in here. NumPy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pose3d_ros.structures import Floats

# Stamps required of a camera before it is compared with another.
MIN_STAMPS = 5
# The nearest stamp is at most half a period away; beyond this the partner was lost.
LOST_PERIODS = 0.75
# Distances that vary by less than this come from synchronous cameras whose clocks or exposures differ.
STEADY_S = 0.002
# If fewer stamps have a partner within the tolerance, the cameras give few frame sets or none.
AGREE_SHARE = 0.5


@dataclass(frozen=True)
class Stream:
    """The stamps of one camera."""

    name: str
    topic: str
    stamps_ns: tuple[int, ...]


def stamp_differences(streams: Iterable[Stream], tolerance_s: float) -> Iterator[tuple[Stream, Stream, str, str]]:
    """Pairs of cameras whose stamps differ by more than the tolerance, with the message and the fix.

    One pair for each camera to be checked: the one that is in most pairs comes first.
    """
    pairs = combinations([one for one in streams if len(one.stamps_ns) >= MIN_STAMPS], 2)
    apart = {(a.name, b.name): (a, b, gaps) for a, b in pairs if not agree(gaps := _apart(a, b), tolerance_s)}
    while apart:
        name = Counter(name for pair in apart for name in pair).most_common(1)[0][0]
        a, b, gaps = next(apart[pair] for pair in apart if name in pair)
        yield a, b, *_words(a, b, gaps, tolerance_s)
        apart = {pair: one for pair, one in apart.items() if name not in pair}


def none_agree(streams: Iterable[Stream], tolerance_s: float, fix: str = "") -> str:
    """The fault if no two cameras' stamps agree, with the distance of the first two and the fix; else empty.

    fix replaces the usual fix, which depends on how the stamps differ.
    """
    pairs = list(combinations([one for one in streams if len(one.stamps_ns) >= MIN_STAMPS], 2))
    if not pairs or any(agree(_apart(a, b), tolerance_s) for a, b in pairs):
        return ""
    a, b = pairs[0]
    message, usual_fix = _words(a, b, _apart(a, b), tolerance_s)
    return f"no two cameras' stamps agree: {a.topic} and {b.topic}: {message}; {fix or usual_fix}"


def agree(apart: Floats, tolerance_s: float) -> bool:
    """Whether cameras so far apart (N,) s make frame sets."""
    return bool(np.mean(np.abs(apart) <= tolerance_s) >= AGREE_SHARE)


def _apart(a: Stream, b: Stream) -> Floats:
    return apart_s(a.stamps_ns, b.stamps_ns)


def _words(a: Stream, b: Stream, apart: Floats, tolerance_s: float) -> tuple[str, str]:
    median = float(np.median(apart))
    steady = float(np.median(np.abs(apart - median))) < STEADY_S
    later = f"{b.name if median > 0 else a.name} later" if steady else "varying"
    return (
        f"their stamps are {1000 * float(np.median(np.abs(apart))):.0f} ms apart (median, {later}), stamp_tolerance_s "
        f"is {1000 * tolerance_s:g} ms: they give few or no frame sets",
        "the distance is constant, so synchronise the clocks that stamp them (PTP), or trigger both at once"
        if steady
        else "start all exposures by one trigger; a larger stamp_tolerance_s costs 1.5 mm per ms for a walking person",
    )


def apart_s(a_ns: tuple[int, ...], b_ns: tuple[int, ...]) -> Floats:
    """How much later b's stamps are than a's, in s; leaves out images whose partner was lost."""
    # Every image of the slower camera has a partner.
    apart = nearest_s(a_ns, b_ns) if len(a_ns) <= len(b_ns) else -nearest_s(b_ns, a_ns)
    between_s = [np.diff(np.sort(np.array(stamps, dtype=np.int64))) * 1e-9 for stamps in (a_ns, b_ns)]
    # Not the median: with half of the images lost it is two periods (stamp_checks.py).
    period_s = min(float(np.percentile(one, 20)) for one in between_s)
    partnered = apart[np.abs(apart) < LOST_PERIODS * period_s]
    return partnered if len(partnered) else apart


def nearest_s(a_ns: tuple[int, ...], b_ns: tuple[int, ...]) -> Floats:
    """For every stamp of a, how much later the nearest one of b is, in s; leaves out those of a beyond b's."""
    b = np.sort(np.array(b_ns, dtype=np.int64))
    a = np.array([stamp for stamp in a_ns if b[0] <= stamp <= b[-1]] or list(a_ns), dtype=np.int64)
    at = np.clip(np.searchsorted(b, a), 1, len(b) - 1)
    before, after = b[at - 1] - a, b[at] - a
    return np.where(np.abs(before) < np.abs(after), before, after) * 1e-9
