"""The images that a recording's keypoints were detected in: recordings keep no images themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.files.documents import json_content
from pose3d_ros.files.door import RUN_STATE, expanded, read_text
from pose3d_ros.recordings.footage import SAMPLES
from pose3d_ros.recordings.frame_source import Cut
from pose3d_ros.recordings.playback import open_footage, play
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_folder import PARTS
from pose3d_ros.recordings.recording_log import RecordingLog
from pose3d_ros.recordings.video_frames import open_videos

Images = Mapping[str, NDArray[np.uint8]]  # by camera, BGR (H, W, 3)
SUMMARY = "summary.json"
# As VideoFrames.identity writes it: the file, its size, and its clock.
VIDEO = re.compile(r"(?P<file>.+) of (?P<size>\d+) bytes, (?P<late>[-+.\de]+) s late(, (?P<slow>[-+.\de]+) ppm slow)?")


def recorded_images(folder: Path, recording: Recording, videos: Path | None = None) -> Iterator[tuple[int, Images]]:
    """Every moment's capture stamp, as in recording.keypoints, and its images.

    folder is one of `pose3d demo`, whose footage is in the cache, or of `pose3d estimate`, whose videos lie in the
    folder `videos`. Raises InputError where the videos are missing or not those that were recorded from, FootageError
    for damaged ones.
    """
    run = RecordingLog(folder / PARTS).run()
    if run is not None:
        return _estimated(folder, recording, run, videos)
    people = str(_settings(folder).get("people"))
    if people not in SAMPLES:
        raise InputError(f"{folder} does not say what it was recorded from: give a folder of `pose3d estimate`")
    footage = open_footage(people, [name for name in recording.rig.names if recording.keypoints.get(name)])
    sets = play(footage, frames=recording.frames_per_loop, t0_ns=recording.t0_ns)
    return ((next(iter(one.stamps_ns.values())), one.images) for one in sets)


def _estimated(
    folder: Path, recording: Recording, run: Mapping[str, Any], videos: Path | None
) -> Iterator[tuple[int, Images]]:
    known = {camera: VIDEO.fullmatch(str(words)) for camera, words in dict(run.get("videos") or {}).items()}
    if not known or None in known.values():
        raise InputError(f"{folder} was estimated without videos: estimate it from one video a camera")
    clocks = {camera: match for camera, match in known.items() if match is not None}
    if videos is None:
        raise InputError(
            f"{folder} was estimated from {', '.join(match['file'] for match in clocks.values())}: give their folder "
            "with --videos"
        )
    files = {camera: expanded(videos) / match["file"] for camera, match in clocks.items()}
    for camera, path in files.items():
        size = path.stat().st_size if path.is_file() else 0
        if size != int(clocks[camera]["size"]):
            raise InputError(
                f"{path} has {size} bytes, but {folder} was estimated from one of {clocks[camera]['size']}: give the "
                "folder of the same videos"
            )
    moments = np.array(sorted({stamp for seen in recording.keypoints.values() for stamp in seen}), dtype=np.int64)
    # An end, and so no check that all videos end together: that was done when they were estimated.
    cut = Cut(
        {camera: float(match["late"]) for camera, match in clocks.items()}, end_s=float(moments[-1]) / 1e9 + 1.0,
        drifts_ppm={camera: float(match["slow"] or 0.0) for camera, match in clocks.items()},
    )  # fmt: skip
    source = open_videos(recording.rig, files, None, cut).at(moments)
    return ((stamp, one.images) for stamp, one in zip(moments.tolist(), source.read(), strict=True))


def _settings(folder: Path) -> dict[str, Any]:
    """What the folder's summary says that it was run with; empty where it says nothing."""
    path = folder / SUMMARY
    if not path.is_file():
        return {}
    content = json_content(read_text(path, RUN_STATE), str(path), RUN_STATE)
    settings = content.get("settings") if isinstance(content, dict) else None
    return settings if isinstance(settings, dict) else {}
