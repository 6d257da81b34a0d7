"""The list of people for software that speaks REP-155 (ROS4HRI): /humans/bodies/tracked.

Its frames need nothing more than /tf. The list is an hri_msgs/IdsList, so it goes out where hri_msgs is installed;
elsewhere the log says once how to install it.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher

from pose3d_ros.ros import conversions
from pose3d_ros.structures import Pose3D

TRACKED = "/humans/bodies/tracked"  # REP-155's topics are global
DEPTH = 10
FIX = "apt install ros-$ROS_DISTRO-hri-msgs, or set rep155: false"


class BodyPublisher:
    """Sends the list of a node's people; it has its topic from the first time that it is used."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._list: Publisher[Any] | None = None
        self._message: Any = None
        self._sought = False

    def close(self) -> None:
        """Take the topic off the graph."""
        if self._list is not None:
            self._node.destroy_publisher(self._list)
        self._list, self._sought = None, False

    def publish(self, pose: Pose3D, prefix: str = "") -> None:
        """Send the ids of all people who are not LOST; an empty list where there are none."""
        self._find_messages()
        if self._list is not None:
            header = conversions.header(pose.stamp_ns, pose.frame_id)
            self._list.publish(self._message(header=header, ids=conversions.tracked_bodies(pose, prefix)))

    def _find_messages(self) -> None:
        if self._sought:
            return
        self._sought = True
        try:
            from hri_msgs.msg import IdsList
        except ImportError as error:
            self._node.get_logger().error(f"rep155: {TRACKED} needs hri_msgs ({error}): {FIX}")
            return
        self._message = IdsList
        self._list = self._node.create_publisher(IdsList, TRACKED, DEPTH)
