"""rig_features.rig_input in NumPy, float64: for one person most of torch's time is overhead.

What it computes and why is said there; training needs torch, and tests hold this to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.networks.rig_features import (
    HEADING_RAD,
    KEYPOINT_PX,
    REACH_M,
    RESIDUAL_LIMIT_M,
    RIG_FEATURES,
    WEAKEST,
)
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

_RIGHT, _LEFT = ([H36M_17.index(name) for name in (f"{side}Shoulder", f"{side}Hip")] for side in "RL")
_PARENT = [max(parent, 0) for parent in H36M_17.parents]
_OTHER_SIDE = list(H36M_17.other_side)
_EYE = np.eye(3)


class SightInNumpy(NamedTuple):
    """As rig_features.Sight."""

    coarse: Floats  # (B, J, 3) m, world; NaN where not triangulated
    observed: Floats  # (B, V, J, 2) undistorted and normalised keypoints; NaN where not seen
    score: Floats  # (B, V, J)
    focal_px: Floats  # (B, V)
    cam_from_world: Floats  # (B, V, 4, 4) m


class RigInput(NamedTuple):
    """The input of the network, and the frame of its output: the same for all views."""

    features: NDArray[np.float32]  # (B, V, J, RIG_FEATURES)
    pose: Floats  # (B, J, 3) m in the frame, finite
    turn: Floats  # (B, 3, 3) frame_from_world's rotation
    origin: Floats  # (B, 3) m, world: the frame's


def rig_input_in_numpy(sight: SightInNumpy) -> RigInput:
    """The rig-conditioned input features."""
    rotation, place = sight.cam_from_world[..., :3, :3], sight.cam_from_world[..., :3, 3]
    centres = -(place[..., None, :] @ rotation)[..., 0, :]  # (B, V, 3) world
    filled, present = _within_reach(sight.coarse)
    reach = filled[:, None] - centres[:, :, None]  # (B, V, J, 3)
    distance = np.maximum(np.sqrt((reach * reach).sum(axis=-1)), 0.1)
    ray = reach / distance[..., None]
    pixel = distance / sight.focal_px[..., None]  # (B, V, J) m
    seen = np.isfinite(sight.observed).all(axis=-1) & present[:, None]
    strength = np.where(seen, 1.0 / (KEYPOINT_PX * pixel) ** 2, 0.0)[..., None, None]
    information = (strength * (_EYE - ray[..., :, None] * ray[..., None, :])).sum(axis=1) + WEAKEST * _EYE
    covariance = np.linalg.inv(information)  # (B, J, 3, 3)
    origin = filled.mean(axis=1)
    turn = _turn(rotation, origin - centres.mean(axis=1), filled, present, covariance)
    back = turn.transpose(0, 2, 1)
    pose = (filled - origin[:, None]) @ back
    variance = ((turn[:, None] @ covariance) * turn[:, None]).sum(axis=-1)  # along the frame's axes

    features = np.empty((*sight.score.shape, RIG_FEATURES), dtype=np.float32)
    features[..., 0:3] = pose[:, None]
    features[..., 3:6] = ray @ back[:, None]
    off = _residual(sight.observed, filled, seen, rotation, place)
    features[..., 6:9] = off @ (rotation[..., :2, :] @ back[:, None])
    features[..., 9] = np.where(seen, sight.score, 0.0)
    features[..., 10] = np.log10(pixel)
    features[..., 11] = present[:, None]
    features[..., 12:15] = 0.5 * np.log10(variance)[:, None]
    whole = present & present[:, _PARENT]
    bone = np.where(whole[..., None], pose - pose[:, _PARENT], 0.0)
    length = np.sqrt((bone * bone).sum(axis=-1))
    features[..., 15:18] = bone[:, None]
    features[..., 18] = length[:, None]
    features[..., 19] = np.where(whole & whole[:, _OTHER_SIDE], length - length[:, _OTHER_SIDE], 0.0)[:, None]
    return RigInput(features, pose, turn, origin)


def in_world(rig_input: RigInput, pose: Floats) -> Floats:
    """A pose (B, J, 3) m from the frame to the world."""
    world: Floats = pose @ rig_input.turn + rig_input.origin[:, None]
    return world


def _within_reach(coarse: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Joints with the mean in place of those that are missing or out of reach, and which (B, J) are neither."""
    count = np.isfinite(coarse).sum(axis=1, keepdims=True)
    # torch's median: of an even number the lower one of the two in the middle. NaN is sorted last.
    middle = np.nan_to_num(np.take_along_axis(np.sort(coarse, axis=1), np.maximum(count - 1, 0) // 2, axis=1))
    offset = coarse - middle
    present = np.sqrt((offset * offset).sum(axis=-1)) < REACH_M  # false for NaN
    solid = np.where(present[..., None], coarse, 0.0)
    mean = solid.sum(axis=1) / np.maximum(present.sum(axis=1), 1)[:, None]
    return np.where(present[..., None], coarse, mean[:, None]), present


def _turn(rotation: Floats, away: Floats, filled: Floats, present: NDArray[np.bool_], covariance: Floats) -> Floats:
    """Rotation (B, 3, 3) of the person's frame from the world: right, down and forward, in its rows."""
    down = _unit(rotation[:, :, 1].mean(axis=1))  # the cameras' y
    right = _unit(_cross(down, away))
    across = (filled[:, _RIGHT] - filled[:, _LEFT]).sum(axis=1)
    across = across - (across * down).sum(axis=-1, keepdims=True) * down
    length = np.maximum(np.sqrt((across * across).sum(axis=-1, keepdims=True)), 1e-3)
    heading = across / length
    aside = _cross(down, heading)  # where an error turns the heading
    shared = covariance[:, _RIGHT + _LEFT].sum(axis=1)
    variance = (aside[:, None] @ shared @ aside[..., None])[:, 0, 0]
    accurate = present[:, _RIGHT + _LEFT].all(axis=-1) & (np.sqrt(variance) < HEADING_RAD * length[:, 0])
    right = np.where(accurate[:, None], heading, right)
    return np.stack((right, down, _cross(right, down)), axis=1)


def _residual(observed: Floats, filled: Floats, seen: NDArray[np.bool_], rotation: Floats, place: Floats) -> Floats:
    """Keypoint minus projection of the coarse joint at its depth, (B, V, J, 2) m along the image's axes."""
    in_camera = filled[:, None] @ rotation.swapaxes(-1, -2) + place[..., None, :]
    off = observed * np.maximum(in_camera[..., 2:], 0.1) - in_camera[..., :2]
    return np.clip(np.where(seen[..., None], off, 0.0), -RESIDUAL_LIMIT_M, RESIDUAL_LIMIT_M)


def _unit(vector: Floats) -> Floats:
    length = np.sqrt((vector * vector).sum(axis=-1, keepdims=True))
    return np.asarray(vector / np.maximum(length, 1e-12))


def _cross(a: Floats, b: Floats) -> Floats:
    """np.cross, which takes ten times as long for one pair."""
    (x, y, z), (u, v, w) = a.T, b.T
    return np.stack((y * w - z * v, z * u - x * w, x * v - y * u), axis=-1)
