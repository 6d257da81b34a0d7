"""From an image to the pose without anything between: a ResNet, the mean of its features, a linear layer (torch).

What Human3.6M's tables call direct regression: Tekin et al., "Structured prediction of 3D human pose with deep neural
networks" (BMVC 2016), without their auto-encoder; Park, Hwang and Kwak, "3D human pose estimation using convolutional
neural networks with 2D pose information" (ECCV workshops 2016), without their 2D branch. Sun et al., "Compositional
human pose regression" (ICCV 2017), use the same network for bones: bones=True, with structure_aware's loss.

Deviation: a ResNet (He et al., CVPR 2016) in place of their own convolutional layers.
"""

from __future__ import annotations

from torch import Tensor, nn

from pose3d_ros.networks.canonical import with_root
from pose3d_ros.research.networks.resnet import WIDTH, ResNet
from pose3d_ros.research.networks.structure_aware import joints_of
from pose3d_ros.skeletons import H36M_17


class DirectRegression(nn.Module):
    """(B, 3, S, S) as in Crops -> (B, J, 3) m from the pelvis; lifting.pose_loss is its loss."""

    def __init__(self, layers: int = 50, width: int = WIDTH, bones: bool = False) -> None:
        super().__init__()
        self.bones = bones
        self.backbone = ResNet(layers, width)
        self.linear = nn.Linear(self.backbone.channels, 3 * (H36M_17.size - 1))

    def forward(self, image: Tensor) -> Tensor:
        """As the class says."""
        found: Tensor = self.linear(self.backbone(image).mean(dim=(2, 3))).reshape(len(image), -1, 3)
        return joints_of(found) if self.bones else with_root(found)
