"""Where the cameras are: from TF, from a stereo driver's projection matrices, or from a rig file.

Plain functions over numbers; `cam_from_reference` maps a camera's name to a (4, 4) transform in m
that takes points of the reference frame to the camera's optical frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.structures import Camera, Floats

# (target frame, source frame, stamp in ns) -> target_from_source (4, 4); raises CalibrationError.
LookUp = Callable[[str, str, int], Floats]


def missing_transform(target: str, source: str, why: str, unheard: str = "") -> CalibrationError:
    """The error for a transform that TF does not have, with the command that gives one.

    unheard says whose transforms do not reach the node at all, and how to fix that.
    """
    if unheard:
        return CalibrationError(f"TF has no transform from {source!r} to {target!r}, and does not hear {unheard}")
    return CalibrationError(
        f"TF has no transform from {source!r} to {target!r} ({why.strip().rstrip('.')}): let a node publish it, e.g., "
        "for a fixed camera, with your numbers: ros2 run tf2_ros static_transform_publisher "
        f"--x 0 --y 0 --z 0 --roll 0 --pitch 0 --yaw 0 --frame-id {target} --child-frame-id {source}"
    )


def frames_differ(frame_ids: Sequence[str]) -> bool:
    """Whether every camera has a frame of its own, as TF placement needs."""
    return len(set(frame_ids)) == len(frame_ids)


def by_tf(camera: str, frame_id: str, stamp_ns: int, fixed_frame: str, look_up: LookUp) -> Floats:
    """cam_from_fixed (4, 4) of a camera at its image's stamp; raises CalibrationError naming both frames."""
    if not frame_id:
        raise CalibrationError(
            f"camera {camera!r}: its images have an empty header.frame_id, so TF cannot place it: set the driver's "
            "frame_id to the camera's optical frame"
        )
    fixed_from_cam = np.eye(4) if frame_id == fixed_frame else look_up(fixed_frame, frame_id, stamp_ns)
    return np.asarray(np.linalg.inv(fixed_from_cam), dtype=np.float64)


def baseline_in(info: Any) -> Floats:
    """Offset (3,) m from the first camera's rectified frame to this one's, out of CameraInfo.p.

    P = [fx' 0 cx' Tx; 0 fy' cy' Ty; 0 0 1 0] with Tx = -fx' times the baseline (sensor_msgs/CameraInfo);
    zeros where P is empty.
    """
    P = np.asarray(info.p, dtype=np.float64).reshape(3, 4)
    if P[0, 0] <= 0 or P[1, 1] <= 0:
        return np.zeros(3)
    return np.array([P[0, 3] / P[0, 0], P[1, 3] / P[1, 1], 0.0])


def by_projection(camera: str, info: Any, first_info: Any, *, rectified: bool) -> Floats:
    """cam_from_first (4, 4) by the P of a stereo driver's CameraInfo.

    Rectified images share one orientation, so only the offset is left; an original image's camera is turned
    by R (sensor_msgs/CameraInfo.r: rectified_from_cam) on both sides. Raises CalibrationError for a P without
    an offset: two cameras in one place see no depth.
    """
    if info is first_info:
        return np.eye(4)
    offset = baseline_in(info) - baseline_in(first_info)
    if np.linalg.norm(offset) < MIN_BASELINE_M:
        raise CalibrationError(
            f"camera {camera!r}: its camera_info has P[3] = {float(info.p[3]) + 0.0:g}, so the baseline is zero, "
            "expected -fx times the baseline in m: use a stereo calibration, or place them by TF (placement: tf) or "
            "by a rig file (placement: file)"
        )
    rectified_from_rectified = np.eye(4)
    rectified_from_rectified[:3, 3] = offset
    if rectified:
        return rectified_from_rectified
    cam_from_first: Floats = rotation(info).T @ rectified_from_rectified @ rotation(first_info)
    return cam_from_first


def rotation(info: Any) -> Floats:
    """rectified_from_cam (4, 4) of a CameraInfo; identity where the driver left R empty."""
    R = np.asarray(info.r, dtype=np.float64).reshape(3, 3)
    transform = np.eye(4)
    if R.any():
        transform[:3, :3] = R
    return transform


def consistent_sizes(camera: Camera, info: Any) -> str:
    """What is wrong when a rig file and a camera_info disagree on the image size; empty when they agree.

    A camera_info with a region of interest or binning gives the sensor's size, which the rig file does not know.
    """
    width, height = camera.size_wh
    partial = info.roi.width or info.roi.height or info.binning_x > 1 or info.binning_y > 1
    if partial or (info.width, info.height) in ((width, height), (0, 0)):
        return ""
    return (
        f"camera {camera.name!r}: the rig file says {width} x {height} px, its camera_info {info.width} x "
        f"{info.height} px: calibrate at the size the driver publishes"
    )
