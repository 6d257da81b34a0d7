"""Tests with real nodes, under the conditions of test/ros and with its helpers."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

# Read when a message is imported first, so it stands before every import of one.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
sys.path.append(str(Path(__file__).resolve().parents[2] / "ros"))

collect_ignore_glob = [] if importlib.util.find_spec("rclpy") is not None else ["*"]
