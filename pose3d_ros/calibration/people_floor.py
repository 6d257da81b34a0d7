"""The floor and the vertical of a rig calibrated by people (NumPy, float64)."""

from __future__ import annotations

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.estimation.body import NAMES
from pose3d_ros.geometry.floor_plane import fit_floor
from pose3d_ros.monitoring.floor_contact import (
    ANKLE_HEIGHT_M,
    ANKLE_HEIGHT_STD_M,
    BODY_STD_RAD,
    PERSON_STD_M,
    SPREAD_M,
    STRAIGHT,
)
from pose3d_ros.structures import Camera, Floats

_HIPS, _KNEES, _ANKLES = (
    [NAMES.index(side + joint) for side in "LR"] for joint in ("Hip", "Knee", "Ankle")
)
_SHOULDERS = [NAMES.index("LShoulder"), NAMES.index("RShoulder")]
LEAST_MOMENTS = 10


def floor_of(xyz: Floats, covariance: Floats, person: Floats) -> tuple[Floats, Floats]:
    """The plane (4,) of the floor in the frame of the joints xyz (M, N, 3) m, and covariance (3, 3) of tilts and height.

    covariance (M, N, 3, 3) m^2; person (M,) numbers. Raises CalibrationError where nobody stands upright.
    """
    hip, knee, ankle = xyz[:, _HIPS], xyz[:, _KNEES], xyz[:, _ANKLES]
    leg, bent = np.linalg.norm(hip - ankle, axis=-1), np.linalg.norm(hip - knee, axis=-1)
    straight = leg > STRAIGHT * (bent + np.linalg.norm(knee - ankle, axis=-1))
    neck = xyz[:, _SHOULDERS].mean(axis=1)
    trunk = neck - hip.mean(axis=1)
    above = neck[:, None] - ankle
    cosine = (above * trunk[:, None]).sum(-1) / (np.linalg.norm(above, axis=-1) * np.linalg.norm(trunk, axis=-1)[:, None])
    upright = (straight & (cosine > 0.9)).any(axis=1)
    if upright.sum() < LEAST_MOMENTS:
        raise CalibrationError("no person stands or walks upright for long enough to find the floor: walk through it")
    up = np.median((neck - ankle.mean(axis=1))[upright], axis=0)
    up /= np.linalg.norm(up)
    low = np.argmin(ankle @ up, axis=1)
    rows = np.arange(len(xyz))
    points, spread = ankle[rows, low], covariance[:, _ANKLES][rows, low]
    plane, found, _ = fit_floor(
        points[upright], spread[upright], up, BODY_STD_RAD, SPREAD_M, person[upright].astype(float), PERSON_STD_M
    )
    plane = plane + np.array([0.0, 0.0, 0.0, ANKLE_HEIGHT_M])
    found = found.copy()
    found[2, 2] += ANKLE_HEIGHT_STD_M**2
    return plane, found


def floor_frame(plane: Floats, first: Camera) -> Floats:
    """floor_from_world (4, 4): z up from the plane, origin below the first camera, x where that one looks."""
    up = plane[:3]
    forward, image_up = first.cam_from_world[2, :3], -first.cam_from_world[1, :3]
    ahead = forward - (forward @ up) * up
    if np.linalg.norm(ahead) < 0.1:  # it looks straight down or up
        ahead = image_up - (image_up @ up) * up
    x = ahead / np.linalg.norm(ahead)
    rotation = np.stack([x, np.cross(up, x), up])
    below = first.centre - (first.centre @ up + plane[3]) * up
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ below
    return matrix
