"""The single sample's published 2D people (OpenPose, BODY_25B) and the 3D reference computed from them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pose3d_ros.cache import cache_dir, sha256_of
from pose3d_ros.downloads import download_wheel
from pose3d_ros.errors import FootageError
from pose3d_ros.recordings.footage import CAMERAS, REFERENCE_WHEEL
from pose3d_ros.recordings.trc import read_trc
from pose3d_ros.rigs.formats.qualisys import rig_from_qualisys
from pose3d_ros.structures import Floats, Rig

_CALIBRATION = "Pose2Sim/Demo/calibration/Calib.qca.txt"
_FILES = {
    **REFERENCE_WHEEL.files,
    _CALIBRATION: "3d972d9983486763a6e4bf65fafafb344e558946ddf15828d1894b6bd89e49a8",
}
# Folder of each camera inside REFERENCE_WHEEL, and SHA-256 over its 100 files' bytes in the order of their names.
_FOLDERS = {camera: f"Pose2Sim/Demo/pose/cam{camera[-1]}_json" for camera in CAMERAS}
_PUBLISHED: Mapping[str, str] = {
    "cam01": "f79b40749a10d52dfc287308eb73d2112ae9b8f9c2a6c7d7fc3a5c17e028da32",
    "cam02": "478c1f638696c77153b181192b737fa309480a5b1bf3a8b8eb7a50c0a9a1a7f0",
    "cam03": "19228966eeb316cf2c19a9657b0b8914fa3f677fe1178633a7e82ef65424d63a",
    "cam04": "e6d5fdbfa002b64a6ec54eecf34fbd90652d66510807f21fdc05acfff21c1296",
}


@dataclass(frozen=True, eq=False)
class KeypointSample:
    """2D people by camera, their rig, and the published 3D result."""

    rig: Rig  # the images were of the calibrated size, 1088x1920 px
    folders: Mapping[str, Path]  # of OpenPose JSON files, by camera
    fps: float
    reference: tuple[tuple[str, ...], Floats]  # joint names (21) and xyz (T, 21, 3) m in the world, z up


def fetch_keypoints(progress: bool = True) -> KeypointSample:
    """The keypoints of the single sample, downloaded first if they are not here or damaged.

    progress shows the download on stderr. Raises DownloadError without network, DependencyError without pip.
    """
    place = _place()
    if not _is_here(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as scratch:
            archive = download_wheel(REFERENCE_WHEEL, Path(scratch), place.parent, progress)
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(archive) as bundle:
                members = (*_FOLDERS.values(), *_FILES)
                bundle.extractall(unpacked, [name for name in bundle.namelist() if name.startswith(members)])
            if place.exists() and not _is_here(place):
                shutil.move(place, Path(scratch) / "damaged")
            try:
                os.rename(unpacked, place)
            except OSError:
                # Another process was first; its files were verified the same way.
                if not place.is_dir():
                    raise
    return keypoint_sample()


def keypoint_sample() -> KeypointSample:
    """Return the cached keypoints; raises FootageError with the command to fetch them if missing or damaged."""
    place = _place()
    if not _is_here(place):
        raise FootageError(
            f"footage {place} is missing or damaged: run `pose3d estimate --footage openpose` once to fetch it"
        )
    rig = rig_from_qualisys(place / _CALIBRATION)
    markers = read_trc(place / next(iter(REFERENCE_WHEEL.files)))
    return KeypointSample(
        # The file calls them cam_01 to cam_04; the videos and the newer calibration say cam01.
        rig=Rig(tuple(replace(camera, name=camera.name.replace("_", "")) for camera in rig.cameras)),
        folders={camera: place / folder for camera, folder in _FOLDERS.items()},
        fps=60.0,
        reference=(markers.names, markers.xyz[..., [2, 0, 1]]),  # the file is y up
    )


def _place() -> Path:
    return cache_dir() / "footage" / (REFERENCE_WHEEL.requirement.replace("==", "-") + "-keypoints")


def _is_here(place: Path) -> bool:
    files = all((place / file).is_file() and sha256_of(place / file) == sha for file, sha in _FILES.items())
    return files and all(_digest(place / folder) == _PUBLISHED[camera] for camera, folder in _FOLDERS.items())


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
