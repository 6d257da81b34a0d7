import math

import pytest
import torch
from ring_of_views import exact_heatmaps, people, views_of

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.integral import IntegralPose
from pose3d_ros.research.networks.learnable_triangulation import (
    AGGREGATIONS,
    AlgebraicTriangulation,
    ConfidenceHead,
    Volume,
    VolumetricTriangulation,
    aggregate,
    algebraic_loss,
    cube,
    volumetric_loss,
)
from pose3d_ros.research.networks.multiview import sample
from pose3d_ros.research.samples import Views


def small_pose() -> IntegralPose:
    torch.manual_seed(0)
    return IntegralPose(18, width=8, deconvolution=16)


def small_volumetric(aggregation: str = "softmax") -> VolumetricTriangulation:
    return VolumetricTriangulation(small_pose(), voxels=8, channels=4, width=8, aggregation=aggregation)


def crops(count: int, views: int = 4) -> Views:
    return views_of(people(count), views, side=64)


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_full_networks_have_as_many_parameters_as_the_public_ones():
    """Counted by running the authors' code with ResNet-152 and 17 joints."""
    with torch.device("meta"):
        assert parameters(AlgebraicTriangulation(IntegralPose(152))) == 79_521_890
        assert parameters(VolumetricTriangulation(IntegralPose(152))) == 80_588_050
        assert parameters(ConfidenceHead(2048, 32)) == 10_890_272


