"""A representation of a person that turns with the camera, learnt from images of many cameras without labels (torch).

Rhodin, Salzmann and Fua, "Unsupervised geometry-aware representation for 3D human pose estimation" (ECCV 2018).

| symbol | name |
|---|---|
| L^3D, 3 x 200 | Latent.geometry, points that turn by the relative rotation of two cameras |
| L^app, 128 | Latent.appearance, taken from another moment |
| B, the background of the camera that is synthesised | background: by the caller, an image without the person |
| E, D | GeometryNet.encode, GeometryNet.decode |
| L of the network for view synthesis | view_synthesis_loss |
| F, two hidden layers of 2048 | PoseHead |

The layers are those of the authors' code with its U-Net encoder (four resolutions, nothing carried across but the
background's first layers). Deviations: features of a network trained on ImageNet take part in the loss only where the
caller has such a network; else differences of neighbouring pixels do. A crop's camera is not turned towards the person,
so rotations are the cameras'. Without a background image its features are 0, and the decoder has to learn the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from pose3d_ros.errors import InputError
from pose3d_ros.networks.canonical import with_root
from pose3d_ros.research.samples import Views
from pose3d_ros.skeletons import H36M_17

SIDE_PX = 128
WIDTH = 32  # channels at the first resolution; doubled at each of the others
POINTS = 200
APPEARANCE = 128
LEVELS = 4
LATENT_DROPOUT = 0.3
HIDDEN, HEAD_DROPOUT = 2048, 0.5
FEATURES_WEIGHT = 2.0  # of pixels' 1; Sec. 3.1 and the authors' code
GRADIENT_WEIGHT = 1.0


class Latent(NamedTuple):
    """B images."""

    geometry: Tensor  # (B, N, 3) in the axes of the image's camera
    appearance: Tensor  # (B, A)


class GeometryNet(nn.Module):
    """For crops of `side` px, a multiple of 8."""

    def __init__(
        self, side: int = SIDE_PX, width: int = WIDTH, points: int = POINTS, appearance: int = APPEARANCE
    ) -> None:
        super().__init__()
        channels = [width << level for level in range(LEVELS)]
        self.size = side >> (LEVELS - 1)
        if side % 2 ** (LEVELS - 1) or appearance >= channels[-1]:
            raise InputError(
                f"side {side} must be a multiple of {2 ** (LEVELS - 1)}, and appearance {appearance} smaller than "
                f"{2 ** (LEVELS - 1)} x width = {channels[-1]}: choose others"
            )
        layers: list[nn.Module] = [*_twice(3, width)]
        for below, above in pairwise(channels):
            layers += [nn.MaxPool2d(2), *_twice(below, above)]
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        features = channels[-1] * self.size**2
        self.to_geometry = nn.Sequential(nn.Linear(features, 3 * points), nn.Dropout(LATENT_DROPOUT))
        self.to_appearance = nn.Sequential(nn.Linear(features, appearance), nn.Dropout(LATENT_DROPOUT), nn.ReLU())
        self.from_geometry = nn.Sequential(
            nn.Linear(3 * points, (channels[-1] - appearance) * self.size**2), nn.Dropout(LATENT_DROPOUT), nn.ReLU()
        )
        self.background = nn.Sequential(*_twice(3, width))
        up: list[nn.Module] = []
        for below, above in reversed([*pairwise(channels[1:])]):
            up += [*_doubled(above, below), *_twice(below, below, norm=False)]
        self.up = nn.Sequential(*up, *_doubled(2 * width, width))
        self.last = nn.Sequential(*_twice(2 * width, width, norm=False), nn.Conv2d(width, 3, 1))

    def encode(self, image: Tensor) -> Latent:
        """(B, 3, S, S) as in Crops."""
        features = self.encoder(image)
        return Latent(self.to_geometry(features).reshape(len(image), -1, 3), self.to_appearance(features))

    def decode(self, geometry: Tensor, appearance: Tensor, background: Tensor | None = None) -> Tensor:
        """The image (B, 3, S, S) of points (B, N, 3) in the axes of its camera; background: (B, 3, S, S) or none."""
        shape = self.from_geometry(geometry.flatten(1)).reshape(len(geometry), -1, self.size, self.size)
        x = self.up(torch.cat([appearance[..., None, None].expand(-1, -1, self.size, self.size), shape], dim=1))
        behind = torch.zeros_like(x) if background is None else self.background(background)
        image: Tensor = self.last(torch.cat([behind, x], dim=1))
        return image


class PoseHead(nn.Module):
    """Points (B, N, 3) -> the pose (B, J, 3) m from the pelvis, in the same axes; lifting.pose_loss is its loss."""

    def __init__(self, points: int = POINTS, hidden: int = HIDDEN, joints: int = H36M_17.size) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * points, hidden), nn.ReLU(), nn.BatchNorm1d(hidden), nn.Dropout(HEAD_DROPOUT),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.BatchNorm1d(hidden), nn.Dropout(HEAD_DROPOUT),
            nn.Linear(hidden, 3 * (joints - 1)),
        )  # fmt: skip

    def forward(self, geometry: Tensor) -> Tensor:
        """As the class says."""
        pose: Tensor = self.layers(geometry.flatten(1))
        return with_root(pose.reshape(len(pose), -1, 3))


def view_synthesis_loss(
    net: GeometryNet, views: Views, background: Tensor | None = None, step: int = 1,
    appearance_of: Tensor | None = None, features: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """How far images differ from those that are synthesised from the camera `step` further on.

    background: (V, 3, S, S) as in Crops. appearance_of: (B,) for each moment another of the same person; None: the
    moment before it in the batch, which then must be of the same person. features: of a network that others trained.
    """
    moments, cameras = views.image.shape[:2]
    latent = net.encode(views.image.flatten(0, 1))
    geometry, appearance = (part.reshape(moments, cameras, *part.shape[1:]) for part in latent)
    turned = turn(geometry.roll(-step, dims=1), rotations(views, step))
    other = appearance.roll(1, dims=0) if appearance_of is None else appearance[appearance_of]
    behind = None if background is None else background.expand(moments, -1, -1, -1, -1).flatten(0, 1)
    found = net.decode(turned.flatten(0, 1), other.flatten(0, 1), behind)
    return image_loss(found, views.image.flatten(0, 1), features)


def rotations(views: Views, step: int) -> Tensor:
    """(B, V, 3, 3): to each camera's axes from those of the camera `step` further on."""
    R = views.cam_from_world[..., :3, :3]
    return R @ R.roll(-step, dims=1).transpose(-1, -2)


def turn(geometry: Tensor, R: Tensor) -> Tensor:
    """Points (..., N, 3) in other axes, by rotations R (..., 3, 3)."""
    return geometry @ R.transpose(-1, -2)


def image_loss(found: Tensor, true: Tensor, features: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Mean squared differences of pixels (B, 3, S, S), plus those of features or else of neighbours' differences."""
    loss = mse_loss(found, true)
    if features is not None:
        return loss + FEATURES_WEIGHT * mse_loss(features(found), features(true))
    return loss + GRADIENT_WEIGHT * sum(mse_loss(found.diff(dim=axis), true.diff(dim=axis)) for axis in (-1, -2))


def _twice(inputs: int, outputs: int, norm: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]
    return layers


def _doubled(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs), nn.ReLU(),
    ]  # fmt: skip
