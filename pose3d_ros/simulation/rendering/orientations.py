"""Where every bone of a body points, from h36m_17 joints (NumPy, float64).

A bone's frame has y along the bone. Torso, neck and head: x to the person's left, z to the front. Thighs and shins:
x to the left, z to the back. Feet: x to the left, z down. Arms: z to the thumb's side when the forearm is half
pronated. So knees and elbows bend about +x. Joints say where a bone points; what they leave open, the twist about it,
comes from the bend of knee or elbow, and for a straight limb from the least turn that leads there from the hanging
limb.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

# A limb bent by this (chord of the angle) defines its own plane, one against the default plane by twice this; below,
# the default plane takes over.
BENT = 0.35
# Of the upper arm's turn beyond this angle, rad, the shoulder girdle takes a third (scapulohumeral rhythm, Inman 1944).
GIRDLE_FROM_RAD, GIRDLE_SHARE = np.deg2rad(60.0), 1.0 / 3.0
# An ankle below this height, m, carries a foot flat on the floor; above twice that the foot hangs, toes lower by this.
FLAT_BELOW_M, HANGING_RAD = 0.13, np.deg2rad(20.0)
# The most a wrist is turned about the forearm from half pronated, rad.
PRONATION_RAD = np.deg2rad(50.0)


def bone_frames(xyz: Floats, pronation_rad: Floats | None = None) -> dict[str, Floats]:
    """Frames world_from_part (T, 3, 3) by part of the body for joints (T, 17, 3) m, world z up.

    pronation_rad (2,) turns the left and right hand about the forearm, thumb inwards. Feet are as if flat: x to the
    left, y to the front and level (flat_foot, hanging_foot say how they stand).
    """
    at = {name: xyz[:, H36M_17.index(name)] for name in H36M_17.joint_names}
    pronation = np.zeros(2) if pronation_rad is None else pronation_rad
    frames = {
        "pelvis": _trunk(at["LHip"] - at["RHip"], at["Spine"] - at["Pelvis"]),
        "chest": _trunk(at["LShoulder"] - at["RShoulder"], at["Thorax"] - at["Spine"]),
    }
    up = unit(at["HeadTop"] - at["Thorax"])
    front = at["Nose"] - at["Thorax"]
    frames["head"] = _trunk(np.cross(up, front), up)
    for number, side in enumerate("LR"):
        hip, knee, ankle = (at[f"{side}{name}"] for name in ("Hip", "Knee", "Ankle"))
        thigh, shin = unit(knee - hip), unit(ankle - knee)
        # A hanging leg's frame: the pelvis' with y down, z back.
        hanging = frames["pelvis"] * np.array([1.0, -1.0, -1.0])
        frames[f"thigh.{side}"], frames[f"shin.{side}"] = _hinge(thigh, shin, hanging)
        frames[f"foot.{side}"] = _foot(frames[f"shin.{side}"])
        outwards = 1.0 if side == "L" else -1.0
        shoulder, elbow, wrist = (at[f"{side}{name}"] for name in ("Shoulder", "Elbow", "Wrist"))
        arm, forearm = unit(elbow - shoulder), unit(wrist - elbow)
        chest = frames["chest"]
        # A hanging arm's frame: y down, z to the front, so that the elbow bends forwards.
        hanging = np.stack([-chest[..., 0], -chest[..., 1], chest[..., 2]], axis=-1)
        frames[f"arm.{side}"], forearm_frame = _hinge(arm, forearm, hanging)
        frames[f"forearm.{side}"] = forearm_frame @ _about_y(outwards * pronation[number])
        frames[f"clavicle.{side}"] = _girdle(chest, -chest[..., 1], arm)
    return frames


def _trunk(left: Floats, up: Floats) -> Floats:
    """Frames (T, 3, 3): y along up, x as near to left as that allows."""
    y = unit(up)
    x = unit(left - (left * y).sum(axis=-1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _hinge(upper: Floats, lower: Floats, hanging: Floats) -> tuple[Floats, Floats]:
    """Frames (T, 3, 3) of two bones that a hinge about x joins, along unit vectors upper and lower (T, 3)."""
    default = rotation_between(hanging[..., 1], upper) @ hanging
    axis = np.cross(upper, lower)
    bend = np.linalg.norm(axis, axis=-1, keepdims=True)
    axis /= np.maximum(bend, 1e-9)
    # A hinge never bends backwards. An axis against the default one is noise where the limb is nearly straight; where
    # it is well bent, the upper arm is turned about itself by more than the default knows.
    bent = np.linalg.norm(lower - upper, axis=-1, keepdims=True) / BENT
    agreement = np.clip(2.0 * (axis * default[..., 0]).sum(axis=-1, keepdims=True), 0.0, 1.0)
    weight = np.maximum(np.clip(bent, 0.0, 1.0) * agreement, np.clip(bent - 1.0, 0.0, 1.0))
    x = weight * axis + (1.0 - weight) * default[..., 0]
    return _along(upper, x), _along(lower, x)


def _along(y: Floats, x: Floats) -> Floats:
    """Frames (T, 3, 3) with y exact and x as near as that allows."""
    x = unit(x - (x * y).sum(axis=-1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def _girdle(chest: Floats, down: Floats, arm: Floats) -> Floats:
    """Frames (T, 3, 3) of a shoulder girdle: the chest's, turned along with a raised arm (T, 3)."""
    angle = np.arccos(np.clip((down * arm).sum(axis=-1), -1.0, 1.0))
    axis = np.cross(down, arm)
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    turn = GIRDLE_SHARE * np.maximum(angle - GIRDLE_FROM_RAD, 0.0)
    return rotation(axis / np.maximum(length, 1e-9) * turn[..., None]) @ chest


