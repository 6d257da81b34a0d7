"""Cameras that watch one known person: messages for a node under test, and a network that knows the answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from graph_for_tests import own_context
from known_person import (
    PERIOD_NS,
    PERSON,
    SIZE_WH,
    T0_NS,
    KnownDetector,
    grey_of,
    truth,
)
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from torch import Tensor, nn
from visualization_msgs.msg import MarkerArray

import pose3d_ros
from pose3d_ros.cache import cache_dir
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.networks.canonical import Lifted, canonical_depth
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import Buffer, StaticTransformBroadcaster, TransformListener
from pose3d_ros.ros.harness.processes import free_domain
from pose3d_ros.ros.monocular_node import monocular_node
from pose3d_ros.ros.pose_node import PoseNode
from pose3d_ros.ros.running import make_executor
from pose3d_ros.structures import Floats, FrameSet, Rig

# Generous: a machine that does other work as well must not fail a test.
TIMEOUT_S = float(os.environ.get("POSE3D_TEST_TIMEOUT_S", "60"))


class KnownBody(nn.Module):
    """A lifting network that knows the person's posture in every camera's axes, and finds by the image where they are.

    With another K than the image's it finds another depth, as a real one does.
    """

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        seen = [(PERSON - PERSON[0]) @ camera.cam_from_world[:3, :3].T for camera in rig.cameras]
        self.postures = [torch.as_tensor(posture, dtype=torch.float64) for posture in seen]

    def forward(self, xy: Tensor, K: Tensor) -> Lifted:
        """xy (B, 17, 2) px, K (B, 3, 3)."""
        ideal = (xy - K[:, None, :2, 2]) / torch.stack((K[:, 0, 0], K[:, 1, 1]), dim=-1)[:, None]
        depth, pose = [K.new_zeros(0)], [K.new_zeros(0, 16, 3)]
        for one in ideal.double():
            _, away, posture = min((self.placed(one, posture) for posture in self.postures), key=lambda found: found[0])
            depth.append(away.float()[None])
            pose.append(posture[None, 1:].float())
        return Lifted(canonical_depth(torch.cat(depth), K), torch.cat(pose))

    @staticmethod
    def placed(ideal: Tensor, posture: Tensor) -> tuple[float, Tensor, Tensor]:
        """Least squares of X + dX = u (Z + dZ) for the root X, Y, Z: what is left, Z, and the posture."""
        left = torch.cat((torch.eye(2).double().repeat(17, 1), -ideal.reshape(-1, 1)), dim=1)
        right = (ideal * posture[:, 2:] - posture[:, :2]).reshape(-1, 1)
        root = torch.linalg.lstsq(left, right).solution
        return float((left @ root - right).norm()), root[2, 0], posture


class KnownLifter(NamedTuple):
    """What weights.trained.load gives, with a network that knows the answer."""

    net: nn.Module
    recipe: dict[str, str] = {"network": "lifter"}  # noqa: RUF012
    spread: dict[str, Tensor] = {}  # noqa: RUF012
    name: str = "known body"


class Cameras(Node):
    """Publishes what the rig's drivers would; `alter` may spoil an image or a camera_info before it goes out.

    Each set comes after its time on /clock, so that no test depends on how fast this machine is; wall: stamps are the
    machine's time instead.
    """

    def __init__(
        self, context: Context, rig: Rig, *, reliable: bool = False, compressed: bool = False, wall: bool = False
    ) -> None:
        super().__init__("cameras", context=context)
        self.wall = wall
        self.clock = None if wall else self.create_publisher(Clock, "/clock", 1)
        self.rig = rig
        self.compressed = compressed
        self.sent = 0
        self.stopped: set[str] = set()
        self.without_info: set[str] = set()
        self.alter: Callable[[str, Image | CompressedImage, CameraInfo], None] = lambda name, image, info: None
        self.frame_id: Callable[[str], str] = lambda name: f"{name}_optical"
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=5, reliability=policy)
        kind, suffix = (CompressedImage, "/compressed") if compressed else (Image, "")
        self.images = {name: self.create_publisher(kind, f"{name}/image_raw{suffix}", qos) for name in rig.names}
        self.infos = {name: self.create_publisher(CameraInfo, f"{name}/camera_info", qos) for name in rig.names}

    def publish_transforms(self, *names: str) -> None:
        """world -> <camera>_optical on /tf_static, of all cameras or those named."""
        self._static = StaticTransformBroadcaster(self)
        self._static.sendTransform(
            [
                conversions.transform_to_msg(np.linalg.inv(one.cam_from_world), "world", f"{one.name}_optical", 0)
                for one in self.rig.cameras
                if one.name in (names or self.rig.names)
            ]
        )

    def latch_infos(self) -> None:
        """Publish every camera_info once for late subscribers, and no more with the images."""
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for camera in self.rig.cameras:
            self.without_info.add(camera.name)
            self.infos[camera.name] = self.create_publisher(CameraInfo, f"{camera.name}/camera_info", qos)
            self.infos[camera.name].publish(conversions.camera_info_to_msg(camera, 0, self.frame_id(camera.name)))

    def begin_set(self) -> int:
        """Let time pass to the next set; returns its stamp in ns."""
        stamp_ns = time.time_ns() if self.wall else T0_NS + self.sent * PERIOD_NS
        self.sent += 1
        if self.clock is not None:
            self.clock.publish(conversions.clock_to_msg(stamp_ns))
        return stamp_ns

    def publish_set(self) -> int:
        """One frame set of all cameras that are not stopped; returns its stamp in ns."""
        stamp_ns = self.begin_set()
        for n, camera in enumerate(self.rig.cameras):
            if camera.name in self.stopped:
                continue
            pixels = np.full((SIZE_WH[1], SIZE_WH[0], 3), grey_of(n), np.uint8)
            pixels[1 + self.sent % (SIZE_WH[1] - 1)] += 8  # as with any camera, no image is like the one before
            to_msg = conversions.image_to_compressed_msg if self.compressed else conversions.image_to_msg
            image = to_msg(pixels, stamp_ns, self.frame_id(camera.name))
            info = conversions.camera_info_to_msg(camera, stamp_ns, self.frame_id(camera.name))
            self.alter(camera.name, image, info)
            self.images[camera.name].publish(image)
            if camera.name not in self.without_info:
                self.infos[camera.name].publish(info)
        return stamp_ns


class Controller(Node):
    """Subscribes as a robot's controller would and keeps what it heard."""

    def __init__(self, context: Context, cameras: tuple[str, ...]) -> None:
        super().__init__("controller", context=context)
        self.poses: list[HumanPose3DArray] = []  # made of images
        self.aged: list[HumanPose3DArray] = []  # what time made of an earlier one
        self.markers: list[MarkerArray] = []
        self.keypoints: list[Keypoints2DArray] = []
        self.diagnosis: Mapping[str, str] = {}
        self.level = -1
        self.message = ""
        self.buffer = Buffer()
        self.listener = TransformListener(self.buffer, self)
        self.create_subscription(HumanPose3DArray, "/human_pose_3d", self._hear, 10)
        self.create_subscription(MarkerArray, "/human_pose_3d/markers", self.markers.append, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 10)
        for name in cameras:
            self.create_subscription(Keypoints2DArray, f"/{name}/keypoints_2d", self.keypoints.append, 10)

    def _hear(self, message: HumanPose3DArray) -> None:
        (self.poses if message.camera_names else self.aged).append(message)

    def _diagnosed(self, msg: DiagnosticArray) -> None:
        status = msg.status[0]
        self.level, self.message = int.from_bytes(status.level, "little"), status.message
        self.diagnosis = {pair.key: pair.value for pair in status.values}


