"""The networks that lift 2D poses, as `pose3d compare` builds, trains and reads them."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from pose3d_ros.networks.canonical import with_root
from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions
from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.lift_training import LiftSystem, as_crops
from pose3d_ros.research.networks.simple_baseline import SimpleBaseline, statistics_of
from pose3d_ros.research.networks.structure_aware import compositional_loss
from pose3d_ros.training import lifting
from pose3d_ros.training.lifting import LiftingData

# The paper's 0.5 is for 300 epochs of width 4096; pose3d train's default.
LIFTER_DROPOUT = 0.1


def _baseline(budget: Budget, data: LiftingData | None) -> nn.Module:
    statistics = statistics_of(data.xy, data.K, data.xyz - data.xyz[:, :1]) if data else None
    return SimpleBaseline(statistics, budget.lifter_width)


def _baseline_loss(net: nn.Module, data: LiftingData) -> Tensor:
    loss: Tensor = net.loss(net(data.xy, data.K), as_crops(data))  # type: ignore[operator]  # SimpleBaseline's
    return loss


def _structure_loss(net: nn.Module, data: LiftingData) -> Tensor:
    return compositional_loss(net(data.xy, data.K), as_crops(data))


def _lifter(budget: Budget, data: LiftingData | None) -> nn.Module:
    net = AbsPoseLifter(LifterOptions(budget.lifter_width, dropout=LIFTER_DROPOUT))
    if data:
        lifting.measure(net, data)
    return net


def _lifter_loss(net: nn.Module, data: LiftingData) -> Tensor:
    return lifting.lifting_loss(mirror=False)(net, data._asdict())  # virtual_views has mirrored


def _baseline_lift(net: nn.Module, xy: Tensor, K: Tensor) -> Tensor:
    pose: Tensor = net(xy, K)
    return pose


BASELINE = LiftSystem("baseline", _baseline, _baseline_loss, _baseline_lift)
BASELINE_ON_HOURGLASS = replace(BASELINE, name="baseline-hourglass")
BASELINE_ON_INTEGRAL = replace(BASELINE, name="baseline-integral")
STRUCTURE_AWARE = LiftSystem("structure-aware", _baseline, _structure_loss, _baseline_lift)
ABSPOSELIFTER = LiftSystem("absposelifter", _lifter, _lifter_loss, lambda net, xy, K: with_root(net(xy, K).pose))
