"""Observations of a running system that the checks evaluate; made by observe.py, or by tests. ROS-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose3d_ros.rigs.camera_info import named_rectified
from pose3d_ros.rigs.placement import camera_frame
from pose3d_ros.ros.qos_fit import Qos
from pose3d_ros.structures import Floats

POSES = "pose3d_ros/msg/HumanPose3DArray"
KEYPOINTS = "pose3d_ros/msg/Keypoints2DArray"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
CLOCK = "rosgraph_msgs/msg/Clock"
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
INFO = "sensor_msgs/msg/CameraInfo"


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription."""

    node: str  # with its namespace
    kind: str  # sensor_msgs/msg/Image
    kind_hash: str = ""  # RIHS01_...; empty where the middleware does not report it
    qos: Qos = Qos()  # noqa: RUF009 (frozen)
    profiles: bool | None = None  # whether its process has a Fast DDS profile; None if unknown
    here: bool | None = None  # whether its process is on the doctor's machine; None if unknown


@dataclass(frozen=True)
class Topic:
    """Publishers and subscriptions of a topic, without the doctor's own."""

    publishers: tuple[Endpoint, ...] = ()
    subscriptions: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class ImageFacts:
    """One image of a camera, or its keypoints message."""

    size_wh: tuple[int, int]  # px
    frame_id: str
    unreadable: str = ""  # why it cannot be decoded; its size is then (0, 0)
    dark: str = ""  # what is wrong with its exposure, and the fix (exposure.WORDS)


@dataclass(frozen=True, eq=False)
class CameraFacts:
    """Messages of one camera while the doctor watched."""

    name: str
    image_topic: str  # empty where the node takes keypoints
    info_topic: str
    keypoints_topic: str = ""  # of a node with input: keypoints
    image: ImageFacts | None = None
    info: Any = None  # sensor_msgs/CameraInfo, or anything with its fields
    infos: int = 0
    calibrations: int = 1  # different ones among the received camera_info
    senders: tuple[str, ...] = ()  # nodes that sent images; empty where the middleware does not report them
    stamps_ns: tuple[int, ...] = ()  # of the images or keypoints, in order of arrival
    late_s: tuple[float, ...] = ()  # arrival less stamp by this machine's clock
    sim_late_s: tuple[float, ...] = ()  # the same by /clock; NaN before its first message

    @property
    def frame_id(self) -> str:
        """Its frame, as the node resolves it."""
        return camera_frame(self.image.frame_id if self.image is not None else "", self.info_frame_id)

    @property
    def info_frame_id(self) -> str:
        """The frame that its camera_info names."""
        header = getattr(self.info, "header", None)
        return str(header.frame_id) if header is not None else ""

    @property
    def topic(self) -> str:
        """The topic of its images or keypoints."""
        return self.image_topic or self.keypoints_topic

    @property
    def plural(self) -> str:
        """The plural noun for messages on `topic`."""
        return "images" if self.image_topic else "keypoints messages"


@dataclass(frozen=True, eq=False)
class NodeFacts:
    """One node of this package."""

    name: str  # with its namespace
    kind: str  # multiview, monocular, detector
    parameters: Mapping[str, Any] = field(default_factory=dict)  # empty if it did not answer
    level: int | None = None  # of its last diagnostics that was not OK, else 0; 1 WARN, 2 ERROR; None: none arrived
    message: str = ""  # with that level
    bad_share: float = 1.0  # of its diagnostics that were not OK
    values: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)  # the values of its first diagnostics
    max_people: int | None = None  # at once; None if not reported
    cameras: tuple[CameraFacts, ...] = ()
    here: bool | None = None  # whether it runs on the doctor's machine

    @property
    def sim_time(self) -> bool | None:
        """use_sim_time, from its parameter or its diagnostics (a busy node answers no service); None if unknown."""
        if isinstance(parameter := self.parameters.get("use_sim_time"), bool):
            return parameter
        return {"true": True, "false": False}.get(self.values.get("use_sim_time", ""))

    @property
    def rectified(self) -> bool:
        """Whether the node treats its images as rectified."""
        if (parameter := str(self.parameters.get("rectified", "auto"))) != "auto":
            return parameter == "true"
        return bool(self.cameras) and named_rectified(camera.topic for camera in self.cameras)

    @property
    def active(self) -> bool:
        """Whether it is active: a managed node may wait for its manager."""
        return self.values.get("state", "active") == "active"

    @property
    def placement(self) -> str:
        """tf, projection, file, none or auto (undecided), from its diagnostics, before them from its parameters."""
        parameter = str(self.parameters.get("placement", "auto"))
        by_file = parameter == "auto" and bool(self.parameters.get("rig_file"))
        return self.values.get("placement") or ("file" if by_file else parameter)

    @property
    def calibrated_by_info(self) -> bool:
        """Whether it reads calibrations from camera_info: a detector needs none, a rig file replaces them."""
        return self.kind != "detector" and self.placement != "file"


