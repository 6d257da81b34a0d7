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
    CameraSeen,
    Edge,
    ImageSeen,
    NodeSeen,
    Topic,
)

# Best effort hears reliable publishers too.
QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PRODUCTS = {"human_pose_3d": POSES, "keypoints_2d": KEYPOINTS}
# The frames of people are no cameras': human_4 and REP-155's body_4 and links, behind a prefix or none.
PEOPLE = re.compile(r"(?:^|[/_])(?:human|body|face|gaze)_")
# Each person has about twenty frames.
MOST_FRAMES, MOST_CALIBRATIONS = 5000, 10
# Images that are looked at: the last three that came so long after each other.
KEEP_S, MOST_KEPT = 0.3, 3


class ClockEars:
    """Hears /clock, or whatever topic of its type the graph has."""

    def __init__(self, node: Node) -> None:
        self._node, self._topics = node, set[str]()
        self.ticks, self.moved_s, self._now_ns = 0, 0.0, 0

    def join(self, kinds: Mapping[str, str]) -> None:
        """Subscribe to the topics of these types that it did not hear yet."""
        for topic in _new(self._topics, kinds, CLOCK):
            self._node.create_subscription(Clock, topic, self._on_clock, QOS)

    def begin(self) -> None:
        """From now on is watched."""
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


class DiagnosticsEars:
    """Hears what our nodes say of themselves."""

    def __init__(self, node: Node) -> None:
        # Node without its leading slash -> name of the status -> it.
        self._last: dict[str, dict[str, DiagnosticStatus]] = defaultdict(dict)
        self._before: dict[str, dict[str, str]] = {}
        self._most_people: dict[str, int] = {}
        self._levels: dict[str, list[int]] = defaultdict(list)
        self._bad: dict[str, DiagnosticStatus] = {}  # the last that was not OK
        self._node, self._topics = node, set[str]()

    def join(self, kinds: Mapping[str, str]) -> None:
        """Subscribe to the topics of diagnostics that it did not hear yet: /diagnostics may be remapped."""
        for topic in _new(self._topics, kinds, DIAGNOSTICS):
            self._node.create_subscription(DiagnosticArray, topic, self._on_diagnostics, QOS)

    def begin(self) -> None:
        """From now on is watched: what was heard before is forgotten, but for what the counters start from."""
        self._before = {name: _values(found) for name, found in self._last.items()}
        self._last.clear()
        self._most_people.clear()
        self._levels.clear()
        self._bad.clear()

    def products(self) -> dict[str, str]:
        """Nodes that said what they give, with its type."""
        said = ((f"/{name}", status.partition(": ")[2]) for name, found in self._last.items() for status in found)
        return {name: PRODUCTS[product] for name, product in said if product in PRODUCTS}

    def camera_topics(self, node: str) -> dict[str, tuple[str, str, str]]:
        """Image, camera_info and keypoints topic of each camera, by the node's own word."""
        told = _values(self._last.get(node.lstrip("/"), {}))
        found = {}
        for key, value in told.items():
            topics = value.split()
            if key.startswith("topics/") and len(topics) == 2:
                image, info = topics
                keypoints = told.get("input") == "keypoints" or image.endswith("/keypoints_2d")
                found[key.removeprefix("topics/")] = ("", info, image) if keypoints else (image, info, "")
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
            max_people=self._most_people.get(name),
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
    """Hears TF on every topic of its type: /tf and /tf_static may be remapped."""

    def __init__(self, node: Node, clock: ClockEars) -> None:
        self._node, self._clock, self._topics = node, clock, set[str]()
        self._edges: dict[tuple[str, str, str], Edge] = {}
        self._late: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
        self._gids: dict[str, set[bytes]] = defaultdict(set)  # of what moves, by child frame

    def join(self, kinds: Mapping[str, str]) -> None:
        """Subscribe to the topics of TF that it did not hear yet; latched where a publisher or a listener is."""
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
        """From now on is watched: how late what moves comes; what was heard of places stays."""
        self._late.clear()

    @property
    def topics(self) -> set[str]:
        """Those that it hears."""
        return self._topics

    def edges(self) -> tuple[Edge, ...]:
        """Every transform that came but those of people, the newest of each pair of frames."""
        return tuple(
            replace(edge, late_s=tuple(late[0] for late in late_s), sim_late_s=tuple(late[1] for late in late_s))
            for key, edge in self._edges.items()
            for late_s in [self._late[key]]
        )

    def people_frames(self, ours: Collection[str], by_gid: Mapping[bytes, str]) -> dict[str, tuple[str, ...]]:
        """Frames that nodes of ours send, which are people's, with all nodes that do."""
        found = {}
        for child, gids in self._gids.items():
            nodes = {by_gid[gid] for gid in gids if gid in by_gid}
            if nodes & set(ours):
                found[child] = tuple(sorted(nodes))
        return found

    def _take(self, topic: str, message: TFMessage, info: Any, static: bool) -> None:
        gid = _gid(info)
        for one in message.transforms:
            parent, child = one.header.frame_id.lstrip("/"), one.child_frame_id.lstrip("/")
            if not static and gid and len(self._gids) < MOST_FRAMES:
                self._gids[child].add(gid)
            if PEOPLE.search(child):
                continue
            try:
                matrix = conversions.matrix_from_transform(one)
            except Pose3DError:
                continue  # as good as none: what follows TF refuses it too
            self._edges[topic, parent, child] = Edge(parent, child, matrix, static, topic=topic)
            if not static:
                self._late[topic, parent, child].append(self._clock.late_s(conversions.stamp_to_ns(one.header.stamp)))


