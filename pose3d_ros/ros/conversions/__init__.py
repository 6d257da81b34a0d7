"""Conversions between pose3d_ros's types and ROS messages: the only place that builds messages.

stamps -> images, cameras, poses, keypoints, transforms, bodies, markers, diagnostics; one file for each.
"""

from pose3d_ros.ros.conversions.bodies import bodies_to_transforms, body_id, tracked_bodies
from pose3d_ros.ros.conversions.cameras import (
    camera_from_msgs,
    camera_info_to_msg,
    stereo_baseline_from_projection,
)
from pose3d_ros.ros.conversions.diagnostics import Status, diagnostics_to_msg
from pose3d_ros.ros.conversions.images import image_from_msg, image_size, image_to_compressed_msg, image_to_msg
from pose3d_ros.ros.conversions.keypoints import keypoints_from_msg, keypoints_to_msg
from pose3d_ros.ros.conversions.markers import markers_to_msg
from pose3d_ros.ros.conversions.poses import pose_from_msg, pose_to_msg
from pose3d_ros.ros.conversions.stamps import clock_to_msg, header, stamp_from_ns, stamp_to_ns
from pose3d_ros.ros.conversions.transforms import (
    body_frame,
    frame_name,
    matrix_from_transform,
    transform_to_msg,
    transforms_to_msgs,
)

__all__ = [
    "Status",
    "bodies_to_transforms",
    "body_frame",
    "body_id",
    "camera_from_msgs",
    "camera_info_to_msg",
    "clock_to_msg",
    "diagnostics_to_msg",
    "frame_name",
    "header",
    "image_from_msg",
    "image_size",
    "image_to_compressed_msg",
    "image_to_msg",
    "keypoints_from_msg",
    "keypoints_to_msg",
    "markers_to_msg",
    "matrix_from_transform",
    "pose_from_msg",
    "pose_to_msg",
    "stamp_from_ns",
    "stamp_to_ns",
    "stereo_baseline_from_projection",
    "tracked_bodies",
    "transform_to_msg",
    "transforms_to_msgs",
]
