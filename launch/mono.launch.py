"""Absolute 3D human poses from one calibrated camera.

ros2 launch pose3d_ros mono.launch.py camera:=head
ros2 launch pose3d_ros mono.launch.py image_topic:=/usb_cam/image_raw camera_info_topic:=/usb_cam/camera_info rviz:=true
"""

import os
import runpy

from ament_index_python.packages import get_package_share_directory

POSE_NODE = runpy.run_path(os.path.join(get_package_share_directory("pose3d_ros"), "launch", "pose_node.py"))

PARAMETERS = (
    ("image_topic", "", "topic of the images; empty: as in the parameter file (<camera>/image_raw)"),
    ("camera_info_topic", "", "topic of the CameraInfo; empty: as in the parameter file (<camera>/camera_info)"),
    ("lifter", "", "a .safetensors file with a lifting network of your own; empty: as in the parameter file"),
)
ARGUMENTS = (
    ("camera", "", "the camera's name, part of its topics; empty: that of the parameter file (camera)"),
    ("body_height_m", "", "height in m of all people in view, where it is known; empty: as in the parameter file"),
)


def parameters_from(given):
    """The parameters that these arguments set."""
    camera = {"cameras": [given["camera"]]} if given["camera"] else {}
    if not given["body_height_m"]:
        return camera
    try:
        return {**camera, "body_height_m": float(given["body_height_m"])}
    except ValueError:
        raise RuntimeError(f"body_height_m:={given['body_height_m']!r}, expected a number of m, e.g. 1.75") from None


def generate_launch_description():
    """What `ros2 launch` runs."""
    return POSE_NODE["description"]("monocular_node", "monocular", "mono.yaml", PARAMETERS, ARGUMENTS, parameters_from)
