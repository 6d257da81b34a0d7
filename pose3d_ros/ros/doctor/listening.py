"""Subscriptions of the doctor: diagnostics, TF, /clock, and each camera's images and camera_info."""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from pose3d_ros.errors import Pose3DError
from pose3d_ros.ros import conversions
from pose3d_ros.ros.doctor.facts import KEYPOINTS, POSES, CameraSeen, Edge, ImageSeen, NodeSeen, Topic

# Best effort hears reliable publishers too.
QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PRODUCTS = {"human_pose_3d": POSES, "keypoints_2d": KEYPOINTS}
# The frames of people are no cameras'.
PEOPLE = "human_"


class ClockEars:
    """Hears /clock."""

    def __init__(self, node: Node) -> None:
        self.ticks, self._now_ns = 0, 0
        node.create_subscription(Clock, "/clock", self._on_clock, QOS)

    def late_s(self, stamp_ns: int) -> tuple[float, float]:
        """How long ago a stamp was by this machine's clock, and by /clock (NaN before the first tick)."""
        system = (time.time_ns() - stamp_ns) * 1e-9
        return system, (self._now_ns - stamp_ns) * 1e-9 if self.ticks else float("nan")

    def _on_clock(self, message: Clock) -> None:
        self.ticks += 1
        self._now_ns = conversions.stamp_to_ns(message.clock)


class DiagnosticsEars:
    """Hears what our nodes say of themselves."""

    def __init__(self, node: Node) -> None:
        # Node without its leading slash -> name of the status -> it.
        self._last: dict[str, dict[str, DiagnosticStatus]] = defaultdict(dict)
        self._before: dict[str, dict[str, str]] = {}
        self._most_people: dict[str, int] = {}
        self._levels: dict[str, list[int]] = defaultdict(list)
        self._bad: dict[str, DiagnosticStatus] = {}  # the last that was not OK
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QOS)

    def begin(self) -> None:
        """From now on is watched: what was heard before is forgotten, but for what the counters start from."""
        self._before = {name: _values(found) for name, found in self._last.items()}
        self._last.clear()
        self._most_people.clear()
        self._levels.clear()
        self._bad.clear()

    def products(self) -> dict[str, str]:
        """Nodes that said what they give, with its type."""
        said = ((name, status.partition(": ")[2]) for name, found in self._last.items() for status in found)
        return {name: PRODUCTS[product] for name, product in said if product in PRODUCTS}

    def camera_topics(self, node: str) -> dict[str, tuple[str, str]]:
        """Image and camera_info topic of each camera, by the node's own word."""
        told = _values(self._last.get(node.lstrip("/"), {}))
        found = {}
        for key, value in told.items():
            topics = value.split()
            if key.startswith("topics/") and len(topics) == 2:
                image, info = topics
                found[key.removeprefix("topics/")] = ("" if image.endswith("/keypoints_2d") else image, info)
        return found

    def told(self, node: NodeSeen, cameras: tuple[CameraSeen, ...]) -> NodeSeen:
        """The node with its cameras and what it said."""
        name = node.name.lstrip("/")
        found = self._last.get(name, {})
        if not found:
            return replace(node, cameras=cameras)
        levels, bad = self._levels[name], self._bad.get(name)
        return replace(
            node,
            cameras=cameras,
            level=0 if bad is None else _level(bad),
            message=next(iter(found.values())).message if bad is None else bad.message,
            bad_share=sum(level > 0 for level in levels) / len(levels),
            values=_values(found),
            before=self._before.get(name, {}),
            most_people=self._most_people.get(name),
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.partition(": ")[0]
            self._last[name][status.name] = status
            self._levels[name].append(_level(status))
            if _level(status) > 0:
                self._bad[name] = status
            for pair in status.values:
                if pair.key == "people" and pair.value.isdecimal():
                    self._most_people[name] = max(self._most_people.get(name, 0), int(pair.value))


def _level(status: DiagnosticStatus) -> int:
    return int.from_bytes(status.level, "little")


def _values(found: dict[str, DiagnosticStatus]) -> dict[str, str]:
    return {pair.key: pair.value for status in found.values() for pair in status.values}


class TransformEars:
    """Hears /tf and /tf_static."""

    def __init__(self, node: Node, clock: ClockEars) -> None:
        self._clock = clock
        self._edges: dict[tuple[str, str], Edge] = {}
        self._late: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        node.create_subscription(TFMessage, "/tf", lambda message: self._take(message, static=False), QOS)
        node.create_subscription(TFMessage, "/tf_static", lambda message: self._take(message, static=True), LATCHED)

    def edges(self, sim: bool) -> tuple[Edge, ...]:
        """Every transform that came, the newest of each pair of frames."""
        return tuple(
            replace(edge, late_s=tuple(late[sim] for late in self._late[pair])) for pair, edge in self._edges.items()
        )

    def _take(self, message: TFMessage, static: bool) -> None:
        for one in message.transforms:
            parent, child = one.header.frame_id.lstrip("/"), one.child_frame_id.lstrip("/")
            if child.startswith(PEOPLE):
                continue
            try:
                matrix = conversions.matrix_from_transform(one)
            except Pose3DError:
                continue  # as good as none: what follows TF refuses it too
            self._edges[parent, child] = Edge(parent, child, matrix, static)
            if not static:
                self._late[parent, child].append(self._clock.late_s(conversions.stamp_to_ns(one.header.stamp)))


class CameraEars:
    """Hears one camera; images stay as they came, but for their stamps and one of them."""

    def __init__(self, node: Node, camera: CameraSeen, topics: dict[str, Topic], clock: ClockEars) -> None:
        self._clock = clock
        self._infos = 0
        self._info: CameraInfo | None = None
        self._raw: bytes | None = None
        self._stamps: list[int] = []
        self._late: list[tuple[float, float]] = []
        senders = topics.get(camera.info_topic, Topic()).publishers
        latched = any(one.latched for one in senders)
        node.create_subscription(CameraInfo, camera.info_topic, self._on_info, LATCHED if latched else QOS)
        self._kind: Any = CompressedImage if camera.image_topic.endswith("/compressed") else Image
        if camera.image_topic:
            qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
            node.create_subscription(self._kind, camera.image_topic, self._on_image, qos, raw=True)

    def seen(self, camera: CameraSeen, sim: bool) -> CameraSeen:
        """The camera with what came of it; sim: how late it came is by /clock."""
        return replace(
            camera,
            image=self._image(),
            info=self._info,
            infos=self._infos,
            stamps_ns=tuple(self._stamps),
            late_s=tuple(late[sim] for late in self._late),
        )

    def _on_info(self, info: CameraInfo) -> None:
        self._infos += 1
        self._info = info

    def _on_image(self, raw: bytes) -> None:
        # CDR: four bytes of which the second says little endian, then the header's stamp. Reading the whole message
        # costs milliseconds.
        sec, nanosec = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
        self._raw = raw
        self._stamps.append(sec * 10**9 + nanosec)
        self._late.append(self._clock.late_s(self._stamps[-1]))

    def _image(self) -> ImageSeen | None:
        if self._raw is None:
            return None
        message = deserialize_message(self._raw, self._kind)
        if self._kind is Image:
            return ImageSeen((message.width, message.height), message.header.frame_id)
        try:
            height, width = conversions.image_from_msg(message).shape[:2]
        except Pose3DError:
            height, width = 0, 0
        return ImageSeen((width, height), message.header.frame_id)
