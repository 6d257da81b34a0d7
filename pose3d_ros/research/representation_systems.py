"""Learning from few labels: Rhodin et al.'s representation, and the same number of labels without it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pose3d_ros.research.budgets import Budget
from pose3d_ros.research.image_training import ALL, PLACED, ImageSystem
from pose3d_ros.research.networks.lifting import pose_loss
from pose3d_ros.research.networks.rhodin import GeometryNet, PoseHead, view_synthesis_loss
from pose3d_ros.research.samples import Views
from pose3d_ros.research.single_view_systems import regression

LABELS = (0.01, 0.1, 1.0)
POSE_M = 0.2  # how far joints are from the pelvis, an axis: the head's figures are of order one


class ViewSynthesis(nn.Module):
    """The loss as a network's output, so that it runs on several devices as the others do."""

    def __init__(self, net: GeometryNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, views: Views) -> Tensor:
        """The loss of pairs of moments, each in one of the other cameras."""
        other = torch.arange(len(views.image), device=views.image.device) ^ 1
        step = int(torch.randint(1, views.image.shape[1], ()))
        return view_synthesis_loss(self.net, views, step=step, appearance_of=other)


class LabelledRepresentation(nn.Module):
    """A representation that stays as it is, and a head that is trained: (B, 3, S, S) -> (B, J, 3) m from the pelvis."""

    def __init__(self, pose: ViewSynthesis, points: int, hidden: int) -> None:
        super().__init__()
        self.pose = pose  # where image_training puts the weights of a network to begin with
        self.head = PoseHead(points, hidden)

    def forward(self, image: Tensor) -> Tensor:
        """As the class says."""
        self.pose.eval()
        with torch.no_grad():
            geometry = self.pose.net.encode(image).geometry
        found: Tensor = POSE_M * self.head(geometry)
        return found


def _synthesis(budget: Budget, views: int) -> ViewSynthesis:
    width = budget.synthesis_width
    return ViewSynthesis(GeometryNet(budget.side, width, budget.latent_points, 4 * width))


def _labelled(share: float) -> ImageSystem:
    return ImageSystem(
        f"rhodin-{100 * share:g}",
        lambda budget, views: LabelledRepresentation(
            _synthesis(budget, views), budget.latent_points, 2 * budget.fully_connected
        ),
        lambda net, views: pose_loss(net((crops := views.crops()).image), crops),
        lambda net, views: net(views.crops().image),
        start=REPRESENTATION,
        share=0.5,
        rate=0.3,  # a step of Adam changes what so wide layers say by their width times the rate
        moments=share,
    )


REPRESENTATION = ImageSystem(
    "rhodin", _synthesis, lambda net, views: net(views), None,
    all_views=True, augmentation=PLACED, pairs=True, share=0.5, unit="loss",
)  # fmt: skip
REPRESENTED = tuple(_labelled(share) for share in LABELS)
# As many images as the heads take.
SUPERVISED = tuple(regression(f"regression-{100 * share:g}", ALL, share, 0.5) for share in LABELS[:-1])
