"""Subscriptions of the doctor: diagnostics, TF, /clock, and each camera's images or keypoints and camera_info."""

from __future__ import annotations

import re
import struct
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from pose3d_ros.errors import Pose3DError
from pose3d_ros.monitoring.exposure import WORDS, exposure
from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.doctor.facts import (
    CLOCK,
    DIAGNOSTICS,
    KEYPOINTS,
    POSES,
    TRANSFORMS,
    CameraFacts,
    Edge,
    ImageFacts,
    NodeFacts,
    Topic,
)

# Best effort receives from reliable publishers too.
QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PRODUCTS = {"human_pose_3d": POSES, "keypoints_2d": KEYPOINTS}
# Frames of people, not of cameras: human_4 and REP-155's body_4 and links, with or without a prefix.
PEOPLE = re.compile(r"(?:^|[/_])(?:human|body|face|gaze)_")
# Each person has about twenty frames.
MAX_FRAMES, MAX_CALIBRATIONS = 5000, 10
# The doctor decodes the last MAX_KEPT images, at least so long apart.
KEEP_S, MAX_KEPT = 0.3, 3


class ClockListener:
    """Subscribes to /clock, and to every other topic of its type."""

    def __init__(self, node: Node) -> None:
        self._node, self._topics = node, set[str]()
        self.ticks, self.moved_s, self._now_ns = 0, 0.0, 0

    def join(self, kinds: Mapping[str, str]) -> None:
        """Subscribe to the new topics of type Clock."""
        for topic in _new(self._topics, kinds, CLOCK):
            self._node.create_subscription(Clock, topic, self._on_clock, QOS)

    def begin(self) -> None:
        """Start the watch."""
        self.ticks, self.moved_s = 0, 0.0

    def late_s(self, stamp_ns: int) -> tuple[float, float]:
        """How long ago a stamp was by this machine's clock, and by /clock (NaN before the first message)."""
        system = (time.time_ns() - stamp_ns) * 1e-9
        return system, (self._now_ns - stamp_ns) * 1e-9 if self._now_ns else float("nan")

    def _on_clock(self, message: Clock) -> None:
        self.ticks += 1
        before_ns, self._now_ns = self._now_ns, conversions.stamp_to_ns(message.clock)
        if before_ns:  # a bag that begins again takes no time
            self.moved_s += max(self._now_ns - before_ns, 0) * 1e-9


