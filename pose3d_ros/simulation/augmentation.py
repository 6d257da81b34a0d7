"""More people and poses from few: mirror, bone lengths, place and heading, joints that are not seen (NumPy, float64).

Motion is (W, T, 17, 3) m, h36m_17, world z up, as drawn by Motion.draw: every change is constant over a window, so
that no person grows or teleports. What is done to the data is: mirrored with probability 1/2, limbs scaled by up to 5 %
and the whole body by up to 10 %, turned and placed anywhere on the rig's floor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.simulation.simulated_rigs import Floor
from pose3d_ros.skeletons import COCO_17, H36M_17
from pose3d_ros.structures import Floats, Skeleton

# Stature: the motion's legs are 0.735 to 0.905 m long; 10 % widens that to what adults have (5th percentile of
# women to 95th of men). Limb to limb, people differ by a few per cent beyond their stature.
STATURE_SPREAD, LIMB_SPREAD = 0.10, 0.05
# Share of people of whom single joints, or whole parts, are hidden, when hidden() is used in training.
JOINT_SHARE, PART_SHARE = 0.05, 0.15
PARTS = (
    ("LKnee", "LAnkle", "RKnee", "RAnkle"),
    ("LAnkle", "RAnkle"),
    ("LElbow", "LWrist"),
    ("RElbow", "RWrist"),
)
_BODY = ("Nose", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist",
         "LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle")  # fmt: skip


def mirrored(xyz: Floats) -> Floats:
    """The mirror image in the world's x = 0 plane: x negated AND left and right joints exchanged."""
    image: Floats = xyz[..., swapped(H36M_17), :] * np.array([-1.0, 1.0, 1.0])
    return image


def swapped(skeleton: Skeleton) -> NDArray[np.intp]:
    """Index (J,) that exchanges every left joint with its right one."""
    index = np.arange(skeleton.size)
    for left, right in skeleton.left_right:
        index[left], index[right] = right, left
    return index


def scaled_bones(xyz: Floats, factor: Floats) -> Floats:
    """Bones scaled along the kinematic tree, feet kept on their floor.

    xyz (..., 17, 3) m; factor (..., 17): of the bone that ends in the joint, the root's is unused. Returns
    (..., 17, 3) m: the pelvis is lifted by as much as the mean leg grows, and its path is scaled likewise.
    """
    out = np.empty_like(xyz)
    below_hips = [H36M_17.index(name) for name in ("RKnee", "RAnkle", "LKnee", "LAnkle")]
    legs = factor[..., below_hips].mean(axis=-1)
    out[..., 0, :] = xyz[..., 0, :] * legs[..., None]
    for parent, child in H36M_17.bones:
        bone = xyz[..., child, :] - xyz[..., parent, :]
        out[..., child, :] = out[..., parent, :] + factor[..., child, None] * bone
    return out


def bone_factors(count: int, rng: np.random.Generator) -> Floats:
    """Factors (count, 17) of people who differ in stature and in limbs; left equals right, the trunk is one piece."""
    stature = 1.0 + rng.uniform(-STATURE_SPREAD, STATURE_SPREAD, (count, 1))
    limb = 1.0 + rng.uniform(-LIMB_SPREAD, LIMB_SPREAD, (count, H36M_17.size))
    for left, right in H36M_17.left_right:
        limb[:, left] = limb[:, right]
    limb[:, H36M_17.index("Thorax")] = limb[:, H36M_17.index("Spine")]
    factor: Floats = stature * limb
    return factor


def placed(xyz: Floats, floor: Floor, rng: np.random.Generator) -> Floats:
    """Windows (W, T, 17, 3) turned by any angle about the vertical and moved onto the floor; z stays."""
    count = len(xyz)
    angle = rng.uniform(-np.pi, np.pi, count)
    middle = xyz[:, :, 0, :2].mean(axis=1)  # (W, 2)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1).reshape(count, 2, 2)
    out: Floats = xyz.copy()
    out[..., :2] = np.einsum("wab,wtjb->wtja", turn, xyz[..., :2] - middle[:, None, None])
    out[..., :2] += floor.draw(count, rng)[:, None, None]
    return out


def augmented(xyz: Floats, rng: np.random.Generator) -> Floats:
    """Windows (W, T, 17, 3), half of them mirrored, each with bones of its own; for training only."""
    flip = rng.random(len(xyz)) < 0.5
    both = np.where(flip[:, None, None, None], mirrored(xyz), xyz)
    return scaled_bones(np.asarray(both), bone_factors(len(xyz), rng)[:, None])


def hidden(views: int, windows: int, frames: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which COCO-17 joints are hidden (V, W, T, 17): single ones, and parts of the body, for a whole window."""
    hide = rng.random((views, windows, COCO_17.size)) < JOINT_SHARE
    part = rng.random((views, windows)) < PART_SHARE
    which = rng.integers(len(PARTS), size=(views, windows))
    for number, names in enumerate(PARTS):
        for name in names:
            hide[..., COCO_17.index(name)] |= part & (which == number)
    return np.repeat(hide[:, :, None], frames, axis=2)


def without(count: int, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exactly count of the 13 COCO-17 joints from nose to ankles hidden, independent for every element of shape.

    Returns (*shape, 17) bool, for the table of missing joints.
    """
    body = np.array([COCO_17.index(name) for name in _BODY])
    order = rng.random((*shape, len(body))).argsort(axis=-1)
    hide = np.zeros((*shape, COCO_17.size), dtype=bool)
    np.put_along_axis(hide, body[order[..., :count]], True, axis=-1)
    return hide
