"""Where the cameras are: from TF, from a stereo driver's projection matrices, or from a rig file.

Plain functions over numbers; `cam_from_reference` maps a camera's name to a (4, 4) transform in m
that takes points of the reference frame to the camera's optical frame.
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

# A board is shown to both cameras of a stereo pair at once: 8 m apart it has been done, 60 m is a baseline in mm.
MAX_STEREO_BASELINE_M = 10.0
# Names that drivers give the optical frame of a camera whose body is `{}`, or `{}_link`, or `{}_frame`.
OPTICAL_NAMES = ("{}_optical_frame", "{}_optical", "{}_optical_link")
SAME_ROTATION = 0.1  # rad; no optical frame stands between the body's axes

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


def camera_frame(image_frame_id: str, info_frame_id: str) -> str:
    """The frame of a camera: its images', or where they have none its camera_info's; TF knows no leading slash."""
    return image_frame_id.lstrip("/") or info_frame_id.lstrip("/")


def frames_disagree(camera: str, image_frame_id: str, info_frame_id: str) -> str:
    """What is wrong where images and camera_info name two frames; empty where they agree."""
    ours, theirs = image_frame_id.lstrip("/"), info_frame_id.lstrip("/")
    if not ours or not theirs or ours == theirs:
        return ""
    return (
        f"camera {camera!r}: header.frame_id of its images is {ours[:80]!r}, of its camera_info {theirs[:80]!r}: the "
        "images' is used; let the driver give both the same"
    )


def check_frame(camera: str, frame_id: str) -> str:
    """The frame; raises CalibrationError for one that nothing can be placed in, or published in."""
    if not frame_id:
        raise CalibrationError(
            f"camera {camera!r}: its images have an empty header.frame_id, so TF cannot place it and poses have no "
            "frame: set the driver's frame_id to the camera's optical frame"
        )
    if not frame_id.isprintable() or frame_id != frame_id.strip():
        raise CalibrationError(
            f"camera {camera!r}: header.frame_id of its images is {frame_id[:80]!r}, expected a printable "
            "name: set the driver's frame_id to the camera's optical frame"
        )
    return frame_id


def by_tf(camera: str, frame_id: str, stamp_ns: int, fixed_frame: str, look_up: LookUp) -> Floats:
    """cam_from_fixed (4, 4) of a camera at its image's stamp; raises CalibrationError naming both frames."""
    check_frame(camera, frame_id)
    fixed_from_cam = np.eye(4) if frame_id == fixed_frame else look_up(fixed_frame, frame_id, stamp_ns)
    if optical := _optical_frame(frame_id, stamp_ns, look_up):
        raise CalibrationError(
            f"camera {camera!r}: header.frame_id of its images is {frame_id!r}, the camera's body, whose optical frame "
            f"is {optical!r} on TF: set the driver's frame_id to {optical!r}"
        )
    return np.asarray(np.linalg.inv(fixed_from_cam), dtype=np.float64)


def _optical_frame(frame_id: str, stamp_ns: int, look_up: LookUp) -> str:
    """The frame on TF that is by name and rotation (REP-103) the optical one of this body; empty where none is."""
    if "optical" in frame_id:
        return ""
    stem = frame_id.removesuffix("_link").removesuffix("_frame")
    for name in dict.fromkeys(form.format(one) for one in (frame_id, stem) for form in OPTICAL_NAMES):
        try:
            body_from_optical = look_up(frame_id, name, stamp_ns)
        except Pose3DError:
            continue
        turn = OPTICAL_FROM_BODY[:3, :3] @ body_from_optical[:3, :3]
        if np.abs(turn - np.eye(3)).max() < SAME_ROTATION:
            return name
    return ""


def baseline_in(info: Any) -> Floats:
    """Offset (3,) m from the first camera's rectified frame to this one's, out of CameraInfo.p.

    P = [fx' 0 cx' Tx; 0 fy' cy' Ty; 0 0 1 0] with Tx = -fx' times the baseline (sensor_msgs/CameraInfo);
    zeros where P is empty.
    """
    P = np.asarray(info.p, dtype=np.float64).reshape(3, 4)
    if P[0, 0] <= 0 or P[1, 1] <= 0:
        return np.zeros(3)
    return np.array([P[0, 3] / P[0, 0], P[1, 3] / P[1, 1], 0.0])


def by_projection(camera: str, first: str, infos: Mapping[str, Any]) -> Floats:
    """cam_from_first (4, 4) m between the optical frames of a stereo driver's cameras, by the P of their CameraInfo.

    P tells where the rectified cameras stand to each other, R (rectified_from_cam) turns each of them into its own.
    Raises CalibrationError for a P without an offset: two cameras in one place see no depth; and for an offset that
    no stereo pair has.
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
            "expected -fx times the baseline in m: use a stereo calibration, or place them by TF (placement: tf) or "
            "by a rig file (placement: file)"
        )
    if length > MAX_STEREO_BASELINE_M:
        raise CalibrationError(
            f"camera {camera!r}: its camera_info has {tx} and fx = {float(info.p[0]):g}, a baseline of {length:.4g} m, "
            f"expected {MAX_STEREO_BASELINE_M:g} m at most: Tx is -fx times the baseline in m; was it calibrated in mm?"
        )
    for one in (camera, first):
        check_p_against_k(one, infos[one])
    rectified_from_rectified = np.eye(4)
    rectified_from_rectified[:3, 3] = offset
    cam_from_first: Floats = rotation(camera, info).T @ rectified_from_rectified @ rotation(first, first_info)
    return cam_from_first


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
