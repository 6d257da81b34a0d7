"""Absolute 3D human poses from two or more calibrated cameras.

ros2 launch pose3d_ros stereo.launch.py
ros2 launch pose3d_ros stereo.launch.py cameras:='[front,back,side]' rviz:=true
"""

import os

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
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
    ("use_sim_time", "", "true when a simulator or a bag publishes /clock; empty: as in the parameter file"),
    ("respawn", "false", "true: start the node again two seconds after it has died"),
    ("rviz", "false", "true: open RViz with the skeletons, in fixed_frame where that is known, else in 'world'"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)


# Fast DDS reads the second name too (its name before version 2).
PROFILES_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def is_true(name, text):
    """Whether an argument says true; whatever is neither true nor false is a mistake."""
    if text.lower() not in ("true", "false"):
        raise RuntimeError(f"{name}:={text!r}, expected true or false")
    return text.lower() == "true"


def parameters_from(given):
    """The node's parameters that were given as arguments; the file's hold for the rest."""
    names = ("placement", "rig_file", "fixed_frame", "image_transport", "device")
    parameters = {name: given[name] for name in names if given[name]}
    if given["use_sim_time"]:
        parameters["use_sim_time"] = is_true("use_sim_time", given["use_sim_time"])
    if given["cameras"]:
        # The base loader leaves a name as it is written: on is no boolean here, 02 no number.
        cameras = yaml.load(given["cameras"], Loader=yaml.BaseLoader)
        if not isinstance(cameras, list) or len(cameras) < 2:
            raise RuntimeError(
                f"cameras:={given['cameras']!r} must list two names or more, e.g. cameras:='[left,right]'"
            )
        parameters["cameras"] = cameras
    return parameters


def parameters_in(params_file):
    """What a parameter file sets, whichever node it speaks to."""
    if not os.path.isfile(params_file):
        # launch_ros only warns, and the node would run with its defaults.
        raise RuntimeError(f"params_file:={params_file!r} is not there: give the path of a copy of config/stereo.yaml")
    with open(params_file, encoding="utf-8") as file:
        sections = (yaml.safe_load(file) or {}).values()
    return {
        name: value
        for one in sections
        if isinstance(one, dict)
        for name, value in (one.get("ros__parameters") or {}).items()
    }


def rviz(namespace, parameters):
    """RViz looking at the frame of the poses, where the parameters name it."""
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        # Found out only now, launch would leave the node running without a parent.
        raise RuntimeError(
            "rviz:=true, but rviz2 is not installed: sudo apt install ros-$ROS_DISTRO-rviz2, or leave out rviz:=true"
        ) from error
    frame = parameters.get("fixed_frame", "")
    hint = (
        "RViz starts in frame 'world'. Where the node says \"running: ... in frame F\" with another F, choose F as "
        "RViz's Fixed Frame, or give fixed_frame:=F"
    )
    node = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=namespace,
        parameters=[{"use_sim_time": bool(parameters.get("use_sim_time", False))}],
        arguments=["-d", os.path.join(SHARE, "config", "pose3d.rviz"), *(["-f", frame] if frame else [])],
    )
    return [node] if frame else [LogInfo(msg=hint), node]


def start(context):
    """The node, and RViz where it is wanted."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    in_file, parameters = parameters_in(given["params_file"]), parameters_from(given)
    node = Node(
        package="pose3d_ros",
        executable="multiview_node",
        name="multiview",
        namespace=given["namespace"],
        parameters=[given["params_file"], parameters] if parameters else [given["params_file"]],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        respawn=is_true("respawn", given["respawn"]),
        respawn_delay=2.0,
        output="screen",
        emulate_tty=True,
    )
    window = rviz(given["namespace"], {**in_file, **parameters}) if is_true("rviz", given["rviz"]) else []
    return [node, *window]


def generate_launch_description():
    """What `ros2 launch` runs."""
    actions = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in ARGUMENTS
    ]
    if not any(os.environ.get(name) for name in PROFILES_VARIABLES):
        # Without it Fast DDS drops large best-effort images; camera drivers need it in their environment too.
        profiles = os.path.join(SHARE, "config", "fastdds.xml")
        actions += [
            SetEnvironmentVariable(PROFILES_VARIABLES[0], profiles),
            LogInfo(
                msg=f"large images need this in the camera drivers' environment too: {PROFILES_VARIABLES[0]}={profiles}"
            ),
        ]
    return LaunchDescription([*actions, OpaqueFunction(function=start)])
