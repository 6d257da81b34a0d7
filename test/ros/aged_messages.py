"""Messages of one person that came some time ago, for what the examples do with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from graph_for_tests import a_pose

from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import conversions
from pose3d_ros.structures import Pose3D

NOW_NS = 1_790_000_000 * 10**9


def message(
    late_s: float, change: Callable[[Pose3D], Pose3D] = lambda pose: pose, *, cameras: Sequence[str] = ("a", "b")
) -> HumanPose3DArray:
    """One person, captured late_s ago, as the node would publish it then but for what change makes of it."""
    stamp_ns = NOW_NS - round(late_s * 1e9)
    pose = change(replace(a_pose(stamp_ns, 1.0), age_s=np.array([max(late_s, 0.0)])))
    return conversions.pose_to_msg(pose, camera_stamps_ns=dict.fromkeys(cameras, stamp_ns), calibration_hash="x")


def without_people(pose: Pose3D) -> Pose3D:
    return pose.select([])
