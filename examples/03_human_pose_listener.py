"""A subscriber to copy: where people are, and whether a robot may go, must slow down or must stop.

    .venv/bin/python examples/02_play_footage.py                                       # or stereo.launch.py
    .venv/bin/python examples/03_human_pose_listener.py --ros-args -p use_sim_time:=true

Afterwards you have a node to copy into your controller. Five habits, each against a way of being wrong:
1. header.stamp is compared with the clock, when a message comes and each time it is acted on: an old one stops;
2. state decides: VISIBLE people can be relied on, OCCLUDED ones slow down, LOST ones stop;
3. a joint may be absent, and its covariance says how far off it can be by now: an uncertain one stops;
4. messages without camera_names say that no person can be seen, never that no person is there: they stop too;
5. when no message comes at all (the node died, the network broke), the controller's own timer stops.
"""

import math
import time
from typing import Any

import rclpy
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D

GO, SLOW, STOP = "go", "slow down", "stop"
# Images older than this steer nothing: one and a half times occluded_after_s, for the message's way here.
OLDEST_S = 0.3
# A stamp further ahead of this machine's clock says nothing of its age: synchronise the clocks (chrony, PTP).
AHEAD_S = 0.1
# A pelvis that may be further off than this (standard deviation) steers nothing. One camera alone knows depth to 0.3 m.
UNSURE_M = 0.5

Places = dict[str, tuple[float, float, float]]  # id -> pelvis, m


def age_s(message: HumanPose3DArray, now_ns: int) -> float:
    """How long ago the images of a message were captured; infinity where its stamp cannot be of this clock."""
    stamp = message.header.stamp
    age = (now_ns - stamp.sec * 10**9 - stamp.nanosec) * 1e-9
    return age if age >= -AHEAD_S else math.inf


def decide(message: HumanPose3DArray, now_ns: int) -> tuple[str, str, Places]:
    """What a robot may do by this message now, why, and where the people are who can be relied on.

    With nothing wrong and all people VISIBLE, or none there: GO. Moving around them is the robot's own planner's task.
    """
    age = age_s(message, now_ns)
    if age > OLDEST_S:
        return STOP, f"the last message is of {age:.2f} s ago, expected {OLDEST_S} s at most", {}
    if not message.camera_names:
        return STOP, "no camera sees anything", {}
    action, why, places = GO, "", {}
    pelvis_at = list(message.joint_names).index("Pelvis")
    for person in message.people:
        pelvis = person.joints[pelvis_at]
        variances = (pelvis.covariance[0], pelvis.covariance[4], pelvis.covariance[8])
        if person.state == HumanPose3D.STATE_LOST or person.age > OLDEST_S:
            action, why = STOP, f"person {person.id} was last seen {person.age:.2f} s ago"
        elif pelvis.source == Joint3D.SOURCE_ABSENT:
            action, why = STOP, f"person {person.id} is there, and where is not known"
        # Written so that NaN stops as well.
        elif not max(variances) <= UNSURE_M**2 or not all(variance >= 0.0 for variance in variances):
            action, why = STOP, f"person {person.id} may be off by more than {UNSURE_M} m"
        else:
            places[person.id] = pelvis.position.x, pelvis.position.y, pelvis.position.z
            if person.state != HumanPose3D.STATE_VISIBLE and action == GO:
                action, why = SLOW, f"person {person.id} is hidden for {person.age:.2f} s"
    return action, why, places


class HumanPoseListener(Node):
    """Follows the people on /human_pose_3d."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("human_pose_listener", **node_arguments)
        self.action = STOP
        self.people: Places = {}  # those who can be relied on
        self._message: HumanPose3DArray | None = None
        self._received_s = -math.inf
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self.on_people, 10)
        # Real time: where the simulation stands still, what was received gets old all the same.
        self.create_timer(0.05, self.on_time, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_people(self, message: HumanPose3DArray) -> None:
        """One call a frame set, and more where images stop."""
        self._message, self._received_s = message, time.monotonic()
        self.on_time()
        for person, (x, y, z) in self.people.items():
            self.get_logger().info(f"person {person}: pelvis at ({x:.2f}, {y:.2f}, {z:.2f}) m, {self.action}")

    def on_time(self) -> None:
        """Called twenty times a second: what was right when it came need not be right now."""
        action, why, self.people = STOP, "no message has come", {}
        if self._message is not None:
            action, why, self.people = decide(self._message, self.get_clock().now().nanoseconds)
        if self._message is not None and time.monotonic() - self._received_s > OLDEST_S:
            action, why, self.people = STOP, f"no message for {OLDEST_S} s: see /diagnostics", {}
        if action != self.action:
            self.action = action
            if action == GO:
                self.get_logger().info(action)
            else:
                self.get_logger().error(f"{action}: {why}")


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
