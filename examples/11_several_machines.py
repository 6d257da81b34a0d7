"""Detection and triangulation in different processes, as on several machines, all of them started on this one.

    .venv/bin/python examples/11_several_machines.py

Afterwards you know what runs where: each machine with a camera runs a detector node, one machine runs the multi-view
node with `input: keypoints`, and 0.5 kB a person and image cross the network instead of images. The script starts two
detectors, the central node and a player as the cameras, and prints once a second what arrives. On real machines
(docs/several_machines.md): `ros2 launch pose3d_ros detector.launch.py cameras:='[left]' name:=detector_left` on each,
and `ros2 launch pose3d_ros stereo.launch.py input:=keypoints cameras:='[left,right]' fixed_frame:=map` on one.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions

from pose3d_ros.msg import HumanPose3DArray, Keypoints2DArray
from pose3d_ros.recordings.footage import fetch_sample
from pose3d_ros.ros.environment import node_command, prepare


def commands(cameras: list[str], rate: float, loops: int, frames: int) -> list[list[str]]:
    """One detector for each camera, the central node, and the player, which stands for the cameras' drivers."""
    names = f"[{','.join(cameras)}]"
    detectors = [
        [
            *node_command("pose3d_ros.ros.detector_node"), "--ros-args", "-r", f"__node:=detector_{camera}",
            "-p", f"cameras:=[{camera}]", "-p", "use_sim_time:=true",
        ]
        for camera in cameras
    ]  # fmt: skip
    central = [
        *node_command("pose3d_ros.ros.multiview_node"), "--ros-args", "-p", "input:=keypoints",
        "-p", f"cameras:={names}", "-p", "placement:=tf", "-p", "fixed_frame:=world", "-p", "use_sim_time:=true",
        "-p", "jump_distance_m:=1.5",
    ]  # fmt: skip
    drivers = [
        *node_command("pose3d_ros.ros.harness.player"), "--ros-args", "-p", "footage:=single",
        "-p", f"cameras:={names}", "-p", f"rate:={rate}", "-p", f"loop:={loops}",
        "-p", f"frames:={frames}",
    ]  # fmt: skip
    return [*detectors, central, drivers]


class Listener(Node):
    """Counts what crosses the network, and keeps the last people."""

    def __init__(self, cameras: list[str]) -> None:
        super().__init__("listener")
        self.poses = self.keypoint_bytes = 0  # since the last line
        self.last: HumanPose3DArray | None = None
        for name in cameras:
            self.create_subscription(Keypoints2DArray, f"{name}/keypoints_2d", self.on_keypoints, 10)
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self.on_people, 10)
        self.create_timer(1.0, self.on_time)

    def on_keypoints(self, message: Keypoints2DArray) -> None:
        self.keypoint_bytes += len(serialize_message(message))

    def on_people(self, message: HumanPose3DArray) -> None:
        if message.camera_names:
            self.poses, self.last = self.poses + 1, message

    def on_time(self) -> None:
        people = [] if self.last is None else [person.id for person in self.last.people]
        kilobytes = self.keypoint_bytes / 1000
        print(f"{self.poses} poses/s from {kilobytes:.1f} kB/s of keypoints, people {people}", flush=True)
        self.poses = self.keypoint_bytes = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cameras", nargs="+", default=["cam01", "cam02"])
    parser.add_argument("--rate", type=float, default=0.0, help="frame sets a second; 0: all are answered")
    parser.add_argument("--loops", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=0, help="frame sets of each loop; 0: all")
    args = parser.parse_args()
    fetch_sample("single")  # a download of 67 MB where the footage is not in the cache yet
    prepare()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = [subprocess.Popen(each) for each in commands(args.cameras, args.rate, args.loops, args.frames)]
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Listener(args.cameras)
    try:
        while all(process.poll() is None for process in processes):
            rclpy.spin_once(node, timeout_sec=0.1)
    except KeyboardInterrupt:
        return 0
    finally:
        ended = [process.poll() for process in processes]
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait(timeout=20)
        node.on_time()
        node.destroy_node()
        rclpy.try_shutdown()
    return max(abs(code or 0) for code in ended)  # a node that could not start has given the reason


if __name__ == "__main__":
    sys.exit(main())
