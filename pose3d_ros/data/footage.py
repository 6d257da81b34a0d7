"""Real calibrated footage of people: fetched once through pip, checked, kept in the cache, used offline after."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.cache import cache_dir
from pose3d_ros.data.rigs import rig_from_qualisys
from pose3d_ros.data.trc import read_trc
from pose3d_ros.data.wheels import Wheel, download_wheel
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.structures import Floats, Rig

# Pose2Sim's demonstration data, (c) David Pagnon and others, BSD-3-Clause. Downloaded, not redistributed.
# Four synchronised cameras, 100 frames at 60 fps; the two trials share one calibration of 1088x1920 images.
# cam01 and cam02 of the single trial are 1080x1920: features of the calibration's own pictures (cam01_ext.png) come
# back there at 0.9926 x, 0.9926 y + 7.1 px, between 7 black rows at top and bottom. So the image was scaled.
VIDEOS_WHEEL = Wheel(
    requirement="pose2sim==0.10.49",
    filename="pose2sim-0.10.49-py3-none-any.whl",
    size_bytes=51_189_031,
    sha256="403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1",
    licence="BSD-3-Clause",
)
# The last release that carried 3D results of the single trial: OpenPose, triangulated and filtered.
REFERENCE_WHEEL = Wheel(
    requirement="pose2sim==0.4.5",
    filename="pose2sim-0.4.5-py3-none-any.whl",
    size_bytes=15_836_561,
    sha256="4d9abb05b58988cdee039b7e88b4263d892f8085d943054b65a116db1e5e898c",
    licence="BSD-3-Clause",
)

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
SAMPLES: Mapping[str, str] = MappingProxyType(
    {"single": "Pose2Sim/Demo_SinglePerson", "multi": "Pose2Sim/Demo_MultiPerson"}
)  # sample name -> folder inside VIDEOS_WHEEL
_REFERENCE = "Pose2Sim/Demo/opensim/Balancing_for_IK.trc"
_CALIBRATION = "calibration/Calib.qca.txt"


@dataclass(frozen=True)
class Sample:
    """Synchronised videos of one scene and the rig that took them (world z up, floor z = 0, in m)."""

    name: str
    rig: Rig
    videos: Mapping[str, Path]
    fps: float


def fetch_sample(name: str, progress: bool = True) -> Sample:
    """The sample, downloaded first if it is not here; the single one brings its reference too.

    progress shows the download on stderr. Raises DownloadError without network or for a file that is not
    the published one, DependencyError without pip.
    """
    files = [f"{folder}/videos/{camera}.mp4" for folder in SAMPLES.values() for camera in CAMERAS]
    files += [f"{folder}/{_CALIBRATION}" for folder in SAMPLES.values()]
    _folder_of(name)
    _provide(VIDEOS_WHEEL, files, progress)
    if name == "single":
        _provide(REFERENCE_WHEEL, [_REFERENCE], progress)
    return sample(name)


def sample(name: str) -> Sample:
    """A sample that was fetched before; raises FootageError that names the command when it is not here."""
    folder = _place(VIDEOS_WHEEL) / _folder_of(name)
    videos = {camera: folder / "videos" / f"{camera}.mp4" for camera in CAMERAS}
    calibration = folder / _CALIBRATION
    for path in (*videos.values(), calibration):
        _require(path, name)
    sizes = {camera: video_size(path) for camera, path in videos.items()}
    return Sample(name, rig_from_qualisys(calibration, sizes), MappingProxyType(videos), fps=60.0)


def reference_single() -> tuple[tuple[str, ...], Floats]:
    """Joint names (21) and xyz (T, 21, 3) m in the world (z up) of the single sample, one row a frame.

    Made by others with OpenPose and filtered: agreement with it is no error against marker truth.
    Raises FootageError when it is not here.
    """
    path = _place(REFERENCE_WHEEL) / _REFERENCE
    _require(path, "single")
    markers = read_trc(path)
    return markers.names, markers.xyz[..., [2, 0, 1]]  # the file is y up: (x, y, z) there is world (y, z, x)


def video_size(path: Path | str) -> tuple[int, int]:
    """Width and height in px; raises FootageError for a file that is no video."""
    capture = _open(path)
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    return size


def read_video(path: Path | str, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Frames start..stop-1 as uint8 BGR (H, W, 3).

    Raises FootageError at once for a file that is no video, and in the loop when not one frame of a
    video decodes.
    """
    return _frames(_open(path), path, start, stop)


def _frames(capture: cv2.VideoCapture, path: Path | str, start: int, stop: int | None) -> Iterator[NDArray[np.uint8]]:
    """Decode from the beginning: seeking in H.264 lands on key frames in some OpenCV builds."""
    try:
        index = 0
        while stop is None or index < stop:
            if not capture.grab():
                break
            if index >= start:
                ok, image = capture.retrieve()
                if not ok:
                    break
                yield np.asarray(image, dtype=np.uint8)
            index += 1
        if index == 0 and stop != 0:
            raise _unreadable(path, "no frame decodes")
    finally:
        capture.release()


def _open(path: Path | str) -> cv2.VideoCapture:
    """An opened video."""
    if not Path(path).is_file():
        raise _unreadable(path, "no such file")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise _unreadable(path, "not a video that OpenCV can open")
    return capture


def _unreadable(path: Path | str, why: str) -> FootageError:
    mend = (
        "delete it and run `pose3d demo` to fetch it again" if cache_dir() in Path(path).parents else "check the file"
    )
    return FootageError(f"video {path} cannot be read ({why}): {mend}")


def _folder_of(name: str) -> str:
    if name not in SAMPLES:
        raise InputError(f"unknown sample {name!r}: use one of {', '.join(SAMPLES)}")
    return SAMPLES[name]


def _place(wheel: Wheel) -> Path:
    """Folder in the cache where what was taken from a wheel lies."""
    return cache_dir() / "footage" / wheel.requirement.replace("==", "-")


def _require(path: Path, name: str) -> None:
    if not path.is_file():
        raise FootageError(f"footage {path} is not here: run `pose3d demo --people {name}` once to fetch it")


def _provide(wheel: Wheel, files: list[str], progress: bool) -> None:
    """Download and unpack what is missing; the folder appears whole or not at all, also with two processes."""
    place = _place(wheel)
    if all((place / file).is_file() for file in files):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as scratch:
        archive = download_wheel(wheel, Path(scratch), place.parent, progress)
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(archive) as bundle:
            for file in files:
                bundle.extract(file, unpacked)
        if place.exists() and not all((place / file).is_file() for file in files):
            shutil.move(place, Path(scratch) / "incomplete")
        try:
            os.rename(unpacked, place)
        except OSError:
            # Another process was first; what it put there was checked the same way.
            if not place.is_dir():
                raise
