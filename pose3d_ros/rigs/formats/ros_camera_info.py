"""ROS camera_info YAML: camera_calibration's ost.yaml, or left.yaml and right.yaml of a stereo pair.

https://wiki.ros.org/camera_calibration_parsers and sensor_msgs/CameraInfo: K and D are of the raw image, R rotates
the camera into the rectified frame, and P of the second camera has Tx = -fx B (Ty for a vertical pair).
So second_from_first = R2^T [I | (Tx/fx, Ty/fy, 0)] R1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from pose3d_ros.errors import CalibrationError, shown
from pose3d_ros.rigs.formats.entries import check_first_is_origin, numbers, plain_name, whole_size, yaml_mapping
from pose3d_ros.structures import DISTORTION_LENGTHS, Camera, Floats, Rig


def is_ros(text: str) -> bool:
    """Whether a text looks like a camera_info written by camera_calibration or `ros2 topic echo`."""
    if "distortion_model" in text and re.search(r"^k\s*:", text, re.MULTILINE):
        return True
    return "camera_matrix" in text and "distortion_model" in text and "!!opencv-matrix" not in text


def read_ros(files: Mapping[str, str]) -> Rig:
    """Read the rig of one camera's file, or of a stereo pair's two, in the raw optical frame of the first camera.

    Raises CalibrationError for a pair without a baseline, for half a pair, and for more than two files.
    """
    entries = [(where, _entry(where, text)) for where, text in files.items()]
    shifts = [_shift(where, entry) for where, entry in entries]
    if len(entries) > 2:
        raise CalibrationError(
            f"{', '.join(files)}: camera_info has extrinsics for a stereo pair only, got {len(entries)} files: give a "
            "pair, or extrinsics by a rig file, Kalibr or TF"
        )
    entries = [entry for _, entry in sorted(zip(shifts, entries, strict=True), key=lambda pair: bool(pair[0].any()))]
    shifts = sorted(shifts, key=lambda shift: bool(shift.any()))
    names = [plain_name(where, entry.get("camera_name", Path(where).stem)) for where, entry in entries]
    if len(set(names)) != len(names):
        names = [Path(where).stem for where, _ in entries]
    first = entries[0]
    if shifts[0].any():
        raise CalibrationError(
            f"{first[0]} is the second camera of a pair (its projection_matrix has Tx = "
            f"{shifts[0][0]:g} m x fx): give the first camera's file too, or the folder of both"
        )
    cameras = [_camera(names[0], *first, np.eye(4))]
    if len(entries) == 2:
        if not shifts[1].any():
            raise CalibrationError(
                f"{entries[0][0]}, {entries[1][0]}: neither projection_matrix has a baseline (Tx is 0), so the "
                "extrinsics are unknown: calibrate the pair as stereo, or give one file"
            )
        R1, R2 = (
            numbers(where, _matrix(where, entry, "rectification_matrix"), "data", 3, 3) for where, entry in entries
        )
        second_from_first = np.eye(4)
        second_from_first[:3, :3] = R2.T @ R1
        second_from_first[:3, 3] = R2.T @ shifts[1]
        cameras.append(_camera(names[1], *entries[1], second_from_first))
    return Rig(tuple(cameras), frame_id=f"{names[0]}_optical")


def _entry(where: str, text: str) -> dict[Any, Any]:
    """Return the keys of camera_calibration's YAML; those of an echoed message are converted."""
    # OpenCV's header is not YAML, and echo ends each message with a separator: the first message is read.
    text = re.sub(r"\A\s*%YAML:[^\n]*\n(---\n)?", "", text)
    first, *_ = re.split(r"^---\s*$", text.strip().removeprefix("---"), maxsplit=1, flags=re.MULTILINE)
    entry = yaml_mapping(where, first)
    if "k" not in entry or "camera_matrix" in entry:
        return entry
    region = entry.get("roi")
    roi = region if isinstance(region, dict) else {}
    if max(entry.get("binning_x") or 0, entry.get("binning_y") or 0) > 1 or roi.get("width") or roi.get("height"):
        raise CalibrationError(
            f"{where} is a camera_info with binning or a region of interest, which a file cannot represent: echo one "
            "of the full image"
        )
    matrices = {"k": "camera_matrix", "d": "distortion_coefficients"}
    matrices |= {"r": "rectification_matrix", "p": "projection_matrix"}
    return {
        "image_width": entry.get("width"),
        "image_height": entry.get("height"),
        "distortion_model": entry.get("distortion_model"),
        **{long: {"data": entry[short]} for short, long in matrices.items() if short in entry},
    }


