"""2D keypoints of the people before one or more cameras, for stereo.launch.py input:=keypoints on another machine.

ros2 launch pose3d_ros detector.launch.py cameras:='[left]' name:=detector_left
ros2 launch pose3d_ros detector.launch.py config:=realsense
"""

import os
import runpy

import yaml
from ament_index_python.packages import get_package_share_directory

POSE_NODE = runpy.run_path(os.path.join(get_package_share_directory("pose3d_ros"), "launch", "pose_node.py"))

PARAMETERS = ()
ARGUMENTS = (
    ("cameras", "", "this machine's cameras, e.g. '[left]'; empty: those of the parameter file ([left,right])"),
    ("name", "detector", "name of the node: a different one on each machine"),
)


def parameters_from(given):
    """The list of cameras, where it was given."""
    if not given["cameras"]:
        return {}
    # The base loader leaves a name as it is written: on is no boolean here, 02 no number.
    cameras = yaml.load(given["cameras"], Loader=yaml.BaseLoader)
    if not isinstance(cameras, list) or not cameras:
        raise RuntimeError(f"cameras:={given['cameras']!r} must list one name or more, e.g. cameras:='[left]'")
    return {"cameras": cameras}


def generate_launch_description():
    """What `ros2 launch` runs."""
    return POSE_NODE["description"](
        "detector_node", "detector", "stereo.yaml", PARAMETERS, ARGUMENTS, parameters_from, ("fixed_frame", "rviz")
    )
