"""The files of `pose3d estimate`, from what a RecordingLog keeps: memory does not grow with the recording."""

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

# Writes one file from all poses, in order of capture; the sequence reads them from disk as they are asked for.
PoseWriter = Callable[[Sequence[Pose3D], Path], None]
WRITERS: Mapping[str, PoseWriter] = {"trc": write_trc, "csv": write_csv, "json": write_json}
# Poses that the plot is drawn from at most: its paths have fewer pixels than that.
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
    """Write the people in the formats, skeleton.png, overlay.mp4 from pictures, summary.json; the summary.

    Each file appears whole or not at all. reference: a row of joints for each moment. pictures: the images of every
    moment. up: the axis along which people stand, by which files whose axes have a meaning are turned. Raises
    InputError when the disk is full, FootageError for images that cannot be read.
    """
    poses = log.poses
    turned = upright(poses, up)
    for one in formats:
        if one in WRITERS:
            with _whole(output / f"people.{one}") as path:
                WRITERS[one](turned if one == "trc" else poses, path)
    for line in write_person_files(turned, output, [one for one in formats if one in PERSON_FORMATS], _whole):
        tqdm.write(line)
    with _whole(output / "skeleton.png") as path:
        few = np.unique(np.linspace(0, len(poses) - 1, min(len(poses), PLOTTED)).astype(int))
        write_skeleton_plot(_recording(source, [poses[k] for k in few]), path)
    if pictures is not None:
        with _whole(output / "overlay.mp4") as path:
            _write_overlay(source, log, pictures, path)
    total = RunningSummary()
    for part in log.parts():
        total.add(part)
    summary = {**total.result(), "agreement_mm": None, "up": up or None, "settings": dict(settings)}
    if reference is not None:
        compared = min(len(poses), len(reference[1]))
        summary["agreement_mm"] = agreement_mm(_recording(source, poses[:compared]), reference)
    with _whole(output / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def black(source: FrameSource) -> Iterator[FrameSet]:
    """Black images for every moment of a source that has none."""
    images = {one.name: np.zeros((one.size_wh[1], one.size_wh[0], 3), dtype=np.uint8) for one in source.rig.cameras}
    frames = FrameSet(images, dict.fromkeys(images, source.t0_ns))
    return (frames for _ in range(len(source)))


def _write_overlay(source: FrameSource, log: RecordingLog, pictures: Iterator[FrameSet], path: Path) -> None:
    shown = tqdm(_moments(log, pictures), total=len(log), desc="overlay", unit=" sets", disable=None)
    written = write_moments(source.rig.cameras, shown, path, source.fps)
    try:
        whole = video_length(path) == written
    except FootageError:
        whole = False
    if not whole:  # OpenCV does not tell that a write failed
        raise OSError(errno.ENOSPC, "the video could not be written to its end")


def _moments(log: RecordingLog, pictures: Iterator[FrameSet]) -> Iterator[Shown]:
    """Every moment with its images, pose and keypoints."""
    for part in log.parts():
        for pose, frames in zip(part.poses, pictures, strict=False):  # in this order: no picture is taken in vain
            stamp_ns = pose.stamp_ns
            seen = {name: sights[stamp_ns] for name, sights in part.keypoints.items() if stamp_ns in sights}
            yield Shown(part.frame_index(stamp_ns), frames.images, pose, seen)


def _recording(source: FrameSource, poses: Sequence[Pose3D]) -> Recording:
    """Poses alone as a Recording."""
    none = np.zeros(len(poses), dtype=np.int64)
    return Recording(
        source.rig, tuple(poses), none, {}, {}, source.t0_ns, source.fps, len(source), len(poses),
        moments_ns=source.moments_ns,
    )  # fmt: skip


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A place of the same name to write a file at; it is moved to path once it is whole."""
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
            "kept: free some space and run the same command with --resume"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
