"""Cameras from sensor_msgs/CameraInfo, following REP-104 and the comments of that message.

An info here is any object with the fields of sensor_msgs/CameraInfo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.errors import CalibrationError
from pose3d_ros.rigs.camera_checks import validate_camera
from pose3d_ros.structures import DISTORTION_LENGTHS, Camera, Floats

# fx of P over fx of K: 0.3 if every pixel of a strong barrel lens is kept; outside, it is of another unit or size.
P_OVER_K = (0.2, 4.0)
ROTATION_DIGITS = 1e-3  # as for a Camera: published calibrations have few digits
FIX = "calibrate the camera (ros2 run camera_calibration cameracalibrator), or set the driver's camera_info_url"


def named_rectified(topics: Iterable[str]) -> bool:
    """Whether every image topic has the word rect or rectified in its name, as in image_rect_color."""
    return all({"rect", "rectified"} & set(re.split("[/_]", topic.lower())) for topic in topics)


def camera_from_msgs(name: str, info: Any, cam_from_world: ArrayLike, rectified: bool, *, topic: str = "") -> Camera:
    """Return the camera of the images that belong to this CameraInfo.

    rectified: the images are rectified, so P[:3, :3] applies, there is no distortion, and R rotates the camera; else
    K and D. cam_from_world (4, 4) m is the pose of the optical frame, the same for both. The sizes in CameraInfo are
    those of the sensor; ROI and then binning give the image. A binned pixel is the mean of its neighbourhood, so its
    centre is theirs (image_geometry only divides, which is up to half a pixel off). topic appears in errors. Raises
    CalibrationError with the camera and the fix, also for an impossible calibration (rigs/camera_checks.py).
    """
    where = f"camera {name!r} ({topic or f'{name}/camera_info'})"
    K = np.asarray(info.p if rectified else info.k, dtype=np.float64).reshape(3, 4 if rectified else 3)[:, :3]
    letter = "P" if rectified else "K"
    if not np.isfinite(K).all():
        raise CalibrationError(f"{where} is not calibrated: its {letter} is {K.tolist()}, expected finite px: {FIX}")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        hint = ", or set rectified: false if its images are not rectified" if rectified else ""
        raise CalibrationError(
            f"{where} is not calibrated: its {letter} has fx={K[0, 0]:g}, fy={K[1, 1]:g} px, "
            f"expected both positive: {FIX}{hint}"
        )
    if info.width == 0 or info.height == 0:
        raise CalibrationError(
            f"{where} has images of {info.width} x {info.height} px, expected the sensor's size: {FIX}"
        )
    if rectified:
        check_p_against_k(name, info)
    model, coefficients = ("plumb_bob", np.zeros(0)) if rectified else _distortion(where, info)
    camera = Camera(
        name=name,
        size_wh=(info.width, info.height),
        K=K,
        distortion_model=model,
        distortion=coefficients,
        cam_from_world=(rotation(name, info) if rectified else np.eye(4))
        @ np.asarray(cam_from_world, dtype=np.float64),
    )
    camera = _cut_and_binned(where, camera, info)
    validate_camera(camera)
    return camera


def rotation(name: str, info: Any) -> Floats:
    """Return rectified_from_cam (4, 4) of a CameraInfo; identity if the driver left R empty.

    Raises CalibrationError for an R that is not a rotation.
    """
    R = np.asarray(info.r, dtype=np.float64).reshape(3, 3)
    transform = np.eye(4)
    if not R.any():
        return transform
    with np.errstate(invalid="ignore"):
        error = np.abs(R @ R.T - np.eye(3)).max()
    if not error <= ROTATION_DIGITS or np.linalg.det(R) < 0:
        raise CalibrationError(
            f"camera {name!r}: R of its camera_info is {np.round(R, 4).tolist()}, expected a rotation (identity for a "
            "single camera): calibrate the pair again"
        )
    transform[:3, :3] = R
    return transform


def check_p_against_k(name: str, info: Any) -> None:
    """Raise CalibrationError if P cannot belong to K's lens; a driver of rectified images may leave K empty."""
    fx, rectified_fx = float(info.k[0]), float(info.p[0])
    if fx > 0 and rectified_fx > 0 and not P_OVER_K[0] <= rectified_fx / fx <= P_OVER_K[1]:
        raise CalibrationError(
            f"camera {name!r}: P of its camera_info has fx={rectified_fx:.6g} px, K has fx={fx:.6g} px, expected "
            f"{P_OVER_K[0]:g} to {P_OVER_K[1]:g} times that: calibrate K and P together"
        )


def stereo_baseline_from_projection(info_right: Any) -> float:
    """Return how far in m the second camera of a rectified pair is to the right of the first, from P's Tx = -fx B.

    Raises CalibrationError for a P without a baseline.
    """
    fx, Tx = float(info_right.p[0]), float(info_right.p[3])
    if not fx > 0 or not np.isfinite(Tx) or Tx == 0:
        raise CalibrationError(
            f"P of frame {info_right.header.frame_id!r} has fx={fx:g}, Tx={Tx:g} and so no baseline, expected "
            "Tx = -fx * baseline: calibrate the pair as stereo, or give the extrinsics by TF or a rig file"
        )
    return -Tx / fx


def _distortion(where: str, info: Any) -> tuple[str, Floats]:
    """Return the model and coefficients of unrectified images."""
    coefficients = np.asarray(info.d, dtype=np.float64)
    model = "equidistant" if info.distortion_model == "fisheye" else info.distortion_model
    if model in ("", "none") and not coefficients.any():
        return "plumb_bob", np.zeros(0)
    if model not in DISTORTION_LENGTHS:
        raise CalibrationError(
            f"{where} has distortion model {info.distortion_model[:80]!r}, expected one of "
            f"{', '.join(DISTORTION_LENGTHS)}, fisheye: {FIX}"
        )
    if len(coefficients) == 0:
        # An equidistant lens without coefficients is still not a pinhole; the other two models are.
        return (model, np.zeros(4)) if model == "equidistant" else ("plumb_bob", coefficients)
    return model, coefficients


def _cut_and_binned(where: str, camera: Camera, info: Any) -> Camera:
    """Crop the camera to the region of interest and bin it; zero means the whole sensor and no binning (REP-104)."""
    roi, width, height = info.roi, *camera.size_wh
    if roi.width and roi.height:
        if roi.x_offset + roi.width > width or roi.y_offset + roi.height > height:
            raise CalibrationError(
                f"{where} has a region of interest of {roi.width} x {roi.height} px at ({roi.x_offset}, "
                f"{roi.y_offset}), beyond its {width} x {height} px: width and height are the whole sensor's (REP-104)"
            )
        camera = camera.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)
    across, down = max(1, info.binning_x), max(1, info.binning_y)
    if (across, down) == (1, 1):
        return camera
    full = camera.size_wh
    width, height = full[0] // across, full[1] // down
    if width == 0 or height == 0:
        raise CalibrationError(
            f"{where} has a binning of {across} x {down}: nothing is left of {full[0]} x {full[1]} px: {FIX}"
        )
    # Crop incomplete binned pixels first, so that the scale is exactly the binning.
    return camera.cropped(0, 0, width * across, height * down).resized((width, height))
