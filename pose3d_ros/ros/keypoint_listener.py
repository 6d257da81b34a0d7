"""The 2D people of a running graph's detectors, collected for some time: what `pose3d calibrate refine` corrects by."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from tqdm import tqdm

from pose3d_ros.calibration.people_keypoints import h36m_people
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.recordings.own_clocks import RATE_HZ
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import MOST_KEYPOINT_BYTES
from pose3d_ros.ros.running import make_executor, start_ros
from pose3d_ros.structures import Camera, Keypoints2D, Rig

# Images closer than this share of the interval of RATE_HZ are left out: at 30 Hz every second one, at 20 Hz none.
CLOSER = 0.7
SPIN_S = 0.1
# Nothing is too old to be of use here: a second of keypoints may wait.
KEPT = QoSProfile(depth=60, reliability=ReliabilityPolicy.RELIABLE)


class KeypointListener(Node):
    """Subscribes to <camera>/keypoints_2d of every camera of a rig, and keeps about 15 messages a second of each."""

    def __init__(self, rig: Rig, namespace: str = "", **node_arguments: Any) -> None:
        super().__init__("keypoint_listener", **node_arguments)
        self._rig = rig
        self._people: dict[str, dict[int, Keypoints2D]] = {name: {} for name in rig.names}
        self.unreadable = 0  # messages
        prefix = f"{namespace.rstrip('/')}/" if namespace else ""
        self.topics = {name: self.resolve_topic_name(f"{prefix}{name}/keypoints_2d") for name in rig.names}
        for camera in rig.cameras:
            self.create_subscription(
                Keypoints2DArray, self.topics[camera.name], partial(self._take, camera), KEPT, raw=True
            )

    @property
    def messages(self) -> int:
        """How many are kept."""
        return sum(len(by_stamp) for by_stamp in self._people.values())

    def views(self) -> tuple[PeopleViews, ...]:
        """What was kept, by rising stamp; raises InputError for a camera without any."""
        for name, by_stamp in self._people.items():
            if not by_stamp:
                raise InputError(
                    f"no keypoints of {name} came on {self.topics[name]}: is the graph running? Set publish_keypoints: "
                    "true on its node, or run detector nodes (docs/several_machines.md)"
                )
        views = []
        for camera in self._rig.cameras:
            people: list[Keypoints2D] = []
            for stamp_ns in sorted(self._people[camera.name]):
                if not people or stamp_ns - people[-1].stamp_ns >= CLOSER * 1e9 / RATE_HZ:
                    people.append(self._people[camera.name][stamp_ns])
            views.append(PeopleViews(camera, tuple(people)))
        return tuple(views)

    def _take(self, camera: Camera, serialised: bytes) -> None:
        if len(serialised) > MOST_KEYPOINT_BYTES:
            self.unreadable += 1
            return
        try:
            message = deserialize_message(serialised, Keypoints2DArray)
            people, _ = conversions.keypoints_from_msg(message)
        except Exception:  # rclpy raises whatever the bytes lead to
            self.unreadable += 1
            return
        if (message.width, message.height) != camera.size_wh:
            raise CalibrationError(
                f"{self.topics[camera.name]}: images of {message.width} x {message.height} px, the rig has "
                f"{camera.size_wh[0]} x {camera.size_wh[1]} px: give the rig that the graph uses"
            )
        self._people[camera.name][people.stamp_ns] = h36m_people(people)


def listen_for_people(
    rig: Rig, seconds: float, namespace: str = "", *, progress: bool = True
) -> tuple[PeopleViews, ...]:
    """Listen for so long; raises InputError where a camera sends nothing, CalibrationError for images of other size."""
    start_ros(["pose3d"])
    listener = KeypointListener(rig, namespace)
    executor = make_executor()
    executor.add_node(listener)
    begin_s = time.monotonic()
    try:
        with tqdm(desc="listening", unit=" messages", disable=not progress) as bar:
            while time.monotonic() - begin_s < seconds:
                executor.spin_once(timeout_sec=SPIN_S)
                bar.update(listener.messages - bar.n)
        return listener.views()
    finally:
        listener.destroy_node()
        rclpy.try_shutdown()
