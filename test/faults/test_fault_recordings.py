"""Videos go together by time and keypoint files by number; what is neither is refused with the reason.

A frame's brightness is the number of the moment it truly shows, so pairing is compared with the truth.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numbered_videos import GREY, SIZE_WH, shown, write
from synthetic_people import h36m_rig
from variable_videos import respaced, turned

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.frame_numbers import frame_numbers
from pose3d_ros.recordings.frame_source import WHOLE, Cut
from pose3d_ros.recordings.keypoint_files import open_keypoint_frames
from pose3d_ros.recordings.matched_times import matched
from pose3d_ros.recordings.video_frames import VideoFrames, open_videos
from pose3d_ros.recordings.video_times import VideoTimes, frames_at, video_times
from pose3d_ros.skeletons import BODY_25, COCO_17
from pose3d_ros.structures import Rig

MOMENT_S = 0.04
RIG = Rig(tuple(camera.resized(SIZE_WH) for camera in h36m_rig("S9").cameras[:3]))
LEFT, RIGHT, THIRD = RIG.names
B_FRAMES = Path(__file__).parents[1] / "data" / "b_frames.mp4"  # H.264, 24 images of greys 0, 10, ...; two gaps


def lossy(folder: Path, lost: Mapping[str, set[int]], moments: int = 30) -> dict[str, Path]:
    """Videos that lack some moments each, with the true times of the others as time stamps."""
    videos = {}
    for camera, missing in lost.items():
        kept = [moment for moment in range(moments) if moment not in missing]
        even = write(folder / f"{camera}_even.mp4", kept)
        videos[camera] = respaced(even, [MOMENT_S * moment for moment in kept], folder / f"{camera}.mp4")
    return videos


def moments_of(source: VideoFrames) -> list[dict[str, int]]:
    """The moments that each set's images show."""
    return [shown(one) for one in source.read()]


def test_fault_lost_frames_that_even_out(tmp_path: Path) -> None:
    """Fault: two videos lost as many frames each, at different times.
    Sees: images of one time go together, a camera is absent where it has none; "4 frames are missing (0.120 to ...)".
    Recovers: nothing to recover: the stamps are the containers' own.
    Kind: K5
    Before: sets up to 500 ms apart and stamps 25 % long, without a word.
    """
    lost = {LEFT: {4, 5, 6, 7}, RIGHT: {20, 21, 22, 23}}
    source = open_videos(RIG, lossy(tmp_path, lost))
    assert moments_of(source) == [{name: k for name in lost if k not in lost[name]} for k in range(30)]
    assert source.moments_ns.tolist() == [k * 40_000_000 for k in range(30)]
    assert source.fps == pytest.approx(25)
    assert f"{LEFT}: 4 frames are missing (0.120 to 0.320 s): it is absent there" in source.notes
    assert [list(one.stamps_ns.values()) for one in source.read(25)] == [[k * 40_000_000] * 2 for k in range(25, 30)]


def test_fault_variable_frame_rate(tmp_path: Path) -> None:
    """Fault: a phone's video of variable frame rate next to one of constant rate.
    Sees: images within half a frame's time go together, each with its own stamp; "frames are matched by time".
    Recovers: nothing to recover.
    Kind: K5
    Before: frame n went with frame n, hundreds of ms apart at the end.
    """
    times = np.cumsum([0.0, *(0.04 + 0.012 * np.sin(np.arange(24)))])
    even = write(tmp_path / "even.mp4", range(25))
    videos = {
        LEFT: write(tmp_path / "left.mp4", range(25)),
        RIGHT: respaced(even, times.tolist(), tmp_path / "phone.mp4"),
    }
    source = open_videos(RIG, videos)
    both = [one for one in source.read() if len(one.images) == 2]
    assert len(both) > 20
    for one in both:
        assert one.spread_ns <= 0.55 * 0.041e9
        right = round(float(one.images[RIGHT].mean()) / GREY)
        assert one.stamps_ns[RIGHT] == pytest.approx(times[right] * 1e9, abs=1e6)
    assert "frames are matched by time" in source.notes[0]