class InfoEars:
    """Hears one topic of camera_info."""

    def __init__(self, node: Node, topic: str, topics: Mapping[str, Topic]) -> None:
        self._infos = 0
        self._info: CameraInfo | None = None
        self._calibrations: set[tuple[Any, ...]] = set()
        latched = any(one.qos.latched for one in topics.get(topic, Topic()).publishers)
        node.create_subscription(CameraInfo, topic, self._on_info, LATCHED if latched else QOS)

    def seen(self, camera: CameraSeen) -> CameraSeen:
        """The camera with its calibration."""
        return replace(camera, info=self._info, infos=self._infos, calibrations=max(len(self._calibrations), 1))

    def _on_info(self, info: CameraInfo) -> None:
        self._infos += 1
        self._info = info
        if len(self._calibrations) < MOST_CALIBRATIONS:
            numbers = (np.asarray(one, dtype=np.float64).tobytes() for one in (info.k, info.d, info.p))
            self._calibrations.add((info.width, info.height, info.distortion_model, *numbers))


class CameraEars:
    """Hears one camera, or its keypoints; messages stay as they came, but for their stamps and some of them."""

    def __init__(self, node: Node, camera: CameraSeen, clock: ClockEars) -> None:
        self._clock = clock
        self._raws: list[bytes] = []  # some, to be looked at
        self._kept_s = -KEEP_S
        self._stamps: list[int] = []
        self._late: list[tuple[float, float]] = []
        self._gids: set[bytes] = set()
        compressed = camera.image_topic.endswith("/compressed")
        self._kind: Any = CompressedImage if compressed else Image if camera.image_topic else Keypoints2DArray
        if camera.topic:
            qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
            node.create_subscription(self._kind, camera.topic, self._on_image, qos, raw=True)

    def seen(self, camera: CameraSeen, by_gid: Mapping[bytes, str]) -> CameraSeen:
        """The camera with what came of it."""
        return replace(
            camera,
            image=self._image(),
            senders=tuple(sorted({by_gid[gid] for gid in self._gids if gid in by_gid})),
            stamps_ns=tuple(self._stamps),
            late_s=tuple(late[0] for late in self._late),
            sim_late_s=tuple(late[1] for late in self._late),
        )

    def _on_image(self, raw: bytes, info: Any) -> None:
        # CDR: four bytes of which the second says little endian, then the header's stamp. Reading the whole message
        # costs milliseconds.
        sec, nanosec = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
        if (now_s := time.monotonic()) - self._kept_s >= KEEP_S or not self._raws:
            self._kept_s = now_s
            self._raws = [*self._raws[-MOST_KEPT + 1 :], raw]
        self._stamps.append(sec * 10**9 + nanosec)
        self._late.append(self._clock.late_s(self._stamps[-1]))
        self._gids.add(_gid(info))

    def _image(self) -> ImageSeen | None:
        if not self._raws:
            return None
        messages = [deserialize_message(raw, self._kind) for raw in self._raws]
        message, frame_id = messages[-1], messages[-1].header.frame_id
        if self._kind is Keypoints2DArray:
            return ImageSeen((message.width, message.height), frame_id)
        try:
            images = [conversions.image_from_msg(one) for one in messages]
        except Pose3DError as error:
            size_wh = (message.width, message.height) if self._kind is Image else (0, 0)
            return ImageSeen(size_wh, frame_id, unreadable=str(error))
        # One image says nothing: a lamp may flicker, an infrared projector light every other one.
        shows = {exposure(image) for image in images}
        dark = WORDS.get(shows.pop(), "") if len(shows) == 1 and len(images) == MOST_KEPT else ""
        return ImageSeen((images[-1].shape[1], images[-1].shape[0]), frame_id, dark=dark)


def _new(heard: set[str], kinds: Mapping[str, str], kind: str) -> list[str]:
    """Topics of a type that are not heard yet; from now on they are."""
    found = [topic for topic, of in kinds.items() if of == kind and topic not in heard]
    heard.update(found)
    return found


def _gid(info: Any) -> bytes:
    """Who sent a message; empty where this rclpy does not say (before Kilted)."""
    return bytes((info.get("publisher_gid") or {}).get("data", b""))
