"""From volumes of features to a volume per joint: an encoder and decoder of 3D residual blocks (torch, float32).

Moon, Chang and Lee, "V2V-PoseNet: voxel-to-voxel prediction network for accurate 3D hand and human pose estimation from
a single depth map" (CVPR 2018), as Iskakov et al., "Learnable triangulation of human pose" (ICCV 2019), Sec. 3.2, use
it: five halvings of 64 voxels, 11,944,353 parameters from 32 channels to 17 joints.

width, 32 as published there, is the number of channels at full resolution: everything else scales with it.

Deviation: as many halvings as leave 2 voxels a side, so that smaller volumes need no other network.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import max_pool3d, relu

from pose3d_ros.errors import InputError

WIDTH = 32


class V2V(nn.Module):
    """Volumes (B, inputs, D, D, D) -> (B, joints, D, D, D); D, a power of two from 4 on, is `voxels`."""

    def __init__(self, inputs: int, joints: int, voxels: int, width: int = WIDTH) -> None:
        super().__init__()
        if voxels < 4 or voxels & (voxels - 1):
            raise InputError(f"{voxels} voxels a side can't be halved down to 2: use 64 as published, 32 or 16")
        halvings = voxels.bit_length() - 2
        # The widths of the levels: 1, 2, 4, 4, 4, 4 times the first.
        widths = [width << min(level, 2) for level in range(halvings + 1)]
        self.layers = nn.Sequential(
            *_convolution(inputs, width // 2, 7), Residual(width // 2, width), Residual(width, width),
            Residual(width, width), Level(widths), Residual(width, width),
            *_convolution(width, width, 1), *_convolution(width, width, 1), nn.Conv3d(width, joints, 1),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):  # Iskakov et al.'s code
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, volume: Tensor) -> Tensor:
        """As the class says."""
        y: Tensor = self.layers(volume)
        return y


class Level(nn.Module):
    """(B, widths[0], D, D, D) -> the same shape: half the resolution and the levels below, added to what was left."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        width, inner = widths[:2]
        self.across = Residual(width, width)
        self.down = Residual(width, inner)
        self.inner = Level(widths[1:]) if len(widths) > 2 else Residual(inner, inner)
        self.up = nn.Sequential(
            Residual(inner, inner), nn.ConvTranspose3d(inner, width, 2, 2), nn.BatchNorm3d(width), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        y: Tensor = self.across(x) + self.up(self.inner(self.down(max_pool3d(x, 2))))
        return y


class Residual(nn.Module):
    """Two 3 x 3 x 3 convolutions; a 1 x 1 x 1 one past them where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(inputs, outputs, 3), nn.Conv3d(outputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs)
        )
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(nn.Conv3d(inputs, outputs, 1), nn.BatchNorm3d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, D, D) -> (B, outputs, D, D, D)."""
        return relu(self.body(x) + self.shortcut(x))


def _convolution(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True),
    ]  # fmt: skip
