"""The input features of a refinement network: the paper's form and the rig-conditioned one (torch).

The paper's form (Hua et al., 2105.10882) gives the coarse pose in each camera's frame, and so fits one pair of cameras;
the pair form is the same in other coordinates.
The rig-conditioned form is ours: pose, bones, rays and the rig's accuracy, in a frame of cameras and person only, so
that the same weights serve unseen rigs. That frame, in metres: origin at the mean of the person's joints, y
nearest to the cameras' mean image-down; x to the person's right, by shoulders and hips, or to the cameras' right if the
heading from triangulation is less accurate than HEADING_RAD. A joint that was not triangulated, or is further than
REACH_M from the others, enters as their mean with a flag.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pose3d_ros.skeletons import H36M_17

# Channels of the rig-conditioned form, in order (a joint in a view).
RIG_CHANNELS = {
    "coarse pose, m": 3,
    "unit ray from the camera": 3,
    "keypoint minus projected coarse joint, at its depth, m": 3,
    "score of the keypoint, 0 if not seen": 1,
    "log10 of what a pixel covers at its depth, m": 1,
    "1 if it was triangulated": 1,
    "log10 of the standard deviation of triangulation along the axes, m": 3,
    "bone from the parent joint, m": 3,
    "its length, m": 1,
    "its length minus the other side's, m": 1,
}
RIG_FEATURES = sum(RIG_CHANNELS.values())
PAPER_FEATURES, PAIR_FEATURES = 3, 6
KEYPOINT_PX = 4.0  # keypoint error for the standard deviations; the network learns the factor
WEAKEST = 1e-2  # information of a direction that no ray fixes, 1/m^2: a standard deviation of 10 m
RESIDUAL_LIMIT_M = 0.5  # a keypoint further off than this is wrong, however far
REACH_M = 2.0  # 1.2 m from the middle of a body to its raised hand, and three standard deviations of a stereo head
# The pose prior is simplest in the person's own heading: the residual MLP gained 17.9 % root-relative with it and
# 13.5 % without (1500 steps, Human3.6M's pairs, validation). A stereo head hardly measures the heading.
HEADING_RAD = 0.35
_LEFT = [H36M_17.index(name) for name in ("LShoulder", "LHip")]
_RIGHT = [H36M_17.index(name) for name in ("RShoulder", "RHip")]
_PARENT = [max(parent, 0) for parent in H36M_17.parents]
_OTHER_SIDE = list(H36M_17.other_side)


class Sight(NamedTuple):
    """One person in view of V cameras, as in the nodes."""

    coarse: Tensor  # (B, J, 3) m, world; NaN where not triangulated
    observed: Tensor  # (B, V, J, 2) undistorted and normalised keypoints (x / z, y / z); NaN where not seen
    score: Tensor  # (B, V, J)
    focal_px: Tensor  # (B, V) sqrt(fx fy)
    cam_from_world: Tensor  # (B, V, 4, 4) m


class RefinerInput(NamedTuple):
    """The input of a refinement network, and the frame of its output."""

    features: Tensor  # (B, V, J, C)
    coarse: Tensor  # (B, V, J, 3) m in each view's frame, finite
    world_from_frame: Tensor  # (B, V, 4, 4) m


def transformed(a_from_b: Tensor, points: Tensor) -> Tensor:
    """Points (..., J, 3) in b -> in a; a_from_b (..., 4, 4)."""
    return points @ a_from_b[..., :3, :3].transpose(-1, -2) + a_from_b[..., None, :3, 3]


def inverted(a_from_b: Tensor) -> Tensor:
    """b_from_a of rigid transforms (..., 4, 4)."""
    back = torch.zeros_like(a_from_b)
    rotation = a_from_b[..., :3, :3].transpose(-1, -2)
    back[..., :3, :3] = rotation
    back[..., :3, 3] = -(rotation @ a_from_b[..., :3, 3:])[..., 0]
    back[..., 3, 3] = 1.0
    return back


def paper_input(sight: Sight) -> RefinerInput:
    """X~_i: the coarse pose in every camera's frame; a missing joint is at the mean of the others."""
    filled = _filled(sight.coarse)
    seen_from = transformed(sight.cam_from_world, filled[:, None].expand(-1, sight.observed.shape[1], -1, -1))
    return RefinerInput(seen_from, seen_from, inverted(sight.cam_from_world))


def pair_input(sight: Sight) -> RefinerInput:
    """The paper's, with the pose split into position and shape: its mean, and the joints about it.

    Across a room a joint's place varies by a metre; what is to be found in it are some 30 mm.
    """
    given = paper_input(sight)
    middle = given.coarse.mean(dim=2, keepdim=True)
    return given._replace(features=torch.cat((given.coarse - middle, middle.expand_as(given.coarse)), dim=-1))


