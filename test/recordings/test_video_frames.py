"""A user's videos as frame sets; every frame shows its number as its brightness."""

from __future__ import annotations

from pathlib import Path

import pytest
from numbered_videos import SIZE_WH, shown, write
from synthetic_people import h36m_rig

from pose3d_ros.errors import CalibrationError, FootageError, InputError
from pose3d_ros.recordings.frame_source import Cut
from pose3d_ros.recordings.video_frames import assigned, open_videos, video_length
from pose3d_ros.structures import Rig

RIG = Rig(tuple(camera.resized(SIZE_WH) for camera in h36m_rig("S9").cameras[:3]))
LEFT, RIGHT, THIRD = RIG.names


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Path]:
    return {name: write(tmp_path / f"{name}.mp4", range(30)) for name in (LEFT, RIGHT)}


def test_moments_are_the_videos_frames_from_any_start(videos: dict[str, Path]) -> None:
    source = open_videos(RIG, videos)
    assert (len(source), source.fps, source.rig.names) == (30, 25.0, (LEFT, RIGHT))
    moments = list(source.read())
    assert [shown(one) for one in moments] == [{LEFT: k, RIGHT: k} for k in range(30)]
    assert [one.stamp_ns for one in moments] == [k * 40_000_000 for k in range(30)]
    assert [shown(one)[LEFT] for one in source.read(13)] == list(range(13, 30))
    assert list(source.read(30)) == []


def test_offset_start_end_and_stride_choose_frames(videos: dict[str, Path]) -> None:
    source = open_videos(RIG, videos, cut=Cut({RIGHT: 0.2}, start_s=0.4, end_s=1.0, step=3))
    assert [shown(one) for one in source.read()] == [{LEFT: k, RIGHT: k - 5} for k in (10, 13, 16, 19, 22)]
    assert [shown(one)[LEFT] for one in source.read(3)] == [19, 22]
    assert source.t0_ns == 400_000_000
    assert source.fps == pytest.approx(25 / 3)


def test_reader_that_is_left_early_ends_its_threads(videos: dict[str, Path]) -> None:
    import threading

    before = threading.active_count()
    reader = open_videos(RIG, videos).read()
    next(reader)
    reader.close()
    assert threading.active_count() == before


def test_files_are_assigned_by_stem_or_by_word(tmp_path: Path) -> None:
    odd = tmp_path / "a=b.mp4"
    given = [f"{RIGHT}={odd}", str(tmp_path / f"{LEFT}.MOV")]
    assert assigned(RIG, given) == {LEFT: tmp_path / f"{LEFT}.MOV", RIGHT: odd}
    with pytest.raises(InputError, match=f"has no camera 'other', it has {LEFT}, {RIGHT}, {THIRD}: rename"):
        assigned(RIG, ["other.mp4"])
    with pytest.raises(InputError, match="has two videos"):
        assigned(RIG, [f"{LEFT}.mp4", f"{LEFT}=again.mp4"])


def test_mismatched_videos_are_rejected_before_any_work(videos: dict[str, Path], tmp_path: Path) -> None:
    slow = {**videos, RIGHT: write(tmp_path / "slow.mp4", range(30), fps=24.0)}
    rates = rf"30 frames each and different frame rates \({LEFT} 25, {RIGHT} 24 frames/s\).*--fps RATE"
    with pytest.raises(InputError, match=rates):
        open_videos(RIG, slow)
    assert open_videos(RIG, slow, fps=25.0).fps == 25.0
    with pytest.raises(InputError, match="the cameras end at different times"):
        open_videos(RIG, {**videos, RIGHT: write(tmp_path / "short.mp4", range(20))})
    with pytest.raises(CalibrationError, match="image is 32 x 48 px, its calibration is for 64 x 48 px"):
        open_videos(RIG, {**videos, RIGHT: write(tmp_path / "small.mp4", range(30), size_wh=(32, 48))})
    with pytest.raises(FootageError, match="no such file"):
        open_videos(RIG, {**videos, RIGHT: tmp_path / "absent.mp4"})
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(FootageError, match="not a video that OpenCV can open"):
        open_videos(RIG, {**videos, RIGHT: tmp_path / "text.mp4"})


def test_video_that_ends_early_gives_its_frames_and_an_error(videos: dict[str, Path], tmp_path: Path) -> None:
    """The copy keeps its index, which promises 30 frames, and loses the last third of the images."""
    whole = videos[RIGHT].read_bytes()
    images = whole.find(b"mdat") - 4
    size = int.from_bytes(whole[images : images + 4], "big")
    keep = images + 8 + (size - 8) // 2
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(whole[:keep] + bytes(images + size - keep) + whole[images + size :])
    assert video_length(damaged) == 30
    moments = open_videos(RIG, {**videos, RIGHT: damaged}).read()
    got: list[int] = []
    with pytest.raises(FootageError, match=r"ends before frame \d+, expected frames to 29.*--resume --end"):
        got.extend(shown(one)[LEFT] for one in moments)
    assert got == list(range(len(got)))
    assert 5 < len(got) < 29


def test_a_clock_that_drifts_is_matched_by_common_time(tmp_path: Path) -> None:
    paths = {name: write(tmp_path / f"{name}.mp4", range(30)) for name in (LEFT, RIGHT)}
    # A clock that is slow by 5 percent: frame 20 was taken as late as frame 21 of the other.
    source = open_videos(RIG, paths, cut=Cut({RIGHT: 0.0}, drifts_ppm={RIGHT: 50_000.0}))
    pairs = {shown(frames)[LEFT]: shown(frames) for frames in source.read() if LEFT in frames.images}
    assert pairs[4] == {LEFT: 4, RIGHT: 4}
    assert pairs[21] == {LEFT: 21, RIGHT: 20}
    first = next(source.read())
    assert first.stamps_ns == {LEFT: 0, RIGHT: 0}
