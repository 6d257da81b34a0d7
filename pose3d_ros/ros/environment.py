"""What a process must have in its environment before it starts ROS; imports nothing of ROS itself.

The ROS wheels of PyPI make `sys.prefix` a ROS prefix, but do not put it into AMENT_PREFIX_PATH. Fast DDS's default
shared memory (512 KiB) cannot hold a camera image, so that best-effort images are lost between processes
(640x480 at 30 Hz: 0 of 210 arrive; with config/fastdds.xml 210 of 210).
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path

from pose3d_ros.errors import DependencyError

PACKAGE = "pose3d_ros"
PROFILES_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
# Fast DDS reads the second name too (its name before version 2).
PROFILES_VARIABLES = (PROFILES_VARIABLE, "FASTRTPS_DEFAULT_PROFILES_FILE")
_WHEELS_FOR = "x86_64 Linux, Python 3.10 to 3.13"


def prepare(environ: MutableMapping[str, str] | None = None) -> None:
    """Fill in what is missing in `environ` (default: this process's); what the user has set stays.

    Call it at every entry point, before rclpy.init and before starting a process that uses ROS.
    """
    environ = os.environ if environ is None else environ
    prefixes = [part for part in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    # In front when nothing is sourced; behind a workspace that was built upon the wheels and lacks rclpy itself.
    if _has(Path(sys.prefix), "rclpy") and not any(_has(Path(prefix), "rclpy") for prefix in prefixes):
        environ["AMENT_PREFIX_PATH"] = os.pathsep.join([*prefixes, sys.prefix])
    if not any(environ.get(name) for name in PROFILES_VARIABLES):
        environ[PROFILES_VARIABLE] = str(share_directory() / "config" / "fastdds.xml")
    # torch's threads that wait for others sleep. They spin by default, and where other nodes share the cores that took
    # four times the CPU (944 against 237 ms a frame set for the detector, on 2 busy cores).
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def share_directory() -> Path:
    """The folder that holds config/ and launch/: share/pose3d_ros of the installation, or the checkout's root."""
    # Symbolic links (colcon --symlink-install) are not followed: what is wanted is where they lie.
    package = Path(os.path.abspath(__file__)).parents[1]
    # PREFIX/lib/python3.x/site-packages/pose3d_ros, or Debian's PREFIX/local/lib/python3.x/dist-packages/pose3d_ros.
    for prefix in (*package.parents, Path(sys.prefix)):
        if (prefix / "share" / PACKAGE / "config" / "fastdds.xml").is_file():
            return prefix / "share" / PACKAGE
    checkout = package.parent
    if (checkout / "config" / "fastdds.xml").is_file():
        return checkout
    raise DependencyError(
        f"{PACKAGE} is installed in {package}, but its share/{PACKAGE} folder (config, launch) is neither in a folder "
        f"above it nor in {sys.prefix}. Install again with `pip install .` or colcon; editable installs lack it."
    )


def require_ros() -> None:
    """Raise DependencyError, naming the fix, when rclpy or the compiled messages are not installed."""
    if find_spec("rclpy") is None:
        raise DependencyError(
            f"rclpy is not installed for {sys.executable}. ROS wheels exist for {_WHEELS_FOR} (this is {_machine()}): "
            "there `pip install .` brings it. Elsewhere source a ROS 2 installation "
            "(`source /opt/ros/DISTRO/setup.bash`) and use its Python."
        )
    if find_spec(f"{PACKAGE}.msg") is None:
        raise DependencyError(
            f"{PACKAGE} in {Path(__file__).parents[1]} has no compiled messages ({PACKAGE}.msg). A checkout on the "
            "import path hides the installed package: run elsewhere. Or build them: `pip install .` (x86_64 Linux, "
            "or a sourced ROS 2) or colcon."
        )


def node_command(module: str) -> list[str]:
    """The command line that runs `python -m module` with the package that this process uses.

    `-m` alone puts the working directory first on the import path, where a checkout would hide the installed package.
    """
    root = str(Path(os.path.abspath(__file__)).parents[2])  # links not followed, see share_directory
    code = (
        "import runpy, sys; sys.path[0] = sys.argv.pop(1); "
        "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", code, root, module]


def _has(prefix: Path, package: str) -> bool:
    return (prefix / "share" / "ament_index" / "resource_index" / "packages" / package).is_file()


def _machine() -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{os.uname().machine} {sys.platform}, Python {version}"
