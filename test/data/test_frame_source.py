"""Which frames of several cameras belong together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose3d_ros.data.frame_source import Cut, timeline
from pose3d_ros.errors import InputError


@given(
    late=st.lists(st.integers(-40, 40), min_size=2, max_size=4),
    lengths=st.lists(st.integers(100, 140), min_size=4, max_size=4),
    step=st.integers(1, 5),
    fps=st.sampled_from([25.0, 30000 / 1001, 60.0]),
)
def test_every_moment_has_a_frame_of_each_camera_taken_then(
    late: list[int], lengths: list[int], step: int, fps: float
) -> None:
    spans = {f"c{k}": (0, length) for k, length in zip(range(len(late)), lengths, strict=False)}
    line = timeline(spans, fps, Cut({f"c{k}": begun / fps for k, begun in enumerate(late)}, step=step))
    for k in (0, line.moments - 1):
        for number, camera in enumerate(spans):
            assert 0 <= line.frame(camera, k) < spans[camera][1]
            # The camera's own frame, on the common clock.
            assert (line.frame(camera, k) + late[number]) / fps == pytest.approx(line.stamp_ns(k) / 1e9, abs=1e-8)
    after = line.moments
    assert any(not line.frame(camera, after) < spans[camera][1] for camera in spans)
    assert line.first == max(late)


def test_lengths_that_differ_need_a_word_from_the_user() -> None:
    spans = {"left": (0, 100), "right": (0, 95)}
    with pytest.raises(InputError, match=r"left at frame 100, right at frame 95.*--offset CAMERA=SECONDS"):
        timeline(spans, 25.0)
    assert timeline(spans, 25.0, Cut({"left": 0.0})).moments == 95
    assert timeline(spans, 25.0, Cut(end_s=2.0)).moments == 50
    assert timeline({"left": (0, 100), "right": (0, 98)}, 25.0).moments == 98


def test_cameras_that_do_not_overlap_are_told() -> None:
    with pytest.raises(InputError, match=r"no moment that all cameras have \(left 0 to 4 s, right 5 to 9 s\)"):
        timeline({"left": (0, 100), "right": (0, 100)}, 25.0, Cut({"right": 5.0}))
    with pytest.raises(InputError, match="--offset middle: there is no such camera"):
        timeline({"left": (0, 100)}, 25.0, Cut({"middle": 5.0}))


def test_start_and_end_are_on_the_common_clock() -> None:
    line = timeline({"left": (0, 100), "right": (0, 100)}, 10.0, Cut({"right": 2.0}, start_s=4.0, end_s=6.0))
    assert (line.moments, line.stamp_ns(0)) == (20, 4_000_000_000)
    assert (line.frame("left", 0), line.frame("right", 0)) == (40, 20)