class Graph:
    """Cameras, the node under test and a controller, spun by the test's own thread."""

    def __init__(self, cameras: Cameras, node: PoseNode, controller: Controller) -> None:
        self.cameras, self.node, self.controller = cameras, node, controller
        self.executor = make_executor(cameras.context)
        for one in (cameras, node, controller):
            self.executor.add_node(one)

    def play_until(self, done: Callable[[], bool], what: str) -> None:
        """Publish a frame set every 50 ms until done(); fails with the diagnosis after a generous time.

        On a busy machine slower, so that all of a set is taken before the next: each turn takes one message.
        """
        give_up = time.monotonic() + TIMEOUT_S
        next_s, turns, messages = time.monotonic(), 0, 2 * len(self.cameras.rig.cameras) + 4
        while not done():
            failure = f"not within {TIMEOUT_S} s: {what}; diagnosis: {self.controller.message}"
            assert time.monotonic() < give_up, failure
            if time.monotonic() >= next_s and turns >= messages:
                self.cameras.publish_set()
                next_s, turns = time.monotonic() + 0.05, 0
            self.executor.spin_once(timeout_sec=0.01)
            turns += 1

    def poses_after(self, number: int) -> list[HumanPose3DArray]:
        """Play until that many more poses with a person came; returns them."""
        before = len(self.controller.poses)

        def seen() -> list[HumanPose3DArray]:
            return [pose for pose in self.controller.poses[before:] if pose.people]

        self.play_until(lambda: len(seen()) >= number, f"{number} poses")
        return seen()

    def diagnosis_says(self, words: str) -> None:
        """Play until /diagnostics says so."""
        self.play_until(lambda: words in self.controller.message, f"diagnostics say {words!r}")


