"""The node "viewer": skeletons, cameras and floor, live in the browser of this machine (needs the extra [view])."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.floor_plane import tilt_axes
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.options import check, option
from pose3d_ros.plots.palette import RGB, PersonColours
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import Buffer, TransformException, TransformListener
from pose3d_ros.ros.parameters import declare, refuse_unknown
from pose3d_ros.ros.running import run_node
from pose3d_ros.ros.view_server import serve
from pose3d_ros.structures import Floats, Floor, PersonState, Pose3D

# More than any rig has: each is a subscription, and messages name them.
MOST_CAMERAS = 64
# A node that runs says at least so often what became of people who are still there: see staleness.py.
SILENT_S = 2.0
LOOK_S = 0.5
NOT_SEEN = 0.45  # brightness of people who are predicted only
LABEL_ABOVE_M = 0.15
FLOOR_M = 10.0


@dataclass(frozen=True)
class ViewerOptions:
    """Parameters of the viewer."""

    port: int = option(8080, "port on 127.0.0.1 where the page is served", low=1, high=65535, read_only=True)

    def __post_init__(self) -> None:
        check(self)


class Viewer(Node):
    """Draws every HumanPose3DArray, and each camera that one names."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("viewer", **node_arguments)
        options = declare(self, ViewerOptions)
        refuse_unknown(self)
        self._server = serve(options.port)
        self._scene = self._server.scene
        self._floor = self._scene.add_grid("/floor", width=FLOOR_M, height=FLOOR_M, cell_size=1.0)  # z = 0 until known
        self._waiting_for = f"waiting for poses on {self.resolve_topic_name('human_pose_3d')}"
        self._status = self._server.gui.add_markdown(self._waiting_for)
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._placed: set[str] = set()
        self._watched: dict[str, Any] = {}
        self._colours = PersonColours()
        self._drawn: dict[str, tuple[Any, Any, Any]] = {}  # person id -> the handles of joints, bones and label
        self._fixed_frame = "world"
        self._heard_s = -math.inf
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._take_pose, QoSProfile(depth=1))
        self.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Stop serving the page."""
        self._server.stop()

    def _take_pose(self, msg: HumanPose3DArray) -> None:
        try:
            pose = conversions.pose_from_msg(msg)
            self._watch(msg.camera_names)
        except (InputError, InvalidTopicNameException) as error:
            self.get_logger().warning(f"a message is left out: {error}", throttle_duration_sec=5.0)
            return
        self._fixed_frame, self._heard_s = msg.header.frame_id, time.monotonic()
        colours = self._colours(pose.ids)
        with self._server.atomic():  # the page never shows half of a message
            for gone in set(self._drawn) - set(pose.ids):
                self._remove(gone)
            for index, person in enumerate(pose.ids):
                self._draw(person, pose, index, colours[person])
            if pose.floor is not None:
                self._floor.wxyz, self._floor.position = floor_place(pose.floor)
            people = "1 person" if len(pose) == 1 else f"{len(pose) or 'no'} people"
            floor = "" if pose.floor is None else f", floor known to {100 * height_std_m(pose.floor):.0f} cm"
            self._status.content = f"{people} in frame {self._fixed_frame}{floor}"

    def _look(self) -> None:
        """Remove people from the page of whom nothing has been heard."""
        if time.monotonic() - self._heard_s > SILENT_S:
            for person in list(self._drawn):
                self._remove(person)
            self._status.content = self._waiting_for

    def _watch(self, cameras: Sequence[str]) -> None:
        """Listen for the camera_info of cameras that are new, up to MOST_CAMERAS in all."""
        for name in [name for name in cameras if name not in self._watched][: MOST_CAMERAS - len(self._watched)]:
            self._watched[name] = self.create_subscription(
                CameraInfo,
                f"{name}/camera_info",
                lambda info, name=name: self._take_camera(name, info),
                qos_profile_sensor_data,
            )

    def _draw(self, person: str, pose: Pose3D, index: int, colour: RGB) -> None:
        """Draw a person, or move what is drawn of them: what is removed and added again flickers."""
        points, bones = (part.astype(np.float32) for part in drawing(pose, index))
        if not len(bones):
            self._remove(person)
            return
        bright = 1.0 if pose.state[index] == PersonState.VISIBLE else NOT_SEEN
        shade = tuple(round(bright * part) for part in colour)
        if person not in self._drawn:
            self._drawn[person] = (
                self._scene.add_point_cloud(f"/people/{person}/joints", points, shade, point_size=0.03),
                self._scene.add_line_segments(f"/people/{person}/bones", bones, shade),
                self._scene.add_label(f"/people/{person}/id", person),
            )
        joints, lines, label = self._drawn[person]
        joints.points, joints.colors = points, np.array(shade, np.uint8)
        lines.points, lines.colors = bones, np.array(shade, np.uint8)
        label.position = tuple(points[points[:, 2].argmax()] + np.array((0.0, 0.0, LABEL_ABOVE_M)))

    def _remove(self, person: str) -> None:
        for handle in self._drawn.pop(person, ()):
            handle.remove()

    def _take_camera(self, name: str, info: CameraInfo) -> None:
        """Draw a camera once, as soon as its place is known."""
        if name in self._placed or info.k[4] <= 0:
            return
        try:
            transform = self._buffer.lookup_transform(self._fixed_frame, info.header.frame_id, Time())
        except TransformException:
            return
        rotation, position = transform.transform.rotation, transform.transform.translation
        self._scene.add_camera_frustum(
            f"/cameras/{name}",
            fov=2 * float(np.arctan(info.height / (2 * info.k[4]))),
            aspect=info.width / info.height,
            scale=0.2,
            wxyz=(rotation.w, rotation.x, rotation.y, rotation.z),
            position=(position.x, position.y, position.z),
        )
        self._scene.add_label(f"/cameras/{name}/name", name)
        self._placed.add(name)
        self.destroy_subscription(self._watched[name])


def drawing(pose: Pose3D, index: int) -> tuple[Floats, Floats]:
    """What is known of one person: joints (N, 3) m and bones (M, 2, 3) m, in the pose's frame."""
    xyz = pose.xyz[index]
    present = np.isfinite(xyz).all(axis=-1)
    bones = [(a, b) for a, b in pose.skeleton.bones if present[a] and present[b]]
    return xyz[present], xyz[np.array(bones, dtype=np.intp).reshape(-1, 2)]


def floor_place(floor: Floor) -> tuple[Floats, Floats]:
    """Quaternion w, x, y, z and position m of the floor's grid: its z is up, its middle nearest to the origin."""
    e1, e2 = tilt_axes(floor.normal)
    x, y, z, w = Rotation.from_matrix(np.column_stack([e1, e2, floor.normal])).as_quat()
    return np.array([w, x, y, z]), -floor.plane[3] * floor.normal


def height_std_m(floor: Floor) -> float:
    """How well the floor's height is known, where it is known best."""
    return float(1.0 / np.sqrt(np.linalg.inv(floor.covariance)[2, 2]))


def main(argv: Sequence[str] | None = None) -> int:
    """Show poses until SIGINT or SIGTERM; 1 with the reason when the page cannot be served."""
    return run_node(Viewer, (ViewerOptions,), argv)


if __name__ == "__main__":
    sys.exit(main())
