"""Footage comes out as frame sets in order, decoded ahead; a player's report survives the disk."""

import threading
import time

import cv2
import numpy as np
import pytest
from variable_videos import respaced

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.recordings.footage import Sample
from pose3d_ros.recordings.playback import T0_NS, Playback, open_footage, play, run_ahead, with_cameras
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.structures import Camera, Rig

FRAMES = 5


@pytest.fixture
def folder(tmp_path):
    """Two cameras of FRAMES frames; frame k is grey 40 k + 20."""
    K = np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]])
    rig = Rig(tuple(Camera(name, (64, 48), K) for name in ("left", "right")))
    save_rig(rig, tmp_path / "rig.yaml")
    for name in rig.names:
        writer = cv2.VideoWriter(str(tmp_path / f"{name}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 20.0, (64, 48))
        for k in range(FRAMES):
            writer.write(np.full((48, 64, 3), 40 * k + 20, np.uint8))
        writer.release()
    return tmp_path


def numbers(sets):
    return [{name: round((float(image.mean()) - 20) / 40) for name, image in one.images.items()} for one in sets]


def test_folder_plays_every_frame_of_every_camera_at_the_videos_own_rate(folder):
    sets = list(play(open_footage(str(folder))))
    assert numbers(sets) == [{"left": k, "right": k} for k in range(FRAMES)]
    assert [one.stamp_ns - T0_NS for one in sets] == [k * 50_000_000 for k in range(FRAMES)]


def test_loops_repeat_the_images_while_the_stamps_go_on(folder):
    sets = list(play(open_footage(str(folder), ["right"]), frames=2, loops=3, t0_ns=7))
    assert numbers(sets) == [{"right": k % 2} for k in range(6)]
    assert [one.stamp_ns for one in sets] == [7 + k * 50_000_000 for k in range(6)]


def test_shortest_video_ends_the_play(folder):
    writer = cv2.VideoWriter(str(folder / "left.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 20.0, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    assert len(list(play(open_footage(str(folder))))) == 3


def test_unknown_camera_is_rejected_with_the_known_names(folder):
    with pytest.raises(InputError, match="no camera 'top': it has left, right"):
        open_footage(str(folder), ["left", "top"])
    with pytest.raises(InputError, match="name each camera once"):
        with_cameras(open_footage(str(folder)), ["left", "left"])


def test_footage_that_is_neither_sample_nor_folder_is_rejected(tmp_path):
    with pytest.raises(FootageError, match=r"neither a sample \(single, multi\) nor a folder"):
        open_footage(str(tmp_path))


def test_file_that_is_no_video_is_named(folder):
    (folder / "left.mp4").write_bytes(b"no video")
    with pytest.raises(FootageError, match=r"left\.mp4"):
        open_footage(str(folder))


def test_video_that_is_gone_when_played_is_named(folder):
    footage = open_footage(str(folder))
    broken = Sample("x", footage.rig, {**footage.videos, "right": folder / "gone.mp4"}, footage.fps)
    with pytest.raises(FootageError, match=r"gone\.mp4"):
        list(play(broken))


def test_run_ahead_keeps_order_and_stays_within_its_depth():
    made: list[int] = []

    def prepare(k):
        made.append(k)
        return k * k

    ahead = run_ahead(iter(range(20)), prepare, depth=2)
    assert next(ahead) == 0
    time.sleep(0.2)
    # One was taken, two lie ready, one waits for room.
    assert len(made) <= 4
    assert list(ahead) == [k * k for k in range(1, 20)]


def test_run_ahead_works_while_the_caller_is_busy():
    made = threading.Event()
    ahead = run_ahead(iter(range(2)), lambda k: made.set() if k == 1 else None)
    next(ahead)
    assert made.wait(60.0)


def test_error_in_the_thread_is_the_callers():
    def broken():
        yield 1
        raise FootageError("the disk is gone")

    ahead = run_ahead(broken(), str)
    assert next(ahead) == "1"
    with pytest.raises(FootageError, match="the disk is gone"):
        next(ahead)


def test_closing_early_ends_the_thread():
    ahead = run_ahead(iter(range(1000)), str)
    next(ahead)
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "run_ahead"]


def test_report_survives_the_disk(tmp_path):
    playback = Playback(T0_NS, 60.0, 2, 4, {T0_NS: 11, T0_NS + 1: 12}, (T0_NS + 1,))
    playback.save(tmp_path / "player.json")
    assert Playback.load(tmp_path / "player.json") == playback


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"published_ns": {}, "unanswered_ns": []}'])
def test_broken_report_is_rejected_with_the_log(tmp_path, text):
    (tmp_path / "player.json").write_text(text)
    with pytest.raises(FootageError, match="check its log"):
        Playback.load(tmp_path / "player.json")


def test_missing_report_is_rejected_with_the_log(tmp_path):
    with pytest.raises(FootageError, match="left no report"):
        Playback.load(tmp_path / "player.json")


def test_videos_that_numbers_do_not_time_are_not_played(folder):
    """The player gives image k the stamp k / rate: what that is wrong for is for `pose3d estimate`."""
    writer = cv2.VideoWriter(str(folder / "left.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (64, 48))
    for _ in range(6):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with pytest.raises(FootageError, match=r"different frame rates \(left 25, right 20\)"):
        open_footage(str(folder))
    respaced(folder / "left.mp4", [0, 0.04, 0.3, 0.34, 0.38, 0.42], folder / "gap.mp4")
    (folder / "gap.mp4").replace(folder / "left.mp4")
    with pytest.raises(FootageError, match="frames of left are not evenly spaced"):
        open_footage(str(folder))