@contextmanager
def graph(
    rig: Rig,
    *,
    reliable: bool = False,
    compressed: bool = False,
    error: Callable[[FrameSet], None] = lambda frames: None,
    lifts: bool = False,
    wall: bool = False,
    **parameters: object,
) -> Iterator[Graph]:
    """The whole graph around a multi-view node on a domain of its own; parameters go to the node under test.

    lifts: a network that knows the answer lifts people when one camera is left; else nothing is ever lifted.
    """
    given = {
        "cameras": list(rig.names),
        "image_transport": "compressed" if compressed else "raw",
        "monocular_fallback": "auto" if lifts else "never",
        # The known detector is exact, so what is triangulated is the truth; no person has the known one's proportions.
        "refine": "none",
        "smoothing": "none",
        "use_sim_time": not wall,
        **parameters,
    }
    lifter = KnownLifter(KnownBody(rig)) if lifts else None
    with own_context() as context:
        cameras = Cameras(context, rig, reliable=reliable, compressed=compressed, wall=wall)
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        fallback = PersonLifter(lifter=lifter) if lifter else None  # type: ignore[arg-type]
        node = PoseNode(KnownDetector(rig, error), fallback, context=context, parameter_overrides=overrides)
        with spun(cameras, node) as one:
            yield one


@contextmanager
def monocular_graph(
    rig: Rig, detector: KnownDetector | None = None, *, latched: bool = False, **parameters: object
) -> Iterator[Graph]:
    """The same around a monocular node for the rig's only camera, with a lifting network that knows the answer.

    latched: the camera publishes its camera_info once, before the node is there.
    """
    with own_context() as context:
        cameras = Cameras(context, rig)
        if latched:
            cameras.latch_infos()
        node = monocular_node(
            detector or KnownDetector(rig),
            PersonLifter(lifter=KnownLifter(KnownBody(rig))),  # type: ignore[arg-type]
            context=context,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in {"use_sim_time": True, **parameters}.items()
            ],
        )
        with spun(cameras, node) as one:
            yield one


@contextmanager
def spun(cameras: Cameras, node: PoseNode) -> Iterator[Graph]:
    """The graph of these two and a controller; ends all three."""
    one = Graph(cameras, node, Controller(cameras.context, cameras.rig.names))
    try:
        yield one
    finally:
        node.close()
        for each in (cameras, node, one.controller):
            each.destroy_node()


def environment_of_a_process(tmp_path: Path) -> dict[str, str]:
    """For a node as a program: a domain of its own, nothing in the cache."""
    return {
        **os.environ,
        "ROS_DOMAIN_ID": str(free_domain()),
        "ROS_LOG_DIR": str(tmp_path),
        "POSE3D_CACHE": str(tmp_path / "cache"),
        # But for compiled kernels: that takes a minute.
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR") or str(cache_dir() / "numba"),
        # The package under test, which in an installation is not the checkout's: that has no compiled messages.
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(pose3d_ros.__file__).parents[1])]),
    }


def error_mm(message: HumanPose3DArray, fixed_from_world: Floats) -> float:
    """Largest distance in mm of the first person's joints from the truth at the message's stamp."""
    pose = conversions.pose_from_msg(message)
    expected = truth(pose.stamp_ns) @ fixed_from_world[:3, :3].T + fixed_from_world[:3, 3]
    return float(1000 * np.linalg.norm(pose.xyz[0] - expected, axis=-1).max())
