"""The same cameras expressed in another frame or unit (NumPy, float64)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Floats, Rig

# Rotation from a world with that axis up to the axes of REP-103 (z up): proper rotations. +y is the convention of
# animation and OpenSim (x forward, y up, z right), -y that of a camera optical frame.
Z_UP_FROM: dict[str, Floats] = {
    axis: np.array(rows, dtype=np.float64)
    for axis, rows in {
        "+x": [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
        "-x": [[0, 1, 0], [0, 0, -1], [-1, 0, 0]],
        "+y": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        "-y": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
        "+z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "-z": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    }.items()
}
# Name of each world convention, and its up axis.
WORLDS = {f"{axis[1]}-{'up' if axis[0] == '+' else 'down'}": axis for axis in Z_UP_FROM}


def relative_to(rig: Rig, name: str) -> Rig:
    """Express the rig in the optical frame (x right, y down, z forward) of one of its cameras."""
    origin = rig.camera(name).cam_from_world
    rotation = origin[:3, :3]
    world_from_camera = np.eye(4)
    # The inverse rather than the transpose: published rotations are rounded.
    world_from_camera[:3, :3] = np.linalg.inv(rotation)
    world_from_camera[:3, 3] = -world_from_camera[:3, :3] @ origin[:3, 3]
    return _moved(rig, world_from_camera, frame_id=f"{name}_optical", identity=name)


def with_z_up(rig: Rig, up: str) -> Rig:
    """Rotate a rig from a world whose up axis is `up` (+y, -x, ...) to a world with z up (REP-103)."""
    if up == "+z":
        return rig
    old_from_new = np.eye(4)
    old_from_new[:3, :3] = Z_UP_FROM[up].T
    return _moved(rig, old_from_new, frame_id=rig.frame_id)


def scaled(rig: Rig, metres: float) -> Rig:
    """Convert translations from a unit of so many metres to m; raises InputError unless the unit is positive."""
    if not (np.isfinite(metres) and metres > 0):
        raise InputError(f"the unit of length is {metres} m, expected a positive number: 0.001 for millimetres")
    cameras = []
    for camera in rig.cameras:
        cam_from_world = camera.cam_from_world.copy()
        cam_from_world[:3, 3] *= metres
        cameras.append(camera.placed(cam_from_world))
    return replace(rig, cameras=tuple(cameras))


def in_frame(rig: Rig, new_from_old: Floats, frame_id: str) -> Rig:
    """Express the rig in another frame; new_from_old (4, 4) is rigid, m."""
    old_from_new: Floats = np.asarray(np.linalg.inv(new_from_old), dtype=np.float64)
    return _moved(rig, old_from_new, frame_id)


def _moved(rig: Rig, old_from_new: Floats, frame_id: str, identity: str = "") -> Rig:
    """Express the rig in the new world; the camera named `identity` becomes its exact origin."""
    cameras = tuple(
        camera.placed(np.eye(4) if camera.name == identity else camera.cam_from_world @ old_from_new)
        for camera in rig.cameras
    )
    return Rig(cameras, frame_id=frame_id)
