"""The recorder over real DDS: everything that was published is in the recording, once."""

import errno
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from graph_for_tests import CAMERAS, FRAMES, FakeMultiview, a_pose, grey_of, own_context, spinning, write_footage
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.playback import Playback
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.ros.harness.player import Player
from pose3d_ros.ros.harness.recorder import Recorder, keep, record


@pytest.fixture
def folder(tmp_path):
    write_footage(tmp_path)
    return tmp_path


def recorder_of(context, folder, **parameters):
    values = {"footage": str(folder), "output": str(folder / "recording.npz"), **parameters}
    return Recorder(context=context, parameter_overrides=[Parameter(name, value=v) for name, v in values.items()])


def test_played_loop_is_recorded_whole(folder):
    with own_context() as context:
        recorder = recorder_of(context, folder)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(recorder)
        stop = threading.Event()
        thread = threading.Thread(target=record, args=(recorder, executor, stop))
        thread.start()
        with spinning(context, FakeMultiview(context)):
            parameters = {"footage": str(folder), "loop": 2, "pose_subscribers": 2}
            player = Player(context=context, parameter_overrides=[Parameter(n, value=v) for n, v in parameters.items()])
            playback = player.play()
            player.destroy_node()
            stop.set()
            thread.join()
        recorder.recording(playback).save(recorder.output)
        recorder.destroy_node()
    recording = Recording.load(folder / "recording.npz")
    stamps = list(playback.published_ns)
    assert [pose.stamp_ns for pose in recording.poses] == stamps
    for k, pose in enumerate(recording.poses):
        assert recording.footage_frame(pose.stamp_ns) == k % FRAMES
        assert pose.ids == ("7",)
        assert pose.xyz[0, :, 0] == pytest.approx(grey_of(k % FRAMES), abs=4)
    latency_ns = recording.received_ns - np.array([playback.published_ns[stamp] for stamp in stamps])
    assert (latency_ns > 0).all()
    assert (latency_ns < 60e9).all()  # one loop of the frames
    assert recording.rig.names == CAMERAS
    for name in CAMERAS:
        assert sorted(recording.keypoints[name]) == stamps
        assert {ids for _, ids in recording.keypoints[name].values()} == {("7",)}
    assert recording.stage_ms == {"detect": 12.5}
    assert recording.markers_received == recording.tf_received == 2 * FRAMES
    assert (recording.frames_per_loop, recording.frame_sets_sent) == (FRAMES, 2 * FRAMES)


def test_recorder_does_not_end_while_poses_wait_in_the_queue(folder):
    """A diagnosis after one pose of a burst says nothing of the poses that the executor has not come to yet."""
    with own_context() as context:
        recorder = recorder_of(context, folder)
        for pose_s, settled in ((60, False), (-60, True)):
            pose_ns = time.monotonic_ns() + pose_s * 1_000_000_000
            recorder.poses.append((pose_ns, None))
            recorder._diagnosed_ns = pose_ns + 1
            assert recorder.settled() == settled
        recorder.destroy_node()


def test_folder_that_is_not_writable_is_rejected_before_the_run(folder):
    with own_context() as context, pytest.raises(InputError, match="missing is not a writable folder"):
        recorder_of(context, folder, output=str(folder / "missing" / "recording.npz"))


def test_missing_poses_are_reported(folder, capfd):
    with own_context() as context:
        recorder = recorder_of(context, folder)
        recorder.recording(Playback(1, 60.0, 2, 2, {1: 5, 2: 6}, unanswered_ns=(2,)))
        recorder.destroy_node()
    assert "1 poses reached the player but not this recorder" in capfd.readouterr().err


class FullDisk:
    """Makes writes below a folder end as on a full disk, after some bytes."""

    def __init__(self, monkeypatch, *folders):
        def savez(file, **arrays):
            if any(Path(file.name).is_relative_to(folder) for folder in folders):
                file.write(b"PK")
                raise OSError(errno.ENOSPC, "No space left on device")
            return whole(file, **arrays)

        whole = np.savez_compressed
        monkeypatch.setattr(np, "savez_compressed", savez)


def test_fault_disk_full_in_the_recorder(folder, tmp_path, monkeypatch, capsys):
    """Fault: the disk is full when the recorder writes what it heard.
    Sees: "recorder: cannot write ...: No space left on device: the recording is in /tmp/..."; exit code 1.
    Recovers: nothing is lost: the recording is whole there, and an earlier file of that name is as it was.
    """
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    rig = write_footage(tmp_path)
    recording = Recording(rig, (a_pose(1, 3.0),), np.array([2]), {1: 1}, {}, 0, 30.0, 1, 1)
    disk = tmp_path / "disk"
    disk.mkdir()
    output = disk / "recording.npz"
    output.write_bytes(b"an earlier one")
    FullDisk(monkeypatch, disk)
    assert keep(recording, output) == 1
    (saved,) = elsewhere.rglob("recording.npz")
    assert f"No space left on device: the recording is in {saved}" in capsys.readouterr().err
    assert Recording.load(saved).poses[0].xyz[0, 0, 0] == 3.0
    assert output.read_bytes() == b"an earlier one"
    assert list(disk.iterdir()) == [output]
    FullDisk(monkeypatch, disk, elsewhere)
    with pytest.raises(OSError, match="No space left"):
        keep(recording, output)
