"""Run a downloader (pip, npm) as a process of its own, and show how the file that it brings grows."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from pose3d_ros.errors import DependencyError

PERIOD_S = 0.1  # between two looks at the growing file
LINE_S = 5.0  # between two states of the bar where they follow each other in a log (not a terminal)


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
