"""2D people of each camera, on its own clock: detected, read from files or from a recording, and kept for the next run.

All are h36m_17 with covariance, as the estimator takes them: remapped, in float32's digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pose3d_ros.detection.detector import Detector
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.estimation.views import as_message
from pose3d_ros.geometry.calibration import check_image_size
from pose3d_ros.geometry.triangulation import SIGMA_PX
from pose3d_ros.recordings.keypoint_files import keypoints_of, open_keypoints
from pose3d_ros.recordings.own_clocks import RATE_HZ, OwnClockImages, every_nth
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_log import RecordingLog
from pose3d_ros.skeletons import H36M_17, remap
from pose3d_ros.structures import Camera, Keypoints2D, Rig

People = tuple[Keypoints2D, ...]  # of one camera, by rising stamp
# Where a folder of `pose3d calibrate`, `demo` or `estimate` holds 2D people.
IN_FOLDERS = ("keypoints.npz", "recording.npz", "log/recording.npz")
PARTS = "parts"
# Settings of a file that keep_people wrote: whether stamps are of each camera's own clock; of which images people are.
OWN_CLOCKS, IDENTITY = "own_clocks", "images"


def detect_people(
    images: OwnClockImages, cameras: Mapping[str, Camera], detector: Detector, progress: bool
) -> dict[str, People]:
    """Run the detector over all images, those of a set at once.

    Raises CalibrationError for an image that is not of its camera's size, and what reading and detecting raise.
    """
    found: dict[str, list[Keypoints2D]] = {camera: [] for camera in images.counts}
    total = sum(images.counts.values())
    with tqdm(total=total, desc="detecting people", unit="image", disable=not progress) as bar:
        for frames in images.read():
            for camera, image in frames.images.items():
                check_image_size(cameras[camera], image.shape)
            for camera, people in detector(frames).items():
                found[camera].append(h36m_people(as_message(people)))
            bar.update(len(frames.images))
    return {camera: tuple(people) for camera, people in found.items()}


def h36m_people(people: Keypoints2D) -> Keypoints2D:
    """In h36m_17 with covariance; without a detector's, 4 px an axis over the score, as in triangulation."""
    people = remap(people, H36M_17)
    if people.covariance is not None:
        return people
    variance = (SIGMA_PX / np.where(people.score > 0, people.score, np.nan)) ** 2
    return replace(people, covariance=variance[..., None, None] * np.eye(2))


def people_of_file(path: Path, fps: float, order: str, every: int | None = None) -> People:
    """The people of a folder of OpenPose files or a COCO file, at frame number / fps; raises FootageError."""
    file = open_keypoints(path, order)
    numbers = np.array(file.numbers)
    grid = int(np.median(np.diff(numbers))) if len(numbers) > 1 else 1
    step = grid * every_nth(1e9 * grid / fps, every)
    found = []
    for number in numbers[(numbers - numbers[0]) % step == 0].tolist():
        points = file.people(number)
        if points is not None:
            found.append(h36m_people(keypoints_of(points, file.skeleton, round(number * 1e9 / fps))))
    return tuple(found)


def recorded_parts(path: Path) -> list[Recording] | None:
    """The recording at a path: an .npz, or a folder that a command wrote; None for another folder."""
    if not path.is_dir():
        return [Recording.load(path)]
    for name in IN_FOLDERS:
        if (path / name).is_file():
            return [Recording.load(path / name)]
    log = RecordingLog(path / PARTS)
    return list(log.parts()) if len(log) else None


def people_of_recording(parts: Iterable[Recording], every: int | None = None) -> dict[str, People]:
    """The people by camera; cameras without any image are absent."""
    found: dict[str, dict[int, Keypoints2D]] = {}
    for part in parts:
        for camera, by_stamp in part.keypoints.items():
            found.setdefault(camera, {}).update({stamp: people for stamp, (people, _) in by_stamp.items()})
    chosen = {}
    for camera, images in found.items():
        stamps = sorted(images)
        period_ns = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1e9
        chosen[camera] = tuple(h36m_people(images[stamp]) for stamp in stamps[:: every_nth(period_ns, every)])
    return {camera: people for camera, people in chosen.items() if people}


def keep_people(
    path: Path, cameras: Sequence[Camera], people: Mapping[str, People], identity: Mapping[str, Any], **settings: Any
) -> None:
    """Write a Recording without poses, so that the next run detects nothing; settings are kept with it."""
    most = max(1, *(len(images) for images in people.values()))
    kept = {camera: {one.stamp_ns: (one, ("",) * len(one)) for one in images} for camera, images in people.items()}
    Recording(
        rig=Rig(tuple(replace(camera, cam_from_world=np.eye(4)) for camera in cameras), frame_id="unplaced"),
        poses=(),
        received_ns=np.zeros(0, dtype=np.int64),
        published_ns={},
        keypoints=kept,
        t0_ns=0,
        fps=RATE_HZ,
        frames_per_loop=most,
        frame_sets_sent=most,
        settings={IDENTITY: dict(identity), **settings},
    ).save(path)


def kept_people(path: Path, identity: Mapping[str, Any]) -> dict[str, People] | None:
    """What keep_people wrote, if it is of these very images; None otherwise."""
    if not path.is_file():
        return None
    try:
        kept = Recording.load(path)
    except (FootageError, InputError):  # cut short, or of another version: it is written again
        return None
    # The file has it as JSON, where tuples are lists.
    if json.dumps(kept.settings.get(IDENTITY)) != json.dumps(identity):
        return None
    return people_of_recording([kept], every=1)
