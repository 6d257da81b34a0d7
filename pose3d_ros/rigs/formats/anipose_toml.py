"""Anipose's and Pose2Sim's TOML: one table per camera with name, size, matrix, distortions, rotation, translation.

rotation is the Rodrigues vector of cam_from_world, translation its translation in m, both in the user's world (z up
in Pose2Sim). distortions are OpenCV's k1 k2 p1 p2 [k3]; with fisheye = true (Anipose only; Pose2Sim ignores it) they
are the four of cv2.fisheye. Sources: aniposelib 0.8.0 (cameras.py) and pose2sim 0.10.49 (calibration.py, common.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import CalibrationError, shown
from pose3d_ros.files.documents import toml_content
from pose3d_ros.files.door import RIG
from pose3d_ros.rigs.formats.entries import numbers, opencv_lens, plain_name, plain_polynomial, whole_size
from pose3d_ros.structures import Camera, Rig

# OpenCV gives less than half a turn, an optimisation up to one turn more: a larger value is in degrees, or invalid.
MAX_ROTATION_RAD = 4 * np.pi
_KEYS = frozenset(("matrix", "distortions", "rotation"))
_FIX = "write rig, ros or opencv, which can"


def is_toml(text: str) -> bool:
    """Whether a text looks like TOML with a camera in it."""
    return re.search(r"^\s*matrix\s*=", text, re.MULTILINE) is not None


def read_toml(files: Mapping[str, str]) -> Rig:
    """Read the rig of an Anipose or Pose2Sim calibration, world as in the file; raises CalibrationError."""
    ((where, text),) = files.items()
    content = toml_content(text, where, RIG)
    if invalid := [key for key, table in content.items() if not isinstance(table, dict)]:
        key = invalid[0]
        raise CalibrationError(f"{where}: {shown(key)} is {shown(content[key])}, expected a table: [{key}]")
    metadata = content.get("metadata", {})
    frame_id = metadata.get("frame_id", "world") if isinstance(metadata, dict) else "world"
    return Rig(
        tuple(_camera(where, *entry) for entry in _tables(content).items()), frame_id=plain_name(where, frame_id)
    )


def write_anipose(rig: Rig) -> dict[str, str]:
    """Write Anipose's TOML; rejects lenses with more than k1 k2 p1 p2 k3."""
    return _written("anipose", rig, [f"cam_{n}" for n in range(len(rig.cameras))])


def write_pose2sim(rig: Rig) -> dict[str, str]:
    """Write Pose2Sim's TOML; rejects lenses with more than k1 k2 p1 p2 k3, and fisheye, which Pose2Sim ignores."""
    for camera in rig.cameras:
        plain_polynomial("pose2sim", camera, 5, f"{_FIX} (anipose supports fisheye)")
    return _written("pose2sim", rig, list(rig.names))


def _written(format: str, rig: Rig, tables: list[str]) -> dict[str, str]:
    lines = []
    for table, camera in zip(tables, rig.cameras, strict=True):
        fisheye = camera.distortion_model == "equidistant"
        lens = camera.distortion if fisheye else plain_polynomial(format, camera, 5, _FIX)
        if fisheye and not len(lens):
            lens = np.zeros(4)
        # Pose2Sim's own files have four coefficients: a zero k3 is omitted.
        lens = lens[:4] if len(lens) == 5 and lens[4] == 0 else lens
        values = {
            "name": camera.name,
            "size": list(camera.size_wh),
            "matrix": camera.K.tolist(),
            "distortions": lens.tolist(),
            # cv2.Rodrigues returns zero for a rotation of less than 1e-5 rad.
            "rotation": Rotation.from_matrix(camera.cam_from_world[:3, :3]).as_rotvec().tolist(),
            "translation": camera.cam_from_world[:3, 3].tolist(),
            "fisheye": fisheye,
        }
        lines += [f"[{_toml(table)}]", *(f"{key} = {_toml(value)}" for key, value in values.items()), ""]
    lines += ["[metadata]", "adjusted = false", "error = 0.0", f"frame_id = {_toml(rig.frame_id)}", ""]
    return {"Calib.toml": "\n".join(lines)}


def _toml(value: Any) -> str:
    """JSON strings, booleans, numbers and lists are valid TOML, except for an unescaped delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _tables(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of cameras; others (metadata, charuco, capture_volume) have none of a camera's keys."""
    tables = {key: table for key, table in content.items() if isinstance(table, dict)}
    cameras = {key: table for key, table in tables.items() if _KEYS & table.keys()}
    # Some files have [cameras.left] instead of [left].
    return cameras or {key: camera for table in tables.values() for key, camera in table.items()
                       if isinstance(camera, dict) and _KEYS & camera.keys()}  # fmt: skip


def _camera(where: str, key: str, table: dict[str, Any]) -> Camera:
    where = f"{where}: [{key}]"
    cam_from_world = np.eye(4)
    rotation = numbers(where, table, "rotation", 3)
    if np.linalg.norm(rotation) > MAX_ROTATION_RAD:
        raise CalibrationError(f"{where}: rotation is {shown(rotation.tolist())}, expected a Rodrigues vector in rad")
    cam_from_world[:3, :3] = Rotation.from_rotvec(rotation).as_matrix()
    cam_from_world[:3, 3] = numbers(where, table, "translation", 3)
    coefficients = numbers(where, table, "distortions", -1)
    model, coefficients = ("equidistant", coefficients) if table.get("fisheye") else opencv_lens(coefficients)
    return Camera(
        name=plain_name(where, table.get("name", key)),
        size_wh=whole_size(where, numbers(where, table, "size", 2)),
        K=numbers(where, table, "matrix", 3, 3),
        distortion_model=model,
        distortion=coefficients,
        cam_from_world=cam_from_world,
    )
