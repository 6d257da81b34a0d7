"""Which frames of several cameras belong together, by when they were taken (NumPy)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.recordings.frame_source import ABSENT
from pose3d_ros.structures import Floats

Stamps = NDArray[np.int64]
# Frames this share of the slowest camera's interval apart are of one moment: half of it, and what jitter adds.
TOGETHER = 0.55
# A frame further from all moments than this share makes a moment of its own: the slowest camera has a gap there.
ON_ITS_OWN = 0.75


def matched(times: Sequence[Stamps], periods_ns: Sequence[float]) -> NDArray[np.int64]:
    """Numbers (N, V) of the frames of each moment that all cameras span, ABSENT where a camera has none.

    times: of each camera's frames (N,) ns, rising; periods_ns their usual interval. The moments are the slowest
    camera's frames, and others' where it has none. Each frame is used once at most, at the moment that is nearest.
    """
    slowest = max(periods_ns)
    order = sorted(range(len(times)), key=lambda v: -periods_ns[v])
    moments = times[order[0]]
    for v in order[1:]:
        alone = times[v][_distance(moments, times[v]) > ON_ITS_OWN * slowest]
        moments = np.sort(np.concatenate([moments, _thinned(alone, ON_ITS_OWN * slowest)]))
    first, last = max(own[0] for own in times), min(own[-1] for own in times)
    moments = moments[(moments >= first - slowest / 2) & (moments <= last + slowest / 2)]
    found = np.full((len(moments), len(times)), ABSENT, dtype=np.int64)
    for v, own in enumerate(times):
        if not len(moments):
            break
        nearest = nearest_index(own, moments)
        distance = np.abs(own[nearest] - moments)
        # By rising distance, so that the nearest moment comes first at each frame.
        rank = np.argsort(distance, kind="stable")
        _, best = np.unique(nearest[rank], return_index=True)
        at = rank[best]
        at = at[distance[at] <= TOGETHER * slowest]
        found[at, v] = nearest[at]
    kept: NDArray[np.int64] = found[(found != ABSENT).any(axis=1)]
    return kept


def nearest_index(own: Stamps | Floats, moments: Stamps | Floats) -> NDArray[np.intp]:
    """Index of the nearest of own (rising) to each moment, both in ns or both in s."""
    if len(own) == 1:
        return np.zeros(len(moments), dtype=np.intp)
    after = np.clip(np.searchsorted(own, moments), 1, len(own) - 1)
    nearest: NDArray[np.intp] = np.where(moments - own[after - 1] <= own[after] - moments, after - 1, after)
    return nearest


def _distance(moments: Stamps, own: Stamps) -> Stamps:
    """How far each of own is from the nearest moment, ns."""
    distance: Stamps = np.abs(moments[nearest_index(moments, own)] - own)
    return distance


def _thinned(own: Stamps, apart_ns: float) -> Stamps:
    """Those of own (rising) that are so far from the one kept before."""
    kept: list[int] = []
    for at in own.tolist():
        if not kept or at - kept[-1] >= apart_ns:
            kept.append(at)
    return np.array(kept, dtype=np.int64)
