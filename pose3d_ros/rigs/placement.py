"""Camera extrinsics from TF, from a stereo driver's projection matrices, or from a rig file.

Plain functions; `cam_from_reference` is a (4, 4) transform in m from the reference frame to the camera's optical
frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pose3d_ros.errors import CalibrationError, Pose3DError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.rigs.camera_info import check_p_against_k, rotation
from pose3d_ros.rigs.rig_checks import OPTICAL_FROM_BODY
from pose3d_ros.structures import Camera, Floats

# Both cameras of a stereo pair must see one board: 8 m is feasible, 60 m is a baseline in mm.
MAX_STEREO_BASELINE_M = 10.0
# Names that drivers use for the optical frame of a camera whose body is `{}`, or `{}_link`, or `{}_frame`.
OPTICAL_NAMES = ("{}_optical_frame", "{}_optical", "{}_optical_link")
SAME_ROTATION = 0.1  # rad; optical frames are aligned with the body's axes

# (target frame, source frame, stamp in ns) -> target_from_source (4, 4); raises CalibrationError.
LookUp = Callable[[str, str, int], Floats]


def missing_transform(target: str, source: str, why: str, unheard: str = "") -> CalibrationError:
    """Return the error for a transform that TF does not have, with the command that publishes one.

    unheard: whose transforms do not reach the node at all, and how to fix that.
    """
    if unheard:
        return CalibrationError(f"TF has no transform from {source!r} to {target!r}, and does not hear {unheard}")
    return CalibrationError(
        f"TF has no transform from {source!r} to {target!r} ({why.strip().rstrip('.')}): let a node publish it, e.g., "
        "for a fixed camera, with your numbers: ros2 run tf2_ros static_transform_publisher "
        f"--x 0 --y 0 --z 0 --roll 0 --pitch 0 --yaw 0 --frame-id {target} --child-frame-id {source}"
    )


def frames_differ(frame_ids: Sequence[str]) -> bool:
    """Whether every camera has its own frame, as placement by TF requires."""
    return len(set(frame_ids)) == len(frame_ids)


def camera_frame(image_frame_id: str, info_frame_id: str) -> str:
    """Return a camera's frame: its images', or else its camera_info's, without the leading slash of old drivers."""
    return image_frame_id.lstrip("/") or info_frame_id.lstrip("/")


def frames_disagree(camera: str, image_frame_id: str, info_frame_id: str) -> str:
    """Describe the problem if images and camera_info have different frames; empty if they agree."""
    image_frame, info_frame = image_frame_id.lstrip("/"), info_frame_id.lstrip("/")
    if not image_frame or not info_frame or image_frame == info_frame:
        return ""
    return (
        f"camera {camera!r}: header.frame_id of its images is {image_frame[:80]!r}, of its camera_info "
        f"{info_frame[:80]!r}: the images' is used; set the same frame_id for both in the driver"
    )


def check_frame(camera: str, frame_id: str) -> str:
    """Return the frame; raises CalibrationError for an empty or unprintable one."""
    if not frame_id:
        raise CalibrationError(
            f"camera {camera!r}: its images have an empty header.frame_id, so TF cannot locate it and poses have no "
            "frame: set the driver's frame_id to the camera's optical frame"
        )
    if not frame_id.isprintable() or frame_id != frame_id.strip():
        raise CalibrationError(
            f"camera {camera!r}: header.frame_id of its images is {frame_id[:80]!r}, expected a printable "
            "name: set the driver's frame_id to the camera's optical frame"
        )
    return frame_id


def extrinsics_from_tf(camera: str, frame_id: str, stamp_ns: int, fixed_frame: str, look_up: LookUp) -> Floats:
    """Return cam_from_fixed (4, 4) of a camera at its image's stamp; raises CalibrationError with both frames."""
    check_frame(camera, frame_id)
    fixed_from_cam = np.eye(4) if frame_id == fixed_frame else look_up(fixed_frame, frame_id, stamp_ns)
    if optical := _optical_frame(frame_id, stamp_ns, look_up):
        raise CalibrationError(
            f"camera {camera!r}: header.frame_id of its images is {frame_id!r}, the camera's body, whose optical frame "
            f"is {optical!r} on TF: set the driver's frame_id to {optical!r}"
        )
    return np.asarray(np.linalg.inv(fixed_from_cam), dtype=np.float64)


