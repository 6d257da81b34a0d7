"""The node "player": publishes recorded footage as calibrated cameras would, at the pace of its subscriber.

Per frame set: /clock, then <camera>/image_raw and <camera>/camera_info of every camera under one stamp;
world -> <camera>_optical stands on /tf_static.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from pose3d_ros.errors import Pose3DError
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.options import check, option
from pose3d_ros.recordings.playback import T0_NS, Playback, open_footage, play, run_ahead
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import StaticTransformBroadcaster
from pose3d_ros.ros.parameters import declare, refuse_unknown
from pose3d_ros.ros.running import answered, start_ros
from pose3d_ros.structures import FrameSet

# How long a signal may go unnoticed: C code that waits for messages does not hear it.
SPIN_S = 0.1
# While a set waits for its answer /clock advances by this much every SPIN_S: 2 ms in the 20 s of timeout_s.
CREEP_NS = 10_000


@dataclass(frozen=True)
class PlayerOptions:
    """Parameters of the player."""

    footage: str = option(
        "single", "sample to play (single, multi), or a folder with rig.yaml and <camera>.mp4", read_only=True
    )
    cameras: tuple[str, ...] = option((), "names of the cameras to play; empty: all", read_only=True)
    rate: float = option(
        0.0, "frame sets a second; 0: as fast as they are answered", unit="Hz", low=0.0, high=1000.0, read_only=True
    )
    frames: int = option(0, "frame sets to play of each loop; 0: all", low=0, read_only=True)
    loop: int = option(1, "how often to play the footage", low=1, read_only=True)
    # With 2 the next set may overwrite the one in the node's one-slot mailbox: a pose goes out before the node has
    # finished its set and taken the next (on busy cores 3 of 30 sets were lost so).
    in_flight: int = option(
        1, "frame sets that wait for their answer at most, at rate 0", low=1, high=16, read_only=True
    )
    timeout_s: float = option(
        20.0, "after this long without its answer a frame set is given up", unit="s", low=0.1, read_only=True
    )
    start_s: float = option(T0_NS / 1e9, "capture time of the first frame", unit="s", low=1.0, read_only=True)
    pose_subscribers: int = option(
        1, "subscribers of human_pose_3d to wait for at the start, player included", low=1, read_only=True
    )
    report: str = option("", "file to write when and what was published to, as JSON; empty: none", read_only=True)
    progress: bool = option(False, "print a JSON line of counts to stdout after every frame set", read_only=True)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PreparedSet:
    """The messages of one frame set, ready to be published."""

    stamp_ns: int
    images: tuple[Image, ...]
    infos: tuple[CameraInfo, ...]


class Player(Node):
    """Publishes footage; call play() from the thread that owns the node's executor."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("player", **node_arguments)
        self.options = declare(self, PlayerOptions)
        refuse_unknown(self)
        self.footage = open_footage(self.options.footage, self.options.cameras)
        self.published_ns: dict[int, int] = {}
        self.answered: set[int] = set()
        self.given_up: set[int] = set()
        self._clock_ns = 0  # as it was last published
        self._waiting: dict[int, float] = {}  # stamp -> monotonic s when it is given up
        self._clock_publisher = self.create_publisher(Clock, "/clock", QoSProfile(depth=1))
        cameras = self.footage.rig.names
        self._images = [self.create_publisher(Image, f"{name}/image_raw", qos_profile_sensor_data) for name in cameras]
        self._infos = [
            self.create_publisher(CameraInfo, f"{name}/camera_info", qos_profile_sensor_data) for name in cameras
        ]
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._take_answer, 10)
        self._transforms = StaticTransformBroadcaster(self)
        self._transforms.sendTransform(
            [
                conversions.transform_to_msg(
                    np.linalg.inv(camera.cam_from_world),
                    self.footage.rig.frame_id,
                    f"{camera.name}_optical",
                    self._start_ns,
                )
                for camera in self.footage.rig.cameras
            ]
        )
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self)

    @property
    def _start_ns(self) -> int:
        return round(self.options.start_s * 1e9)

    def play(self) -> Playback:
        """Wait for subscribers, publish everything, wait for the last answers; returns the times of publication."""
        options = self.options
        self._wait_for_subscribers()
        sets = play(self.footage, options.frames, options.loop, self._start_ns)
        prepared = run_ahead(sets, self._prepare)
        try:
            for number, ready in enumerate(self._paced(prepared)):
                self._publish(ready)
                if options.progress:
                    self._print_progress()
                if number == 0:
                    self.get_logger().info(f"playing {options.footage}: {', '.join(self.footage.rig.names)}")
        finally:
            prepared.close()
        self._wait_for_last_answers()
        if self.given_up:
            self.get_logger().warning(f"{len(self.given_up)} of {len(self.published_ns)} frame sets got no answer")
        return Playback(
            t0_ns=self._start_ns,
            fps=self.footage.fps,
            frames_per_loop=len(self.published_ns) // options.loop,
            frame_sets_sent=len(self.published_ns),
            published_ns=dict(self.published_ns),
            unanswered_ns=tuple(stamp for stamp in self.published_ns if stamp not in self.answered),
        )

    def _prepare(self, frames: FrameSet) -> PreparedSet:
        stamp_ns = frames.stamp_ns
        framed = [(camera, f"{camera.name}_optical") for camera in self.footage.rig.cameras]
        return PreparedSet(
            stamp_ns,
            tuple(conversions.image_to_msg(frames.images[camera.name], stamp_ns, frame) for camera, frame in framed),
            tuple(conversions.camera_info_to_msg(camera, stamp_ns, frame) for camera, frame in framed),
        )

    def _paced(self, sets: Iterable[PreparedSet]) -> Iterator[PreparedSet]:
        """Yield each set when it is due: by the rate, or when few enough sets wait for their answer."""
        begin = 0.0
        for number, ready in enumerate(sets):
            if self.options.rate > 0:
                begin = begin or time.monotonic()  # the first set may have been long in the making
                self._spin_until(begin + number / self.options.rate)
            else:
                while self._unanswered() >= self.options.in_flight:
                    self._executor.spin_once(timeout_sec=SPIN_S)
                    if self._unanswered() >= self.options.in_flight:
                        self._creep()
            yield ready

    def _publish(self, ready: PreparedSet) -> None:
        self._clock_ns = ready.stamp_ns
        self._clock_publisher.publish(conversions.clock_to_msg(ready.stamp_ns))
        now_ns = time.monotonic_ns()
        self.published_ns[ready.stamp_ns] = now_ns
        self._waiting[ready.stamp_ns] = now_ns / 1e9 + self.options.timeout_s
        for publisher, info in zip(self._infos, ready.infos, strict=True):
            publisher.publish(info)
        for publisher, image in zip(self._images, ready.images, strict=True):
            publisher.publish(image)

    def _creep(self) -> None:
        """Advance the clock a little while the footage waits for its answer: a stopped clock is a fault."""
        self._clock_ns += CREEP_NS
        self._clock_publisher.publish(conversions.clock_to_msg(self._clock_ns))

    def _take_answer(self, msg: HumanPose3DArray) -> None:
        stamp_ns = conversions.stamp_to_ns(msg.header.stamp)
        if stamp_ns in self.published_ns:
            self.answered.add(stamp_ns)
            self._waiting.pop(stamp_ns, None)

    def _unanswered(self) -> int:
        """How many sets still wait for their answer; gives up those that waited too long."""
        now = time.monotonic()
        for stamp_ns in [stamp_ns for stamp_ns, until in self._waiting.items() if now > until]:
            del self._waiting[stamp_ns]
            self.given_up.add(stamp_ns)
            self.get_logger().warning(
                f"no answer to frame set {stamp_ns} on human_pose_3d within {self.options.timeout_s:g} s: continuing"
            )
        return len(self._waiting)

    def _spin_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, SPIN_S))

    def _wait_for_subscribers(self) -> None:
        logged_s = time.monotonic()
        while missing := self._missing():
            self._executor.spin_once(timeout_sec=0.1)
            if time.monotonic() - logged_s > 5.0:
                logged_s = time.monotonic()
                self.get_logger().info(f"waiting for {', '.join(missing)}")
        # Discovery is not simultaneous: what this node sees as matched the other side sees a moment later.
        self._spin_until(time.monotonic() + 0.3)

    def _missing(self) -> list[str]:
        missing = [
            f"a subscriber of {publisher.topic_name}"
            for publisher in (*self._images, *self._infos)
            if publisher.get_subscription_count() == 0
        ]
        if self.count_publishers("human_pose_3d") == 0:
            missing.append("a publisher of human_pose_3d")
        if self.count_subscribers("human_pose_3d") < self.options.pose_subscribers:
            missing.append(f"{self.options.pose_subscribers} subscribers of human_pose_3d")
        return missing

    def _wait_for_last_answers(self) -> None:
        # In real time the node skips sets on purpose, so only the newest answers are still to come.
        until = time.monotonic() + (1.0 if self.options.rate > 0 else self.options.timeout_s + 1.0)
        while self._unanswered() and time.monotonic() < until:
            self._executor.spin_once(timeout_sec=SPIN_S)
            if not self.options.rate:
                self._creep()
        if self.options.progress:
            self._print_progress()

    def _print_progress(self) -> None:
        counts = {"sent": len(self.published_ns), "answered": len(self.answered), "given_up": len(self.given_up)}
        print(json.dumps(counts), flush=True)


def interrupt_once(number: int, frame: Any) -> None:
    """Signal handler: KeyboardInterrupt at the first SIGINT or SIGTERM, nothing at the following ones.

    A terminal's SIGINT to the process group and launch's own come one after the other; the second would cut short
    the end of the thread that decodes, and a process that exits while it runs is aborted.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Play once; 0 when everything was published or a signal ended it, 1 with the reason otherwise."""
    arguments = list(sys.argv if argv is None else argv)
    if (code := answered(Player, (PlayerOptions,), arguments)) is not None:
        return code
    # The player shares its cores with the nodes it feeds: one thread decodes, none of OpenCV's helps.
    cv2.setNumThreads(1)
    player = None
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupt_once)
        start_ros(arguments)
        player = Player()
        playback = player.play()
        if player.options.report:
            playback.save(Path(player.options.report))
        return 0
    except (Pose3DError, OSError) as error:
        print(f"player: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    finally:
        if player is not None:
            player.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
