"""Does the sourced colcon workspace (its install folder: the argument) work? Run with its setup.bash sourced."""

import os
import subprocess
import sys
import time
from pathlib import Path

import rclpy
import tf2_msgs
from ament_index_python.packages import get_package_prefix, get_package_share_directory

import pose3d_ros
from pose3d_ros.msg import HumanPose3DArray
from pose3d_ros.ros import environment

install = Path(sys.argv[1])
prefix = install / "pose3d_ros"
environment.prepare()
assert Path(pose3d_ros.__file__).is_relative_to(prefix), f"not the workspace's: {pose3d_ros.__file__}"
assert Path(tf2_msgs.__file__).is_relative_to(install / "tf2_msgs"), f"not the workspace's: {tf2_msgs.__file__}"
assert get_package_prefix("pose3d_ros") == str(prefix)
assert Path(get_package_share_directory("pose3d_ros")) == environment.share_directory()
for name in ("launch", "config/fastdds.xml", "package.xml", "msg/HumanPose3DArray.msg"):
    assert (environment.share_directory() / name).exists(), name

rclpy.init()
node = rclpy.create_node("check_workspace")
received: list[HumanPose3DArray] = []
node.create_subscription(HumanPose3DArray, "human_pose_3d", received.append, 10)
publisher = node.create_publisher(HumanPose3DArray, "human_pose_3d", 10)
deadline = time.monotonic() + 30
while not received and time.monotonic() < deadline:
    publisher.publish(HumanPose3DArray(skeleton="h36m_17"))
    rclpy.spin_once(node, timeout_sec=0.1)
assert [message.skeleton for message in received[:1]] == ["h36m_17"], "the workspace's own message did not arrive"
rclpy.shutdown()

for script in ("multiview_node", "monocular_node", "detector_node", "player", "recorder"):
    command = [str(prefix / "lib" / "pose3d_ros" / script), "--ros-args", "-p", "no_such_parameter:=1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    output = done.stdout + done.stderr
    assert done.returncode != 0, f"{script} accepted an unknown parameter:\n{output}"
    assert "no_such_parameter" in output, f"{script}:\n{output}"
assert str(prefix / "bin") in os.environ["PATH"].split(os.pathsep), os.environ["PATH"]
command = [str(prefix / "bin" / "pose3d"), "--version"]
assert subprocess.run(command, capture_output=True, text=True).stdout == f"pose3d_ros {pose3d_ros.__version__}\n"
print(f"{install}: messages, share folder and node scripts work")
