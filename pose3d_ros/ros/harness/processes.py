"""A ROS graph of child processes that ends with its parent, isolated from other graphs; imports nothing of ROS."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pose3d_ros.errors import InputError
from pose3d_ros.ros.environment import node_command, prepare

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Longer than the recorder takes to settle and to write a long recording.
STOP_S = 20.0

# These may join a graph to peers, servers or routers on other machines, whatever its domain and range.
LEADING_ELSEWHERE = (
    "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER", "ROS_SUPER_CLIENT", "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_ENVIRONMENT_FILE", "CYCLONEDDS_URI", "ZENOH_CONFIG_OVERRIDE",
    "ZENOH_SESSION_CONFIG_URI",
)  # fmt: skip
# A keystore is made for the user's own nodes: ours would have no enclave in it and would not start.
SECURITY = ("ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY", "ROS_SECURITY_KEYSTORE", "ROS_SECURITY_ENCLAVE_OVERRIDE")
# Distributions that know no ROS_AUTOMATIC_DISCOVERY_RANGE yet; later ones call this variable out of date.
BEFORE_RANGES = ("foxy", "galactic", "humble")

# What the recorder logs once the node's messages reach it.
HEARS_THE_NODE = "hears the node"
# Higher domains have ports in Linux's ephemeral range (docs.ros.org, "The ROS_DOMAIN_ID").
DOMAINS = range(1, 102)
# The newest domains given by free_domain() stay this process's; those before have participants by then, or are done.
MOST_RESERVED = 8
_reserved: deque[socket.socket] = deque()


def isolated_environment() -> dict[str, str]:
    """This process's environment, for ROS nodes on their own domain that stays on this machine."""
    left_out = (*LEADING_ELSEWHERE, *SECURITY, "ROS_LOCALHOST_ONLY")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    prepare(environment)
    if environment.get("ROS_DISTRO") in BEFORE_RANGES:
        environment["ROS_LOCALHOST_ONLY"] = "1"
    return environment | {
        "ROS_DOMAIN_ID": str(free_domain()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
    }


def free_domain() -> int:
    """A ROS domain without participants on this machine: the port of its first participant is free.

    No other process is given it meanwhile, though child processes take seconds until they hold the port.
    """
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # DDSI-RTPS 9.6.1.1: port base 7400, gain of domains 250, offset of the first participant's discovery 10.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            if sys.platform == "linux":  # a name without a file, which the kernel drops with the process
                reservation.bind(f"\0pose3d_ros/domain/{domain}")
            probe.bind(("", 7400 + 250 * domain + 10))
            _reserved.append(reservation)
            if len(_reserved) > MOST_RESERVED:
                _reserved.popleft().close()
            return domain
        reservation.close()
    return random.choice(DOMAINS)


@dataclass(frozen=True)
class Child:
    """One running module."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 8) -> str:
        """The end of its log; never empty."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-count:]) or "(no output)"


class ChildProcesses:
    """A context manager that stops its processes at its end, however it ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._children: list[Child] = []

    def __enter__(self) -> ChildProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(self._children, patience_s=5.0)

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        piped: bool = False,
    ) -> Child:
        """Run a module; piped gives a non-blocking process.stdout instead of logging it."""
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*node_command(module), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                env={**self._environment, **(environment or {})},
                start_new_session=True,
                preexec_fn=_death_wish(),
            )
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
        child = Child(module.rsplit(".", 1)[-1], process, log)
        self._children.append(child)
        return child

    def running(self) -> list[Child]:
        """Running children."""
        return [child for child in self._children if child.process.poll() is None]

    def ended(self) -> list[Child]:
        """Children that are no longer running."""
        return [child for child in self._children if child.process.poll() is not None]

    def stop(self, children: Sequence[Child], patience_s: float = STOP_S) -> None:
        """SIGINT to each group, SIGKILL to the rest after patience_s."""
        for child in children:
            if child.process.poll() is None:
                _signal(child, signal.SIGINT)
        until = time.monotonic() + patience_s
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=max(0.1, until - time.monotonic()))
            # The group may outlive its leader.
            _signal(child, signal.SIGKILL)
            child.process.wait()
            if child.process.stdout is not None:
                child.process.stdout.close()


def _signal(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def _death_wish() -> Callable[[], None] | None:
    """Run in a child before exec: on Linux, request SIGKILL when the parent dies."""
    if sys.platform != "linux":
        return None
    # Looked up now: between fork and exec nothing may be loaded.
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    return ask


def free_port(first: int) -> int:
    """The first unused TCP port from `first` on, on 127.0.0.1."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise InputError(f"ports {first} to {first + 99} on 127.0.0.1 are all in use: stop the processes that use them")


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that the children are stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
