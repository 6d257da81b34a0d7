"""A residual multi-layer perceptron: the plain network that every paper's network must beat (torch, float32).

Martinez et al., "A simple yet effective baseline for 3D human pose estimation" (ICCV 2017): linear, then blocks of two
times (linear, batch norm, ReLU, dropout) with a residual, then linear.

Deviations: the last layer starts small where a shift is learnt, as in CvUgcn; no bias in front of a batch norm unless
bias=True, as published; no max-norm constraint.
"""

from __future__ import annotations

from torch import Tensor, nn

from pose3d_ros.networks.cvugcn import DROPOUT as REFINER_DROPOUT
from pose3d_ros.networks.cvugcn import SHIFT_M, InputNorm
from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions

WIDTH = 1024  # Martinez et al.
BLOCKS = 2
DROPOUT = 0.5


class ResidualBlock(nn.Module):
    """Two times linear, batch norm, ReLU, dropout, around which the input is carried."""

    def __init__(self, width: int, dropout: float = DROPOUT, bias: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(*_layers(width, width, dropout, bias), *_layers(width, width, dropout, bias))

    def forward(self, h: Tensor) -> Tensor:
        """(B, width) -> (B, width)."""
        z: Tensor = h + self.body(h)
        return z


class ResidualMlp(nn.Module):
    """(B, inputs) -> (B, outputs)."""

    def __init__(
        self, inputs: int, outputs: int, width: int = WIDTH, blocks: int = BLOCKS, dropout: float = DROPOUT,
        bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.body = nn.Sequential(
            *_layers(inputs, width, dropout, bias),
            *(ResidualBlock(width, dropout, bias) for _ in range(blocks)),
            nn.Linear(width, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        y: Tensor = self.body(x)
        return y


class MlpRefiner(nn.Module):
    """The baseline of CvUgcn: features (B, V, J, C) and coarse (B, V, J, 3) m -> refined (B, V, J, 3) m."""

    def __init__(self, views: int, features: int, joints: int = 17, width: int = WIDTH) -> None:
        super().__init__()
        # Dropout as in CvUgcn: 0.5 suits lifting, where the output is a pose and not a correction of some mm.
        self.norm = InputNorm((views, joints, features))
        self.mlp = ResidualMlp(views * joints * features, views * joints * 3, width, dropout=REFINER_DROPOUT)
        last = self.mlp.body[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=1e-3)
        nn.init.zeros_(last.bias)

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """The refined pose in the frames of `coarse`."""
        shift: Tensor = self.mlp(self.norm(features).flatten(1))
        return coarse + SHIFT_M * shift.reshape(coarse.shape)


class LifterMlp(AbsPoseLifter):
    """The baseline of AbsPoseLifter: the same normalised input, Martinez et al.'s layers (batch norm after linear)."""

    def __init__(self, options: LifterOptions | None = None) -> None:
        super().__init__(options)
        o = self.options
        self.layers = ResidualMlp(o.inputs, 3 * o.joints - 2, o.width, dropout=o.dropout)


def _layers(inputs: int, outputs: int, dropout: float, bias: bool) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=bias), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]
