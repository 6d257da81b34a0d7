"""Reads the recording in a folder of `pose3d demo` or `pose3d estimate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.recordings.recording import Recording, Seen2D
from pose3d_ros.recordings.recording_log import RecordingLog

FILE, PARTS = "recording.npz", "parts"


def read_recording(place: Path) -> Recording:
    """The recording in a file or folder: all keypoints, and no poses where it is in parts.

    Raises InputError where there is none, FootageError for a damaged one.
    """
    files = (place, place / FILE, place / "log" / FILE)
    found = next((path for path in files if path.is_file()), None)
    if found is not None:
        return Recording.load(found)
    log = RecordingLog(next((one for one in (place / PARTS, place) if one.is_dir()), place))
    parts = log.parts()
    first = next(parts, None)
    if first is None:
        raise InputError(
            f"there is no recording in {place}: give a folder that `pose3d demo --output` or `pose3d estimate "
            "--output` wrote"
        )
    keypoints: dict[str, dict[int, Seen2D]] = {name: dict(seen) for name, seen in first.keypoints.items()}
    for part in parts:
        for name, seen in part.keypoints.items():
            keypoints.setdefault(name, {}).update(seen)
    return replace(
        first, poses=(), received_ns=np.zeros(0, dtype=np.int64), keypoints=keypoints,
        frames_per_loop=len(log), frame_sets_sent=len(log),
    )  # fmt: skip
