"""Resamples the 2D people of several cameras to a common time, by interpolation between two images.

It never extrapolates: the common time is that of the camera furthest behind. NumPy, float64.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, Keypoints2D

# Images kept per camera: at 60 Hz they cover 0.13 s.
KEPT = 8
# The longest interval for interpolation: a hand may reverse its direction.
MAX_INTERVAL_NS = 150_000_000
# A person moves by less than this share of the person's extent between two images (median over joints).
MAX_MOTION = 0.3
# The largest change of the used offsets between two sets: it never lets poses step back in time.
RAMP_S = 0.002


class Resampler:
    """Resamples the 2D people of every frame set to a common time, with the offsets of the cameras' stamps."""

    def __init__(self) -> None:
        self.late_s: dict[str, float] = {}  # in use now
        self._images: dict[str, deque[Keypoints2D]] = {}

    def reset(self) -> None:
        """Drop earlier images; keep the offsets."""
        self._images = {}

    def state_dict(self) -> dict[str, Any]:
        """The offsets in use and each camera's last images."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from another one's state."""
        load_state(self, state)

    def __call__(
        self, keypoints: Mapping[str, Keypoints2D], late_s: Mapping[str, float]
    ) -> tuple[dict[str, Keypoints2D], int]:
        """The people of a set at a common time, in their order, and that time by the first camera's clock, ns.

        late_s by camera is how late its stamps are relative to the first camera's; the used offsets follow it slowly.
        """
        for name, late in late_s.items():
            used = self.late_s.get(name, 0.0)
            self.late_s[name] = used + float(np.clip(late - used, -RAMP_S, RAMP_S))
        for name, newest in keypoints.items():
            images = self._images.setdefault(name, deque(maxlen=KEPT))
            if images and newest.stamp_ns <= images[-1].stamp_ns:
                images.clear()  # time went back
            images.append(newest)
        late_ns = {name: round(1e9 * self.late_s.get(name, 0.0)) for name in keypoints}
        time_ns = min(one.stamp_ns - late_ns[name] for name, one in keypoints.items())
        return {name: at_time(self._images[name], time_ns + late_ns[name]) for name in keypoints}, time_ns


def at_time(images: Sequence[Keypoints2D], stamp_ns: int) -> Keypoints2D:
    """The people of a camera's newest image, interpolated to an earlier stamp between two images.

    People and joints that are not in both images around the stamp stay as in the newest. So do all people if the stamp
    is before all images or between two that are too far apart.
    """
    newest = images[-1]
    kept = list(images)
    for before, after in pairwise(kept):
        if before.stamp_ns <= stamp_ns < after.stamp_ns and after.stamp_ns - before.stamp_ns <= MAX_INTERVAL_NS:
            return _between(newest, before, after, stamp_ns)
    return newest


def _between(newest: Keypoints2D, before: Keypoints2D, after: Keypoints2D, stamp_ns: int) -> Keypoints2D:
    share = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
    first, second = same_people(newest, before), same_people(newest, after)
    xy, score = newest.xy.copy(), newest.score.copy()
    covariance = None if newest.covariance is None else newest.covariance.copy()
    for person, (a, b) in enumerate(zip(first, second, strict=True)):
        if a < 0 or b < 0:
            continue
        both = np.isfinite(before.xy[a]).all(-1) & np.isfinite(after.xy[b]).all(-1) & (newest.score[person] > 0)
        xy[person, both] = ((1.0 - share) * before.xy[a] + share * after.xy[b])[both]
        score[person, both] = ((1.0 - share) * before.score[a] + share * after.score[b])[both]
        if covariance is not None and before.covariance is not None and after.covariance is not None:
            # A detector's errors last for 0.2 s, so the mean of two images is no more accurate than either.
            covariance[person, both] = ((1.0 - share) * before.covariance[a] + share * after.covariance[b])[both]
    return replace(newest, xy=xy, score=score, covariance=covariance, stamp_ns=stamp_ns)


def same_people(people: Keypoints2D, others: Keypoints2D) -> NDArray[np.intp]:
    """Index (P,) of each person in another image of the same camera, -1 if no person is near enough."""
    index = np.full(len(people), -1, dtype=np.intp)
    if not len(people) or not len(others):
        return index
    apart = np.linalg.norm(people.xy[:, None] - others.xy[None], axis=-1)  # (P, O, J) px
    shared = np.isfinite(apart).sum(-1)
    middle = _median(apart)
    size = _extent(people.xy)[:, None]
    cost = np.where((shared >= 4) & (middle < MAX_MOTION * size), middle / np.maximum(size, 1e-9), 1e3)
    rows, columns = linear_sum_assignment(cost)
    near = cost[rows, columns] < 1e3
    index[rows[near]] = columns[near]
    return index


def _median(values: Floats) -> Floats:
    """Median over the last axis without NaN; inf if nothing is left."""
    ordered = np.sort(values, axis=-1)  # NaN last
    middle = np.maximum(np.isfinite(values).sum(-1) - 1, 0) // 2
    chosen = np.take_along_axis(ordered, middle[..., None], -1)[..., 0]
    return np.asarray(np.where(np.isfinite(chosen), chosen, np.inf))


def _extent(xy: Floats) -> Floats:
    """The larger side (P,) px of the box around each person's joints (P, J, 2); 0 without joints."""
    finite = np.isfinite(xy)
    low, high = np.where(finite, xy, np.inf).min(axis=1), np.where(finite, xy, -np.inf).max(axis=1)
    extent: Floats = np.where(np.isfinite(high - low), high - low, 0.0).max(axis=-1)
    return extent
