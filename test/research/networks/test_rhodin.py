import pytest
import torch
from people_in_crops import crops, fall, parameters, views, without_gradient
from torch import nn

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks import rhodin
from pose3d_ros.research.networks.lifting import pose_loss
from pose3d_ros.research.networks.rhodin import GeometryNet, Latent, PoseHead, image_loss, view_synthesis_loss


def network() -> GeometryNet:
    torch.manual_seed(0)
    return GeometryNet(32, width=4, points=12, appearance=8)


def test_parameters_are_those_of_the_public_network() -> None:
    with torch.device("meta"):
        net, head = GeometryNet(), PoseHead()
    # The authors' U-Net for 128 px, feature_scale 2, bilinear, 128 for appearance, 3 x 200 for geometry has 69 373 531
    # without its pose layers, and their pose layers 5 539 891, the root among the 17 joints.
    assert parameters(net) == 69_373_531
    assert parameters(head) == 5_539_891 - 3 * 2049


def test_sizes_that_do_not_fit_are_input_errors() -> None:
    with pytest.raises(InputError, match="multiple of 8"):
        GeometryNet(36)
    with pytest.raises(InputError, match="smaller than"):
        GeometryNet(32, width=4, appearance=32)


@pytest.mark.parametrize("side", [32, 48])
def test_an_image_is_decoded_with_and_without_a_background(side: int) -> None:
    net = GeometryNet(side, width=4, points=12, appearance=8)
    image = crops(2, side).image
    latent = net.encode(image)
    assert latent.geometry.shape == (2, 12, 3)
    assert latent.appearance.shape == (2, 8)
    assert net.decode(*latent).shape == net.decode(*latent, image).shape == image.shape


def test_points_of_one_camera_turn_into_those_of_another() -> None:
    scene = views(2, cameras=4)
    for step in (1, 2):
        source = scene.xyz.roll(-step, dims=1)
        relative = source - source[:, :, :1]
        turned = rhodin.turn(relative, rhodin.rotations(scene, step))
        torch.testing.assert_close(turned, scene.xyz - scene.xyz[:, :, :1], atol=1e-5, rtol=1e-4)


class Painter(nn.Module):
    """Knows of each image a point's place in its camera, and a colour; paints the image with both."""

    def __init__(self, scene) -> None:
        super().__init__()
        self.relative = (scene.xyz - scene.xyz[:, :, :1]).flatten(0, 1)
        moments, cameras = scene.image.shape[:2]
        self.colour = torch.arange(moments).repeat_interleave(cameras)[:, None].float()

    def encode(self, image):
        return Latent(self.relative, self.colour)

    def decode(self, geometry, appearance, background=None):
        self.painted, self.colours, self.behind = geometry, appearance, background
        return torch.zeros(len(geometry), 3, 32, 32)


def test_an_image_is_synthesised_from_another_camera_another_moment_and_its_background() -> None:
    scene = views(3, cameras=2)
    background = torch.arange(2.0)[:, None, None, None].expand(2, 3, 32, 32)
    painter = Painter(scene)
    loss = view_synthesis_loss(painter, scene, background)
    torch.testing.assert_close(painter.painted, painter.relative, atol=1e-5, rtol=1e-4)
    assert painter.colours[:, 0].tolist() == [2, 2, 0, 0, 1, 1]
    assert painter.behind[:, 0, 0, 0].tolist() == [0, 1] * 3
    torch.testing.assert_close(loss, image_loss(torch.zeros(6, 3, 32, 32), scene.image.flatten(0, 1)))
    view_synthesis_loss(painter, scene, appearance_of=torch.tensor([1, 2, 0]))
    assert painter.colours[:, 0].tolist() == [1, 1, 2, 2, 0, 0]
    assert painter.behind is None


def test_image_loss_by_hand() -> None:
    true = torch.zeros(1, 3, 2, 2)
    found = true.clone()
    found[0, 0, 0, 0] = 3.0  # a square of 9 in 12 pixels; one of 6 differences along rows, one of 6 along columns
    assert image_loss(found, true).item() == pytest.approx(9 / 12 + 9 / 6 + 9 / 6)
    assert image_loss(found, true, lambda image: 2 * image).item() == pytest.approx(9 / 12 + 2 * 36 / 12)


def test_every_parameter_learns_and_a_batch_is_overfitted() -> None:
    scene = views(2, cameras=2)
    scene = scene._replace(
        image=nn.functional.avg_pool2d(scene.image.flatten(0, 1), 9, 1, 4).reshape(scene.image.shape)
    )
    background = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    net = network()
    assert without_gradient(net, view_synthesis_loss(net, scene, background)) == []
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    assert fall(net, lambda: view_synthesis_loss(net, scene), 150, 5e-3) < 0.2


def test_the_pose_head_learns_from_points_of_a_frozen_network() -> None:
    true = crops(8, 32)
    net, head = network().eval(), PoseHead(12, hidden=32)
    with torch.no_grad():
        geometry = net.encode(true.image).geometry
    assert without_gradient(head, pose_loss(head(geometry), true, squared=True)) == []
    for module in head.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    assert fall(head, lambda: pose_loss(head(geometry), true, squared=True), 100, 1e-2) < 0.05
    assert head(geometry)[:, 0].abs().max() == 0.0
