"""What stereo, mono and detector.launch.py share: the node's process, RViz next to it, Fast DDS's profiles.

No launch file itself. They load it by its path: `ros2 launch` may run on a Python that has no pose3d_ros.
"""

import os

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = get_package_share_directory("pose3d_ros")

# Those whose name is that of a parameter of the node.
PARAMETERS = (
    ("fixed_frame", "", "frame of the published poses; empty: as in the parameter file"),
    ("image_transport", "", "raw or compressed; empty: as in the parameter file"),
    ("device", "", "auto, cpu or cuda; empty: as in the parameter file"),
)
OTHERS = (
    ("namespace", "", "namespace of the node, of every topic, and in front of the names of people's TF frames"),
    ("use_sim_time", "", "true when a simulator or a bag publishes /clock; empty: as in the parameter file"),
    ("respawn", "true", "true: start the node again five seconds after it has ended, whatever it ended by"),
    ("autostart", "", "false: the node waits for a lifecycle manager; empty: as in the parameter file (true)"),
    ("rviz", "false", "true: open RViz with the skeletons, in fixed_frame where that is known, else in 'world'"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)

# Long enough to read why it ended, where the cause stays (weights that are missing, a parameter that is wrong).
RESPAWN_S = 5.0

# Files in config/ that speak of no kind of cameras.
NO_CAMERAS = ("demo", "mono", "rig_example", "stereo")

# Fast DDS reads the second name too (its name before version 2).
PROFILES_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def description(executable, name, example, own_parameters, own_arguments, parameters_from, without=()):
    """The launch description of one node.

    executable, name: of the node; example: the parameter file in config/ that is given unless another one is.
    own_parameters, own_arguments: (name, default, text) of this launch file's arguments, of which the first are
    parameters under the same name; parameters_from(given) makes parameters of the others. without: names of the
    common ones that this node has not.
    """
    default_file = os.path.join(SHARE, "config", example)
    files = (
        ("config", "", f"cameras that are known: {', '.join(shipped())}; or a parameter file; params_file adds to it"),
        ("params_file", default_file, "YAML with the node's parameters"),
    )
    common = [one for one in (*PARAMETERS, *OTHERS) if one[0] not in without]
    arguments = (*own_arguments, *files, *own_parameters, *common)
    names_of_parameters = {one for one, _, _ in PARAMETERS} - set(without)
    same_name = [one for one, _, _ in own_parameters] + sorted(names_of_parameters)

    def start(context):
        given = {one: LaunchConfiguration(one).perform(context) for one, _, _ in arguments}
        given["files"] = parameter_files(given["config"], given["params_file"], default_file)
        parameters = {one: given[one] for one in same_name if given[one]}
        if given["use_sim_time"]:
            parameters["use_sim_time"] = is_true("use_sim_time", given["use_sim_time"])
        if given["autostart"]:
            parameters["autostart"] = is_true("autostart", given["autostart"])
        parameters.update(parameters_from(given))
        return processes(executable, given.get("name", name), example, given, parameters)

    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, default, text in arguments
            ),
            *profiles(),
            OpaqueFunction(function=start),
        ]
    )


def shipped():
    """Names for config:=NAME: the files in config/ for cameras of a kind."""
    found = []
    for file in sorted(os.listdir(os.path.join(SHARE, "config"))):
        name, ending = os.path.splitext(file)
        if ending == ".yaml" and name not in NO_CAMERAS:
            found.append(name)
    return found


def parameter_files(config, params_file, default_file):
    """The files to give to the node; of two that say the same, the later one holds."""
    if not config:
        return [params_file]
    file = os.path.join(SHARE, "config", f"{config}.yaml")
    if not os.path.isfile(file):
        file = os.path.expanduser(config)
    if not os.path.isfile(file):
        raise RuntimeError(f"config:={config!r}, expected one of {', '.join(shipped())}, or the path of a YAML file")
    return [file] if params_file == default_file else [file, params_file]


def processes(executable, name, example, given, parameters):
    """The node, and RViz where it is wanted."""
    in_file = {}
    for file in given["files"]:
        in_file.update(parameters_in(file, example))
    node = Node(
        package="pose3d_ros",
        executable=executable,
        name=name,
        namespace=given["namespace"],
        parameters=[*given["files"], parameters] if parameters else given["files"],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        respawn=is_true("respawn", given["respawn"]),
        respawn_delay=RESPAWN_S,
        output="screen",
        emulate_tty=True,
    )
    wanted = is_true("rviz", given.get("rviz", "false"))
    window = rviz(given["namespace"], {**in_file, **parameters}) if wanted else []
    return [node, *window]


def is_true(name, text):
    """Whether an argument says true; whatever is neither true nor false is a mistake."""
    if text.lower() not in ("true", "false"):
        raise RuntimeError(f"{name}:={text!r}, expected true or false")
    return text.lower() == "true"


def parameters_in(params_file, example):
    """What a parameter file sets, whichever node it speaks to."""
    if not os.path.isfile(params_file):
        # launch_ros only warns, and the node would run with its defaults.
        raise RuntimeError(f"params_file:={params_file!r} is not there: give the path of a copy of config/{example}")
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


def profiles():
    """Actions that set Fast DDS's profiles, unless the user has some."""
    if any(os.environ.get(name) for name in PROFILES_VARIABLES):
        return []
    # Without it Fast DDS drops large best-effort images; camera drivers need it in their environment too.
    file = os.path.join(SHARE, "config", "fastdds.xml")
    hint = f"large images need this in the camera drivers' environment too: {PROFILES_VARIABLES[0]}={file}"
    return [SetEnvironmentVariable(PROFILES_VARIABLES[0], file), LogInfo(msg=hint)]