class DiagnosticsListener:
    """Collects the /diagnostics of this package's nodes."""

    def __init__(self, node: Node) -> None:
        # Node without its leading slash -> name of the status -> it.
        self._last: dict[str, dict[str, DiagnosticStatus]] = defaultdict(dict)
        self._before: dict[str, dict[str, str]] = {}
        self._max_people: dict[str, int] = {}
        self._levels: dict[str, list[int]] = defaultdict(list)
        self._bad: dict[str, DiagnosticStatus] = {}  # the last that was not OK
        self._node, self._topics = node, set[str]()

    def join(self, kinds: Mapping[str, str]) -> None:
        """Subscribe to the new topics of type DiagnosticArray: /diagnostics may be remapped."""
        for topic in _new(self._topics, kinds, DIAGNOSTICS):
            self._node.create_subscription(DiagnosticArray, topic, self._on_diagnostics, QOS)

    def begin(self) -> None:
        """Start the watch: drop earlier messages, but keep their counters to compare with."""
        self._before = {name: _values(statuses) for name, statuses in self._last.items()}
        self._last.clear()
        self._max_people.clear()
        self._levels.clear()
        self._bad.clear()

    def products(self) -> dict[str, str]:
        """Nodes that report what they publish, with its type."""
        products = ((f"/{name}", status.partition(": ")[2]) for name, last in self._last.items() for status in last)
        return {name: PRODUCTS[product] for name, product in products if product in PRODUCTS}

    def camera_topics(self, node: str) -> dict[str, tuple[str, str, str]]:
        """Image, camera_info and keypoints topic of each camera, as the node reports them."""
        values = _values(self._last.get(node.lstrip("/"), {}))
        by_camera = {}
        for key, value in values.items():
            topics = value.split()
            if key.startswith("topics/") and len(topics) == 2:
                image, info = topics
                keypoints = values.get("input") == "keypoints" or image.endswith("/keypoints_2d")
                by_camera[key.removeprefix("topics/")] = ("", info, image) if keypoints else (image, info, "")
        return by_camera

    def with_diagnostics(self, node: NodeFacts, cameras: tuple[CameraFacts, ...]) -> NodeFacts:
        """The node with its cameras and its diagnostics."""
        name = node.name.lstrip("/")
        statuses = self._last.get(name, {})
        if not statuses:
            return replace(node, cameras=cameras)
        levels, bad = self._levels[name], self._bad.get(name)
        return replace(
            node,
            cameras=cameras,
            level=0 if bad is None else _level(bad),
            message=next(iter(statuses.values())).message if bad is None else bad.message,
            bad_share=sum(level > 0 for level in levels) / len(levels),
            values=_values(statuses),
            before=self._before.get(name, {}),
            max_people=self._max_people.get(name),
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
                    self._max_people[name] = max(self._max_people.get(name, 0), int(pair.value))


def _level(status: DiagnosticStatus) -> int:
    return int.from_bytes(status.level, "little")


def _values(statuses: dict[str, DiagnosticStatus]) -> dict[str, str]:
    return {pair.key: pair.value for status in statuses.values() for pair in status.values}


class TransformListener:
    """Collects TF from every topic of its type: /tf and /tf_static may be remapped."""

    def __init__(self, node: Node, clock: ClockListener) -> None:
        self._node, self._clock, self._topics = node, clock, set[str]()
        self._edges: dict[tuple[str, str, str], Edge] = {}
        self._late: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
        self._gids: dict[str, set[bytes]] = defaultdict(set)  # publishers of dynamic transforms, by child frame

    def join(self, kinds: Mapping[str, str]) -> None:
        """Subscribe to the new topics of TF; transient local where a publisher or a subscription is."""
        for topic in _new(self._topics, kinds, TRANSFORMS):
            ends = [
                *self._node.get_publishers_info_by_topic(topic),
                *self._node.get_subscriptions_info_by_topic(topic),
            ]
            static = any(one.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in ends)

            def take(message: TFMessage, info: Any, topic: str = topic, static: bool = static) -> None:
                self._take(topic, message, info, static)

            self._node.create_subscription(TFMessage, topic, take, LATCHED if static else QOS)

    def begin(self) -> None:
        """Start the watch: drop the delays of dynamic transforms, keep the transforms."""
        self._late.clear()

    @property
    def topics(self) -> set[str]:
        """The subscribed topics."""
        return self._topics

    def edges(self) -> tuple[Edge, ...]:
        """Every received transform but those of people, the newest of each pair of frames."""
        return tuple(
            replace(edge, late_s=tuple(late[0] for late in late_s), sim_late_s=tuple(late[1] for late in late_s))
            for key, edge in self._edges.items()
            for late_s in [self._late[key]]
        )

    def people_frames(self, own_nodes: Collection[str], by_gid: Mapping[bytes, str]) -> dict[str, tuple[str, ...]]:
        """Frames of people that this package's nodes publish, each with all nodes that publish it."""
        frames = {}
        for child, gids in self._gids.items():
            nodes = {by_gid[gid] for gid in gids if gid in by_gid}
            if nodes & set(own_nodes):
                frames[child] = tuple(sorted(nodes))
        return frames

    def _take(self, topic: str, message: TFMessage, info: Any, static: bool) -> None:
        gid = _gid(info)
        for one in message.transforms:
            parent, child = one.header.frame_id.lstrip("/"), one.child_frame_id.lstrip("/")
            if not static and gid and len(self._gids) < MAX_FRAMES:
                self._gids[child].add(gid)
            if PEOPLE.search(child):
                continue
            try:
                matrix = conversions.matrix_from_transform(one)
            except Pose3DError:
                continue  # TF listeners reject it too
            self._edges[topic, parent, child] = Edge(parent, child, matrix, static, topic=topic)
            if not static:
                self._late[topic, parent, child].append(self._clock.late_s(conversions.stamp_to_ns(one.header.stamp)))


class InfoListener:
    """Collects one camera_info topic."""

    def __init__(self, node: Node, topic: str, topics: Mapping[str, Topic]) -> None:
        self._infos = 0
        self._info: CameraInfo | None = None
        self._calibrations: set[tuple[Any, ...]] = set()
        latched = any(one.qos.latched for one in topics.get(topic, Topic()).publishers)
        node.create_subscription(CameraInfo, topic, self._on_info, LATCHED if latched else QOS)

    def with_info(self, camera: CameraFacts) -> CameraFacts:
        """The camera with its calibration."""
        return replace(camera, info=self._info, infos=self._infos, calibrations=max(len(self._calibrations), 1))

    def _on_info(self, info: CameraInfo) -> None:
        self._infos += 1
        self._info = info
        if len(self._calibrations) < MAX_CALIBRATIONS:
            numbers = (np.asarray(one, dtype=np.float64).tobytes() for one in (info.k, info.d, info.p))
            self._calibrations.add((info.width, info.height, info.distortion_model, *numbers))


class CameraListener:
    """Collects one camera's images or keypoints; reads the stamp of each message and deserialises only a few."""

    def __init__(self, node: Node, camera: CameraFacts, clock: ClockListener) -> None:
        self._clock = clock
        self._raws: list[bytes] = []  # serialised messages to decode
        self._kept_s = -KEEP_S
        self._stamps: list[int] = []
        self._late: list[tuple[float, float]] = []
        self._gids: set[bytes] = set()
        compressed = camera.image_topic.endswith("/compressed")
        self._kind: Any = CompressedImage if compressed else Image if camera.image_topic else Keypoints2DArray
        if camera.topic:
            qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
            node.create_subscription(self._kind, camera.topic, self._on_image, qos, raw=True)

    def with_images(self, camera: CameraFacts, by_gid: Mapping[bytes, str]) -> CameraFacts:
        """The camera with its received messages."""
        return replace(
            camera,
            image=self._image(),
            senders=tuple(sorted({by_gid[gid] for gid in self._gids if gid in by_gid})),
            stamps_ns=tuple(self._stamps),
            late_s=tuple(late[0] for late in self._late),
            sim_late_s=tuple(late[1] for late in self._late),
        )

    def _on_image(self, raw: bytes, info: Any) -> None:
        # CDR: four bytes, the second of which flags little endian, then the header's stamp. Deserialising the whole
        # message costs milliseconds.
        sec, nanosec = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
        if (now_s := time.monotonic()) - self._kept_s >= KEEP_S or not self._raws:
            self._kept_s = now_s
            self._raws = [*self._raws[-MAX_KEPT + 1 :], raw]
        self._stamps.append(sec * 10**9 + nanosec)
        self._late.append(self._clock.late_s(self._stamps[-1]))
        self._gids.add(_gid(info))

    def _image(self) -> ImageFacts | None:
        if not self._raws:
            return None
        messages = [deserialize_message(raw, self._kind) for raw in self._raws]
        message, frame_id = messages[-1], messages[-1].header.frame_id
        if self._kind is Keypoints2DArray:
            return ImageFacts((message.width, message.height), frame_id)
        try:
            images = [conversions.image_from_msg(one) for one in messages]
        except Pose3DError as error:
            size_wh = (message.width, message.height) if self._kind is Image else (0, 0)
            return ImageFacts(size_wh, frame_id, unreadable=str(error))
        # One image proves nothing: a lamp may flicker, an infrared projector lights every other one.
        exposures = {exposure(image) for image in images}
        dark = WORDS.get(exposures.pop(), "") if len(exposures) == 1 and len(images) == MAX_KEPT else ""
        return ImageFacts((images[-1].shape[1], images[-1].shape[0]), frame_id, dark=dark)


def _new(subscribed: set[str], kinds: Mapping[str, str], kind: str) -> list[str]:
    """Topics of a type that are not in `subscribed` yet; adds them."""
    topics = [topic for topic, of in kinds.items() if of == kind and topic not in subscribed]
    subscribed.update(topics)
    return topics


def _gid(info: Any) -> bytes:
    """The publisher's GID of a message; empty where rclpy does not report it (before Kilted)."""
    return bytes((info.get("publisher_gid") or {}).get("data", b""))
