"""Recorded footage of four calibrated cameras, played into the multi-view node.

ros2 launch pose3d_ros demo.launch.py rviz:=true

The footage and the weights must be on this machine: `pose3d demo` fetches both.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = get_package_share_directory("pose3d_ros")
STEREO = os.path.join(SHARE, "launch", "stereo.launch.py")

ARGUMENTS = (
    ("people", "single", "which footage: single, multi, or a folder with rig.yaml and <camera>.mp4"),
    ("cameras", "[cam01,cam02,cam03,cam04]", "cameras of the footage to play, two or more"),
    ("rate", "10.0", "frame sets a second; 0: as fast as the node answers"),
    ("loop", "1000", "how often to play the footage"),
    ("device", "", "where the networks run: auto, cpu or cuda"),
    ("rviz", "false", "true: open RViz with the skeletons"),
)


def generate_launch_description():
    """What `ros2 launch` runs."""
    cameras, device, rviz = (LaunchConfiguration(name) for name in ("cameras", "device", "rviz"))
    poses = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(STEREO),
        launch_arguments={
            "cameras": cameras,
            "params_file": os.path.join(SHARE, "config", "demo.yaml"),
            "placement": "tf",
            "fixed_frame": "world",
            "use_sim_time": "true",
            "device": device,
            "rviz": rviz,
            "respawn": "false",
        }.items(),
    )
    player = Node(
        package="pose3d_ros",
        executable="player",
        name="player",
        parameters=[
            {
                "footage": LaunchConfiguration("people"),
                "cameras": ParameterValue(cameras, value_type=list[str]),
                "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
                "loop": ParameterValue(LaunchConfiguration("loop"), value_type=int),
            }
        ],
        output="screen",
        emulate_tty=True,
    )
    # Whichever process ends: the player when all is played, and without a node that could start it would wait for ever.
    over = EmitEvent(event=Shutdown(reason="a process of the demo has ended"))
    ends = RegisterEventHandler(OnProcessExit(on_exit=[over]))
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in ARGUMENTS
    ]
    # `poses` stands first: it puts the Fast DDS profiles into the environment that the player is started with.
    return LaunchDescription([*arguments, ends, poses, player])