def test_fault_fps_where_frames_are_missing(tmp_path: Path) -> None:
    """Fault: --fps is given for videos that lack frames, whose numbers are no time.
    Sees: "--fps 25: frames of ... are up to 0.200 s apart ...: omit --fps"; exit code 1.
    Recovers: without --fps, by the time stamps.
    Kind: K5
    Before: --fps, and then the --offset that the next message proposed, were accepted: 333 ms wrong.
    """
    videos = lossy(tmp_path, {LEFT: {4, 5, 6, 7}, RIGHT: set()})
    for cut in (WHOLE, Cut({LEFT: 0.0})):
        with pytest.raises(InputError, match=r"--fps 25: frames of .* are up to 0\.200 s apart .*omit --fps"):
            open_videos(RIG, videos, fps=25.0, cut=cut)
    # The same with containers of constant rates: 24 and 30 frames of one time.
    videos = {LEFT: write(tmp_path / "a.mp4", range(24), 20.0), RIGHT: write(tmp_path / "b.mp4", range(30))}
    for cut in (WHOLE, Cut({LEFT: 0.0})):
        with pytest.raises(
            InputError, match=rf"different counts of frames and rates \({LEFT} 24 at 20/s, {RIGHT} 30 at"
        ):
            open_videos(RIG, videos, fps=25.0, cut=cut)
    source = open_videos(RIG, videos)
    spreads = [one.spread_ns for one in source.read()]
    assert len(spreads) == 24
    assert max(spreads) <= 25_000_000 + 2_500_000
    assert "frames/s" in source.notes[0]


def test_fault_videos_that_share_no_time(tmp_path: Path) -> None:
    """Fault: two cameras' videos have no moment in common, by their offsets or by their gaps.
    Sees: "no moment is common to all cameras (left 0 to 1.2 s, right 5 to 6.2 s)", or "... has no frame within
    half a frame's time of those of ..."; exit code 1.
    Recovers: with the right --offset.
    Kind: K5
    Before: cameras with gaps were paired by number.
    """
    videos = {name: write(tmp_path / f"{name}.mp4", range(30)) for name in (LEFT, RIGHT)}
    with pytest.raises(
        InputError, match=rf"no moment is common to all cameras \({LEFT} 0 to 1.2 s, {RIGHT} 5 to 6.2 s\)"
    ):
        open_videos(RIG, videos, cut=Cut({RIGHT: 5.0}))
    lost = {LEFT: set(range(5, 25)), RIGHT: set(range(5)) | set(range(25, 30))}
    lossy_videos = lossy(tmp_path, lost)
    with pytest.raises(InputError, match="has no frame within half a frame's time"):
        open_videos(RIG, lossy_videos, cut=Cut({RIGHT: 0.2}))


@pytest.mark.parametrize("fps", [29.97, 59.94])
def test_constant_rates_and_an_offset_of_a_part_of_a_frame_go_together(fps: float, tmp_path: Path) -> None:
    videos = {name: write(tmp_path / f"{name}.mp4", range(30), fps) for name in (LEFT, RIGHT)}
    source = open_videos(RIG, videos)
    assert moments_of(source) == [{LEFT: k, RIGHT: k} for k in range(30)]
    assert source.notes == ()
    assert source.fps == pytest.approx(fps, rel=1e-4)
    late_s = 5.3 / fps
    late = open_videos(RIG, videos, cut=Cut({RIGHT: late_s}))
    assert moments_of(late) == [{LEFT: k + 5, RIGHT: k} for k in range(25)]
    first = next(late.read())
    assert first.stamps_ns[RIGHT] - first.stamps_ns[LEFT] == pytest.approx(0.3e9 / fps, abs=1e3)


def test_double_the_rate_gives_every_second_image(tmp_path: Path) -> None:
    videos = {LEFT: write(tmp_path / "l.mp4", range(15), 25.0), RIGHT: write(tmp_path / "r.mp4", range(30), 50.0)}
    assert moments_of(open_videos(RIG, videos)) == [{LEFT: k, RIGHT: 2 * k} for k in range(15)]


