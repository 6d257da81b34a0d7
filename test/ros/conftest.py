"""Every test here runs with field checks on messages, on this machine only, and is left out where there is no ROS."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

# Read when a message is imported first, so it stands before every import of one.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

HAS_ROS = importlib.util.find_spec("rclpy") is not None
collect_ignore_glob = [] if HAS_ROS else ["*"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which packages the tests ran with."""
    distribution = sys.modules.get("pose3d_ros.ros.distribution")
    if distribution is not None:
        taken = ", ".join(f"{package} from {source}" for package, source in distribution.sources.items())
        terminalreporter.write_line(f"ROS packages taken: {taken}")


@pytest.fixture(scope="module")
def context() -> Iterator[object]:
    """An rclpy context on a domain of its own."""
    import rclpy
    from rclpy.context import Context

    from pose3d_ros.ros.harness.processes import free_domain

    context = Context()
    rclpy.init(context=context, args=[], domain_id=free_domain())
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture(params=["standin", "distribution"])
def taken(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """A package by name: once our stand-in, once the distribution's where it has a working one."""
    from pose3d_ros.ros import distribution

    def take(package: str) -> ModuleType:
        if request.param == "standin":
            return importlib.import_module(f"pose3d_ros.ros.standins.{package}")
        if distribution.sources[package] != "distribution":
            pytest.skip(f"no ROS distribution's {package} here: its stand-in is in use")
        return importlib.import_module(package)

    return take
