"""The images behind a recording's keypoints: the same moments, by the videos' own clocks."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numbered_videos import shown, write

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.frame_source import Cut
from pose3d_ros.recordings.playback import T0_NS
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_log import RecordingLog
from pose3d_ros.recordings.video_frames import VideoFrames, open_videos
from pose3d_ros.research.recorded_images import recorded_images
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Rig

NAMES = ("left", "middle", "right")
RIG = Rig(tuple(Camera(name, (64, 48), np.diag([50.0, 50.0, 1.0])) for name in NAMES))


def recording(rig: Rig, stamps: list[int], fps: float = 25.0, t0_ns: int = 0) -> Recording:
    keypoints = {
        name: {stamp: (Keypoints2D.empty(H36M_17, stamp), ()) for stamp in stamps} for name in rig.names
    }  # fmt: skip
    return Recording(rig, (), np.zeros(0), {}, keypoints, t0_ns, fps, len(stamps), len(stamps))


def estimated(folder: Path, cut: Cut) -> tuple[Path, VideoFrames]:
    """A folder as `pose3d estimate` leaves it, and the source that it was estimated from."""
    for number, name in enumerate(NAMES):
        write(folder / f"{name}.mp4", range(number, 20))
    source = open_videos(RIG, {name: folder / f"{name}.mp4" for name in NAMES}, None, cut)
    RecordingLog(folder / "take" / "parts").begin(source.identity())
    return folder / "take", source


def test_images_are_those_of_the_moments_that_were_estimated(tmp_path: Path) -> None:
    late = {"middle": 0.04, "right": 0.08}  # as their first images say
    take, source = estimated(tmp_path, Cut(late, start_s=0.2, step=3))
    stamps = source.moments_ns.tolist()
    for (stamp, images), truth in zip(
        recorded_images(take, recording(RIG, stamps), tmp_path), source.read(), strict=True
    ):
        numbers = shown(FrameSet(images, dict.fromkeys(images, stamp)))
        assert numbers == shown(truth) == dict.fromkeys(NAMES, round(stamp / 1e9 * 25))


def test_other_videos_are_rejected(tmp_path: Path) -> None:
    take, source = estimated(tmp_path, Cut())
    one = recording(RIG, source.moments_ns.tolist())
    with pytest.raises(InputError, match="give their folder with --videos"):
        recorded_images(take, one)
    write(tmp_path / "right.mp4", range(3))
    with pytest.raises(InputError, match=r"right\.mp4 has \d+ bytes, but .* was estimated from one of \d+"):
        recorded_images(take, one, tmp_path)


def test_keypoint_files_and_unknown_folders_are_rejected(tmp_path: Path) -> None:
    one = recording(RIG, [0])
    RecordingLog(tmp_path / "take" / "parts").begin({"keypoints": {}})
    with pytest.raises(InputError, match="estimated without videos"):
        recorded_images(tmp_path / "take", one, tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({"settings": {"people": "many"}}))
    with pytest.raises(InputError, match="does not say what it was recorded from"):
        recorded_images(tmp_path, one)


def test_footage_of_the_demo_comes_from_the_cache(footage: None, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"settings": {"people": "single"}}))
    cameras = tuple(replace(RIG.cameras[0], name=name) for name in ("cam03", "cam01"))
    one = recording(Rig(cameras), [T0_NS, T0_NS + 16_666_667], 60.0, T0_NS)
    moments = list(islice(recorded_images(tmp_path, one), 3))
    assert [stamp for stamp, _ in moments] == [T0_NS, T0_NS + 16_666_667]
    assert [images["cam01"].shape for _, images in moments] == [(1920, 1080, 3)] * 2
    assert [images["cam03"].shape for _, images in moments] == [(1920, 1088, 3)] * 2
