"""Frame sets that are passed over, by simulated cameras and workers."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.synchronisation.pacing import KEPT, Pacing

LIMIT_S = 0.19


def ages(work_s: float, period_s: float, way_s: float = 0.008, seconds: float = 60.0, paced: bool = True) -> np.ndarray:
    """Ages s of the poses that leave a worker which takes the newest set of a camera."""
    pacing, jitter = Pacing(), np.random.default_rng(0)
    captured = np.arange(0.0, seconds, period_s)
    free_s, arrived, left = 0.0, 0, []
    for _ in range(len(captured) + 1):
        come = captured + way_s
        newest = int(np.searchsorted(come, free_s, side="right")) - 1
        if newest < arrived:  # the worker waits for the next
            newest = arrived
            if newest >= len(captured):
                return np.array(left)
            free_s = come[newest]
        for _ in range(arrived, newest + 1):
            pacing.arrived(way_s)
        arrived = newest + 1
        age_s = free_s - captured[newest]
        if paced and pacing.skips(age_s):
            continue
        took_s = work_s + jitter.uniform(0.0, 0.004)
        free_s += took_s
        left.append(age_s + took_s)
        pacing.done(took_s, LIMIT_S)
    raise AssertionError("a frame set was taken twice")


@pytest.mark.parametrize(("work_s", "hz"), [(0.155, 30.0), (0.17, 30.0), (0.12, 10.0), (0.15, 60.0), (0.16, 5.0)])
def test_poses_are_visible_whenever_the_next_set_allows(work_s: float, hz: float) -> None:
    paced, as_they_come = ages(work_s, 1 / hz), ages(work_s, 1 / hz, paced=False)
    assert np.mean(paced[KEPT:] < LIMIT_S) > 0.97
    assert len(paced) > 0.6 * len(as_they_come)


def test_poses_are_late_without_pacing() -> None:
    assert np.mean(ages(0.17, 1 / 30, paced=False) < LIMIT_S) < 0.7


@pytest.mark.parametrize("work_s", [0.02, 0.19, 0.3, 1.0])
def test_no_set_is_skipped_without_a_benefit(work_s: float) -> None:
    np.testing.assert_array_equal(ages(work_s, 1 / 30), ages(work_s, 1 / 30, paced=False))


def test_never_two_in_a_row_and_none_at_first() -> None:
    pacing = Pacing()
    assert not pacing.skips(10.0)
    pacing.arrived(0.0)
    assert not pacing.skips(10.0)
    pacing.done(0.1, LIMIT_S)
    assert [pacing.skips(10.0) for _ in range(4)] == [True, False, True, False]
    assert not pacing.skips(0.05)
