"""Absolute 3D human poses from two or more calibrated cameras.

ros2 launch pose3d_ros stereo.launch.py
ros2 launch pose3d_ros stereo.launch.py cameras:='[front,back,side]' rviz:=true
"""

import os

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = get_package_share_directory("pose3d_ros")

ARGUMENTS = (
    ("cameras", "", "camera names, e.g. '[front,back,side]'; empty: those of the parameter file ([left,right])"),
    ("namespace", "", "namespace of the node and of every topic"),
    ("params_file", os.path.join(SHARE, "config", "stereo.yaml"), "YAML with the node's parameters"),
    ("placement", "", "where the cameras stand: auto, tf, projection or file; empty: as in the parameter file"),
    ("rig_file", "", "rig YAML with calibration and placement, for placement:=file or auto"),
    ("fixed_frame", "", "frame of the published poses; empty: as in the parameter file"),
    ("image_transport", "", "raw or compressed; empty: as in the parameter file"),
    ("device", "", "auto, cpu or cuda; empty: as in the parameter file"),
    ("use_sim_time", "false", "true when a simulator or a bag publishes /clock"),
    ("respawn", "false", "true: start the node again two seconds after it has died"),
    ("rviz", "false", "true: open RViz with the skeletons"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)


def parameters_from_arguments(context):
    """The node's parameters that were given on the command line; the file's hold for the rest."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    parameters = {"use_sim_time": given["use_sim_time"].lower() == "true"}
    for name in ("placement", "rig_file", "fixed_frame", "image_transport", "device"):
        if given[name]:
            parameters[name] = given[name]
    if given["cameras"]:
        cameras = yaml.safe_load(given["cameras"])
        if not isinstance(cameras, list) or len(cameras) < 2:
            raise RuntimeError(
                f"cameras:={given['cameras']!r} must list two names or more, e.g. cameras:='[left,right]'"
            )
        parameters["cameras"] = [str(camera) for camera in cameras]
    return parameters


def start(context):
    """The node, and RViz looking at its frame."""
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    parameters = parameters_from_arguments(context)
    frame = ["-f", value["fixed_frame"]] if value["fixed_frame"] else []
    return [
        Node(
            package="pose3d_ros",
            executable="multiview_node",
            name="multiview",
            namespace=value["namespace"],
            parameters=[value["params_file"], parameters],
            arguments=["--ros-args", "--log-level", value["log_level"]],
            respawn=value["respawn"].lower() == "true",
            respawn_delay=2.0,
            output="screen",
            emulate_tty=True,
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            name="rviz",
            namespace=value["namespace"],
            parameters=[{"use_sim_time": parameters["use_sim_time"]}],
            arguments=["-d", os.path.join(SHARE, "config", "pose3d.rviz"), *frame],
            condition=IfCondition(LaunchConfiguration("rviz")),
        ),
    ]


def generate_launch_description():
    """What `ros2 launch` runs."""
    actions = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in ARGUMENTS
    ]
    if "FASTDDS_DEFAULT_PROFILES_FILE" not in os.environ:
        # Without it Fast DDS drops large best-effort images; camera drivers need it in their environment too.
        profiles = os.path.join(SHARE, "config", "fastdds.xml")
        actions += [
            SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", profiles),
            LogInfo(
                msg="large images need this in the camera drivers' environment too: "
                f"FASTDDS_DEFAULT_PROFILES_FILE={profiles}"
            ),
        ]
    return LaunchDescription([*actions, OpaqueFunction(function=start)])
