"""Another world for a rig: onto the floor on which people stand, or by one camera's transform (NumPy, float64)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.monitoring.floor_contact import FloorContact
from pose3d_ros.rigs.rig_frames import in_frame
from pose3d_ros.structures import Floats, Floor, Pose3D, Rig

# A floor that is less certain than this is none: 5 degrees are 0.26 m over 3 m.
MOST_TILT_STD_RAD, MOST_HEIGHT_STD_M = np.deg2rad(5.0), 0.2
# Beyond it the frame's z was no vertical, and minimal rotation keeps no heading.
KEEPS_HEADING_RAD = np.deg2rad(60.0)
# The longest side of a building; further away lengths are in mm.
FARTHEST_M = 200.0
UPWARDS = 0.94  # cosine of 20 degrees


@dataclass(frozen=True, eq=False)
class WorldMove:
    """How a rig's world moves, and how certain that is."""

    new_from_old: Floats  # (4, 4) m
    frame_id: str
    rotation_std_rad: float  # of the axis that is least certain; NaN where it is not known
    position_std_m: float  # the same, of the place to which lines refer
    lines: tuple[str, ...] = ()  # what it is based on, for the user

    def apply(self, rig: Rig) -> Rig:
        """The rig in the new world."""
        return in_frame(rig, self.new_from_old, self.frame_id)


def recorded_floor(poses: list[Pose3D], rig: Rig) -> Floor:
    """The floor by the poses of people in a rig's frame; raises InputError for another frame, CalibrationError."""
    if strange := next((pose for pose in poses if pose.frame_id != rig.frame_id), None):
        raise InputError(
            f"people are in frame {strange.frame_id!r}, the rig in {rig.frame_id!r}: give a recording "
            "that this rig made"
        )
    contact, floor = FloorContact(), None
    for pose in poses:
        floor = contact(pose).floor or floor
    if floor is None:
        raise CalibrationError(
            f"people in {len(poses)} frame sets show no floor: at least one must walk with feet and hips in view "
            "of two cameras, best 10 s through the whole space"
        )
    tilt_rad, height_m = _floor_std(floor)
    if tilt_rad > MOST_TILT_STD_RAD or height_m > MOST_HEIGHT_STD_M:
        raise CalibrationError(
            f"the floor is known to {np.rad2deg(tilt_rad):.1f} degrees and {height_m:.2f} m only, expected "
            f"{np.rad2deg(MOST_TILT_STD_RAD):.0f} and {MOST_HEIGHT_STD_M:g}: have people walk through more of the space"
        )
    return floor


def onto_floor(rig: Rig, floor: Floor, frame_id: str = "") -> WorldMove:
    """z up and 0 on the floor; a frame that nearly is so keeps heading and origin, else the first camera gives both.

    Then x is the direction in which the first camera looks, and the origin is below it. Raises CalibrationError for a
    floor above a camera.
    """
    normal, offset = floor.plane[:3] / np.linalg.norm(floor.plane[:3]), float(floor.plane[3])
    heights = {camera.name: float(normal @ camera.centre) + offset for camera in rig.cameras}
    below = [name for name, height in heights.items() if height < 0.0]
    if below:
        raise CalibrationError(
            f"{below[0]} would be {-heights[below[0]]:.2f} m below the floor: is the recording of this rig, and do "
            "people stand on the floor?"
        )
    turn = np.eye(4)
    first = rig.cameras[0]
    if not rig.frame_id.endswith("_optical") and np.arccos(np.clip(normal[2], -1, 1)) < KEEPS_HEADING_RAD:
        turn[:3, :3] = Rotation.align_vectors([[0.0, 0.0, 1.0]], [normal])[0].as_matrix()
        turn[2, 3] = offset
        kept = frame_id or rig.frame_id
    else:
        ahead = first.cam_from_world[2, :3] - (first.cam_from_world[2, :3] @ normal) * normal
        if np.linalg.norm(ahead) < 0.1:  # it looks straight down: up in its image is ahead
            ahead = -first.cam_from_world[1, :3] + (first.cam_from_world[1, :3] @ normal) * normal
        ahead /= np.linalg.norm(ahead)
        turn[:3, :3] = np.stack([ahead, np.cross(normal, ahead), normal])
        turn[:3, 3] = -turn[:3, :3] @ (first.centre - heights[first.name] * normal)
        kept = frame_id or "floor"
    tilt_rad, height_m = _floor_std(floor)
    lines = tuple(f"{name}: {height:.3f} m above the floor" for name, height in heights.items())
    return WorldMove(turn, kept, tilt_rad, height_m, lines)


def by_camera(rig: Rig, camera: str, base_from_camera: Floats, frame_id: str) -> WorldMove:
    """By the transform of one camera's optical frame: x y z m and a quaternion x y z w, as tf2_echo prints it.

    Raises InputError for numbers that are none.
    """
    one = rig.camera(camera)
    if not np.isfinite(base_from_camera).all() or not abs(np.linalg.norm(base_from_camera[3:]) - 1.0) < 0.02:
        raise InputError(
            f"--base-from-camera has a quaternion of length {np.linalg.norm(base_from_camera[3:]):.4g}, expected x y z "
            "and a quaternion x y z w of length 1, as `ros2 run tf2_ros tf2_echo BASE CAMERA_OPTICAL` prints them"
        )
    if np.linalg.norm(base_from_camera[:3]) > FARTHEST_M:
        raise InputError(
            f"--base-from-camera: {camera} is {np.linalg.norm(base_from_camera[:3]):.4g} m from the base: are lengths "
            "in mm? Give m"
        )
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_quat(base_from_camera[3:]).as_matrix()
    transform[:3, 3] = base_from_camera[:3]
    lines: tuple[str, ...] = ()
    if transform[2, 2] > UPWARDS:
        lines = (f"warning: {camera} looks straight up then: is it the transform of its body, not its optical frame?",)
    return WorldMove(transform @ one.cam_from_world, frame_id, float("nan"), float("nan"), lines)


def _floor_std(floor: Floor) -> tuple[float, float]:
    """Tilt about the least certain axis, rad, and height, m."""
    covariance = floor.covariance
    return float(np.sqrt(np.linalg.eigvalsh(covariance[:2, :2])[-1])), float(np.sqrt(covariance[2, 2]))
