"""A robot's speed by the distance to the nearest person, after ISO/TS 15066's speed and separation monitoring.

    .venv/bin/python examples/02_play_footage.py                                         # or stereo.launch.py
    .venv/bin/python examples/04_speed_and_separation.py --ros-args -p use_sim_time:=true

Afterwards your controller can scale its speed by /speed_scale (std_msgs/Float64, 0 to 1, 20 times a second). It is 0
for old poses, LOST people, people whose place is not known, without a camera and without a message for silent_after_s.
Parameters: tool (the robot's nearest point, m, in the poses' frame), robot_speed (m/s), silent_after_s (0.2 s; give 1.0
on a machine that makes fewer than ten poses a second). Nothing here is functional safety: it shows how to use age,
state and covariance.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Float64

from pose3d_ros.msg import HumanPose3D, HumanPose3DArray, Joint3D

OLDEST_S = 0.3  # images older than this steer nothing (docs/staleness.md)
PERSON_M_S = 1.6  # v_H of ISO 13855: a walking person's speed
REACTION_S = 0.1  # T_R: this node's period, the message's way and the controller
STOPPING_S = 0.3  # T_S: from full speed, of the robot
BODY_M = 0.15  # from a joint's centre to the skin of the limb
SIGMAS = 3.0  # Z_d: how many standard deviations of a joint's position are added to the distance


def separation(joint: Joint3D, tool: NDArray[np.float64]) -> float:
    """Least distance (m) from the tool to the skin at a joint, less its uncertainty along that line; NaN if absent."""
    away = np.array([joint.position.x, joint.position.y, joint.position.z]) - tool
    distance = float(np.linalg.norm(away))
    line = away / max(distance, 1e-9)
    variance = float(line @ np.reshape(joint.covariance, (3, 3)) @ line)
    return distance - BODY_M - SIGMAS * math.sqrt(variance) if variance >= 0 else math.nan


def allowed_scale(distance_m: float, age_s: float, robot_m_s: float) -> float:
    """Share of robot_m_s at which the protective separation distance still fits into distance_m.

    S_p = v_H (age + T_R + T_S) + v_R (T_R + T_S / 2), solved for the robot's speed v_R.
    """
    person_m = PERSON_M_S * (age_s + REACTION_S + STOPPING_S)
    robot_m = robot_m_s * (REACTION_S + STOPPING_S / 2)
    return min(1.0, max(0.0, (distance_m - person_m) / robot_m))


def speed_scale(message: HumanPose3DArray, now_ns: int, tool: NDArray[np.float64], robot_m_s: float) -> float:
    """The speed that a message allows now."""
    stamp = message.header.stamp
    age_s = (now_ns - stamp.sec * 10**9 - stamp.nanosec) * 1e-9
    if not -0.1 <= age_s <= OLDEST_S or not message.camera_names:
        return 0.0
    scale = 1.0
    for person in message.people:
        if person.state == HumanPose3D.STATE_LOST or person.age > OLDEST_S:
            return 0.0
        present = [joint for joint in person.joints if joint.source != Joint3D.SOURCE_ABSENT]
        distances = [separation(joint, tool) for joint in present]
        # A person without joints, or a joint without a covariance, may be anywhere.
        if not distances or not np.isfinite(distances).all():
            return 0.0
        scale = min(scale, allowed_scale(min(distances), max(age_s, 0.0), robot_m_s))
    return scale


class SpeedAndSeparation(Node):
    """Publishes speed_scale all the time, so that the controller notices when this node has died."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("speed_and_separation", **node_arguments)
        self.tool: NDArray[np.float64] = np.array(self.declare_parameter("tool", [0.0, 0.0, 1.0]).value)
        self.robot_m_s = float(self.declare_parameter("robot_speed", 1.0).value)
        self.silent_after_s = float(self.declare_parameter("silent_after_s", 0.2).value)
        self.scale = 0.0
        self._message: HumanPose3DArray | None = None
        self._received_s = -math.inf
        self._publisher = self.create_publisher(Float64, "speed_scale", 10)
        self.create_subscription(HumanPose3DArray, "human_pose_3d", self.on_people, 10)
        self.create_timer(0.05, self.on_time, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_people(self, message: HumanPose3DArray) -> None:
        self._message, self._received_s = message, time.monotonic()

    def on_time(self) -> None:
        scale = 0.0
        if self._message is not None and time.monotonic() - self._received_s <= self.silent_after_s:
            scale = speed_scale(self._message, self.get_clock().now().nanoseconds, self.tool, self.robot_m_s)
        if abs(scale - self.scale) > 0.05 or (scale == 0.0) != (self.scale == 0.0):
            self.get_logger().info(f"speed {100 * scale:.0f} %")
        self.scale = scale
        self._publisher.publish(Float64(data=scale))


def main() -> None:
    rclpy.init()
    try:
        rclpy.spin(SpeedAndSeparation())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
