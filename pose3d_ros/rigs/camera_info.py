"""sensor_msgs/CameraInfo as cameras, whoever made the message, after REP-104 and the comments of that message.

An info here is anything with the fields of sensor_msgs/CameraInfo.
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

# fx of P over fx of K: 0.3 where every pixel of a strong barrel lens is kept; beyond, it is of another unit or size.
P_OVER_K = (0.2, 4.0)
ROTATION_DIGITS = 1e-3  # as of a Camera's: published calibrations carry few digits
MEND = "calibrate the camera (ros2 run camera_calibration cameracalibrator), or set the driver's camera_info_url"


def named_rectified(topics: Iterable[str]) -> bool:
    """Whether every image topic says so by the word rect or rectified, as in image_rect_color."""
    return all({"rect", "rectified"} & set(re.split("[/_]", topic.lower())) for topic in topics)


def camera_from_msgs(name: str, info: Any, cam_from_world: ArrayLike, rectified: bool, *, topic: str = "") -> Camera:
    """The camera of the images that come with this CameraInfo.

    rectified: the images are rectified, so P[:3, :3] holds, there is no distortion, and R turns the camera; else K
    and D. cam_from_world (4, 4) m places the optical frame, the same for both. The sizes of
    CameraInfo are those of the sensor; ROI and then binning give the image. A binned pixel is the mean of
    its neighbourhood, so its centre is theirs (image_geometry only divides, up to half a pixel elsewhere).
    topic is named in errors. Raises CalibrationError, naming the camera and the fix, also for a calibration that
    cannot be true (rigs/camera_checks.py).
    """
    where = f"camera {name!r} ({topic or f'{name}/camera_info'})"
    K = np.asarray(info.p if rectified else info.k, dtype=np.float64).reshape(3, 4 if rectified else 3)[:, :3]
    letter = "P" if rectified else "K"
    if not np.isfinite(K).all():
        raise CalibrationError(f"{where} is not calibrated: its {letter} is {K.tolist()}, expected finite px: {MEND}")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        hint = ", or set rectified: false if its images are not rectified" if rectified else ""
        raise CalibrationError(
            f"{where} is not calibrated: its {letter} has fx={K[0, 0]:g}, fy={K[1, 1]:g} px, "
            f"expected both positive: {MEND}{hint}"
        )
    if info.width == 0 or info.height == 0:
        raise CalibrationError(
            f"{where} says its images are {info.width} x {info.height} px, expected the sensor's size: {MEND}"
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
    """rectified_from_cam (4, 4) of a CameraInfo; identity where the driver left R empty.

    Raises CalibrationError for an R that is no rotation.
    """
    R = np.asarray(info.r, dtype=np.float64).reshape(3, 3)
    transform = np.eye(4)
    if not R.any():
        return transform
    with np.errstate(invalid="ignore"):
        off = np.abs(R @ R.T - np.eye(3)).max()
    if not off <= ROTATION_DIGITS or np.linalg.det(R) < 0:
        raise CalibrationError(
            f"camera {name!r}: R of its camera_info is {np.round(R, 4).tolist()}, expected a rotation (identity for a "
            "single camera): calibrate the pair again"
        )
    transform[:3, :3] = R
    return transform


def check_p_against_k(name: str, info: Any) -> None:
    """Raise CalibrationError where P cannot be of K's lens; a driver of rectified images may leave K empty."""
    fx, rectified_fx = float(info.k[0]), float(info.p[0])
    if fx > 0 and rectified_fx > 0 and not P_OVER_K[0] <= rectified_fx / fx <= P_OVER_K[1]:
        raise CalibrationError(
            f"camera {name!r}: P of its camera_info has fx={rectified_fx:.6g} px, K has fx={fx:.6g} px, expected "
            f"{P_OVER_K[0]:g} to {P_OVER_K[1]:g} times that: calibrate K and P together"
        )


def stereo_baseline_from_projection(info_right: Any) -> float:
    """Distance in m of the second camera of a rectified pair to the right of the first, from P's Tx = -fx B.

    Raises CalibrationError for a P that holds none.
    """
    fx, Tx = float(info_right.p[0]), float(info_right.p[3])
    if not fx > 0 or not np.isfinite(Tx) or Tx == 0:
        raise CalibrationError(
            f"P of frame {info_right.header.frame_id!r} has fx={fx:g}, Tx={Tx:g} and so no baseline, expected "
            "Tx = -fx * baseline: calibrate the pair as stereo, or place the cameras with TF or a rig file"
        )
    return -Tx / fx


def _distortion(where: str, info: Any) -> tuple[str, Floats]:
    """Model and coefficients of unrectified images."""
    coefficients = np.asarray(info.d, dtype=np.float64)
    model = "equidistant" if info.distortion_model == "fisheye" else info.distortion_model
    if model in ("", "none") and not coefficients.any():
        return "plumb_bob", np.zeros(0)
    if model not in DISTORTION_LENGTHS:
        raise CalibrationError(
            f"{where} has distortion model {info.distortion_model[:80]!r}, expected one of "
            f"{', '.join(DISTORTION_LENGTHS)}, fisheye: {MEND}"
        )
    if len(coefficients) == 0:
        # Without coefficients an equidistant lens is still no pinhole; the other two models are.
        return (model, np.zeros(4)) if model == "equidistant" else ("plumb_bob", coefficients)
    return model, coefficients


def _cut_and_binned(where: str, camera: Camera, info: Any) -> Camera:
    """The camera of the region of interest, binned; zero sizes and binnings mean all and none (REP-104)."""
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
    whole = camera.size_wh
    width, height = whole[0] // across, whole[1] // down
    if width == 0 or height == 0:
        raise CalibrationError(
            f"{where} has a binning of {across} x {down}: nothing is left of {whole[0]} x {whole[1]} px: {MEND}"
        )
    # Cut what does not fill a binned pixel first, so that the scale is exactly the binning.
    return camera.cropped(0, 0, width * across, height * down).resized((width, height))
