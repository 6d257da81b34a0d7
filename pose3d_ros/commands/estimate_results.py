"""Write the files of `pose3d estimate` from a RecordingLog: memory does not grow with the recording."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.evaluation.running_summary import RunningSummary
from pose3d_ros.evaluation.summary import Reference, agreement_mm
from pose3d_ros.plots.overlay import Shown, write_moments
from pose3d_ros.plots.skeleton_plot import write_skeleton_plot
from pose3d_ros.recordings.frame_source import FrameSource
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_log import FULL, RecordingLog
from pose3d_ros.recordings.video_frames import video_length
from pose3d_ros.recordings.writers.people_json import write_json
from pose3d_ros.recordings.writers.person_files import PERSON_FORMATS, write_person_files
from pose3d_ros.recordings.writers.pose_files import write_csv, write_trc
from pose3d_ros.recordings.writers.upright import upright
from pose3d_ros.structures import FrameSet, Pose3D

# Writes one file from all poses, in order of capture; the sequence reads them from disk on access.
PoseWriter = Callable[[Sequence[Pose3D], Path], None]
WRITERS: Mapping[str, PoseWriter] = {"trc": write_trc, "csv": write_csv, "json": write_json}
# Upper limit on the poses in the plot: its paths have fewer pixels than that.
PLOTTED = 2000


def write_results(
    source: FrameSource,
    log: RecordingLog,
    output: Path,
    settings: Mapping[str, Any],
    reference: Reference | None = None,
    pictures: Iterator[FrameSet] | None = None,
    formats: Sequence[str] = ("trc", "csv"),
    up: str = "",
) -> dict[str, Any]:
    """Write the people in each format, skeleton.png, overlay.mp4 and summary.json; returns the summary.

    Each file is written completely or not at all. reference: one row of joints per moment. pictures: the images of
    every moment. up: the axis along which people stand; formats with a fixed up axis are rotated by it. Raises
    InputError when the disk is full, FootageError for images that cannot be read.
    """
    poses = log.poses
    upright_poses = upright(poses, up)
    for name, write in WRITERS.items():
        if name in formats:
            with _atomic(output / f"people.{name}") as path:
                write(upright_poses if name == "trc" else poses, path)
    person_formats = [name for name in formats if name in PERSON_FORMATS]
    for line in write_person_files(upright_poses, output, person_formats, _atomic):
        tqdm.write(line)
    with _atomic(output / "skeleton.png") as path:
        plotted = np.unique(np.linspace(0, len(poses) - 1, min(len(poses), PLOTTED)).astype(int))
        write_skeleton_plot(_recording(source, [poses[k] for k in plotted]), path)
    if pictures is not None:
        with _atomic(output / "overlay.mp4") as path:
            _write_overlay(source, log, pictures, path)
    total = RunningSummary()
    for part in log.parts():
        total.add(part)
    summary = {**total.result(), "agreement_mm": None, "up": up or None, "settings": dict(settings)}
    if reference is not None:
        compared = min(len(poses), len(reference[1]))
        summary["agreement_mm"] = agreement_mm(_recording(source, poses[:compared]), reference)
    with _atomic(output / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def black(source: FrameSource) -> Iterator[FrameSet]:
    """Yield black images for every moment of a source without images."""
    images = {
        camera.name: np.zeros((camera.size_wh[1], camera.size_wh[0], 3), dtype=np.uint8)
        for camera in source.rig.cameras
    }
    frames = FrameSet(images, dict.fromkeys(images, source.t0_ns))
    return (frames for _ in range(len(source)))


def _write_overlay(source: FrameSource, log: RecordingLog, pictures: Iterator[FrameSet], path: Path) -> None:
    shown = tqdm(_moments(log, pictures), total=len(log), desc="overlay", unit=" sets", disable=None)
    written = write_moments(source.rig.cameras, shown, path, source.fps)
    try:
        complete = video_length(path) == written
    except FootageError:
        complete = False
    if not complete:  # OpenCV does not report a failed write
        raise OSError(errno.ENOSPC, "the video could not be written completely")


def _moments(log: RecordingLog, pictures: Iterator[FrameSet]) -> Iterator[Shown]:
    """Yield every moment with its images, pose and keypoints."""
    for part in log.parts():
        for pose, frames in zip(
            part.poses, pictures, strict=False
        ):  # in this order, so that no image is read needlessly
            stamp_ns = pose.stamp_ns
            detections = {name: by_stamp[stamp_ns] for name, by_stamp in part.keypoints.items() if stamp_ns in by_stamp}
            yield Shown(part.frame_index(stamp_ns), frames.images, pose, detections)


def _recording(source: FrameSource, poses: Sequence[Pose3D]) -> Recording:
    """Wrap poses without keypoints as a Recording."""
    none = np.zeros(len(poses), dtype=np.int64)
    return Recording(
        source.rig, tuple(poses), none, {}, {}, source.t0_ns, source.fps, len(source), len(poses),
        moments_ns=source.moments_ns,
    )  # fmt: skip


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same name; the file is moved to path once it is complete."""
    folder = path.parent / ".partial"
    folder.mkdir(exist_ok=True)
    try:
        yield folder / path.name
        (folder / path.name).replace(path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f"the disk of {path.parent} is full: {path.name} is not written ({error.strerror}). All frame sets are "
            "kept: free some space and repeat the command with --resume"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