def test_images_of_b_frames_keep_their_own_times() -> None:
    """They are decoded in another order than they are shown, and this file has two gaps of 100 ms as well."""
    times = video_times(B_FRAMES)
    ticks = np.cumsum([0, *[1001 if k not in (7, 15) else 4004 for k in range(1, 24)]])
    np.testing.assert_allclose(times.at_ns, ticks * 1e9 / 30000, atol=1)
    assert [(round(a / 1e6), round(b / 1e6)) for a, b in times.gaps()] == [(200, 334), (567, 701)]
    images = list(frames_at(B_FRAMES, times, range(24)))
    assert [round(float(image.mean()) / 10 + 0.15) for image in images] == list(range(24))


def test_a_container_without_time_stamps_is_reported(tmp_path: Path) -> None:
    videos = {LEFT: write(tmp_path / "l.mp4", range(10)), RIGHT: tmp_path / "r.avi"}
    import cv2

    writer = cv2.VideoWriter(str(videos[RIGHT]), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, SIZE_WH)
    for k in range(10):
        writer.write(np.full((SIZE_WH[1], SIZE_WH[0], 3), GREY * k, dtype=np.uint8))
    writer.release()
    source = open_videos(RIG, videos)
    assert moments_of(source) == [{LEFT: k, RIGHT: k} for k in range(10)]
    assert source.notes == (f"{RIGHT}: the file has no time stamps, a constant 25 frames/s is assumed",)


def test_a_rotation_flag_turns_no_video(tmp_path: Path) -> None:
    """Pixels are taken as stored, in videos as in pictures: the calibration is of those."""
    plain = write(tmp_path / "plain.mp4", range(5))
    videos = {LEFT: plain, RIGHT: turned(plain, tmp_path / "turned.mp4")}
    assert moments_of(open_videos(RIG, videos)) == [{LEFT: k, RIGHT: k} for k in range(5)]
    assert next(open_videos(RIG, videos).read()).images[RIGHT].shape == (SIZE_WH[1], SIZE_WH[0], 3)


def test_fault_frame_that_does_not_decode(tmp_path: Path) -> None:
    """Fault: a frame in the middle of a video cannot be decoded.
    Sees: one warning with the video and the frame; the camera is absent at that moment and goes on after it.
    Recovers: with the next frame.
    Kind: K5
    Before: every later frame was taken for the one before.
    """
    path = write(tmp_path / "a.mp4", [k for k in range(12) if k != 5])
    path = respaced(path, [MOMENT_S * k for k in range(12) if k != 5], tmp_path / "b.mp4")
    promised = VideoTimes(np.arange(12) * 40_000_000, stamped=True)
    images = list(frames_at(path, promised, range(12)))
    assert [None if image is None else round(float(image.mean()) / GREY) for image in images] == [
        None if k == 5 else k for k in range(12)
    ]


def test_each_frame_is_used_once_and_a_gap_of_the_slowest_is_filled() -> None:
    slow = np.array([0, 100, 200, 600, 700]) * 1_000_000
    fast = np.arange(0, 701, 50) * 1_000_000
    found = matched([slow, fast], [1e8, 5e7])
    pairs = [(int(a), int(b)) for a, b in found]
    assert pairs[:3] == [(0, 0), (1, 2), (2, 4)]
    assert all(a == -1 for a, _ in pairs[3:-2])
    assert pairs[-2:] == [(3, 12), (4, 14)]
    used = found[:, 1][found[:, 1] >= 0]
    assert len(set(used.tolist())) == len(used)


def test_a_frame_further_than_half_an_interval_is_of_no_moment() -> None:
    uneven, other = np.array([0, 140, 240]) * 1_000_000, np.array([0, 70, 240]) * 1_000_000
    assert matched([uneven, other], [1e8, 1e8]).tolist() == [[0, 0], [1, -1], [2, 2]]


