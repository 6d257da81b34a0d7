"""A residual multi-layer perceptron from joints in the image to the pose in 3D (torch, float32).

Martinez, Hossain, Romero and Little, "A simple yet effective baseline for 3D human pose estimation" (ICCV 2017).

| paper, Sec. 3 | here |
|---|---|
| twice linear, batch norm, ReLU, dropout, with a residual; two blocks of 1024 | ResidualMlp, bias=True |
| standard normalisation of inputs and outputs | Statistics of the training data, kept in buffers |
| zero-centred outputs round the hip joint | the pelvis is no output: it is 0 |
| max-norm: every layer's weights have a norm of at most 1 | max_norm, AtMost |
| Adam, 0.001 | lift_training.LEARNING_RATE |

Inputs are the rays K^-1 [x y 1] of all joints, not centred on the root (the paper's pixels are not either).
As in the authors' code, the Frobenius norm of a layer's weights is clipped in each forward pass: clipped after a step
of Adam, which alone has a norm of about 1, the weights would be lost at each step.
Deviations: rays instead of pixels, so that crops and cameras are alike. Biases begin at 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from pose3d_ros.networks.canonical import with_root
from pose3d_ros.networks.residual_mlp import BLOCKS, DROPOUT, WIDTH, ResidualMlp
from pose3d_ros.research.networks.lifting import mean_or_zero
from pose3d_ros.research.samples import Crops, camera_points
from pose3d_ros.skeletons import H36M_17

MAX_NORM = 1.0  # their Sec. 3 and code
SMALLEST_STD = 1e-6  # a coordinate that never changes stays at its mean


class Statistics(NamedTuple):
    """Means and standard deviations of the training data."""

    ray: Tensor  # (2, J, 2): mean, standard deviation of x / z and y / z
    pose: Tensor  # (2, J - 1, 3) m, without the pelvis


class AtMost(nn.Module):
    """Weights, scaled to a Frobenius norm of `most` where theirs is larger."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, weight: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        scaled: Tensor = weight * (self.most / weight.norm()).clamp(max=1.0)
        return scaled


class SimpleBaseline(nn.Module):
    """Joints (B, J, 2) px and K (B, 3, 3) px -> the pose (B, J, 3) m from the pelvis; a NaN joint counts as its mean.

    statistics: of the training data; None where weights are loaded, which hold them.
    """

    ray: Tensor
    pose: Tensor

    def __init__(
        self, statistics: Statistics | None = None, width: int = WIDTH, blocks: int = BLOCKS, dropout: float = DROPOUT,
        joints: int = H36M_17.size, max_norm: float | None = MAX_NORM,
    ) -> None:  # fmt: skip
        super().__init__()
        if statistics is None:
            unit = torch.tensor([0.0, 1.0])[:, None, None]
            statistics = Statistics(unit.repeat(1, joints, 2), unit.repeat(1, joints - 1, 3))
        self.register_buffer("ray", statistics.ray)
        self.register_buffer("pose", statistics.pose)
        self.mlp = ResidualMlp(2 * joints, 3 * (joints - 1), width, blocks, dropout, bias=True)
        for module in list(self.mlp.modules()):
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
                if max_norm is not None:
                    register_parametrization(module, "weight", AtMost(max_norm))

    def forward(self, xy_px: Tensor, K: Tensor) -> Tensor:
        """As the class says."""
        inputs = ((rays(xy_px, K) - self.ray[0]) / self.ray[1]).nan_to_num(nan=0.0)
        outputs: Tensor = self.mlp(inputs.flatten(1))
        return with_root(outputs.reshape(-1, *self.pose.shape[1:]) * self.pose[1] + self.pose[0])

    def loss(self, found: Tensor, true: Crops) -> Tensor:
        """The mean squared difference of standardised coordinates, of found (B, J, 3) m, where images have depth."""
        return mean_or_zero(((found - true.relative)[:, 1:] / self.pose[1])[true.has_depth].square())


def rays(xy_px: Tensor, K: Tensor) -> Tensor:
    """x / z and y / z (B, J, 2) of pixels (B, J, 2) in cameras K (B, 3, 3)."""
    return camera_points(xy_px, torch.ones_like(xy_px[..., 0]), K)[..., :2]


def statistics_of(xy_px: Tensor, K: Tensor, relative: Tensor) -> Statistics:
    """Of N samples of training data: xy_px (N, J, 2), K (N, 3, 3) px, relative (N, J, 3) m from the pelvis."""
    return Statistics(*(_mean_and_std(values) for values in (rays(xy_px, K), relative[:, 1:])))


def _mean_and_std(values: Tensor) -> Tensor:
    return torch.stack([values.mean(dim=0), values.std(dim=0).clamp(min=SMALLEST_STD)])
