"""A subscriber of /human_pose_3d that records the age of people in every message (`python -m benchmarks age`)."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.running import start_ros


class AgeListener(Node):
    """Records of each message: ns of capture, publication (by DDS) and arrival, cameras, and people's states."""

    def __init__(self) -> None:
        super().__init__("bench_ages")
        self.heard: list[tuple[int, int, int, int, list[int]]] = []
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._hear, 100)

    def _hear(self, message: HumanPose3DArray, info: Any) -> None:
        now_ns, stamp_ns = time.time_ns(), conversions.stamp_to_ns(message.header.stamp)
        states = [person.state for person in message.people]
        self.heard.append((stamp_ns, int(info["source_timestamp"]), now_ns, len(message.camera_names), states))


def main() -> int:
    """Record until SIGINT; the argument is the output file."""
    report = Path(sys.argv.pop(1))
    start_ros(sys.argv)
    node, stopped = AgeListener(), threading.Event()
    # Not KeyboardInterrupt: raised where Python ignores exceptions it would be lost, and the report with it.
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stopped.is_set():
        executor.spin_once(timeout_sec=0.1)
    report.write_text(json.dumps(node.heard), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
