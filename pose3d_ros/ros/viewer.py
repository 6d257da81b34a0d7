"""The node "viewer": skeletons, cameras and floor, live in the browser of this machine (needs the extra [view])."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo

from pose3d_ros.errors import DependencyError, InputError
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.options import check, option
from pose3d_ros.output.palette import person_colour
from pose3d_ros.ros import conversions
from pose3d_ros.ros.distribution import Buffer, TransformException, TransformListener
from pose3d_ros.ros.parameters import declare, refuse_unknown
from pose3d_ros.ros.running import run_node
from pose3d_ros.structures import Floats, Pose3D

# More than any rig has: each is a subscription, and messages name them.
MOST_CAMERAS = 64


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
        self._server = _serve(options.port)
        self._scene = self._server.scene
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._placed: set[str] = set()
        self._watched: dict[str, Any] = {}
        self._drawn: dict[str, tuple[Any, ...]] = {}  # person id -> the handles of what is drawn of them
        self._fixed_frame = "world"
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self._take_pose, QoSProfile(depth=1))

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
        self._fixed_frame = msg.header.frame_id
        for gone in set(self._drawn) - set(pose.ids):
            for handle in self._drawn.pop(gone):
                handle.remove()
        for index, person in enumerate(pose.ids):
            self._draw(person, pose, index)

    def _watch(self, cameras: Sequence[str]) -> None:
        """Listen for the camera_info of cameras that are new, up to MOST_CAMERAS in all."""
        for name in [name for name in cameras if name not in self._watched][: MOST_CAMERAS - len(self._watched)]:
            self._watched[name] = self.create_subscription(
                CameraInfo,
                f"{name}/camera_info",
                lambda info, name=name: self._take_camera(name, info),
                qos_profile_sensor_data,
            )

    def _draw(self, person: str, pose: Pose3D, index: int) -> None:
        points, bones = drawing(pose, index)
        for handle in self._drawn.pop(person, ()):
            handle.remove()
        if not len(bones):
            return
        colour = person_colour(person)
        top = points[points[:, 2].argmax()] + (0.0, 0.0, 0.15)
        self._drawn[person] = (
            self._scene.add_point_cloud(f"/people/{person}/joints", points.astype(np.float32), colour, point_size=0.03),
            self._scene.add_line_segments(f"/people/{person}/bones", bones.astype(np.float32), colour),
            self._scene.add_label(f"/people/{person}/id", person, position=tuple(top)),
        )

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


def _serve(port: int) -> Any:
    """The server of a page on 127.0.0.1, with the floor in its scene."""
    try:
        import viser
    except ImportError as error:
        raise DependencyError(f"the viewer needs viser ({error}): pip install 'viser>=1.0'") from error
    server = viser.ViserServer(host="127.0.0.1", port=port, label="pose3d_ros", verbose=False)
    server.scene.set_up_direction("+z")
    server.scene.add_grid("/floor", width=10.0, height=10.0, cell_size=1.0)
    server.scene.add_frame("/origin", axes_length=0.3, axes_radius=0.01)
    return server


def main(argv: Sequence[str] | None = None) -> int:
    """Show poses until SIGINT or SIGTERM; 1 with the reason when the page cannot be served."""
    return run_node(Viewer, (ViewerOptions,), argv)


if __name__ == "__main__":
    sys.exit(main())
