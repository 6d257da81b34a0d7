"""What was seen of a running system, before anything is judged; made by observe.py, or by tests. ROS-free."""

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
    kind_hash: str = ""  # RIHS01_...; empty where the middleware does not tell
    qos: Qos = Qos()  # noqa: RUF009 (frozen)
    profiles: bool | None = None  # whether its process has a Fast DDS profile; None where that cannot be seen
    here: bool | None = None  # whether its process is on the doctor's machine; None where that cannot be seen


@dataclass(frozen=True)
class Topic:
    """Who publishes a topic, and who listens; the doctor itself is left out."""

    publishers: tuple[Endpoint, ...] = ()
    subscriptions: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class ImageSeen:
    """One image of a camera, or the keypoints made of one."""

    size_wh: tuple[int, int]  # px
    frame_id: str
    unreadable: str = ""  # why it cannot be decoded; its size is then (0, 0)
    dark: str = ""  # what is wrong with its exposure, and the fix (exposure.WORDS)


@dataclass(frozen=True, eq=False)
class CameraSeen:
    """What came of one camera while it was watched."""

    name: str
    image_topic: str  # empty where the node takes keypoints
    info_topic: str
    keypoints_topic: str = ""  # of a node with input: keypoints
    image: ImageSeen | None = None
    info: Any = None  # sensor_msgs/CameraInfo, or anything with its fields
    infos: int = 0
    calibrations: int = 1  # different ones among the camera_info that came
    senders: tuple[str, ...] = ()  # nodes that sent images; empty where the middleware does not say
    stamps_ns: tuple[int, ...] = ()  # of the images or keypoints, as they came
    late_s: tuple[float, ...] = ()  # arrival less stamp by this machine's clock
    sim_late_s: tuple[float, ...] = ()  # the same by /clock; NaN before its first message

    @property
    def frame_id(self) -> str:
        """Its frame, as the node takes it."""
        return camera_frame(self.image.frame_id if self.image is not None else "", self.info_frame_id)

    @property
    def info_frame_id(self) -> str:
        """The frame that its camera_info names."""
        header = getattr(self.info, "header", None)
        return str(header.frame_id) if header is not None else ""

    @property
    def topic(self) -> str:
        """What the node makes poses of."""
        return self.image_topic or self.keypoints_topic

    @property
    def plural(self) -> str:
        """What comes on it, in words."""
        return "images" if self.image_topic else "keypoints messages"


@dataclass(frozen=True, eq=False)
class NodeSeen:
    """One node of ours."""

    name: str  # with its namespace
    kind: str  # multiview, monocular, detector
    parameters: Mapping[str, Any] = field(default_factory=dict)  # empty where it did not answer
    level: int | None = (
        None  # of its last diagnostics, or the last that was not OK: 0, 1 WARN, 2 ERROR; None: none came
    )
    message: str = ""  # with that level
    bad_share: float = 1.0  # of its diagnostics that were not OK
    values: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)  # the values of its first diagnostics
    max_people: int | None = None  # at once; None where it did not say
    cameras: tuple[CameraSeen, ...] = ()
    here: bool | None = None  # whether it runs on the doctor's machine

    @property
    def sim_time(self) -> bool | None:
        """use_sim_time, by its parameter or its diagnostics (a busy node answers no question); None: not known."""
        if isinstance(asked := self.parameters.get("use_sim_time"), bool):
            return asked
        return {"true": True, "false": False}.get(self.values.get("use_sim_time", ""))

    @property
    def rectified(self) -> bool:
        """Whether the node takes its images for rectified."""
        if (said := str(self.parameters.get("rectified", "auto"))) != "auto":
            return said == "true"
        return bool(self.cameras) and named_rectified(camera.topic for camera in self.cameras)

    @property
    def active(self) -> bool:
        """Whether it is to work now: a managed node may wait for its manager."""
        return self.values.get("state", "active") == "active"

    @property
    def placement(self) -> str:
        """tf, projection, file, none or auto (not decided yet), by its diagnostics, before them by its parameters."""
        asked = str(self.parameters.get("placement", "auto"))
        by_file = asked == "auto" and bool(self.parameters.get("rig_file"))
        return self.values.get("placement") or ("file" if by_file else asked)

    @property
    def calibrated_by_info(self) -> bool:
        """Whether it reads calibrations out of camera_info: a detector needs none, a rig file replaces them."""
        return self.kind != "detector" and self.placement != "file"


