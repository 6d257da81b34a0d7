"""Cameras of 640x480 px at 30 Hz, and a subscriber that records arrivals of poses, for the benchmarks ros and scale."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from benchmarks.scene import RATE_HZ, rig
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.conversions.stamps import stamp_from_ns
from pose3d_ros.ros.distribution import StaticTransformBroadcaster
from pose3d_ros.ros.running import start_ros
from pose3d_ros.structures import Camera

# Warm-up before the first set that counts: weights, caches, and TF.
WARM_UP_S = 5.0
# For the answers to the last sets.
LAST_S = 1.0
PATIENCE_S = 120.0


Alter = Callable[[int, Image, CameraInfo], tuple[Image, CameraInfo] | None]


class BenchCameras(Node):
    """Publishes the cameras of benchmarks/scene.py and subscribes to /human_pose_3d."""

    def __init__(self, cameras: int = 2) -> None:
        super().__init__("bench_cameras")
        self._rig = rig(cameras)
        self.received: list[tuple[int, int, float]] = []  # stamp, monotonic ns, s inside the node
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._hear, 100)
        names = self._rig.names
        self._images = [self.create_publisher(Image, f"{name}/image_raw", qos_profile_sensor_data) for name in names]
        self._infos = [
            self.create_publisher(CameraInfo, f"{name}/camera_info", qos_profile_sensor_data) for name in names
        ]
        self._static = StaticTransformBroadcaster(self)
        self._static.sendTransform(
            [
                conversions.transform_to_msg(np.linalg.inv(one.cam_from_world), "world", f"{one.name}_optical", 0)
                for one in self._rig.cameras
            ]
        )
        random = np.random.default_rng(0)

        def image_of(camera: Camera) -> Image:
            width, height = camera.size_wh
            pixels = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
            return conversions.image_to_msg(pixels, 0, f"{camera.name}_optical")

        # Two alternating images: the node drops images with the same pixels under a new stamp.
        self._messages = [
            (
                (image_of(one), image_of(one)),
                conversions.camera_info_to_msg(one, 0, f"{one.name}_optical"),
            )
            for one in self._rig.cameras
        ]

    def _hear(self, msg: HumanPose3DArray) -> None:
        stamp_ns = conversions.stamp_to_ns(msg.header.stamp)
        if msg.people and len(msg.camera_names) == len(self._images):
            self.received.append((stamp_ns, time.monotonic_ns(), msg.processing_latency))

    def heard(self) -> bool:
        """Whether all subscriptions are matched."""
        topics = (*self._images, *self._infos)
        return all(one.get_subscription_count() for one in topics) and self.count_publishers("human_pose_3d") > 0

    def publish(self, number: int, alter: Alter | None = None) -> tuple[int, int]:
        """One set; returns its stamp and the monotonic time before its last image went out, ns.

        alter (camera's number, image, camera_info) gives what is published in their place, None for nothing; it must
        not change what it is given.
        """
        stamp_ns, sent_ns = time.time_ns(), time.monotonic_ns()
        for camera, (images, info) in enumerate(self._messages):
            image = images[number % 2]
            image.header.stamp = info.header.stamp = stamp_from_ns(stamp_ns)
            sent = alter(camera, image, info) if alter else (image, info)
            if sent is not None:
                self._infos[camera].publish(sent[1])
                sent_ns = time.monotonic_ns()
                self._images[camera].publish(sent[0])
        return stamp_ns, sent_ns


def spin_until(executor: SingleThreadedExecutor, due_s: float) -> None:
    """Spin until then, of time.monotonic()."""
    while (left := due_s - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left)


def before_the_node(number: int = 2) -> tuple[BenchCameras, SingleThreadedExecutor] | None:
    """So many cameras and their executor, once the node subscribes; None on timeout."""
    start_ros(sys.argv)
    cameras, executor = BenchCameras(number), SingleThreadedExecutor()
    executor.add_node(cameras)
    give_up = time.monotonic() + PATIENCE_S
    while not cameras.heard():
        if time.monotonic() > give_up:
            print(f"the node did not come within {PATIENCE_S:.0f} s", file=sys.stderr)
            return None
        executor.spin_once(timeout_sec=0.1)
    return cameras, executor


def main() -> int:
    """Arguments: seconds of publishing, number of cameras, output file."""
    seconds, number_of_cameras, report = float(sys.argv.pop(1)), int(sys.argv.pop(1)), Path(sys.argv.pop(1))
    if (ready := before_the_node(number_of_cameras)) is None:
        return 1
    cameras, executor = ready
    sent: list[tuple[int, int]] = []
    begin, warm_up = time.monotonic(), round(WARM_UP_S * RATE_HZ)
    for number in range(warm_up + round(seconds * RATE_HZ)):
        spin_until(executor, begin + number / RATE_HZ)
        one = cameras.publish(number)
        if number >= warm_up:
            sent.append(one)
    spin_until(executor, time.monotonic() + LAST_S)
    report.write_text(json.dumps({"sent": sent, "received": cameras.received}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