def _foot(shin: Floats) -> Floats:
    """Frames (T, 3, 3) of a level foot under a shin: y to where the shin's front points, z down."""
    level = -shin[..., 2] * np.array([1.0, 1.0, 0.0])
    size = np.linalg.norm(level, axis=-1, keepdims=True)
    y = np.where(size > 1e-3, level / np.maximum(size, 1e-9), np.array([1.0, 0.0, 0.0]))
    down = np.broadcast_to(np.array([0.0, 0.0, -1.0]), y.shape)
    return np.stack([np.cross(y, down), y, down], axis=-1)


def standing(ankle_m: Floats) -> Floats:
    """How much of a foot's place is decided by the floor, (...): 1 flat on it, 0 hanging, by the ankle's height."""
    return np.clip(2.0 - ankle_m / FLAT_BELOW_M, 0.0, 1.0)


def between(first: Floats, second: Floats, share: Floats | float) -> Floats:
    """Rotations (..., 3, 3) this share of the way from first to second, on the shortest arc."""
    turn = second @ np.swapaxes(first, -1, -2)
    part: Floats = rotation(rotation_vectors(turn) * np.asarray(share)[..., None]) @ first
    return part


def rotation(vector: Floats) -> Floats:
    """Rotations (..., 3, 3) about axes by the vectors' (..., 3) lengths in rad."""
    out: Floats = Rotation.from_rotvec(vector.reshape(-1, 3)).as_matrix().reshape(*vector.shape, 3)
    return out


def rotation_vectors(turn: Floats) -> Floats:
    """Rotation vectors (..., 3) rad of rotations (..., 3, 3)."""
    vectors: Floats = Rotation.from_matrix(turn.reshape(-1, 3, 3)).as_rotvec().reshape(turn.shape[:-1])
    return vectors


def rotation_between(first: Floats, second: Floats) -> Floats:
    """The least rotations (..., 3, 3) that turn unit vectors first onto second; opposite ones about any axis."""
    axis = np.cross(first, second)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (first * second).sum(axis=-1, keepdims=True))
    # Of opposite vectors any axis across will do.
    other = np.cross(first, np.where(np.abs(first[..., :1]) < 0.9, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    axis = np.where(sine > 1e-6, axis / np.maximum(sine, 1e-12), unit(other))
    return rotation(axis * angle)


def unit(vector: Floats) -> Floats:
    """Vectors (..., 3) of length 1."""
    out: Floats = vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)
    return out


def _about_y(angle: float) -> Floats:
    return rotation(np.array([0.0, angle, 0.0]))