def person(moment: float) -> list[float]:
    """x, y, score of a person in COCO's order, further right each moment."""
    random = np.random.default_rng(5).uniform(0, [100, 250], (COCO_17.size, 2))
    return [float(value) for x, y in random for value in (x + 7 * moment, y, 0.9)]


def coco(path: Path, ids: Sequence[object], **more: Sequence[object]) -> Path:
    """A list of results: entry k is the person of moment k under the id given."""
    rows = [
        {"image_id": one, "keypoints": person(k), "score": 0.9, **{name: values[k] for name, values in more.items()}}
        for k, one in enumerate(ids)
    ]
    path.write_text(json.dumps(rows))
    return path


def opened(paths: Mapping[str, Path], cut: Cut = WHOLE) -> list[dict[str, float]]:
    """The moment whose person each camera has, by moment of the recording."""
    source = open_keypoint_frames(RIG, paths, 25.0, cut)
    start = person(0)[0]
    return [
        {name: round((people.xy[0, 0, 0] - start) / 7, 3) for name, people in one.items() if len(people)}
        for one in source.read()
    ]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([k % 10 for k in range(30)], "image_id '0' recurs after others"),
        ([k // 2 for k in range(30)], r"two people overlap in 15 of 15 images with several people"),
        ([7] * 30, r"two people overlap in 1 of 1 images with several people"),
        ([f"{k:06d}_t{33 * k}.jpg" for k in range(30)], "2 numbers differ between names"),
        ([f"a{k}" for k in range(15)] + [f"b{k}" for k in range(15)], "are both frame 0"),
        ([-3, *range(29)], "expected a whole number from 0 on"),
        ([None, *range(29)], "expected a whole number from 0 on"),
        (["9" * 40, *map(str, range(29))], "more than 18 digits"),
        ([f"{k}" if k else "none" for k in range(30)], "has 0 numbers"),
    ],
)
def test_fault_image_ids_that_name_no_single_frame(ids: list[object], words: str, tmp_path: Path) -> None:
    """Fault: COCO ids that repeat, wrap, or hold several numbers that differ.
    Sees: "image_id '0' recurs after others: does the list restart ...: number images one by one"; exit code 1.
    Recovers: with ids that name one frame each.
    Kind: K5
    Before: 30 frames collapsed into 1, 490 mm off, with exit code 0.
    """
    paths = {name: coco(tmp_path / f"{name}.json", ids) for name in (LEFT, RIGHT)}
    with pytest.raises(FootageError, match=words) as caught:
        opened(paths)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "ids",
    [
        list(range(30)),
        [f"{k:012d}.jpg" for k in range(30)],
        [f"cam2/{k}_640x480.png" for k in range(30)],
        [f"2024-05-01_take3_{k:06d}_rgb" for k in range(30)],
        [float(k) for k in range(30)],
    ],
)
def test_ids_that_name_one_frame_each_are_read(ids: list[object], tmp_path: Path) -> None:
    paths = {name: coco(tmp_path / f"{name}.json", ids) for name in (LEFT, RIGHT)}
    assert opened(paths) == [{LEFT: k, RIGHT: k} for k in range(30)]


def test_file_names_count_before_ids_that_run_on_from_camera_to_camera(tmp_path: Path) -> None:
    names = [f"frame_{k:05d}.jpg" for k in range(30)]
    paths = {
        LEFT: coco(tmp_path / "l.json", range(30), file_name=names),
        RIGHT: coco(tmp_path / "r.json", range(30, 60), file_name=names),
    }
    assert opened(paths) == [{LEFT: k, RIGHT: k} for k in range(30)]
    # A data set, whose images without a person are known.
    for name, shift in ((LEFT, 0), (RIGHT, 500)):
        images = [{"id": k + shift, "file_name": f"{k:012d}.jpg"} for k in range(30)]
        people = [{"id": k, "image_id": k + shift, "keypoints": person(k), "num_keypoints": 17} for k in range(3, 30)]
        paths[name].write_text(json.dumps({"images": images, "annotations": people[::-1], "categories": []}))
    assert opened(paths) == [{LEFT: k, RIGHT: k} if k >= 3 else {} for k in range(30)]