def _optical_frame(frame_id: str, stamp_ns: int, look_up: LookUp) -> str:
    """Return the frame on TF that is by name and rotation (REP-103) this body's optical frame, or empty."""
    if "optical" in frame_id:
        return ""
    stem = frame_id.removesuffix("_link").removesuffix("_frame")
    for name in dict.fromkeys(form.format(body) for body in (frame_id, stem) for form in OPTICAL_NAMES):
        try:
            body_from_optical = look_up(frame_id, name, stamp_ns)
        except Pose3DError:
            continue
        difference = OPTICAL_FROM_BODY[:3, :3] @ body_from_optical[:3, :3]
        if np.abs(difference - np.eye(3)).max() < SAME_ROTATION:
            return name
    return ""


def baseline_in(info: Any) -> Floats:
    """Return the offset (3,) m from the first camera's rectified frame to this one's, from CameraInfo.p.

    P = [fx' 0 cx' Tx; 0 fy' cy' Ty; 0 0 1 0] with Tx = -fx' times the baseline (sensor_msgs/CameraInfo);
    zeros if P is empty.
    """
    P = np.asarray(info.p, dtype=np.float64).reshape(3, 4)
    if P[0, 0] <= 0 or P[1, 1] <= 0:
        return np.zeros(3)
    return np.array([P[0, 3] / P[0, 0], P[1, 3] / P[1, 1], 0.0])


def extrinsics_from_projection(camera: str, first: str, infos: Mapping[str, Any]) -> Floats:
    """Return cam_from_first (4, 4) m between the optical frames of a stereo driver's cameras, from P in CameraInfo.

    P has the relative pose of the rectified cameras, R (rectified_from_cam) rotates each camera into its rectified
    frame. Raises CalibrationError for a P without an offset, as a zero baseline gives no depth, and for an offset
    that no stereo pair has.
    """
    if camera == first:
        return np.eye(4)
    info, first_info = infos[camera], infos[first]
    offset = baseline_in(info) - baseline_in(first_info)
    length = float(np.linalg.norm(offset))
    tx = f"Tx = P[3] = {float(info.p[3]) + 0.0:g}"
    if not np.isfinite(offset).all():
        raise CalibrationError(
            f"camera {camera!r}: its camera_info has {tx}, expected -fx times the baseline in m: calibrate the pair as "
            "stereo"
        )
    if length < MIN_BASELINE_M:
        same = f", and so has that of {first!r}" if first_info.p[3] else ""
        raise CalibrationError(
            f"camera {camera!r}: its camera_info has {tx}{same}, so the baseline is zero, "
            "expected -fx times the baseline in m: use a stereo calibration, TF (placement: tf) or a rig file "
            "(placement: file)"
        )
    if length > MAX_STEREO_BASELINE_M:
        raise CalibrationError(
            f"camera {camera!r}: its camera_info has {tx} and fx = {float(info.p[0]):g}, a baseline of {length:.4g} m, "
            f"expected {MAX_STEREO_BASELINE_M:g} m at most: Tx is -fx times the baseline in m; calibrate in m, not mm"
        )
    for name in (camera, first):
        check_p_against_k(name, infos[name])
    rectified_from_rectified = np.eye(4)
    rectified_from_rectified[:3, 3] = offset
    cam_from_first: Floats = rotation(camera, info).T @ rectified_from_rectified @ rotation(first, first_info)
    return cam_from_first


def consistent_sizes(camera: Camera, info: Any) -> str:
    """Describe the problem if a rig file and a camera_info disagree on the image size; empty if they agree.

    A camera_info with a region of interest or binning has the sensor's size, which is not in the rig file.
    """
    width, height = camera.size_wh
    partial = info.roi.width or info.roi.height or info.binning_x > 1 or info.binning_y > 1
    if partial or (info.width, info.height) in ((width, height), (0, 0)):
        return ""
    return (
        f"camera {camera.name!r}: the rig file has {width} x {height} px, its camera_info {info.width} x "
        f"{info.height} px: calibrate at the size the driver publishes"
    )
