"""From one person before a rig to the refined pose in the world: around CvUgcn or its baseline (torch)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from pose3d_ros.networks.cvugcn import fuse_views
from pose3d_ros.networks.rig_features import (
    PAIR_FEATURES,
    PAPER_FEATURES,
    RIG_FEATURES,
    RefinerInput,
    Sight,
    pair_input,
    paper_input,
    rig_input,
    transformed,
)

# "paper" to the letter and "pair" in other coordinates, both for one pair of cameras; "rig": ours, for rigs never seen.
FORMS: dict[str, Callable[[Sight], RefinerInput]] = {"paper": paper_input, "pair": pair_input, "rig": rig_input}
FEATURES = {"paper": PAPER_FEATURES, "pair": PAIR_FEATURES, "rig": RIG_FEATURES}


def refined_views(net: nn.Module, sight: Sight, form: str) -> Tensor:
    """Every view's refined pose in the world, (B, V, J, 3) m."""
    given = FORMS[form](sight)
    return transformed(given.world_from_frame, net(given.features, given.coarse))


def refine(net: nn.Module, sight: Sight, form: str) -> Tensor:
    """The refined pose (B, J, 3) m, world: the mean of the views'. The output for a joint without labels in training
    (HeadTop) means nothing."""
    return fuse_views(refined_views(net, sight, form))
