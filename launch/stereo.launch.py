"""Absolute 3D human poses from two or more calibrated cameras.

ros2 launch pose3d_ros stereo.launch.py
ros2 launch pose3d_ros stereo.launch.py config:=realsense
ros2 launch pose3d_ros stereo.launch.py input:=keypoints    # with detector.launch.py on the cameras' machines
ros2 launch pose3d_ros stereo.launch.py cameras:='[front,back,side]' rviz:=true
"""

import os
import runpy

import yaml
from ament_index_python.packages import get_package_share_directory

POSE_NODE = runpy.run_path(os.path.join(get_package_share_directory("pose3d_ros"), "launch", "pose_node.py"))

PARAMETERS = (
    ("input", "", "images, or keypoints from detector nodes elsewhere; empty: as in the parameter file (images)"),
    ("placement", "", "where the cameras stand: auto, tf, projection or file; empty: as in the parameter file"),
    ("rig_file", "", "rig YAML with calibration and placement, for placement:=file or auto"),
)
ARGUMENTS = (
    ("cameras", "", "camera names, e.g. '[front,back,side]'; empty: those of the parameter file ([left,right])"),
)


def parameters_from(given):
    """The list of cameras, where it was given."""
    if not given["cameras"]:
        return {}
    # The base loader leaves a name as it is written: on is no boolean here, 02 no number.
    cameras = yaml.load(given["cameras"], Loader=yaml.BaseLoader)
    if not isinstance(cameras, list) or len(cameras) < 2:
        raise RuntimeError(f"cameras:={given['cameras']!r} must list two names or more, e.g. cameras:='[left,right]'")
    return {"cameras": cameras}


def generate_launch_description():
    """What `ros2 launch` runs."""
    return POSE_NODE["description"](
        "multiview_node", "multiview", "stereo.yaml", PARAMETERS, ARGUMENTS, parameters_from
    )
