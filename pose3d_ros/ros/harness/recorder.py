"""The node "recorder": subscribes to the pose topics as a controller would, and writes the messages.

It records until SIGINT or SIGTERM, then waits for a last diagnosis of the stages and writes a Recording.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy import try_shutdown
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose3d_ros.errors import InputError, Pose3DError
from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.options import check, option
from pose3d_ros.recordings.playback import Playback, open_footage
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_log import FULL
from pose3d_ros.ros import conversions
from pose3d_ros.ros.harness.processes import HEARS_THE_NODE
from pose3d_ros.ros.parameters import declare, refuse_unknown
from pose3d_ros.ros.running import answered, start_ros
from pose3d_ros.structures import Keypoints2D

# Deep enough that a burst during a slow callback is not lost: two minutes of poses at 10 Hz.
_KEPT = 1200
# Poses that came in a burst are taken within milliseconds of each other: after so long without one none waits.
_QUIET_NS = 200_000_000


@dataclass(frozen=True)
class RecorderOptions:
    """Parameters of the recorder."""

    footage: str = option("single", "what the player plays: its rig goes into the recording", read_only=True)
    cameras: tuple[str, ...] = option((), "names of the cameras played; empty: all", read_only=True)
    report: str = option("player.json", "the player's report, read at the end", read_only=True)
    output: str = option("recording.npz", "file to write at the end", read_only=True)
    settle_s: float = option(
        2.0, "wait at the end for a diagnosis newer than the last pose", unit="s", low=0.0, read_only=True
    )

    def __post_init__(self) -> None:
        check(self)


class Recorder(Node):
    """Keeps every message with the monotonic time of its receipt."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("recorder", **node_arguments)
        self.options = declare(self, RecorderOptions)
        refuse_unknown(self)
        self.rig = open_footage(self.options.footage, self.options.cameras).rig
        self.output = Path(self.options.output)
        check_writable(self.output)
        self.poses: list[tuple[int, HumanPose3DArray]] = []  # receipt (monotonic ns), message
        self.keypoints: dict[str, list[Keypoints2DArray]] = {name: [] for name in self.rig.names}
        self.stage_ms: dict[str, float] = {}
        self.markers_received = 0
        self.tf_received = 0
        self._diagnosed_ns = 0
        self._hears = False
        kept = QoSProfile(depth=_KEPT)
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._take_pose, kept)
        # Counted, not read: deserialising every marker would cost the node under test its core.
        self.create_subscription(MarkerArray, "human_pose_3d/markers", self._count_markers, kept, raw=True)
        self.create_subscription(TFMessage, "/tf", self._count_transforms, kept, raw=True)
        for name in self.rig.names:
            self.create_subscription(Keypoints2DArray, f"{name}/keypoints_2d", self.keypoints[name].append, kept)
        # Last: subscriptions are discovered in their order, so a node whose diagnostics arrive knows the others too.
        self.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnosis, kept)

    def recording(self, playback: Playback) -> Recording:
        """The messages joined with the player's report; logs differences between the two."""
        heard = {conversions.stamp_to_ns(msg.header.stamp) for _, msg in self.poses}
        if strange := heard - playback.published_ns.keys():
            self.get_logger().warning(f"{len(strange)} poses have a stamp that the player never published")
        if lost := playback.published_ns.keys() - set(playback.unanswered_ns) - heard:
            self.get_logger().warning(f"{len(lost)} poses reached the player but not this recorder")
        keypoints: dict[str, dict[int, tuple[Keypoints2D, tuple[str, ...]]]] = {}
        for name, msgs in self.keypoints.items():
            pairs = map(conversions.keypoints_from_msg, msgs)
            keypoints[name] = {one.stamp_ns: (one, ids) for one, ids in pairs}
        return Recording(
            rig=self.rig,
            poses=tuple(conversions.pose_from_msg(msg) for _, msg in self.poses),
            received_ns=np.array([received_ns for received_ns, _ in self.poses], dtype=np.int64),
            published_ns=playback.published_ns,
            keypoints=keypoints,
            t0_ns=playback.t0_ns,
            fps=playback.fps,
            frames_per_loop=playback.frames_per_loop,
            frame_sets_sent=playback.frame_sets_sent,
            stage_ms=self.stage_ms,
            settings={},
            markers_received=self.markers_received,
            tf_received=self.tf_received,
        )

    def settled(self) -> bool:
        """Whether the stages were diagnosed after the last pose, and no pose waits in the queue."""
        if not self.poses or time.monotonic_ns() - self.poses[-1][0] < _QUIET_NS:
            return False
        return self._diagnosed_ns > self.poses[-1][0]

    def _take_pose(self, msg: HumanPose3DArray) -> None:
        if msg.camera_names:  # else it is an earlier pose that has aged
            self.poses.append((time.monotonic_ns(), msg))

    def _count_markers(self, serialised: bytes) -> None:
        self.markers_received += 1

    def _count_transforms(self, serialised: bytes) -> None:
        self.tf_received += 1

    def _take_diagnosis(self, msg: DiagnosticArray) -> None:
        if not self._hears:
            self._hears = True
            self.get_logger().info(HEARS_THE_NODE)
        for status in msg.status:
            stages = {pair.key: pair.value for pair in status.values if pair.key.startswith("stage_ms/")}
            for key, value in stages.items():
                self.stage_ms[key.removeprefix("stage_ms/")] = float(value)
            if stages:
                self._diagnosed_ns = time.monotonic_ns()


def check_writable(path: Path) -> None:
    """Raise InputError now, and not after the run, when the file cannot be written."""
    folder = path.resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"output {path}: {folder} is not a writable folder: create it, or choose another")


def record(recorder: Recorder, executor: Executor, stop: threading.Event) -> None:
    """Spin until stop is set, and then until the node is settled or settle_s is over."""
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.1)
    until = time.monotonic() + recorder.options.settle_s
    while not recorder.settled() and time.monotonic() < until:
        executor.spin_once(timeout_sec=0.1)


def keep(recording: Recording, output: Path) -> int:
    """Write it to output and return 0; if that disk is full, to the folder for temporary files, and return 1.

    Raises OSError where there is no room either.
    """
    try:
        recording.save(output)
        return 0
    except OSError as error:
        if error.errno not in FULL:
            raise
        elsewhere = Path(tempfile.mkdtemp(prefix="pose3d_")) / output.name
        recording.save(elsewhere)
        print(f"recorder: cannot write {output}: {error.strerror}: the recording is in {elsewhere}", file=sys.stderr)
        return 1


def main(argv: list[str] | None = None) -> int:
    """Record until stopped; 0 when the recording is written, 1 with the reason otherwise."""
    arguments = list(sys.argv if argv is None else argv)
    if (code := answered(Recorder, (RecorderOptions,), arguments)) is not None:
        return code
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    recorder = None
    try:
        start_ros(arguments)
        recorder = Recorder()
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)
        record(recorder, executor, stop)
        recording = recorder.recording(Playback.load(Path(recorder.options.report)))
        return keep(recording, recorder.output)
    except Pose3DError as error:
        print(f"recorder: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"recorder: cannot write the recording: {error}: free some space, or choose another", file=sys.stderr)
        return 1
    except ExternalShutdownException:
        return 130
    finally:
        if recorder is not None:
            recorder.destroy_node()
        try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
