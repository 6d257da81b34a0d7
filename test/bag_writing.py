"""Small recordings of synthetic cameras, written by rosbags' own writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.structures import Camera, Rig

T0 = 1_700_000_000_000_000_000
SIZE_WH = (32, 24)


def small_rig(count: int = 2) -> Rig:
    """Cameras cam1, cam2, ... half a metre apart, each turned a little, in the frame "map"."""
    cameras = []
    for n in range(count):
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = Rotation.from_euler("xyz", [0.1 * n, -0.2, 0.05 * n]).as_matrix()
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ np.array([0.5 * n, 0.1, 1.0])
        K = np.array([[40.0 + n, 0, 15.5], [0, 41.0, 11.5], [0, 0, 1]])
        cameras.append(Camera(f"cam{n + 1}", SIZE_WH, K, "plumb_bob", [0.01, -0.02, 0, 0, 0], cam_from_world))
    return Rig(tuple(cameras), "map")


def picture(number: int) -> np.ndarray:
    """An image that tells its number: (H, W, 3) uint8 BGR."""
    width, height = SIZE_WH
    return np.full((height, width, 3), (number % 250, (3 * number) % 250, 100), np.uint8)


class BagWriter:
    """A recording under way: messages go in as they are added, recorded at the time that is given."""

    def __init__(self, path: Path, storage: str = "mcap") -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_typestore

        self.store = get_typestore(Stores.ROS2_JAZZY)
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def make(self, kind: str, **fields: Any) -> Any:
        return self.store.types[kind](**fields)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        stamp = self.make("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)

    def topic(self, topic: str, kind: str) -> Any:
        """Declares a topic, whether or not messages follow."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self.store)
        return self._connections[topic]

    def add(self, topic: str, kind: str, msg: Any, at_ns: int) -> None:
        self._writer.write(self.topic(topic, kind), at_ns, self.store.serialize_cdr(msg, kind))

    def image(self, topic: str, image: np.ndarray, stamp_ns: int, at_ns: int | None = None, frame_id: str = "") -> None:
        kind = "sensor_msgs/msg/Image"
        height, width = image.shape[:2]
        msg = self.make(
            kind,
            header=self.header(stamp_ns, frame_id),
            height=height,
            width=width,
            encoding="rgb8",
            is_bigendian=0,
            step=3 * width,
            data=np.ascontiguousarray(image[..., ::-1]).ravel(),
        )
        self.add(topic, kind, msg, stamp_ns if at_ns is None else at_ns)

    def compressed(self, topic: str, image: np.ndarray, stamp_ns: int, *, cut: bool = False) -> None:
        kind = "sensor_msgs/msg/CompressedImage"
        data = np.asarray(cv2.imencode(".png", image)[1]).ravel()
        data = data[: len(data) // 2] if cut else data
        msg = self.make(kind, header=self.header(stamp_ns, ""), format="rgb8; png compressed bgr8", data=data)
        self.add(topic, kind, msg, stamp_ns)

    def info(
        self, camera: Camera, frame_id: str, stamp_ns: int, P: np.ndarray | None = None, K: np.ndarray | None = None
    ) -> None:
        kind = "sensor_msgs/msg/CameraInfo"
        roi = self.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        msg = self.make(
            kind,
            header=self.header(stamp_ns, frame_id),
            height=camera.size_wh[1],
            width=camera.size_wh[0],
            distortion_model=camera.distortion_model,
            d=camera.distortion,
            k=(camera.K if K is None else K).ravel(),
            r=np.eye(3).ravel(),
            p=(np.hstack([camera.K, np.zeros((3, 1))]) if P is None else P).ravel(),
            binning_x=0,
            binning_y=0,
            roi=roi,
        )
        self.add(f"/{camera.name}/camera_info", kind, msg, stamp_ns)

    def static(self, transforms: Mapping[tuple[str, str], np.ndarray], at_ns: int, topic: str = "/tf_static") -> None:
        """(parent, child) -> parent_from_child, as /tf_static."""
        kind = "tf2_msgs/msg/TFMessage"
        stamped = []
        for (parent, child), matrix in transforms.items():
            x, y, z = matrix[:3, 3]
            qx, qy, qz, qw = Rotation.from_matrix(matrix[:3, :3]).as_quat()
            stamped.append(
                self.make(
                    "geometry_msgs/msg/TransformStamped",
                    header=self.header(0, parent),
                    child_frame_id=child,
                    transform=self.make(
                        "geometry_msgs/msg/Transform",
                        translation=self.make("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
                        rotation=self.make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
                    ),
                )
            )
        self.add(topic, kind, self.make(kind, transforms=stamped), at_ns)


def small_bag(
    path: Path,
    frames: Iterable[int] = range(5),
    rig: Rig | None = None,
    storage: str = "mcap",
    lost: Sequence[Any] = (),
) -> Path:
    """Raw images of every camera at 30 Hz but (frame, camera) in lost; picture(10 frame + camera's number)."""
    rig = rig or small_rig()
    with BagWriter(path, storage) as bag:
        for k in frames:
            for n, camera in enumerate(rig.cameras):
                if (k, camera.name) not in lost:
                    bag.image(f"/{camera.name}/image_raw", picture(10 * k + n), T0 + round(k * 1e9 / 30) + 1000 * n)
    return path
