"""What a refinement network is told of a triangulated pose: the paper's form and the rig-conditioned one (torch).

The paper's form (Hua et al., 2105.10882) gives the coarse pose in each camera's frame, and so fits one pair of cameras;
the pair form says the same in other coordinates.
The rig-conditioned form is ours: pose, rays and what the rig can see, in a frame that depends on cameras and person
only, so that the same weights serve rigs that were never seen. That frame: origin in the mean of the person's joints, z
away from the mean of the camera centres, y nearest to the cameras' mean image-down, metres. A joint that was not
triangulated enters as the origin and says so.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Channels of the rig-conditioned form, in order (a joint in a view).
RIG_CHANNELS = {
    "coarse pose, m": 3,
    "1 if it was triangulated": 1,
    "unit ray from the camera": 3,
    "log10 of the standard deviation of triangulation along the axes, m": 3,
    "keypoint minus projected coarse joint, at its depth, m": 3,
    "score of the keypoint, 0 if not seen": 1,
    "log10 of what a pixel covers at its depth, m": 1,
}
RIG_FEATURES = sum(RIG_CHANNELS.values())
PAPER_FEATURES, PAIR_FEATURES = 3, 6
KEYPOINT_PX = 4.0  # what a keypoint is off by, for the standard deviations; a factor that the network learns anyway
WEAKEST = 1e-2  # information of a direction that no ray fixes, 1/m^2: a standard deviation of 10 m
RESIDUAL_LIMIT_M = 0.5  # a keypoint further off than this is wrong, however far


class Sight(NamedTuple):
    """One person before V cameras, as the nodes have it too."""

    coarse: Tensor  # (B, J, 3) m, world; NaN where not triangulated
    observed: Tensor  # (B, V, J, 2) undistorted and normalised keypoints (x / z, y / z); NaN where not seen
    score: Tensor  # (B, V, J)
    focal_px: Tensor  # (B, V) sqrt(fx fy)
    cam_from_world: Tensor  # (B, V, 4, 4) m


class RefinerInput(NamedTuple):
    """What goes into a refinement network, and where its answer lies."""

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
    """X~_i: the coarse pose in every camera's frame; a missing joint stands at the mean of the others."""
    filled = _filled(sight.coarse)
    seen_from = transformed(sight.cam_from_world, filled[:, None].expand(-1, sight.observed.shape[1], -1, -1))
    return RefinerInput(seen_from, seen_from, inverted(sight.cam_from_world))


def pair_input(sight: Sight) -> RefinerInput:
    """The paper's, with the pose split into place and shape: its mean, and the joints about it.

    Across a room a joint's place varies by a metre; what is to be found in it are some 30 mm.
    """
    given = paper_input(sight)
    middle = given.coarse.mean(dim=2, keepdim=True)
    return given._replace(features=torch.cat((given.coarse - middle, middle.expand_as(given.coarse)), dim=-1))


def rig_input(sight: Sight) -> RefinerInput:
    """The rig-conditioned form."""
    batch, views, joints = sight.observed.shape[:3]
    frame_from_world = rig_frame(sight)
    pose = transformed(frame_from_world, _filled(sight.coarse))  # (B, J, 3)
    present = torch.isfinite(sight.coarse).all(dim=-1)
    centres = transformed(frame_from_world[:, None], inverted(sight.cam_from_world)[..., None, :3, 3])  # (B, V, 1, 3)
    reach = pose[:, None] - centres  # (B, V, J, 3)
    distance = reach.norm(dim=-1, keepdim=True).clamp(min=0.1)
    ray = reach / distance
    pixel = distance[..., 0] / sight.focal_px[..., None]  # (B, V, J) m
    seen = torch.isfinite(sight.observed).all(dim=-1) & present[:, None]
    spread = _log_std(ray, pixel, seen)  # (B, J, 3)
    channels = (
        pose[:, None].expand(batch, views, joints, 3),
        present[:, None, :, None].expand(batch, views, joints, 1).to(pose.dtype),
        ray,
        spread[:, None].expand(batch, views, joints, 3),
        _residual(sight, frame_from_world, seen),
        torch.where(seen, sight.score, 0.0)[..., None],
        pixel.log10()[..., None],
    )
    world_from_frame = inverted(frame_from_world)[:, None].expand(batch, views, 4, 4)
    return RefinerInput(torch.cat(channels, dim=-1), channels[0], world_from_frame)


def rig_frame(sight: Sight) -> Tensor:
    """frame_from_world (B, 4, 4) m."""
    middle = _filled(sight.coarse).mean(dim=1)  # (B, 3)
    forward = torch.nn.functional.normalize(middle - inverted(sight.cam_from_world)[..., :3, 3].mean(dim=1), dim=-1)
    down = sight.cam_from_world[:, :, 1, :3].mean(dim=1)  # the cameras' y axes in the world
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    rotation = torch.stack((right, torch.linalg.cross(forward, right), forward), dim=1)
    frame = torch.zeros(len(middle), 4, 4, dtype=middle.dtype, device=middle.device)
    frame[:, :3, :3] = rotation
    frame[:, :3, 3] = -(rotation @ middle[..., None])[..., 0]
    frame[:, 3, 3] = 1.0
    return frame


def _filled(coarse: Tensor) -> Tensor:
    present = torch.isfinite(coarse).all(dim=-1, keepdim=True)
    solid = torch.where(present, coarse, torch.zeros_like(coarse))
    mean = solid.sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(present, coarse, mean)


def _log_std(ray: Tensor, pixel: Tensor, seen: Tensor) -> Tensor:
    """log10 of the Cramer-Rao standard deviation along the frame's axes, (B, J, 3), keypoints off by KEYPOINT_PX."""
    across = torch.eye(3, dtype=ray.dtype, device=ray.device) - ray[..., :, None] * ray[..., None, :]
    strength = torch.where(seen, (KEYPOINT_PX * pixel).square().reciprocal(), 0.0)[..., None, None]
    information = (strength * across).sum(dim=1) + WEAKEST * torch.eye(3, dtype=ray.dtype, device=ray.device)
    # In float64: a 12 cm stereo head's information has a condition of 1e4 and more.
    variance = torch.linalg.inv(information.double()).diagonal(dim1=-2, dim2=-1)
    log_std: Tensor = 0.5 * variance.clamp(min=1e-12).log10()
    return log_std.to(ray.dtype)


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