def test_sparse_numbers_make_moments_of_their_own_spacing(tmp_path: Path) -> None:
    paths = {name: coco(tmp_path / f"{name}.json", range(0, 150, 5)) for name in (LEFT, RIGHT)}
    source = open_keypoint_frames(RIG, paths, 25.0)
    assert (len(source), source.fps) == (30, 5.0)
    assert source.moments_ns.tolist() == [k * 200_000_000 for k in range(30)]
    assert opened(paths) == [{LEFT: k, RIGHT: k} for k in range(30)]


def test_fault_keypoint_files_that_share_no_frame(tmp_path: Path) -> None:
    """Fault: cameras number their frames differently, so that none is common.
    Sees: "... shares no frame with another camera: its frames are 0 to 29, theirs 1000 to 1029"; exit 1.
    Recovers: with numbers alike, --offset, or --cameras.
    Kind: K5
    Before: exit code 0 with 0 people.
    """
    paths = {LEFT: coco(tmp_path / "l.json", range(30)), RIGHT: coco(tmp_path / "r.json", range(1000, 1030))}
    with pytest.raises(InputError, match=rf"{LEFT} shares no frame .* its frames are 0 to 29, theirs 1000 to 1029"):
        opened(paths)
    assert opened(paths, Cut({LEFT: 40.0})) == [{LEFT: k, RIGHT: k} for k in range(30)]


@pytest.mark.parametrize("kind", ["coco", "openpose"])
def test_fault_one_absurd_frame_number(kind: str, tmp_path: Path) -> None:
    """Fault: one frame among thirty has the number 100000000000.
    Sees: "frames are numbered from 0 to 100000000000, but only 62 of them exist: is a number wrong?", or "frame 30 is
    missing"; exit code 1, and no memory is taken.
    Recovers: with the right number, or --end.
    Kind: K5
    Before: 3.7 GB of memory.
    """
    paths = {}
    for name in (LEFT, RIGHT):
        paths[name] = tmp_path / name
        if kind == "coco":
            coco(paths[name], [*range(30), 10**11])
        else:
            paths[name].mkdir()
            for number in (*range(30), 10**11):
                points = [1.0] * (3 * BODY_25.size)
                text = json.dumps({"people": [{"pose_keypoints_2d": points}]})
                (paths[name] / f"x_{number:012d}_keypoints.json").write_text(text)
    tracemalloc.start()
    words = "from 0 to 100000000000, but only 62 of them" if kind == "coco" else "frame 30 is missing"
    with pytest.raises((InputError, FootageError), match=words):
        open_keypoint_frames(RIG, paths, 25.0, order="body_25")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    if kind == "coco":
        assert len(open_keypoint_frames(RIG, paths, 25.0, Cut(end_s=1.2))) == 30


def test_gaps_and_beginnings_that_differ_are_reported(tmp_path: Path) -> None:
    paths = {
        LEFT: coco(tmp_path / "l.json", [k for k in range(30) if k not in (7, 8, 9)]),
        RIGHT: coco(tmp_path / "r.json", range(1, 30)),
    }
    first, gaps = open_keypoint_frames(RIG, paths, 25.0).notes
    assert first.startswith(f"the first frames are {LEFT} 0, {RIGHT} 1: ")
    assert gaps.startswith(f"{LEFT}: 1 gaps in the frame numbers, the longest from 6 to 10 (0.16 s)")


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["cam02_000000000012_keypoints", "cam02_000000000013_keypoints"], [12, 13]),
        (["img9", "img10"], [9, 10]),
        (["7"], [7]),
        (["0003_cam1", "0009_cam1"], [3, 9]),
        ([], []),
    ],
)
def test_the_number_is_the_last_one_that_differs(names: list[str], numbers: list[int]) -> None:
    assert frame_numbers(names, "here") == numbers
