"""A skeleton of fixed bones laid through measured joints: what BVH stores is turns, not positions (NumPy, float64).

Bones have the median length that was measured. At rest the person stands in a T-pose, x to their left, y up, z
forward. Going outwards from the pelvis, every bone is turned the shortest way so that it points from its fitted start
to its measured end. Joints with several children (Pelvis, Thorax) turn by the rigid fit to all of them (Kabsch, Acta
Cryst. A32, 1976), and each bone then begins in a joint of its own without length, as in the BVH files of the CMU
database, so that a sequence with bones of fixed length is met exactly whatever the angles between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.structures import Floats, Skeleton

# Where h36m_17's bones point in a T-pose.
REST = {
    "RHip": (-1, 0, 0), "RKnee": (0, -1, 0), "RAnkle": (0, -1, 0),
    "LHip": (1, 0, 0), "LKnee": (0, -1, 0), "LAnkle": (0, -1, 0),
    "Spine": (0, 1, 0), "Thorax": (0, 1, 0), "Nose": (0, 1, 0), "HeadTop": (0, 1, 0),
    "LShoulder": (1, 0, 0), "LElbow": (1, 0, 0), "LWrist": (1, 0, 0),
    "RShoulder": (-1, 0, 0), "RElbow": (-1, 0, 0), "RWrist": (-1, 0, 0),
}  # fmt: skip
# Shorter than any bone: a direction between points this close says nothing.
MIN_LENGTH_M = 1e-6


@dataclass(frozen=True, eq=False)
class FittedJoint:
    """One joint of the hierarchy and its turns."""

    name: str
    parent: int  # in the list of joints, -1 for the root
    offset: Floats  # (3,) m from the parent at rest
    turn: Floats  # (T, 3, 3) parent_from_joint


@dataclass(frozen=True, eq=False)
class FittedMotion:
    """Joints, parents first, and where the root is."""

    joints: tuple[FittedJoint, ...]
    root: Floats  # (T, 3) m


def fit_motion(xyz: Floats, skeleton: Skeleton) -> FittedMotion:
    """The motion of fixed bones nearest to joints xyz (T, J, 3) m, y up, NaN where absent.

    A joint that is never seen is left out, its children hang on the next one above. In a gap the root moves straight
    on and bones turn evenly; before the first and after the last measurement they stay. Raises InputError for joints
    that REST does not know, and where the root is never seen.
    """
    root = skeleton.parents.index(-1)
    unknown = [name for j, name in enumerate(skeleton.joint_names) if j != root and name not in REST]
    if unknown:
        raise InputError(f"BVH is written for h36m_17 only: skeleton {skeleton.name!r} has {unknown[0]!r}")
    if not np.isfinite(xyz[:, root]).all(axis=-1).any():
        raise InputError(f"{skeleton.joint_names[root]} is never seen, so there is nothing that BVH could hang on")
    parents = _seen_parents(xyz, skeleton, root)
    children = {j: [c for c, p in parents.items() if p == j] for j in (root, *parents)}
    bone = {c: _interpolated(xyz[:, c] - xyz[:, p]) for c, p in parents.items()}
    length = {c: _median_length(xyz[:, c] - xyz[:, p]) for c, p in parents.items()}
    joints = [FittedJoint(skeleton.joint_names[root], -1, np.zeros(3), np.empty(0))]
    place = _interpolated(xyz[:, root])
    identity = np.broadcast_to(np.eye(3), (len(xyz), 3, 3))
    # Joint of xyz, its number among joints, where it is, world_from_parent.
    waiting = [(root, 0, place, identity)]
    while waiting:
        j, number, at, above = waiting.pop()
        own = children[j]
        aims = {c: _aim(xyz[:, c] - at, bone[c]) for c in own}
        rest = {c: np.array(REST[skeleton.joint_names[c]], dtype=np.float64) for c in own}
        turned = above
        if len(own) == 1:
            turned = above @ shortest_turn(rest[own[0]], _apply_inverse(above, aims[own[0]]))
        elif own:
            turned = rigid_turn(np.array([rest[c] for c in own]), np.stack([aims[c] for c in own], axis=1))
        joints[number] = FittedJoint(
            joints[number].name, joints[number].parent, joints[number].offset, _inverse(above) @ turned
        )
        for c in own:
            start, carrying = number, turned
            name = skeleton.joint_names[c]
            if len(own) > 1:
                own_turn = shortest_turn(rest[c], _apply_inverse(turned, aims[c]))
                joints.append(FittedJoint(f"{name}Base", number, np.zeros(3), own_turn))
                start, carrying = len(joints) - 1, turned @ own_turn
            joints.append(FittedJoint(name, start, length[c] * rest[c], np.empty(0)))
            waiting.append((c, len(joints) - 1, at + length[c] * aims[c], carrying))
    return FittedMotion(tuple(joints), place)


def shortest_turn(start: Floats, ends: Floats) -> Floats:
    """Rotations (T, 3, 3) that take the unit vector start (3,) to unit vectors ends (T, 3) the shortest way."""
    # Straight back any axis across does; take one and keep it, so that the joint does not spin. What is left is small.
    axis = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
    axis /= np.linalg.norm(axis)
    back = _turn(-start, ends) @ (2 * np.outer(axis, axis) - np.eye(3))
    return np.where((ends @ start < -1 + 1e-9)[:, None, None], back, _turn(start, ends))


def _turn(start: Floats, ends: Floats) -> Floats:
    """The same; inexact where they are nearly opposite."""
    cross = np.cross(start, ends)
    K = np.zeros((len(ends), 3, 3))
    K[:, 0, 1], K[:, 0, 2], K[:, 1, 2] = -cross[:, 2], cross[:, 1], -cross[:, 0]
    K -= K.transpose(0, 2, 1)
    turn: Floats = np.eye(3) + K + K @ K / np.maximum(1 + ends @ start, 1e-12)[:, None, None]
    return turn


def rigid_turn(rest: Floats, aims: Floats) -> Floats:
    """Rotations (T, 3, 3) that best take unit vectors rest (N, 3) to aims (T, N, 3), in the least squares."""
    u, _, vt = np.linalg.svd(np.einsum("tna,nb->tab", aims, rest))
    signs = np.ones((len(aims), 3))
    signs[:, 2] = np.linalg.det(u @ vt)
    return np.asarray((u * signs[:, None]) @ vt)


def _seen_parents(xyz: Floats, skeleton: Skeleton, root: int) -> dict[int, int]:
    """Child -> the nearest joint above it with which it was ever seen together, parents first."""
    seen = np.asarray(np.isfinite(xyz).all(axis=-1))  # (T, J)
    parents: dict[int, int] = {}
    for j in range(skeleton.size):
        above = skeleton.parents[j]
        while above >= 0 and not ((above == root or above in parents) and (seen[:, j] & seen[:, above]).any()):
            above = skeleton.parents[above]
        if above >= 0:
            parents[j] = above
    return parents


def _median_length(bones: Floats) -> float:
    lengths = np.linalg.norm(bones, axis=-1)
    return float(np.median(lengths[np.isfinite(lengths)]))


def _interpolated(values: Floats) -> Floats:
    """(T, 3) with NaN rows filled linearly, the ends held."""
    known = np.flatnonzero(np.isfinite(values).all(axis=-1))
    frames = np.arange(len(values))
    return np.column_stack([np.interp(frames, known, values[known, axis]) for axis in range(3)])


def _aim(measured: Floats, otherwise: Floats) -> Floats:
    """Unit vectors (T, 3) along measured, along otherwise where that is absent or without length."""
    vectors = np.where(np.isfinite(measured).all(axis=-1, keepdims=True), measured, otherwise)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors = np.where(length > MIN_LENGTH_M, vectors, otherwise)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.where(length > MIN_LENGTH_M, vectors / np.maximum(length, MIN_LENGTH_M), (0.0, 1.0, 0.0)))


def _inverse(turns: Floats) -> Floats:
    return np.asarray(turns.transpose(0, 2, 1))


def _apply_inverse(turns: Floats, vectors: Floats) -> Floats:
    return np.asarray(np.einsum("tba,tb->ta", turns, vectors))
