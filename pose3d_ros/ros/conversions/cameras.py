"""Cameras as CameraInfo messages, after REP-104 and the comments of sensor_msgs/CameraInfo."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import CameraInfo

from pose3d_ros.rigs.camera_info import camera_from_msgs, stereo_baseline_from_projection
from pose3d_ros.ros.conversions.stamps import header
from pose3d_ros.structures import Camera

__all__ = ["camera_from_msgs", "camera_info_to_msg", "stereo_baseline_from_projection"]


def camera_info_to_msg(camera: Camera, stamp_ns: int, frame_id: str) -> CameraInfo:
    """The CameraInfo of a camera that is not rectified: K, D, R = I, P = [K | 0]; its pose goes over TF."""
    msg = CameraInfo(header=header(stamp_ns, frame_id))
    msg.width, msg.height = camera.size_wh
    msg.distortion_model = camera.distortion_model
    msg.d = array.array("d", camera.distortion.tolist())
    msg.k = camera.K.ravel()
    msg.r = np.eye(3).ravel()
    msg.p = np.hstack([camera.K, np.zeros((3, 1))]).ravel()
    return msg
