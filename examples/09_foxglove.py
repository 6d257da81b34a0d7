"""An MCAP file and a layout for Foxglove: skeletons in 3D and in the images, TF, ages, latency, diagnostics.

    .venv/bin/python examples/09_foxglove.py

Afterwards open footage_mcap/footage_mcap.mcap in Foxglove (or Lichtblick, its open fork) and import the layout
config/foxglove_layout.json: it shows the topics that the multi-view node publishes. Live, in a ROS workspace:
`ros2 launch pose3d_ros demo.launch.py cameras:='[cam01,cam02]'` and `ros2 launch foxglove_bridge
foxglove_bridge_launch.xml`, the same layout. The file here is made from the sample footage without a running graph.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from tf2_msgs.msg import TFMessage

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.recordings.footage import fetch_sample
from pose3d_ros.recordings.playback import play, with_cameras
from pose3d_ros.ros import conversions
from pose3d_ros.ros.diagnostics import Level
from pose3d_ros.ros.environment import share_directory

IMAGE_HEIGHT_PX = 320  # raw images, as the cameras' drivers publish them, 0.17 MB each


class McapFile:
    """ROS messages by topic and time, in one MCAP file with their definitions."""

    def __init__(self, folder: Path) -> None:
        self._store = get_typestore(Stores.ROS2_JAZZY)
        for file in sorted((share_directory() / "msg").glob("*.msg")):
            text = file.read_text(encoding="utf-8")
            self._store.register(get_types_from_msg(text, f"pose3d_ros/msg/{file.stem}"))
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> McapFile:
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        if topic not in self._connections:
            kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)
        self._writer.write(self._connections[topic], stamp_ns, serialize_message(message))


def convert(cameras: list[str], frames: int, folder: Path) -> int:
    """Write what cameras, TF and the node would publish for the first frames; returns the number of poses."""
    footage = with_cameras(fetch_sample("single"), cameras)
    sizes = {
        camera.name: (round(camera.size_wh[0] * IMAGE_HEIGHT_PX / camera.size_wh[1]), IMAGE_HEIGHT_PX)
        for camera in footage.rig.cameras
    }
    estimator, colours, count = PoseEstimator(footage.rig), PersonColours(), 0
    with McapFile(folder) as file:
        for frame_set in play(footage, frames):
            stamp_ns, start = frame_set.stamp_ns, time.perf_counter()
            estimate = estimator.estimate(frame_set)
            latency_s = time.perf_counter() - start
            pose = estimate.pose
            for camera in footage.rig.cameras:
                frame, size_wh = f"{camera.name}_optical", sizes[camera.name]
                image = cv2.resize(frame_set.images[camera.name], size_wh, interpolation=cv2.INTER_AREA)
                info = conversions.camera_info_to_msg(camera.resized(size_wh), stamp_ns, frame)
                raw = conversions.image_to_msg(image.astype(np.uint8), stamp_ns, frame)
                file.write(f"/{camera.name}/image_raw", raw, stamp_ns)
                file.write(f"/{camera.name}/camera_info", info, stamp_ns)
                if not count:
                    placed = np.linalg.inv(camera.cam_from_world)
                    transform = conversions.transform_to_msg(placed, footage.rig.frame_id, frame, stamp_ns)
                    file.write("/tf_static", TFMessage(transforms=[transform]), stamp_ns)
            message = conversions.pose_to_msg(
                pose, camera_stamps_ns=frame_set.stamps_ns, calibration_hash=footage.rig.calibration_hash
            )
            message.processing_latency = latency_s
            file.write("/human_pose_3d", message, stamp_ns)
            file.write("/human_pose_3d/markers", conversions.markers_to_msg(pose, 1.0, colours(pose.ids)), stamp_ns)
            file.write("/tf", TFMessage(transforms=conversions.transforms_to_msgs(pose)), stamp_ns)
            stages = {f"stage_ms/{name}": round(ms, 1) for name, ms in estimate.stage_ms.items()}
            status = conversions.Status("multiview", Level.OK, "from a recording", stages)
            file.write("/diagnostics", conversions.diagnostics_to_msg([status], stamp_ns), stamp_ns)
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("footage_mcap"), help="a folder that does not exist yet")
    parser.add_argument("--cameras", nargs="+", default=["cam01", "cam02"])
    parser.add_argument("--frames", type=int, default=50, help="0: all")
    args = parser.parse_args()
    print(f"{convert(args.cameras, args.frames, args.output)} poses in {args.output / args.output.name}.mcap")


if __name__ == "__main__":
    main()
