"""A subscriber to copy: prints where each person's pelvis is, and how sure that is.

Run it beside a running pose3d_ros graph: python3 human_pose_listener.py
"""

import math

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D


class HumanPoseListener(Node):
    """Follows everybody on /human_pose_3d."""

    def __init__(self) -> None:
        super().__init__("human_pose_listener")
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self.on_people, 10)

    def on_people(self, message: HumanPose3DArray) -> None:
        """One call a frame set; an empty list means that nobody is seen."""
        pelvis_at = list(message.joint_names).index("Pelvis")
        for person in message.people:
            # Only a person seen in this very frame set should steer anything.
            if person.state != HumanPose3D.STATE_VISIBLE:
                continue
            pelvis = person.joints[pelvis_at]
            if pelvis.source == Joint3D.SOURCE_ABSENT:
                continue
            x, y, z = pelvis.position.x, pelvis.position.y, pelvis.position.z
            sigma_m = math.sqrt(max(pelvis.covariance[0], pelvis.covariance[4], pelvis.covariance[8]))
            self.get_logger().info(
                f"person {person.id}: pelvis at ({x:.2f}, {y:.2f}, {z:.2f}) m in {message.header.frame_id}, "
                f"+-{1000 * sigma_m:.0f} mm"
            )


def main() -> None:
    """Spin until Ctrl-C or SIGTERM."""
    rclpy.init()
    try:
        rclpy.spin(HumanPoseListener())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
