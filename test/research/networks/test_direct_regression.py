import pytest
import torch
from people_in_crops import crops, fall, parameters, without_gradient

from pose3d_ros.research.networks.direct_regression import DirectRegression
from pose3d_ros.research.networks.lifting import pose_loss
from pose3d_ros.research.networks.structure_aware import bones, compositional_loss


def test_parameters_are_resnet_50_s_with_another_last_layer() -> None:
    with torch.device("meta"):
        net = DirectRegression()
    # torchvision's ResNet-50 has 25 557 032 with 1000 classes.
    assert parameters(net) == 25_557_032 - 1000 * 2049 + 48 * 2049


@pytest.mark.parametrize("by_bones", [False, True])
def test_every_parameter_learns_and_a_batch_is_overfitted(by_bones: bool) -> None:
    torch.manual_seed(0)
    true = crops(4)
    net = DirectRegression(18, 8, by_bones)
    loss = compositional_loss if by_bones else pose_loss
    assert without_gradient(net, loss(net(true.image), true)) == []
    assert fall(net, lambda: loss(net(true.image), true), 120) < 0.2


def test_bones_network_composes_the_pose_of_its_outputs() -> None:
    torch.manual_seed(0)
    image = crops(2).image
    net = DirectRegression(18, 8, bones=True).eval()
    outputs = net.linear(net.backbone(image).mean(dim=(2, 3))).reshape(2, 16, 3)
    torch.testing.assert_close(bones(net(image)), outputs, atol=1e-5, rtol=1e-4)