def rig_input(sight: Sight) -> RefinerInput:
    """The rig-conditioned form."""
    batch, views, joints = sight.observed.shape[:3]
    sight = sight._replace(coarse=within_reach(sight.coarse))
    filled, present = _filled(sight.coarse), torch.isfinite(sight.coarse).all(dim=-1)
    centres = inverted(sight.cam_from_world)[..., None, :3, 3]  # (B, V, 1, 3) world
    reach = filled[:, None] - centres  # (B, V, J, 3)
    distance = reach.norm(dim=-1, keepdim=True).clamp(min=0.1)
    pixel = distance[..., 0] / sight.focal_px[..., None]  # (B, V, J) m
    seen = torch.isfinite(sight.observed).all(dim=-1) & present[:, None]
    covariance = _covariance(reach / distance, pixel, seen)
    frame_from_world = rig_frame(sight, covariance)
    turn = frame_from_world[:, :3, :3]
    pose = transformed(frame_from_world, filled)  # (B, J, 3)
    spread = 0.5 * (turn[:, None] @ covariance @ turn.transpose(1, 2)[:, None]).diagonal(dim1=-2, dim2=-1).log10()
    of_views = (
        (reach / distance) @ turn.transpose(1, 2)[:, None],
        _residual(sight, frame_from_world, seen),
        torch.where(seen, sight.score, 0.0)[..., None],
        pixel.log10()[..., None],
    )
    of_all = torch.cat((present[..., None].to(pose.dtype), spread, _bones(pose, present)), dim=-1)
    features = torch.cat(
        (pose[:, None].expand(-1, views, -1, -1), *of_views, of_all[:, None].expand(-1, views, -1, -1)), dim=-1
    )
    world_from_frame = inverted(frame_from_world)[:, None].expand(batch, views, 4, 4)
    return RefinerInput(features, pose[:, None].expand(batch, views, joints, 3), world_from_frame)


def within_reach(coarse: Tensor) -> Tensor:
    """Joints (B, J, 3) m further than REACH_M from the joints' median become NaN: they were not triangulated."""
    middle = torch.nan_to_num(coarse.nanmedian(dim=1, keepdim=True).values)
    near = (coarse - middle).norm(dim=-1, keepdim=True) < REACH_M  # false for NaN
    return torch.where(near, coarse, torch.full_like(coarse, torch.nan))


def rig_frame(sight: Sight, covariance: Tensor) -> Tensor:
    """frame_from_world (B, 4, 4) m; covariance (B, J, 3, 3) m^2 of the triangulated joints."""
    filled = _filled(sight.coarse)
    middle = filled.mean(dim=1)  # (B, 3)
    down = torch.nn.functional.normalize(sight.cam_from_world[:, :, 1, :3].mean(dim=1), dim=-1)  # the cameras' y
    away = middle - inverted(sight.cam_from_world)[..., :3, 3].mean(dim=1)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, away), dim=-1)
    across = (filled[:, _RIGHT] - filled[:, _LEFT]).sum(dim=1)
    across = across - (across * down).sum(dim=-1, keepdim=True) * down
    length = across.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    aside = torch.linalg.cross(down, across / length)  # where an error turns the heading
    variance = torch.einsum("ba,bjac,bc->b", aside, covariance[:, _RIGHT + _LEFT], aside)
    known = torch.isfinite(sight.coarse[:, _RIGHT + _LEFT]).all(dim=-1).all(dim=-1)
    accurate = known & (variance.sqrt() < HEADING_RAD * length[:, 0])
    right = torch.where(accurate[:, None], across / length, right)
    rotation = torch.stack((right, down, torch.linalg.cross(right, down)), dim=1)
    frame = torch.zeros(len(middle), 4, 4, dtype=middle.dtype, device=middle.device)
    frame[:, :3, :3] = rotation
    frame[:, :3, 3] = -(rotation @ middle[..., None])[..., 0]
    frame[:, 3, 3] = 1.0
    return frame


def _bones(pose: Tensor, present: Tensor) -> Tensor:
    """Bone, its length and what that has over the other side's, (B, J, 5); 0 where an end is missing."""
    whole = (present & present[:, _PARENT])[..., None]
    bone = torch.where(whole, pose - pose[:, _PARENT], torch.zeros_like(pose))
    length = bone.norm(dim=-1, keepdim=True)
    both = whole & whole[:, _OTHER_SIDE]
    return torch.cat((bone, length, torch.where(both, length - length[:, _OTHER_SIDE], 0.0)), dim=-1)


def _filled(coarse: Tensor) -> Tensor:
    present = torch.isfinite(coarse).all(dim=-1, keepdim=True)
    solid = torch.where(present, coarse, torch.zeros_like(coarse))
    mean = solid.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(present, coarse, mean)


def _covariance(ray: Tensor, pixel: Tensor, seen: Tensor) -> Tensor:
    """Cramer and Rao's covariance (B, J, 3, 3) m^2, world, of joints whose keypoints are off by KEYPOINT_PX."""
    across = torch.eye(3, dtype=ray.dtype, device=ray.device) - ray[..., :, None] * ray[..., None, :]
    strength = torch.where(seen, (KEYPOINT_PX * pixel).square().reciprocal(), 0.0)[..., None, None]
    information = (strength * across).sum(dim=1) + WEAKEST * torch.eye(3, dtype=ray.dtype, device=ray.device)
    # In float64: a 12 cm stereo head's information has a condition of 1e4 and more.
    covariance: Tensor = torch.linalg.inv(information.double())
    return covariance.to(ray.dtype)


def _residual(sight: Sight, frame_from_world: Tensor, seen: Tensor) -> Tensor:
    """Keypoint minus projection of the coarse joint as a displacement at its depth, (B, V, J, 3) m in the frame."""
    in_camera = transformed(sight.cam_from_world, _filled(sight.coarse)[:, None].expand(*sight.observed.shape[:3], 3))
    depth = in_camera[..., 2:].clamp(min=0.1)
    flat = torch.where(seen[..., None], sight.observed * depth - in_camera[..., :2], torch.zeros_like(sight.observed))
    flat = flat.clamp(-RESIDUAL_LIMIT_M, RESIDUAL_LIMIT_M)
    offset = torch.cat((flat, torch.zeros_like(flat[..., :1])), dim=-1)
    rotation = frame_from_world[:, None, :3, :3] @ sight.cam_from_world[..., :3, :3].transpose(-1, -2)
    turned: Tensor = offset @ rotation.transpose(-1, -2)
    return turned
