"""Record what the node publishes as an MCAP file, look into it, and replay it without cameras.

    .venv/bin/python examples/02_play_footage.py                                          # or stereo.launch.py
    .venv/bin/python examples/06_record_and_replay.py record people_bag --seconds 10
    .venv/bin/python examples/06_record_and_replay.py show people_bag
    .venv/bin/python examples/06_record_and_replay.py replay people_bag                   # after the graph has ended

Afterwards people_bag is a rosbag2 folder: `ros2 bag play`, Foxglove and PlotJuggler open it. With `--cameras cam01
cam02` images are recorded too, and `pose3d estimate people_bag --fixed-frame world` estimates the poses again, as often
as you like. Where your ROS has `ros2 bag record`, use that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros.environment import share_directory

TOPICS = {
    "/human_pose_3d": HumanPose3DArray,
    "/human_pose_3d/markers": MarkerArray,
    "/tf": TFMessage,
    "/tf_static": TFMessage,
    "/diagnostics": DiagnosticArray,
    "/clock": Clock,
}


def typestore() -> Any:
    """The message definitions that go into the file, with ours."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted((share_directory() / "msg").glob("*.msg")):
        store.register(get_types_from_msg(file.read_text(encoding="utf-8"), f"pose3d_ros/msg/{file.stem}"))
    return store


def qos(topic: str) -> QoSProfile:
    """Cameras are best effort, /tf_static is latched."""
    if topic.endswith(("/image_raw", "/camera_info")):
        return qos_profile_sensor_data
    latched = topic == "/tf_static"
    return QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE)


def ros_name(kind: Any) -> str:
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def record(node: Node, path: Path, seconds: float, cameras: Sequence[str] = ()) -> int:
    """Write all messages as they come, serialised as they are; returns their number."""
    store, count = typestore(), 0
    topics: dict[str, Any] = dict(TOPICS)
    for name in cameras:
        topics |= {f"/{name}/image_raw": Image, f"/{name}/camera_info": CameraInfo}
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:

        def subscribe(topic: str, kind: Any) -> None:
            connection = writer.add_connection(topic, ros_name(kind), typestore=store)

            def on_message(data: bytes) -> None:
                nonlocal count
                count += 1
                writer.write(connection, time.time_ns(), data)

            node.create_subscription(kind, topic, on_message, qos(topic), raw=True)

        for topic, kind in topics.items():
            subscribe(topic, kind)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
    return count


def show(path: Path) -> list[HumanPose3DArray]:
    """Print where the people were; returns the messages of /human_pose_3d in order."""
    with Reader(path) as reader:
        for connection in reader.connections:
            print(f"{connection.msgcount:6} {connection.topic} ({connection.msgtype})")
        of_people = [each for each in reader.connections if each.topic == "/human_pose_3d"]
        messages = [deserialize_message(raw, HumanPose3DArray) for _, _, raw in reader.messages(of_people)]
    for message in messages:
        for person in message.people:
            place = person.joints[list(message.joint_names).index("Pelvis")].position
            stamp_s = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
            print(f"{stamp_s:.3f} s: person {person.id} at ({place.x:.2f}, {place.y:.2f}, {place.z:.2f}) m")
    return messages


def replay(node: Node, path: Path) -> int:
    """Publish all messages at the pace they were recorded at; returns their number."""
    kinds = {ros_name(kind): kind for kind in (*TOPICS.values(), Image, CameraInfo)}
    with Reader(path) as reader:
        publishers = {
            each.topic: node.create_publisher(kinds[each.msgtype], each.topic, qos(each.topic))
            for each in reader.connections
        }
        time.sleep(1.0)  # subscribers find the publishers
        begin, count = time.monotonic(), 0
        for connection, at_ns, raw in reader.messages():
            time.sleep(max(0.0, (at_ns - reader.start_time) * 1e-9 - (time.monotonic() - begin)))
            publishers[connection.topic].publish(bytes(raw))
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("record", "show", "replay"))
    parser.add_argument("bag", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cameras", nargs="*", default=[], help="record these cameras' images too")
    args = parser.parse_args()
    if args.action == "show":
        show(args.bag)
        return
    rclpy.init()
    node = rclpy.create_node("record_and_replay")
    try:
        if args.action == "record":
            print(f"recorded {record(node, args.bag, args.seconds, args.cameras)} messages in {args.bag}")
        else:
            print(f"published {replay(node, args.bag)} messages of {args.bag}")
    except KeyboardInterrupt:
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
