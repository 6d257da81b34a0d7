"""People made of random joints, in crops of noise, for tests of networks for images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pose3d_ros.research.samples import Crops, Views

JOINTS = 17


def people(count: int, generator: torch.Generator) -> Tensor:
    """(count, 17, 3) m in a camera's frame, 4 to 6 m away."""
    xyz = 0.3 * torch.randn(count, JOINTS, 3, generator=generator)
    xyz[..., 2] += 4.0 + 2.0 * torch.rand(count, 1, generator=generator)
    return xyz


def camera(side: int) -> Tensor:
    """K (3, 3): 1 m at 5 m is a third of the crop."""
    focal, centre = 5 / 3 * side, (side - 1) / 2
    return torch.tensor([[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]])


def project(xyz: Tensor, K: Tensor) -> Tensor:
    """(..., 17, 2) px."""
    image = xyz @ K.transpose(-1, -2)
    return image[..., :2] / image[..., 2:]


def crops(count: int, side: int = 64, seed: int = 0) -> Crops:
    """All joints visible, all images with depth."""
    generator = torch.Generator().manual_seed(seed)
    xyz, K = people(count, generator), camera(side).repeat(count, 1, 1)
    image = torch.randn(count, 3, side, side, generator=generator)
    visible = torch.ones(count, JOINTS, dtype=torch.bool)
    return Crops(image, project(xyz, K), xyz, visible, K, torch.ones(count, dtype=torch.bool))


def rotation(degrees: Tensor) -> Tensor:
    """(N, 3, 3) about y, from angles (N,)."""
    c, s, zero, one = degrees.deg2rad().cos(), degrees.deg2rad().sin(), 0 * degrees, 0 * degrees + 1
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], dim=-1).reshape(-1, 3, 3)


def views(count: int, cameras: int = 3, side: int = 32, seed: int = 0) -> Views:
    """Cameras in a ring of 5 m round the pelvises."""
    generator = torch.Generator().manual_seed(seed)
    cam_from_world = torch.eye(4).repeat(cameras, 1, 1)
    cam_from_world[:, :3, :3] = rotation(360 / cameras * torch.arange(cameras))
    cam_from_world[:, 2, 3] = 5.0
    world = 0.3 * torch.randn(count, 1, JOINTS, 3, generator=generator)
    xyz = world @ cam_from_world[:, :3, :3].transpose(1, 2) + cam_from_world[:, None, :3, 3]
    K = camera(side).repeat(count, cameras, 1, 1)
    image = torch.randn(count, cameras, 3, side, side, generator=generator)
    visible = torch.ones(xyz.shape[:3], dtype=torch.bool)
    return Views(image, project(xyz, K), xyz, visible, K, cam_from_world.repeat(count, 1, 1, 1))


def without_gradient(net: nn.Module, loss: Tensor) -> list[str]:
    """Parameters that the gradient of the loss does not reach; that of a bias before a batch norm may be 0."""
    loss.backward()
    return [name for name, p in net.named_parameters() if p.grad is None or (p.ndim > 1 and not p.grad.any())]


def fall(net: nn.Module, loss: Callable[[], Tensor], steps: int, rate: float = 2e-3) -> float:
    """The loss after so many steps of Adam on the same batch, over that of the first."""
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    values = []
    for _ in range(steps):
        adam.zero_grad()
        value = loss()
        value.backward()
        adam.step()
        values.append(value.item())
    return values[-1] / values[0]


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
