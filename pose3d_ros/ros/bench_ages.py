"""A subscriber of /human_pose_3d that notes how old people are in every message (`pose3d bench age`)."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.running import start_ros


class AgeListener(Node):
    """Keeps of each message: ns of capture, publication (as DDS has it) and arrival, cameras, and people's states."""

    def __init__(self) -> None:
        super().__init__("bench_ages")
        self.heard: list[tuple[int, int, int, int, list[int]]] = []
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._hear, 100)

    def _hear(self, message: HumanPose3DArray, info: Any) -> None:
        now_ns, stamp_ns = time.time_ns(), conversions.stamp_to_ns(message.header.stamp)
        states = [person.state for person in message.people]
        self.heard.append((stamp_ns, int(info["source_timestamp"]), now_ns, len(message.camera_names), states))


def main() -> int:
    """Listen until SIGINT; the argument is the file to write to."""
    report = Path(sys.argv.pop(1))
    start_ros(sys.argv)
    node = AgeListener()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        while True:  # C code that waits for messages does not hear SIGINT
            rclpy.spin_once(node, timeout_sec=0.1)
    report.write_text(json.dumps(node.heard), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
