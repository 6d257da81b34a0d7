"""Triangulation that is learned with its 2D network: algebraic, and in a volume (torch, float32).

Iskakov et al., "Learnable triangulation of human pose" (ICCV 2019).

| symbol | name |
|---|---|
| x_(c,j), soft-argmax of the heatmaps | Algebraic.xy_px |
| w_(c,j) | Algebraic.confidence |
| (w_j o A_j) y~_j = 0 | multiview.triangulate |
| MSE^epsilon, epsilon = (20 cm)^2 | algebraic_loss |
| o^gamma, L = 2.5 m, 64 voxels, K = 32 channels | VolumetricTriangulation: side_m, voxels, channels |
| V^output | Volume.logits, before its softmax |
| L^vol, beta = 0.01 | volumetric_loss |

With ResNet-152, 17 joints: 79,521,890 parameters (algebraic) and 80,588,050 (volumetric, softmax), as the public code.

Deviations: the logits go into soft-argmax as they are; the public code multiplies them by 100. The algebraic loss
switches at the squared distance of a joint, as the paper words it; the public code does so coordinate by coordinate.
Both losses are in cm and means over coordinates, as in the public code; the paper prints sums. Map bins have the crop's
pixel centres (heads.to_bins); there they are half a bin off. The SVD is solved in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.integral import IntegralPose
from pose3d_ros.research.networks.multiview import sample, triangulate
from pose3d_ros.research.networks.v2v import V2V, WIDTH

THRESHOLD_CM = 20.0  # Sec. 3.1
POWER = 0.1
BETA = 0.01  # Sec. 3.2
CM = 100.0  # a metre
AGGREGATIONS = ("softmax", "sum", "confidence")


class Algebraic(NamedTuple):
    """B moments before V cameras."""

    xyz: Tensor  # (B, J, 3) m of the world
    xy_px: Tensor  # (B, V, J, 2) of each crop
    confidence: Tensor  # (B, V, J), 1 in sum over the views
    logits: Tensor  # (B, V, J, H, W)


class Volume(NamedTuple):
    """B moments."""

    xyz: Tensor  # (B, J, 3) m of the world
    logits: Tensor  # (B, J, D, D, D)
    points: Tensor  # (B, D, D, D, 3) m of the world: the voxels


class AlgebraicTriangulation(nn.Module):
    """Soft-argmax in each view, triangulated with confidences that are learned."""

    def __init__(self, pose: IntegralPose) -> None:
        super().__init__()
        self.pose = pose
        self.confidence = ConfidenceHead(pose.backbone.channels, pose.joints)

    def forward(self, image: Tensor, projection: Tensor) -> Algebraic:
        """(B, V, 3, S, S) and (B, V, 3, 4), as in Views."""
        views = image.shape[:2]
        deep = self.pose.backbone(image.flatten(0, 1))
        logits = self.pose.final(self.pose.deconvolutions(deep))
        xy_px = heads.to_pixels(heads.soft_argmax(logits), logits.shape[-1], image.shape[-1]).reshape(*views, -1, 2)
        confidence = _shares(self.confidence(deep).unflatten(0, views))
        return Algebraic(triangulate(projection, xy_px, confidence), xy_px, confidence, logits.unflatten(0, views))


class VolumetricTriangulation(nn.Module):
    """Features of all views in a cube round the pelvis, and a 3D network to find the joints there.

    aggregation of views: "softmax" (published as best), "sum" or "confidence" (learned, of each view and channel).
    The pelvis is the caller's, as published: that of an algebraic network trained before. The last layer of pose, which
    makes 2D heatmaps, is not used and not trained, as in the public code.
    """

    def __init__(
        self, pose: IntegralPose, voxels: int = 64, side_m: float = 2.5, channels: int = 32, width: int = WIDTH,
        aggregation: str = "softmax",
    ) -> None:  # fmt: skip
        super().__init__()
        if aggregation not in AGGREGATIONS:
            raise InputError(f"aggregation {aggregation!r}: use one of {', '.join(AGGREGATIONS)}")
        self.pose, self.voxels, self.side_m, self.aggregation = pose, voxels, side_m, aggregation
        self.pose.final.requires_grad_(False)
        self.reduce = nn.Conv2d(pose.final.in_channels, channels, 1)
        self.confidence = ConfidenceHead(pose.backbone.channels, channels) if aggregation == "confidence" else None
        self.volume = V2V(channels, pose.joints, voxels, width)

    def forward(self, image: Tensor, projection: Tensor, root_m: Tensor) -> Volume:
        """(B, V, 3, S, S) and (B, V, 3, 4), as in Views; pelvises (B, 3) m of the world.

        In training the cube has a random angle about the vertical, the world's z.
        """
        views = image.shape[:2]
        deep = self.pose.backbone(image.flatten(0, 1))
        features = self.reduce(self.pose.deconvolutions(deep)).unflatten(0, views)
        confidence = None if self.confidence is None else _shares(self.confidence(deep).unflatten(0, views))
        angle = 2 * torch.pi * torch.rand(len(root_m), device=root_m.device) * self.training
        points = cube(root_m, self.side_m, self.voxels, angle)
        unprojected = sample(features, projection, points.flatten(1, 3), image.shape[-1])  # (B, V, K, D^3)
        volume = aggregate(unprojected, self.aggregation, confidence)
        logits = self.volume(volume.reshape(*volume.shape[:2], *points.shape[1:4]))
        xyz = logits.flatten(2).softmax(dim=-1) @ points.flatten(1, 3)
        return Volume(xyz, logits, points)


class ConfidenceHead(nn.Module):
    """Features of the ResNet (B, inputs, h, w) -> confidences (B, outputs) in (0, 1).

    Published for 2048 inputs: 512 and 256 channels. Deviation: they scale with the inputs, and pooling rounds up, so
    that 2 x 2 features will do.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = inputs // 4, inputs // 8
        self.features = nn.Sequential(
            nn.Conv2d(inputs, first, 3, padding=1), nn.BatchNorm2d(first), nn.MaxPool2d(2, ceil_mode=True), nn.ReLU(),
            nn.Conv2d(first, second, 3, padding=1), nn.BatchNorm2d(second), nn.MaxPool2d(2, ceil_mode=True), nn.ReLU(),
        )  # fmt: skip
        self.layers = nn.Sequential(
            nn.Linear(second, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, outputs),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """As the class says."""
        confidence: Tensor = self.layers(self.features(features).mean(dim=(2, 3)))
        return confidence


def cube(centre_m: Tensor, side_m: float, voxels: int, angle_rad: Tensor) -> Tensor:
    """Voxels (B, D, D, D, 3) m from side to side of cubes round centres (B, 3), turned about z by angles (B,)."""
    axis = torch.linspace(-side_m / 2, side_m / 2, voxels, device=centre_m.device)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    cos, sin = (value[:, None, None, None] for value in (angle_rad.cos(), angle_rad.sin()))
    turned = torch.stack([cos * x - sin * y, sin * x + cos * y, z.expand(len(cos), -1, -1, -1)], dim=-1)
    return turned + centre_m[:, None, None, None]


def aggregate(values: Tensor, aggregation: str, confidence: Tensor | None = None) -> Tensor:
    """(B, V, K, N) of V views -> (B, K, N); confidence (B, V, K) for "confidence"."""
    if aggregation == "softmax":
        return (values * values.softmax(dim=1)).sum(dim=1)
    return (values if confidence is None else values * confidence[..., None]).sum(dim=1)


def algebraic_loss(found: Tensor, true: Tensor) -> Tensor:
    """The soft MSE^epsilon, in cm^2 a coordinate, of joints (B, J, 3) m of the world.

    A joint's squared distance d counts as it is up to epsilon, and as d^0.1 epsilon^0.9 above: outliers pull little.
    """
    square = (CM * (found - true)).square().sum(dim=-1)
    epsilon = THRESHOLD_CM**2
    # Of clamped values: the gradient of d^0.1 at 0 is infinite, and where() would let it through as NaN.
    soft = square.clamp(min=epsilon) ** POWER * epsilon ** (1 - POWER)
    return torch.where(square < epsilon, square, soft).mean() / 3


def volumetric_loss(found: Volume, true: Tensor) -> Tensor:
    """Mean absolute coordinates in cm, plus BETA times -log of the volume at the voxels next to `true` (B, J, 3) m."""
    distance = torch.cdist(true, found.points.flatten(1, 3))
    voxel = distance.argmin(dim=-1, keepdim=True)
    entropy = -found.logits.flatten(2).log_softmax(dim=-1).gather(-1, voxel).mean()
    return CM * (found.xyz - true).abs().mean() + BETA * entropy


def _shares(confidence: Tensor) -> Tensor:
    """(B, V, n) over their sum over the views; 1e-5 keeps a view from vanishing, as in the public code."""
    return confidence / confidence.sum(dim=1, keepdim=True) + 1e-5
