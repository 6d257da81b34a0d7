"""The networks for one image, as `pose3d compare` builds, trains and reads them."""

from __future__ import annotations

from torch import Tensor, nn

from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.image_training import ImageSystem
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.hourglass import StackedHourglass, hourglass_loss
from pose3d_ros.research.networks.integral import IntegralPose, integral_loss
from pose3d_ros.research.samples import ROOT, Views

# Weight of the mean squared heatmaps against coordinates in shares of the crop: the same order at the beginning.
HEATMAPS = 20.0


def root_depth(views: Views) -> Tensor:
    """(B * V,) m: where the papers take the true distance of the pelvis."""
    return views.xyz[:, :, ROOT, 2].flatten()


def hourglass_points(net: nn.Module, views: Views) -> Tensor:
    """(B * V, J, 2) px."""
    heatmaps = net(views.crops().image)[:, -1]
    return heads.to_pixels(heads.argmax(heatmaps)[0], heatmaps.shape[-1], views.image.shape[-1])


def _integral(bins: bool) -> ImageSystem:
    def build(budget: Budget, views: int) -> nn.Module:
        return IntegralPose(budget.layers, budget.bins if bins else 0, budget.width, budget.deconvolution)

    def loss(net: nn.Module, views: Views) -> Tensor:
        crops = views.crops()
        return integral_loss(net(crops.image), crops, 0.0 if bins else HEATMAPS)

    def decode(net: nn.Module, views: Views) -> Tensor:
        crops = views.crops()
        joints = net(crops.image)
        pose: Tensor = joints.relative(root_depth(views), crops.K) if bins else joints.xy_px
        return pose

    return ImageSystem("integral-3d" if bins else "integral", build, loss, decode)


HOURGLASS = ImageSystem(
    "hourglass",
    lambda budget, views: StackedHourglass(budget.stacks, budget.hourglass_width),
    lambda net, views: hourglass_loss(net((crops := views.crops()).image), crops),
    hourglass_points,
)
INTEGRAL = _integral(bins=False)
INTEGRAL_3D = _integral(bins=True)