@dataclass(frozen=True, eq=False)
class Edge:
    """One transform of TF."""

    parent: str
    child: str
    parent_from_child: Floats = field(default_factory=lambda: np.eye(4))  # (4, 4) m
    static: bool = True
    late_s: tuple[float, ...] = ()  # arrival less stamp of each that came, by this machine's clock
    sim_late_s: tuple[float, ...] = ()  # the same by /clock
    topic: str = "/tf_static"


@dataclass(frozen=True)
class Machine:
    """The machine that the doctor runs on."""

    gpus: tuple[str, ...] = ()
    broken_packages: tuple[str, ...] = ()  # of the ROS distribution, as the warnings have them
    ros_missing: str = ""  # why ROS cannot be used here
    elsewhere: tuple[str, ...] = ()  # processes of ours here whose ROS settings differ, in words


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that was seen in watched_s seconds.

    cameras are those that no node of ours was found for; expect_person is what the user said.
    """

    watched_s: float = 5.0
    namespace: str = ""
    domain: str = "0"
    nodes: tuple[NodeSeen, ...] = ()
    other_nodes: tuple[str, ...] = ()
    cameras: tuple[CameraSeen, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    people_frames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # human_4 -> the nodes that send it
    clock_ticks: int = 0  # messages on /clock
    clock_moved_s: float = 0.0  # how far they led
    machine: Machine = field(default_factory=Machine)
    expect_person: bool = False

    def cameras_seen(self) -> list[tuple[NodeSeen | None, CameraSeen]]:
        """Every camera once, with a node that reads it: one that needs its camera_info before others."""
        by_topic: dict[str, tuple[NodeSeen | None, CameraSeen]] = {}
        for node in sorted(self.nodes, key=lambda node: not node.calibrated_by_info):
            for camera in node.cameras:
                by_topic.setdefault(camera.topic or camera.info_topic, (node, camera))
        for camera in self.cameras:
            by_topic.setdefault(camera.topic, (None, camera))
        return list(by_topic.values())

    def topic(self, name: str) -> Topic:
        """Who is on it; no one where it is not on the graph."""
        return self.topics.get(name, Topic())

    def node_names(self) -> set[str]:
        """Names of the nodes of ours."""
        return {node.name for node in self.nodes}

    def edges_of(self, node: NodeSeen) -> tuple[Edge, ...] | None:
        """The transforms on the topics that a node follows, /tf_static remapped or not; None where it follows none."""
        heard = {
            name
            for name, topic in self.topics.items()
            if any(one.node == node.name and one.kind == TRANSFORMS for one in topic.subscriptions)
        }
        return tuple(edge for edge in self.edges if edge.topic in heard) if heard else None

    def by_clock(self, one: CameraSeen | Edge) -> bool:
        """Whether stamps are of /clock's time and not of this machine's: by which they are nearer to their arrival."""
        if not one.late_s or not one.sim_late_s or not np.isfinite(one.sim_late_s).any():
            return False
        return abs(float(np.nanmedian(one.sim_late_s))) < abs(float(np.median(one.late_s)))

    def late_s(self, one: CameraSeen | Edge, node: NodeSeen | None) -> tuple[float, ...]:
        """Arrival less stamp by the clock that the node follows, without a node by that which the stamps follow."""
        sim = node.sim_time if node is not None and node.sim_time is not None else self.by_clock(one)
        return tuple(late for late in one.sim_late_s if np.isfinite(late)) if sim else one.late_s

    def elapsed_s(self, one: CameraSeen | Edge) -> float:
        """How long was watched, in the time that the stamps are of: a bag may be played slowly."""
        return self.clock_moved_s if self.by_clock(one) and self.clock_moved_s > 0 else self.watched_s

    def rate_hz(self, camera: CameraSeen) -> float:
        """Images a second."""
        return len(camera.stamps_ns) / self.elapsed_s(camera)


@dataclass(frozen=True)
class Finding:
    """One thing to fix, or only to know: what was seen where, and how to fix it."""

    subject: str  # a topic, a node, a frame
    says: str
    mend: str
    fault: bool = True
