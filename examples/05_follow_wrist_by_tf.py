"""A target for a robot's tool that follows a person's wrist, by TF alone.

    .venv/bin/python examples/02_play_footage.py                                       # or stereo.launch.py
    .venv/bin/python examples/05_follow_wrist_by_tf.py --ros-args -p use_sim_time:=true

Afterwards /target_pose (geometry_msgs/PoseStamped) lies 0.2 m above the right wrist of the person who came first, in
the robot's frame, for as long as TF has a fresh transform. Parameters: robot_frame, joint, above (m). Present joints of
VISIBLE and OCCLUDED people are frames named human_<id>_<joint>, with the fixed frame's axes.
"""

from __future__ import annotations

from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.time import Time

from pose3d_ros.msg import HumanPose3DArray

# tf2_ros where the ROS distribution has it, else the same classes for a machine with pip only.
from pose3d_ros.ros.distribution import Buffer, TransformException, TransformListener

OLDEST_S = 0.3  # TF keeps the last transform for 10 s: its stamp says whether it still holds


class WristFollower(Node):
    """Publishes a target 20 times a second while the wrist's transform is fresh, and nothing otherwise."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("wrist_follower", **node_arguments)
        self.robot_frame = str(self.declare_parameter("robot_frame", "world").value)
        self.joint = str(self.declare_parameter("joint", "RWrist").value)
        self.above_m = float(self.declare_parameter("above", 0.2).value)
        self.person = ""  # id of the person who is followed; ids are never given to another person
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._publisher = self.create_publisher(PoseStamped, "target_pose", 10)
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self.on_people, 10)
        self.create_timer(0.05, self.on_time)

    def on_people(self, message: HumanPose3DArray) -> None:
        ids = [person.id for person in message.people]
        if self.person not in ids:
            self.person = ids[0] if ids else ""
            self.get_logger().info(f"following person {self.person}" if self.person else "no person to follow")

    def on_time(self) -> None:
        if not self.person:
            return
        frame = f"human_{self.person}_{self.joint}"
        try:
            wrist = self._buffer.lookup_transform(self.robot_frame, frame, Time())  # the newest
        except TransformException as error:
            self.get_logger().warning(f"no transform of {frame}: {error}", throttle_duration_sec=2.0)
            return
        age_s = (self.get_clock().now() - Time.from_msg(wrist.header.stamp)).nanoseconds * 1e-9
        if age_s > OLDEST_S:
            self.get_logger().warning(f"{frame} is {age_s:.1f} s old: no target", throttle_duration_sec=2.0)
            return
        target = PoseStamped(header=wrist.header)  # the robot's frame, the stamp of the images
        place = wrist.transform.translation
        target.pose.position.x, target.pose.position.y = place.x, place.y
        target.pose.position.z = place.z + self.above_m
        target.pose.orientation.x = 1.0  # the tool points down
        target.pose.orientation.w = 0.0
        self._publisher.publish(target)
        words = f"target ({place.x:.2f}, {place.y:.2f}, {target.pose.position.z:.2f}) m"
        self.get_logger().info(words, throttle_duration_sec=1.0)


def main() -> None:
    rclpy.init()
    try:
        rclpy.spin(WristFollower())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