@dataclass(frozen=True, eq=False)
class Edge:
    """One transform of TF."""

    parent: str
    child: str
    parent_from_child: Floats = field(default_factory=lambda: np.eye(4))  # (4, 4) m
    static: bool = True
    late_s: tuple[float, ...] = ()  # arrival less stamp of each message, by this machine's clock
    sim_late_s: tuple[float, ...] = ()  # the same by /clock
    topic: str = "/tf_static"


@dataclass(frozen=True)
class Machine:
    """The machine that the doctor runs on."""

    gpus: tuple[str, ...] = ()
    broken_packages: tuple[str, ...] = ()  # of the ROS distribution, as import warnings
    ros_missing: str = ""  # why ROS cannot be used here
    elsewhere: tuple[str, ...] = ()  # this package's processes here with other ROS settings, in words


@dataclass(frozen=True, eq=False)
class Facts:
    """All observations of watched_s seconds.

    cameras are those that no node of this package reads; expect_person is the user's option.
    """

    watched_s: float = 5.0
    namespace: str = ""
    domain: str = "0"
    nodes: tuple[NodeFacts, ...] = ()
    other_nodes: tuple[str, ...] = ()
    cameras: tuple[CameraFacts, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    people_frames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # human_4 -> the nodes that publish it
    clock_ticks: int = 0  # messages on /clock
    clock_moved_s: float = 0.0  # how far they advanced
    machine: Machine = field(default_factory=Machine)
    expect_person: bool = False

    def all_cameras(self) -> list[tuple[NodeFacts | None, CameraFacts]]:
        """Every camera once, with a node that reads it; nodes that need its camera_info come first."""
        by_topic: dict[str, tuple[NodeFacts | None, CameraFacts]] = {}
        for node in sorted(self.nodes, key=lambda node: not node.calibrated_by_info):
            for camera in node.cameras:
                by_topic.setdefault(camera.topic or camera.info_topic, (node, camera))
        for camera in self.cameras:
            by_topic.setdefault(camera.topic, (None, camera))
        return list(by_topic.values())

    def topic(self, name: str) -> Topic:
        """Its endpoints; none if it is not on the graph."""
        return self.topics.get(name, Topic())

    def node_names(self) -> set[str]:
        """Names of this package's nodes."""
        return {node.name for node in self.nodes}

    def edges_of(self, node: NodeFacts) -> tuple[Edge, ...] | None:
        """The transforms on the topics a node subscribes to, remapped or not; None if it has no such topic."""
        subscribed = {
            name
            for name, topic in self.topics.items()
            if any(one.node == node.name and one.kind == TRANSFORMS for one in topic.subscriptions)
        }
        return tuple(edge for edge in self.edges if edge.topic in subscribed) if subscribed else None

    def by_clock(self, one: CameraFacts | Edge) -> bool:
        """Whether stamps follow /clock and not this machine's clock: the one nearer to their arrival."""
        if not one.late_s or not one.sim_late_s or not np.isfinite(one.sim_late_s).any():
            return False
        return abs(float(np.nanmedian(one.sim_late_s))) < abs(float(np.median(one.late_s)))

    def late_s(self, one: CameraFacts | Edge, node: NodeFacts | None) -> tuple[float, ...]:
        """Arrival less stamp by the node's clock; without a node, by the clock the stamps follow."""
        sim = node.sim_time if node is not None and node.sim_time is not None else self.by_clock(one)
        return tuple(late for late in one.sim_late_s if np.isfinite(late)) if sim else one.late_s

    def elapsed_s(self, one: CameraFacts | Edge) -> float:
        """How long the doctor watched, by the clock of the stamps: a bag may play slowly."""
        return self.clock_moved_s if self.by_clock(one) and self.clock_moved_s > 0 else self.watched_s

    def rate_hz(self, camera: CameraFacts) -> float:
        """Images a second."""
        return len(camera.stamps_ns) / self.elapsed_s(camera)


@dataclass(frozen=True)
class Finding:
    """One fault or note: where it is, the observation and the fix."""

    subject: str  # a topic, a node, a frame
    message: str
    fix: str
    fault: bool = True
