"""The multi-view node with a detector without cost, which records arrivals of images."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.scene import KnownDetector, rig
from pose3d_ros.ros import session
from pose3d_ros.ros.camera_inputs import Frame
from pose3d_ros.ros.camera_sets import CameraSets
from pose3d_ros.ros.pose_node import OPTIONS, PoseNode
from pose3d_ros.ros.running import run_node
from pose3d_ros.structures import FrameSet, Keypoints2D, Rig

# Warm-up of weights, caches and threads.
WARM_UP_SETS = 60


class SlowDetector(KnownDetector):
    """The known detector, which takes slow_s per frame set."""

    def __init__(self, cameras: Rig, people: int, slow_s: float) -> None:
        super().__init__(cameras, people)
        self._slow_s = slow_s

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """All people in every camera of the set."""
        time.sleep(self._slow_s)
        return super().__call__(frames)


class BenchSets(CameraSets):
    """Frame sets that record the arrival of every image."""

    def _take(self, camera: str, frame: Frame) -> None:
        BenchNode.running.arrived(frame)
        super()._take(camera, frame)


class BenchNode(PoseNode):
    """The multi-view node with the cameras of benchmarks/scene.py."""

    running: BenchNode

    def __init__(self, report: Path, slow_s: float, cameras: int, people: int, **node_arguments: Any) -> None:
        self._report_file = report
        self._begun: tuple[float, int] | None = None  # CPU s of this process and sets, once everything is warm
        self.arrived_ns: dict[int, int] = {}  # capture stamp -> monotonic time of the set's last image
        BenchNode.running = self
        super().__init__(SlowDetector(rig(cameras), people, slow_s), **node_arguments)

    def arrived(self, frame: Frame) -> None:
        """Record the arrival of an image."""
        self.arrived_ns[frame.stamp_ns] = round(frame.arrived_s * 1e9)
        if self._begun is None and len(self.arrived_ns) >= WARM_UP_SETS:
            self._begun = time.process_time(), len(self.arrived_ns)

    def close(self) -> None:
        """Stop, and write the report."""
        cpu_s, sets = self._begun or (time.process_time(), 0)
        cpu_ms = 1e3 * (time.process_time() - cpu_s) / max(len(self.arrived_ns) - sets, 1)
        super().close()
        report = {"arrived_ns": list(self.arrived_ns.items()), "cpu_ms": cpu_ms}
        self._report_file.write_text(json.dumps(report), encoding="utf-8")


def main() -> int:
    """Run until SIGINT; arguments: output file, duration of detection (s), cameras, people."""
    report, slow_s = Path(sys.argv.pop(1)), float(sys.argv.pop(1))
    cameras, people = int(sys.argv.pop(1)), int(sys.argv.pop(1))
    session.CameraSets = BenchSets  # type: ignore[attr-defined]
    return run_node(lambda: BenchNode(report, slow_s, cameras, people), OPTIONS, sys.argv)


if __name__ == "__main__":
    sys.exit(main())
