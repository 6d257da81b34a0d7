"""A subscriber to copy: prints who is where and how sure that is, and never goes by what is old.

Run it beside a running pose3d_ros graph: python3 human_pose_listener.py

Four habits, each against a way of being wrong:
1. messages that no image made (no camera_names) tell that nobody can be seen, never that nobody is there;
2. only who is VISIBLE, or OCCLUDED for a moment, may steer anything;
3. a joint may be absent, and its covariance says how far it can be off;
4. when no message comes at all (the node died, the network broke) it is told by a timer of one's own.
"""

import math
import time

import rclpy
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D

# After so long without a message made of images nothing is known of anybody.
STALE_S = 0.5
# Who was hidden for longer is no longer gone by.
OLDEST_S = 0.3


class HumanPoseListener(Node):
    """Follows everybody on /human_pose_3d."""

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("human_pose_listener", **node_arguments)
        self.seeing = False  # whether what was heard last may be gone by
        self.people: dict[str, tuple[float, float, float]] = {}  # id -> pelvis, m, of those who may steer something
        self._heard_s = -math.inf
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self.on_people, 10)
        # Real time: where the simulation stands still, what was heard gets old all the same.
        self.create_timer(0.05, self.on_time, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_people(self, message: HumanPose3DArray) -> None:
        """One call a frame set, and more where images stop."""
        if message.camera_names:
            self._heard_s = time.monotonic()
            self._see(True, "people are seen")
        pelvis_at = list(message.joint_names).index("Pelvis")
        self.people = {}
        for person in message.people:
            if person.state == HumanPose3D.STATE_LOST or person.age > OLDEST_S:
                continue
            pelvis = person.joints[pelvis_at]
            if pelvis.source == Joint3D.SOURCE_ABSENT:
                continue
            x, y, z = pelvis.position.x, pelvis.position.y, pelvis.position.z
            self.people[person.id] = x, y, z
            sigma_m = math.sqrt(max(pelvis.covariance[0], pelvis.covariance[4], pelvis.covariance[8]))
            hidden = "" if person.state == HumanPose3D.STATE_VISIBLE else f", hidden for {person.age:.1f} s: slow down"
            self.get_logger().info(
                f"person {person.id}: pelvis at ({x:.2f}, {y:.2f}, {z:.2f}) m in {message.header.frame_id}, "
                f"+-{1000 * sigma_m:.0f} mm{hidden}"
            )

    def on_time(self) -> None:
        """Called twenty times a second, whatever comes."""
        if time.monotonic() - self._heard_s > STALE_S:
            self.people = {}
            self._see(False, "nothing is seen: stop, and look into /diagnostics")

    def _see(self, seeing: bool, words: str) -> None:
        if seeing != self.seeing:
            self.seeing = seeing
            if seeing:
                self.get_logger().info(words)
            else:
                self.get_logger().error(words)


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
