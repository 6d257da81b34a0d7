"""The rate of stamps of which some are missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.recordings.stamps import even_rate_hz

T0 = 1_700_000_000_000_000_000


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(5, 240),
    lost=st.sets(st.integers(1, 998), max_size=300),
    jitter=st.floats(0, 0.2),
)
def test_rate_does_not_drift_from_the_stamps(rate: float, lost: set[int], jitter: float) -> None:
    lost = {n for n in lost if n - 1 not in lost}  # most frames are there, or the rate would be unknown
    frames = np.array([n for n in range(1000) if n not in lost])
    noise = np.random.default_rng(len(lost)).uniform(-jitter, jitter, len(frames))
    stamps = T0 + np.round((frames + noise) / rate * 1e9).astype(np.int64)
    found = (stamps - stamps[0]) * even_rate_hz(stamps) / 1e9
    assert np.abs(found - frames).max() <= 2 * jitter + 1e-3


@pytest.mark.parametrize("stamps", [[], [T0]])
def test_fewer_than_two_stamps_have_no_rate_but_one(stamps: list[int]) -> None:
    assert even_rate_hz(np.array(stamps, dtype=np.int64)) == 1.0
