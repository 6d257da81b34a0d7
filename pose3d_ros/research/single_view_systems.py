"""The networks for one image, as `pose3d compare` builds, trains and reads them."""

from __future__ import annotations

from torch import Tensor, nn

from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.crops import Augmentation
from pose3d_ros.research.image_training import ALL, ImageSystem
from pose3d_ros.research.networks import heads
from pose3d_ros.research.networks.direct_regression import DirectRegression
from pose3d_ros.research.networks.hourglass import StackedHourglass, hourglass_loss
from pose3d_ros.research.networks.integral import IntegralPose, integral_loss
from pose3d_ros.research.networks.li_chan import LiChanNet, li_chan_loss
from pose3d_ros.research.networks.lifting import pose_loss
from pose3d_ros.research.networks.zhou import ZhouNet, zhou_loss
from pose3d_ros.research.samples import ROOT, Crops, Views

# Newell et al. take batches of 6. After 3200 images a quarter of the small budget's batch leaves 11 px of 96, the whole
# batch 22 px.
HOURGLASS_BATCH = 0.25
# Weight of the mean squared heatmaps against coordinates in shares of the crop: the same order at the beginning.
HEATMAPS = 20.0


def root_depth(views: Views) -> Tensor:
    """(B * V,) m: where the papers take the true distance of the pelvis."""
    return views.xyz[:, :, ROOT, 2].flatten()


def hourglass_points(net: nn.Module, views: Views) -> Tensor:
    """(B * V, J, 2) px."""
    heatmaps = net(views.crops().image)[:, -1]
    return heads.to_pixels(heads.argmax(heatmaps)[0], heatmaps.shape[-1], views.image.shape[-1])


def half_labelled(crops: Crops) -> Crops:
    """Every second crop without its depths, as if it were of a data set with 2D labels."""
    has = crops.has_depth.clone()
    has[::2] = False
    return crops._replace(has_depth=has)


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

    return ImageSystem("integral-3d" if bins else "integral", build, loss, decode, unit="mm" if bins else "px")


def regression(name: str, augmentation: Augmentation, moments: float = 1.0, share: float = 1.0) -> ImageSystem:
    return ImageSystem(
        name,
        lambda budget, views: DirectRegression(budget.layers, budget.width),
        lambda net, views: pose_loss(net((crops := views.crops()).image), crops),
        lambda net, views: net(views.crops().image),
        augmentation=augmentation,
        share=share,
        moments=moments,
    )


def _zhou_loss(net: nn.Module, views: Views) -> Tensor:
    crops = half_labelled(views.crops())
    return zhou_loss(net(crops.image), crops)


def _zhou_pose(net: nn.Module, views: Views) -> Tensor:
    crops = views.crops()
    pose: Tensor = net(crops.image).relative(root_depth(views), crops.K)
    return pose


HOURGLASS = ImageSystem(
    "hourglass",
    lambda budget, views: StackedHourglass(budget.stacks, budget.hourglass_width),
    lambda net, views: hourglass_loss(net((crops := views.crops()).image), crops),
    hourglass_points,
    batch=HOURGLASS_BATCH,
    unit="px",
)
INTEGRAL = _integral(bins=False)
INTEGRAL_3D = _integral(bins=True)
REGRESSION = regression("regression", Augmentation())
REGRESSION_AUGMENTED = regression("regression-augmented", ALL)
LI_CHAN = ImageSystem(
    "li-chan",
    lambda budget, views: LiChanNet(budget.side, hidden=budget.fully_connected),
    lambda net, views: li_chan_loss(net((crops := views.crops()).image), crops),
    lambda net, views: net(views.crops().image).relative,
)
ZHOU = ImageSystem(
    "zhou",
    lambda budget, views: ZhouNet(budget.side, 2, budget.zhou_width, budget.zhou_modules),
    _zhou_loss,
    _zhou_pose,
    batch=HOURGLASS_BATCH,
)
