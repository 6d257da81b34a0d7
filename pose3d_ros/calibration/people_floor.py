"""The floor below people, and how tall they are, from joints without a known scale (NumPy, float64)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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

_HIPS, _KNEES, _ANKLES, _SHOULDERS = (
    [NAMES.index(side + joint) for side in "LR"] for joint in ("Hip", "Knee", "Ankle", "Shoulder")
)
_NOSE = NAMES.index("Nose")
# Cosine between trunk and leg of who stands or walks upright: within 25 degrees.
UPRIGHT = 0.9
LEAST_MOMENTS = 10
# Height of the nose above the lower ankle over the stature, at the upper tenth of upright moments: 0.842 to 0.849 of
# eight stick figures, 0.843 to 0.863 of Anny's bodies; that of standing adults (Drillis and Contini 1966) lies between.
NOSE_OF_STATURE, NOSE_SPREAD, TALLEST = 0.850, 0.012, 0.9


def upright_moments(xyz: Floats) -> NDArray[np.bool_]:
    """(M,) whether the person of joints (M, N, 3), in any unit, stands or walks upright on a straight leg."""
    hip, knee, ankle = xyz[:, _HIPS], xyz[:, _KNEES], xyz[:, _ANKLES]
    bones = np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - ankle, axis=-1)
    straight = np.linalg.norm(hip - ankle, axis=-1) > STRAIGHT * bones
    neck = xyz[:, _SHOULDERS].mean(axis=1)[:, None]
    leg, trunk = hip - ankle, neck - hip.mean(axis=1, keepdims=True)
    cosine = (leg * trunk).sum(-1) / (np.linalg.norm(leg, axis=-1) * np.linalg.norm(trunk, axis=-1))
    return np.asarray((straight & (cosine > UPRIGHT)).any(axis=1))


def vertical(xyz: Floats) -> Floats:
    """The unit vector (3,) up, along upright people (M, N, 3)."""
    up = np.median(xyz[:, _SHOULDERS].mean(axis=1) - xyz[:, _ANKLES].mean(axis=1), axis=0)
    return np.asarray(up / np.linalg.norm(up))


def ankle_plane(xyz: Floats, covariance: Floats, person: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """The plane (4,) of the lower ankles of upright people (M, N, 3) m, and its covariance (3, 3); see fit_floor.

    covariance (M, N, 3, 3) m^2; person (M,) numbers.
    """
    up = vertical(xyz)
    ankle = xyz[:, _ANKLES]
    low, rows = np.argmin(ankle @ up, axis=1), np.arange(len(xyz))
    points, spread = ankle[rows, low], covariance[:, _ANKLES][rows, low]
    groups = person.astype(np.float64)
    plane, found, _ = fit_floor(points, spread, up, BODY_STD_RAD, SPREAD_M, groups, PERSON_STD_M)
    return plane, found


def statures(xyz: Floats, person: NDArray[np.intp], up: Floats) -> dict[int, float]:
    """How tall each person of upright moments (M, N, 3) is, by number, in their unit; spread NOSE_SPREAD."""
    height = (xyz[:, _NOSE, None] - xyz[:, _ANKLES]) @ up  # (M, 2)
    found = {}
    for one in np.unique(person).tolist():
        own = height.max(axis=1)[person == one]
        if len(own) >= LEAST_MOMENTS:
            found[one] = float(np.quantile(own, TALLEST)) / NOSE_OF_STATURE
    return found


def lowered(plane: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """The floor (4,) below a plane of ankles, m, and its covariance."""
    covariance = covariance.copy()
    covariance[2, 2] += ANKLE_HEIGHT_STD_M**2
    return plane + np.array([0.0, 0.0, 0.0, ANKLE_HEIGHT_M]), covariance


def floor_frame(plane: Floats, first: Camera) -> Floats:
    """floor_from_world (4, 4): z up from the plane, origin below the first camera, x where that one looks."""
    up = plane[:3]
    forward, image_up = first.cam_from_world[2, :3], -first.cam_from_world[1, :3]
    ahead = forward - (forward @ up) * up
    if np.linalg.norm(ahead) < 0.1:  # it looks straight down
        ahead = image_up - (image_up @ up) * up
    x = ahead / np.linalg.norm(ahead)
    rotation = np.stack([x, np.cross(up, x), up])
    below = first.centre - (first.centre @ up + plane[3]) * up
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ below
    return matrix
