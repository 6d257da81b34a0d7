"""Residual networks without their classifier (torch, float32).

He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (CVPR 2016). Parameters have torchvision's names,
so its ImageNet weights fit; as there, a bottleneck's stride is in its 3 x 3 convolution. width, 64 as published, is the
number of channels after the first convolution: everything else scales with it.
"""

from __future__ import annotations

from torch import Tensor, nn

from pose3d_ros.errors import InputError

WIDTH = 64
LAYERS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, of ResNet-18."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, width, H / stride, W / stride)."""
        z = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y: Tensor = self.relu(z + (x if self.downsample is None else self.downsample(x)))
        return y


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, of ResNet-50 and -152."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        z = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        y: Tensor = self.relu(self.bn3(self.conv3(z)) + (x if self.downsample is None else self.downsample(x)))
        return y


class ResNet(nn.Module):
    """(B, 3, S, S) -> features (B, channels, S / 32, S / 32)."""

    def __init__(self, layers: int = 50, width: int = WIDTH) -> None:
        super().__init__()
        if layers not in LAYERS:
            raise InputError(f"there is no ResNet-{layers} here: use {', '.join(map(str, LAYERS))} layers")
        block = BasicBlock if layers == 18 else Bottleneck
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.channels = width
        for number, count in enumerate(LAYERS[layers]):
            self.add_module(f"layer{number + 1}", self._stage(block, width << number, count, 1 if number == 0 else 2))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """As the class says."""
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return x

    def _stage(self, block: type[BasicBlock | Bottleneck], width: int, count: int, stride: int) -> nn.Sequential:
        blocks = []
        for number in range(count):
            blocks.append(block(self.channels, width, stride if number == 0 else 1))
            self.channels = width * block.expansion
        return nn.Sequential(*blocks)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
