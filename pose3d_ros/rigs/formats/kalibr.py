"""Kalibr's camchain.yaml: a chain of cameras, each with extrinsics relative to the previous one.

https://github.com/ethz-asl/kalibr/wiki/yaml-formats: T_cn_cnm1 (4, 4) m transforms coordinates of camera n-1 to
camera n; intrinsics are fu fv pu pv; radtan is k1 k2 p1 p2, equidistant k1 k2 k3 k4, both as in OpenCV.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml

from pose3d_ros.errors import CalibrationError, shown
from pose3d_ros.rigs.formats.entries import (
    check_first_is_origin,
    check_no_skew,
    numbers,
    plain_name,
    plain_polynomial,
    whole_size,
    yaml_mapping,
)
from pose3d_ros.structures import Camera, Floats, Rig

_MODELS = {"radtan": "plumb_bob", "equidistant": "equidistant", "none": "plumb_bob"}
_FIX = "write rig, ros or opencv, which can"


def is_kalibr(text: str) -> bool:
    """Whether a text looks like a camchain."""
    return re.search(r"^cam0\s*:", text, re.MULTILINE) is not None


def read_kalibr(files: Mapping[str, str]) -> Rig:
    """Read the rig of a camchain, in the optical frame of cam0; raises CalibrationError with the camera."""
    ((where, text),) = files.items()
    content = yaml_mapping(where, text)
    entries = {key: content[key] for key in sorted(content, key=_number) if _number(key) >= 0}
    numbered = [_number(key) for key in entries]
    if numbered != list(range(len(entries))):
        raise CalibrationError(
            f"{where} has {', '.join(entries)}, expected cam0 to cam{len(entries) - 1}: number them without gaps, each "
            "is relative to the previous one"
        )
    names = [_name(key, entry) for key, entry in entries.items()]
    if len(set(names)) != len(names):
        names = list(entries)
    cameras: list[Camera] = []
    cam_from_world = np.eye(4)
    for name, (key, entry) in zip(names, entries.items(), strict=True):
        if cameras:
            cam_from_world = _from_previous(where, entries, key) @ cam_from_world
        cameras.append(_camera(f"{where}: {key}", name, entry, cam_from_world))
    return Rig(tuple(cameras), frame_id=f"{names[0]}_optical")


def _from_previous(where: str, entries: Mapping[str, Any], key: str) -> Floats:
    """Return this camera from the previous one: T_cn_cnm1, or by way of the IMU."""
    previous, entry = entries[f"cam{_number(key) - 1}"], entries[key]
    shared = previous.keys() & entry.keys() if isinstance(previous, dict) and isinstance(entry, dict) else set()
    by_imu = [name for name in ("T_cam_imu", "T_imu_cam") if name in shared]
    if "T_cn_cnm1" in (entry or ()) or not by_imu:
        return numbers(f"{where}: {key}", entry, "T_cn_cnm1", 4, 4)
    cam, other = (numbers(f"{where}: {key}", table, by_imu[0], 4, 4) for table in (entry, previous))
    if by_imu[0] == "T_cam_imu":  # a_from_b, like T_cn_cnm1
        return np.asarray(cam @ np.linalg.pinv(other), dtype=np.float64)
    return np.asarray(np.linalg.pinv(cam) @ other, dtype=np.float64)


def write_kalibr(rig: Rig) -> dict[str, str]:
    """Write the camchain of a rig in its first camera's frame; rejects lenses other than radtan and equidistant."""
    check_first_is_origin("kalibr", rig)
    chain: dict[str, Any] = {}
    for n, camera in enumerate(rig.cameras):
        check_no_skew("kalibr", camera, _FIX)
        fisheye = camera.distortion_model == "equidistant"
        lens = camera.distortion if fisheye else plain_polynomial("kalibr", camera, 4, _FIX)
        entry: dict[str, Any] = {
            "cam_overlaps": [other for other in range(len(rig.cameras)) if other != n],
            "camera_model": "pinhole",
            "distortion_coeffs": (lens if len(lens) else np.zeros(4)).tolist(),
            "distortion_model": "equidistant" if fisheye else "radtan",
            "intrinsics": camera.K[[0, 1, 0, 1], [0, 1, 2, 2]].tolist(),
            "resolution": list(camera.size_wh),
            "rostopic": f"/{camera.name}/image_raw",
        }
        if n:
            previous = rig.cameras[n - 1].cam_from_world
            entry = {"T_cn_cnm1": (camera.cam_from_world @ np.linalg.inv(previous)).tolist(), **entry}
        chain[f"cam{n}"] = entry
    return {"camchain.yaml": yaml.safe_dump(chain, sort_keys=False, default_flow_style=None, width=110)}


def _number(key: Any) -> int:
    """Return n of "camn", else -1."""
    match = re.fullmatch(r"cam(\d+)", str(key))
    return int(match[1]) if match else -1


def _name(key: str, entry: Any) -> str:
    """Return the namespace of the image topic (/left/image_raw: left), or camn."""
    topic = plain_name(key, entry.get("rostopic", "")) if isinstance(entry, dict) else ""
    return topic.rpartition("/")[0].strip("/") or key


def _camera(where: str, name: str, entry: Any, cam_from_world: Floats) -> Camera:
    intrinsics = numbers(where, entry, "intrinsics", -1)
    kind, lens = entry.get("camera_model"), entry.get("distortion_model")
    if kind != "pinhole" or not isinstance(lens, str) or lens not in _MODELS:
        raise CalibrationError(
            f"{where} has camera_model {shown(kind)} with distortion_model {shown(lens)}, expected pinhole with "
            f"{', '.join(_MODELS)}: calibrate with `--models pinhole-radtan` or pinhole-equi"
        )
    if len(intrinsics) != 4:
        raise CalibrationError(f"{where}: intrinsics has {len(intrinsics)} numbers, expected fu fv pu pv in px")
    fu, fv, pu, pv = intrinsics
    coefficients = numbers(where, entry, "distortion_coeffs", -1)
    return Camera(
        name=name,
        size_wh=whole_size(where, numbers(where, entry, "resolution", 2)),
        K=np.array([[fu, 0, pu], [0, fv, pv], [0, 0, 1]]),
        distortion_model=_MODELS[lens],
        distortion=coefficients,
        cam_from_world=cam_from_world,
    )