def test_exact_heatmaps_give_exact_joints():
    """With its 2D network replaced by the logarithms of Gaussians, whose mean is the true place."""

    class Exact(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return exact_heatmaps(true, 64).clamp(min=1e-30).log().flatten(0, 1)

    xyz = people(2)
    true = views_of(xyz, side=256)
    net = AlgebraicTriangulation(small_pose()).eval()
    net.pose.final = Exact()
    with torch.no_grad():
        found = net(true.image, true.projection)
    torch.testing.assert_close(found.xy_px, true.xy, atol=0.01, rtol=0)
    torch.testing.assert_close(found.xyz, xyz, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.confidence.sum(dim=1), torch.ones(2, 17), atol=1e-4, rtol=0)


def test_algebraic_loss_by_hand():
    """3 cm off: 9 cm^2. 40 cm off, above 20 cm: 1600^0.1 * 400^0.9. The mean of both, over 3 coordinates."""
    true = torch.zeros(1, 2, 3)
    found = torch.tensor([[[0.0, 0.03, 0.0], [0.4, 0.0, 0.0]]])
    expected = (9 + 1600**0.1 * 400**0.9) / 2 / 3
    assert algebraic_loss(found, true).item() == pytest.approx(expected, rel=1e-5)


def test_algebraic_loss_has_a_gradient_at_the_truth_and_hardly_any_far_away():
    found = torch.tensor([[[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [5.0, 0.0, 0.0]]], requires_grad=True)
    algebraic_loss(found, torch.zeros(1, 3, 3)).backward()
    exact, near, far = found.grad[0, :, 0].tolist()
    assert exact == 0
    assert 0 < far < near / 10


def test_volumetric_loss_by_hand():
    """Voxels at 0 and 1 m; the true joint at 0.25 m is nearest to those at x = 0, y = 0, z = 0, of logit log 3.

    Eight voxels: softmax 3 / 10 there. The joint is found 0.1 m off along one axis: 10 cm / 3.
    """
    logits = torch.zeros(1, 1, 2, 2, 2)
    logits[0, 0, 0, 0, 0] = math.log(3)
    points = cube(torch.full((1, 3), 0.5), 1.0, 2, torch.zeros(1))
    true = torch.tensor([[[0.25, 0.0, 0.0]]])
    found = Volume(true + torch.tensor([0.0, 0.1, 0.0]), logits, points)
    assert volumetric_loss(found, true).item() == pytest.approx(10 / 3 + 0.01 * math.log(10 / 3), rel=1e-5)


def test_cube_is_turned_about_the_vertical_through_its_centre():
    centre = torch.tensor([[1.0, 2.0, 3.0]])
    points = cube(centre, 2.0, 3, torch.tensor([math.pi / 2]))[0]
    assert points[1, 1, 1].tolist() == [1.0, 2.0, 3.0]
    # x to y, y to -x, z stays
    torch.testing.assert_close(points[2, 1, 1], torch.tensor([1.0, 3.0, 3.0]))
    torch.testing.assert_close(points[1, 2, 1], torch.tensor([0.0, 2.0, 3.0]))
    torch.testing.assert_close(points[1, 1, 2], torch.tensor([1.0, 2.0, 4.0]))


@pytest.mark.parametrize("angle", [0.0, 1.0])
def test_bright_features_meet_in_the_voxels_of_their_joint(angle):
    """Each joint's brightest voxel, summed over views, is one of those next to it."""
    xyz = people(2)
    true = views_of(xyz)
    points = cube(xyz[:, 0], 2.5, 24, torch.full((2,), angle)).flatten(1, 3)
    volume = sample(exact_heatmaps(true, 64, 1.5), true.projection, points, 128).sum(dim=1)
    brightest = points[torch.arange(2)[:, None], volume.argmax(dim=-1)]
    step = 2.5 / 23
    assert ((brightest - xyz).norm(dim=-1) < step).all()


def test_aggregations_by_hand():
    values = torch.tensor([0.0, math.log(3)]).reshape(1, 2, 1, 1)
    confidence = torch.tensor([0.25, 0.75]).reshape(1, 2, 1)
    assert aggregate(values, "sum").item() == pytest.approx(math.log(3))
    assert aggregate(values, "softmax").item() == pytest.approx(0.75 * math.log(3))
    assert aggregate(values, "confidence", confidence).item() == pytest.approx(0.75 * math.log(3))


def test_gradient_of_the_algebraic_loss_reaches_every_parameter():
    true = crops(2)
    net = AlgebraicTriangulation(small_pose())
    found = net(true.image, true.projection)
    assert found.xyz.shape == (2, 17, 3)
    assert found.confidence.shape == (2, 4, 17)
    algebraic_loss(found.xyz, true.world).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.pose.parameters())
    assert sum(p.grad.abs().sum() for p in net.confidence.parameters()) > 0


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_gradient_of_the_volumetric_loss_reaches_every_parameter_but_the_heatmaps(aggregation):
    true = crops(2)
    net = small_volumetric(aggregation)
    found = net(true.image, true.projection, true.world[:, 0])
    assert found.xyz.shape == (2, 17, 3)
    assert found.logits.shape == (2, 17, 8, 8, 8)
    volumetric_loss(found, true.world).backward()
    unused = {"pose.final.weight", "pose.final.bias"}
    assert {name for name, p in net.named_parameters() if p.grad is None} == unused
    assert all(p.grad.isfinite().all() for name, p in net.named_parameters() if name not in unused)


def test_one_batch_can_be_learned_algebraically():
    true = crops(1)
    net = AlgebraicTriangulation(small_pose())
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = algebraic_loss(net(true.image, true.projection).xyz, true.world)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_one_batch_can_be_learned_in_a_volume():
    """The cube turns at each step, so the mean pose alone leaves 0.4 of the first loss."""
    true = crops(2)
    net = VolumetricTriangulation(small_pose(), voxels=8, channels=8, width=16)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.003)
    torch.manual_seed(0)
    losses = []
    for _ in range(110):
        loss = volumetric_loss(net(true.image, true.projection, true.world[:, 0]), true.world)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.22 * losses[0]


def test_cube_does_not_turn_after_training():
    true = crops(1, 2)
    net = small_volumetric().eval()
    with torch.no_grad():
        first, second = (net(true.image, true.projection, true.world[:, 0]).points for _ in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first[0, 0, 0, 0], true.world[0, 0] - 1.25)


def test_unknown_aggregation_is_rejected():
    with pytest.raises(InputError, match="use one of softmax, sum, confidence"):
        small_volumetric("max")
