"""What was seen of a running system, before anything is judged; made by observe.py, or by tests. ROS-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose3d_ros.data.camera_info import named_rectified
from pose3d_ros.structures import Floats

POSES = "pose3d_ros/msg/HumanPose3DArray"
KEYPOINTS = "pose3d_ros/msg/Keypoints2DArray"


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription."""

    node: str  # with its namespace
    kind: str  # sensor_msgs/msg/Image
    kind_hash: str = ""  # RIHS01_...; empty where the middleware does not tell
    reliable: bool = True
    latched: bool = False  # durability transient local
    deadline_s: float = float("inf")
    manual_liveliness: bool = False
    profiles: bool | None = None  # whether its process has a Fast DDS profile; None where that cannot be seen


@dataclass(frozen=True)
class Topic:
    """Who publishes a topic, and who listens; the doctor itself is left out."""

    publishers: tuple[Endpoint, ...] = ()
    subscriptions: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class ImageSeen:
    """One image of a camera."""

    size_wh: tuple[int, int]
    frame_id: str


@dataclass(frozen=True, eq=False)
class CameraSeen:
    """What came of one camera while it was watched."""

    name: str
    image_topic: str
    info_topic: str
    image: ImageSeen | None = None
    info: Any = None  # sensor_msgs/CameraInfo, or anything with its fields
    infos: int = 0
    stamps_ns: tuple[int, ...] = ()  # of the images, as they came
    late_s: tuple[float, ...] = ()  # arrival less stamp, on the clock that stamps are to be of


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
    most_people: int | None = None  # at once; None where it did not say
    cameras: tuple[CameraSeen, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

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
        return bool(self.cameras) and named_rectified(camera.image_topic for camera in self.cameras)


@dataclass(frozen=True, eq=False)
class Edge:
    """One transform of TF."""

    parent: str
    child: str
    parent_from_child: Floats = field(default_factory=lambda: np.eye(4))  # (4, 4) m
    static: bool = True
    late_s: tuple[float, ...] = ()  # arrival less stamp of each that came


@dataclass(frozen=True)
class Machine:
    """The machine that the doctor runs on."""

    gpus: tuple[str, ...] = ()
    broken_packages: tuple[str, ...] = ()  # of the ROS distribution, as the warnings have them
    ros_missing: str = ""  # why ROS cannot be used here


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
    clock_ticks: int = 0  # messages on /clock
    machine: Machine = field(default_factory=Machine)
    expect_person: bool = False

    def cameras_seen(self) -> list[tuple[NodeSeen | None, CameraSeen]]:
        """Every camera once, with the first node that reads it."""
        by_topic: dict[str, tuple[NodeSeen | None, CameraSeen]] = {}
        for node in self.nodes:
            for camera in node.cameras:
                by_topic.setdefault(camera.image_topic or camera.info_topic, (node, camera))
        for camera in self.cameras:
            by_topic.setdefault(camera.image_topic, (None, camera))
        return list(by_topic.values())

    def topic(self, name: str) -> Topic:
        """Who is on it; nobody where it is not on the graph."""
        return self.topics.get(name, Topic())


@dataclass(frozen=True)
class Finding:
    """One thing to mend, or only to know: what was seen where, and what mends it."""

    subject: str  # a topic, a node, a frame
    says: str
    mend: str
    fault: bool = True