def write_ros(rig: Rig) -> dict[str, str]:
    """Write one YAML per camera, by file name, of a camera or a pair in the first camera's frame.

    A pair is rectified by cv2.stereoRectify, as in camera_calibration, but P's focal length ignores the distortion:
    OpenCV's includes it, and is negative for strong barrel lenses. Raises CalibrationError for other rigs.
    """
    if len(rig.cameras) > 2:
        raise CalibrationError(
            f"ros supports one camera or a stereo pair, got {len(rig.cameras)} cameras ({', '.join(rig.names)}): write "
            "two with `--cameras A,B --origin A`, or write rig, kalibr or anipose"
        )
    check_first_is_origin("ros", rig)
    first, last = rig.cameras[0], rig.cameras[-1]
    R1 = R2 = np.eye(3)
    P1 = P2 = np.hstack([first.K, np.zeros((3, 1))])
    if first is not last:
        last_from_first, no_distortion = last.cam_from_world, np.zeros(5)
        rectified = cv2.stereoRectify(
            first.K, no_distortion, last.K, no_distortion, first.size_wh,
            last_from_first[:3, :3].copy(), last_from_first[:3, 3].copy(),
        )  # fmt: skip
        R1, R2, P1, P2 = (np.asarray(matrix, dtype=np.float64) for matrix in rectified[:4])
    return {
        f"{camera.name.strip('/').replace('/', '_')}.yaml": _text(camera, R, P)
        for camera, R, P in zip(rig.cameras, (R1, R2), (P1, P2), strict=False)
    }


def _five(camera: Camera) -> Floats:
    """Return at least five coefficients: ROS's plumb_bob is k1 k2 p1 p2 k3."""
    lens = camera.distortion
    return np.append(lens, np.zeros(max(0, 5 - len(lens))))


def _text(camera: Camera, R: Floats, P: Floats) -> str:
    lens = camera.distortion if camera.distortion_model == "equidistant" else _five(camera)
    lens = lens if len(lens) else np.zeros(4)
    content = {
        "image_width": camera.size_wh[0],
        "image_height": camera.size_wh[1],
        "camera_name": camera.name,
        "camera_matrix": _as_matrix(camera.K),
        "distortion_model": camera.distortion_model,
        "distortion_coefficients": _as_matrix(lens[None]),
        "rectification_matrix": _as_matrix(R),
        "projection_matrix": _as_matrix(P),
    }
    return str(yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110))


def _as_matrix(values: Floats) -> dict[str, Any]:
    rows, cols = values.shape
    return {"rows": rows, "cols": cols, "data": values.ravel().tolist()}


def _matrix(where: str, entry: dict[Any, Any], key: str) -> Any:
    if not isinstance(entry.get(key), dict):
        raise CalibrationError(f"{where}: {key} is {shown(entry.get(key))}, expected rows, cols and data")
    return entry[key]


def _shift(where: str, entry: dict[Any, Any]) -> Floats:
    """Return the translation from P, rectified second from rectified first, (3,) m; zero without P or for the first."""
    if "projection_matrix" not in entry:
        return np.zeros(3)
    P = numbers(f"{where}: projection_matrix", _matrix(where, entry, "projection_matrix"), "data", 3, 4)
    if P[0, 0] <= 0 or P[1, 1] <= 0:
        return np.zeros(3)
    return np.array([P[0, 3] / P[0, 0], P[1, 3] / P[1, 1], 0.0])


def _camera(name: str, where: str, entry: dict[Any, Any], cam_from_world: Floats) -> Camera:
    model = str(entry.get("distortion_model") or "plumb_bob")
    model = {"fisheye": "equidistant", "none": "plumb_bob"}.get(model, model)
    if model not in DISTORTION_LENGTHS:
        raise CalibrationError(
            f"{where}: distortion_model is {shown(model)}, expected one of {', '.join(DISTORTION_LENGTHS)}: "
            "calibrate with one of those"
        )
    size = [numbers(where, entry, key, 1)[0] for key in ("image_width", "image_height")]
    return Camera(
        name=name,
        size_wh=whole_size(where, np.array(size)),
        K=numbers(f"{where}: camera_matrix", _matrix(where, entry, "camera_matrix"), "data", 3, 3),
        distortion_model=model,
        distortion=numbers(where, _matrix(where, entry, "distortion_coefficients"), "data", -1),
        cam_from_world=cam_from_world,
    )
