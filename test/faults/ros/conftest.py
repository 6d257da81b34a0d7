"""Tests with real nodes, under the conditions of test/ros and with its helpers."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spoilt_camera import Faults

# Read when a message is imported first, so it stands before every import of one.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
sys.path.append(str(Path(__file__).resolve().parents[2] / "ros"))

collect_ignore_glob = [] if importlib.util.find_spec("rclpy") is not None else ["*"]


@pytest.fixture(scope="module")
def running() -> Iterator[Faults]:
    """One graph for the faults of a module."""
    from spoilt_camera import RIG, TF_WAIT_S, Faults
    from synthetic_cameras import graph

    with graph(RIG, fixed_frame="world", tf_timeout_s=TF_WAIT_S) as one:
        yield Faults(one)


@pytest.fixture
def raw(running: Faults) -> Iterator[Faults]:
    """Raw images; after the test the fault ends, and the camera must come back."""
    yield running
    running.end()


@pytest.fixture(scope="module")
def running_compressed() -> Iterator[Faults]:
    """The same of compressed images."""
    from spoilt_camera import RIG, Faults
    from synthetic_cameras import graph

    with graph(RIG, compressed=True, fixed_frame="world") as one:
        yield Faults(one)


@pytest.fixture
def compressed(running_compressed: Faults) -> Iterator[Faults]:
    """Compressed images; ended as raw."""
    yield running_compressed
    running_compressed.end()
