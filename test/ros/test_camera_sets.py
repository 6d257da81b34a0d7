"""Frame sets of images that come late, through a real executor and DDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from pose3d_ros.ros import camera_sets, conversions
from pose3d_ros.ros.camera_inputs import image_stream
from pose3d_ros.ros.camera_sets import CameraSets
from pose3d_ros.ros.options import InputOptions, SyncOptions

CAMERAS = ("left", "right")
TURNS = 100  # of the executor, 0.1 s each at most


class TwoCameras:
    """Two cameras and the frame sets that are made of their images."""

    def __init__(self, context: Context) -> None:
        self.executor = SingleThreadedExecutor(context=context)
        self.node = Node("two_cameras", context=context)
        self.executor.add_node(self.node)
        self.sets: list[Any] = []
        self.report = SimpleNamespace(now_s=time.monotonic, record=SimpleNamespace(heard=self._heard))
        self.heard = 0
        options = InputOptions()
        self.publishers = {
            name: self.node.create_publisher(Image, f"{name}/image_raw", qos_profile_sensor_data) for name in CAMERAS
        }
        self.made = CameraSets(
            self.node,
            {name: image_stream(self.node, name, options) for name in CAMERAS},
            options,
            SyncOptions(),
            self.report,  # type: ignore[arg-type]
            self.sets.append,
            lambda frame: self.node.get_clock().now().nanoseconds,
            info_needed=False,
        )
        self.spin(lambda: all(one.get_subscription_count() for one in self.publishers.values()))

    def _heard(self, now_s: float) -> None:
        self.heard += 1

    def spin(self, until: Callable[[], object]) -> None:
        for _ in range(TURNS):
            if until():
                return
            self.executor.spin_once(timeout_sec=0.1)
        raise AssertionError("it did not come")

    def send(self, camera: str, stamp_ns: int) -> None:
        pixels = np.full((6, 8, 3), len(camera), np.uint8)
        self.publishers[camera].publish(conversions.image_to_msg(pixels, stamp_ns, f"{camera}_optical"))

    def now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)


@pytest.fixture
def cameras(context: Context) -> Iterator[TwoCameras]:
    both = TwoCameras(context)
    yield both
    both.made.close()
    both.node.destroy_node()


def test_fault_process_stands_still_while_a_set_waits(cameras: TwoCameras) -> None:
    """Fault: the node gets no time on the CPU, for longer than sync_timeout_s, while it waits for the second image.
    Sees: one set of both cameras, whose second image came in time and lay unread.
    Recovers: by itself.
    Kind: K1
    Before: a set of one camera, for the timer of late cameras was called before the image was taken.
    """
    stamp_ns = cameras.now_ns()
    cameras.send("left", stamp_ns)
    cameras.spin(lambda: cameras.heard)
    cameras.send("right", stamp_ns)
    time.sleep(0.3)
    cameras.spin(lambda: cameras.sets)
    assert [tuple(one.payloads) for one in cameras.sets] == [CAMERAS]


def test_a_set_whose_camera_does_not_come_is_handed_over_without_it(cameras: TwoCameras) -> None:
    cameras.send("left", cameras.now_ns())
    cameras.spin(lambda: cameras.sets)
    assert [tuple(one.payloads) for one in cameras.sets] == [("left",)]


def test_a_process_that_always_stands_still_gives_up_a_late_camera_all_the_same(
    cameras: TwoCameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look comes later than it should: the set is put off once."""
    times = count(start=time.monotonic(), step=0.2)
    monkeypatch.setattr(camera_sets, "time", SimpleNamespace(monotonic=lambda: next(times)))
    cameras.send("left", cameras.now_ns())
    cameras.spin(lambda: cameras.sets)
    assert [tuple(one.payloads) for one in cameras.sets] == [("left",)]
