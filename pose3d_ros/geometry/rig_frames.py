"""The same cameras told in another frame or unit (NumPy, float64)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Floats, Rig

# The y-up world of animation and OpenSim (x forward, y up, z right) in REP-103's axes (x forward, y left, z up).
_Z_UP_FROM_Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def seen_from(rig: Rig, name: str) -> Rig:
    """The rig in the optical frame (x right, y down, z forward) of one of its cameras."""
    origin = rig.camera(name).cam_from_world
    rotation = origin[:3, :3]
    world_from_camera = np.eye(4)
    # The inverse rather than the transpose: published rotations are rounded.
    world_from_camera[:3, :3] = np.linalg.inv(rotation)
    world_from_camera[:3, 3] = -world_from_camera[:3, :3] @ origin[:3, 3]
    return _moved(rig, world_from_camera, frame_id=f"{name}_optical", identity=name)


def z_up_from_y_up(rig: Rig) -> Rig:
    """The rig of a world whose y points up, in a world whose z points up (REP-103); x stays."""
    return _moved(rig, np.linalg.inv(_Z_UP_FROM_Y_UP), frame_id=rig.frame_id)


def scaled(rig: Rig, metres: float) -> Rig:
    """The rig whose translations were in a unit of so many metres, in m; raises InputError unless it is positive."""
    if not (np.isfinite(metres) and metres > 0):
        raise InputError(f"the unit of length is {metres} m, expected a positive number: 0.001 for millimetres")
    cameras = []
    for camera in rig.cameras:
        cam_from_world = camera.cam_from_world.copy()
        cam_from_world[:3, 3] *= metres
        cameras.append(camera.placed(cam_from_world))
    return replace(rig, cameras=tuple(cameras))


def _moved(rig: Rig, old_from_new: Floats, frame_id: str, identity: str = "") -> Rig:
    """The rig in the new world; the camera named `identity` is its origin, without rounding."""
    cameras = tuple(
        camera.placed(np.eye(4) if camera.name == identity else camera.cam_from_world @ old_from_new)
        for camera in rig.cameras
    )
    return Rig(cameras, frame_id=frame_id)
