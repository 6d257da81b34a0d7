"""People in the middle of a ring of cameras, with exact truth, for the tests of the multi-view networks."""

import torch

from pose3d_ros.research.networks import heads
from pose3d_ros.research.samples import Views

RADIUS_M = 4.0
# A standing person, h36m_17: x to its left, z up, m.
STANDING = torch.tensor([
    [0, 0, 0.95], [-0.13, 0, 0.93], [-0.14, 0.02, 0.50], [-0.14, 0, 0.07], [0.13, 0, 0.93], [0.14, 0.02, 0.50],
    [0.14, 0, 0.07], [0, 0, 1.19], [0, 0, 1.44], [0, 0.08, 1.56], [0, 0.02, 1.69], [0.17, 0, 1.40],
    [0.36, 0, 1.20], [0.47, 0.10, 0.98], [-0.17, 0, 1.40], [-0.36, 0, 1.20], [-0.47, 0.10, 0.98],
])  # fmt: skip
COLOURS = 2 * torch.randn(17, 3, generator=torch.Generator().manual_seed(0))


def people(count: int, seed: int = 0) -> torch.Tensor:
    """(B, 17, 3) m: turned about the vertical, moved by up to 0.5 m, each joint by some centimetres."""
    generator = torch.Generator().manual_seed(seed)
    angle = 6.3 * torch.rand(count, generator=generator)
    zero, one = torch.zeros(count), torch.ones(count)
    c, s = angle.cos(), angle.sin()
    turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], dim=-1).reshape(count, 3, 3)
    places = torch.rand(count, 1, 3, generator=generator) - 0.5
    places[..., 2] = 0.0
    return STANDING @ turn.mT + places + 0.03 * torch.randn(count, 17, 3, generator=generator)


def views_of(xyz: torch.Tensor, count: int = 4, side: int = 128) -> Views:
    """What `count` cameras round the origin see of people (B, J, 3) m: spots of their own colours."""
    cameras = []
    for number in range(count):
        angle = torch.tensor(2 * torch.pi * number / count + 0.3)
        out = torch.stack([angle.cos(), angle.sin(), torch.tensor(0.0)])  # from the origin to the camera
        forward, down = -out, torch.tensor([0.0, 0.0, -1.0])
        R = torch.stack([torch.linalg.cross(down, forward), down, forward])
        cam_from_world = torch.eye(4)
        cam_from_world[:3, :3] = R
        cam_from_world[:3, 3] = -R @ (RADIUS_M * out + torch.tensor([0.0, 0.0, 1.2]))
        cameras.append(cam_from_world)
    cam_from_world = torch.stack(cameras).expand(len(xyz), count, 4, 4)
    in_cameras = xyz[:, None] @ cam_from_world[..., :3, :3].mT + cam_from_world[..., None, :3, 3]
    focal = 0.45 * side * RADIUS_M / 1.4  # a person and her arms fit
    centre = (side - 1) / 2
    K = torch.tensor([[focal, 0, centre], [0, focal, centre], [0, 0, 1]]).expand(len(xyz), count, 3, 3)
    image_points = in_cameras @ K.mT
    xy = image_points[..., :2] / image_points[..., 2:]
    visible = ((xy > -0.5) & (xy < side - 0.5)).all(dim=-1)
    spots = heads.gaussians(xy, side, side / 40)  # (B, V, J, S, S)
    image = torch.einsum("bvjyx,jc->bvcyx", spots, COLOURS[: xyz.shape[1]])
    return Views(image, xy, in_cameras, visible, K, cam_from_world)


def exact_heatmaps(true: Views, size: int, sigma: float = 1.0) -> torch.Tensor:
    """(B, V, J, size, size): Gaussians at the true places."""
    return heads.gaussians(heads.to_bins(true.xy, size, true.image.shape[-1]), size, sigma)
