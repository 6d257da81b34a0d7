"""The doctor's own machine: GPUs, broken packages, the environment of other processes."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from pose3d_ros.errors import DependencyError
from pose3d_ros.ros.environment import PROFILES_VARIABLES, require_ros

GPUS = Path("/proc/driver/nvidia/gpus")
PROCESSES = Path("/proc")


def gpus(folder: Path = GPUS) -> tuple[str, ...]:
    """The NVIDIA GPUs that the kernel's driver lists; loads neither CUDA nor PyTorch."""
    models = []
    for one in sorted(folder.glob("*/information")):
        lines = one.read_text(encoding="utf-8", errors="replace").splitlines()
        models += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(models)


def missing_ros() -> str:
    """Why this Python has no working ROS, with the fix; empty if it has."""
    try:
        require_ros()
        import rclpy  # noqa: F401
    except DependencyError as error:
        return str(error)
    except ImportError as error:  # rclpy of another Python, or without its libraries
        return f"rclpy is installed but cannot be loaded ({error}): source its ROS 2 installation"
    return ""


def broken_packages() -> tuple[str, ...]:
    """Warnings about broken packages of the ROS distribution; complete only on the first call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from pose3d_ros.ros import distribution  # noqa: F401
    return tuple(str(one.message) for one in caught if "is installed but broken" in str(one.message))


def on_this_machine(gid: Sequence[int], own_gid: Sequence[int]) -> bool | None:
    """Whether an endpoint's process runs on the doctor's machine, by Fast DDS's GIDs; None if they do not show it."""
    if len(gid) < 6 or len(own_gid) < 6 or list(gid[:2]) != list(own_gid[:2]):
        return None
    return list(gid[2:4]) == list(own_gid[2:4])


def has_profiles(gid: Sequence[int], own_gid: Sequence[int], folder: Path = PROCESSES) -> bool | None:
    """Whether the process of an endpoint has a Fast DDS profile in its environment; None if unknown.

    Fast DDS derives bytes 2 and 3 of a GID from the machine, 4 and 5 from the low half of the process id (its
    RTPSDomainImpl and GuidUtils; verified with 3.2.2). Only processes of the same user with Fast DDS loaded count.
    """
    if not on_this_machine(gid, own_gid):
        return None
    low = gid[4] | gid[5] << 8
    profiles = set()
    for process in folder.iterdir():
        if not process.name.isdecimal() or int(process.name) & 0xFFFF != low:
            continue
        try:
            maps, environ = (process / "maps").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it ended, or is another user's
            continue
        if b"libfastdds" in maps or b"libfastrtps" in maps:
            names = {os.fsdecode(one.partition(b"=")[0]) for one in environ.split(b"\0") if one.partition(b"=")[2]}
            profiles.add(bool(names & set(PROFILES_VARIABLES)))
    return profiles.pop() if len(profiles) == 1 else None


# Processes with different values of one of these may be on different graphs.
GRAPH_VARIABLES = (
    "ROS_DOMAIN_ID",
    "RMW_IMPLEMENTATION",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_STATIC_PEERS",
    "ROS_LOCALHOST_ONLY",
    "ROS_DISCOVERY_SERVER",
    "ROS_SECURITY_ENABLE",
)
DEFAULTS = {"ROS_DOMAIN_ID": "0"}
# bin/multiview_node, or python -m pose3d_ros.ros.multiview_node; parameters follow further back.
PROGRAM, WORDS = re.compile(r"(?:^|[/.])(multiview_node|monocular_node|detector_node)(?:\.py)?$"), 5


def processes_elsewhere(folder: Path = PROCESSES) -> tuple[str, ...]:
    """This package's processes on this machine whose ROS settings differ from this one's, in words."""
    own = _settings(folder / "self")
    processes = []
    for process in sorted(folder.iterdir()):
        if not process.name.isdecimal():
            continue
        try:
            words = [os.fsdecode(word) for word in (process / "cmdline").read_bytes().split(b"\0")]
            theirs = _settings(process)
        except OSError:  # it ended, or is another user's
            continue
        program = next((match[1] for word in words[:WORDS] if (match := PROGRAM.search(word))), "")
        differ = [
            f"{name}={theirs.get(name, '')} (here {own.get(name, 'not set')})"
            for name in GRAPH_VARIABLES
            if theirs.get(name, DEFAULTS.get(name, "")) != own.get(name, DEFAULTS.get(name, ""))
        ]
        if program and differ:
            processes.append(f"{program} (process {process.name}) with {', '.join(differ)}")
    return tuple(processes)


def _settings(process: Path) -> dict[str, str]:
    """The ROS variables that a process was started with."""
    pairs = (os.fsdecode(one).partition("=") for one in (process / "environ").read_bytes().split(b"\0"))
    return {name: value for name, _, value in pairs if name in GRAPH_VARIABLES and value}
