"""Whether cameras' recordings began and ended together, and what a cut keeps of them."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.frame_source import Cut, check_ends, kept_moments

SECOND = 1_000_000_000
FRAME = SECOND / 25


def test_lengths_that_differ_need_a_word_from_the_user() -> None:
    spans = {"left": (0, 4 * SECOND), "right": (0, round(3.8 * SECOND))}
    with pytest.raises(
        InputError, match=r"end at different times \(left at 4.000 s, right at 3.800 s.*--offset CAMERA=SEC"
    ):
        check_ends(spans, FRAME, Cut())
    check_ends(spans, FRAME, Cut({"left": 0.0}))
    check_ends(spans, FRAME, Cut(end_s=2.0))
    check_ends({"left": (0, 4 * SECOND), "right": (0, round(4 * SECOND - 2 * FRAME))}, FRAME, Cut())
    with pytest.raises(InputError, match=r"begin at different times"):
        check_ends({"left": (0, 4 * SECOND), "right": (SECOND, 4 * SECOND)}, FRAME, Cut())


def test_cameras_that_do_not_overlap_are_reported() -> None:
    spans = {"left": (0, 4 * SECOND), "right": (0, 4 * SECOND)}
    with pytest.raises(InputError, match=r"no moment is common to all cameras \(left 0 to 4 s, right 5 to 9 s\)"):
        check_ends(spans, FRAME, Cut({"right": 5.0}))
    with pytest.raises(InputError, match="--offset middle: unknown camera"):
        check_ends(spans, FRAME, Cut({"middle": 5.0}))


def test_start_end_and_stride_keep_moments_by_their_time() -> None:
    moments = np.arange(0, 3 * SECOND, SECOND // 10)
    kept = kept_moments(moments, Cut(start_s=0.4, end_s=1.0, step=2))
    assert (moments[kept] / SECOND).tolist() == [0.4, 0.6, 0.8]
    with pytest.raises(InputError, match=r"no moment is common to all cameras \(0 to 2.9 s\)"):
        kept_moments(moments, Cut(start_s=9.0))
