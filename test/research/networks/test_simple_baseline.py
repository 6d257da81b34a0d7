import pytest
import torch
from people_in_crops import camera, crops, fall, parameters, project, without_gradient
from torch import nn

from pose3d_ros.networks.mehta import root_depth
from pose3d_ros.networks.residual_mlp import ResidualMlp
from pose3d_ros.research.networks import simple_baseline
from pose3d_ros.research.networks.lifting import from_depths, pose_loss, with_depths_of
from pose3d_ros.research.networks.simple_baseline import SimpleBaseline, Statistics, statistics_of


def baseline(true, **sizes) -> SimpleBaseline:
    return SimpleBaseline(statistics_of(true.xy, true.K, true.relative), width=32, **sizes)


def test_parameters_are_the_published_4_29_million() -> None:
    assert parameters(ResidualMlp(2 * 16, 3 * 16, bias=True)) == 4_291_632  # 16 joints in 2D, as the authors' code
    assert parameters(SimpleBaseline()) == 4_291_632 + 2 * 1024  # 17 joints in 2D


def test_statistics_and_standardised_loss_by_hand() -> None:
    true = crops(2)
    xyz = torch.zeros(2, 17, 3)
    xyz[..., 2] = 2.0
    xyz[0, 3], xyz[1, 3] = torch.tensor([0.4, 0.0, 2.0]), torch.tensor([-0.4, 0.0, 2.0])
    true = true._replace(xyz=xyz, xy=project(xyz, true.K))
    statistics = statistics_of(true.xy, true.K, true.relative)
    # x / z of joint 3 is 0.2 and -0.2: mean 0, standard deviation 0.2 sqrt(2) of a sample of two.
    assert statistics.ray[:, 3, 0].tolist() == pytest.approx([0.0, 0.2 * 2**0.5], abs=1e-6)
    assert statistics.pose[:, 2, 0].tolist() == pytest.approx([0.0, 0.4 * 2**0.5], abs=1e-6)
    net = SimpleBaseline(Statistics(statistics.ray, torch.stack([statistics.pose[0], torch.full((16, 3), 0.5)])), 8)
    found = true.relative.clone()
    found[0, 5, 1] += 1.0  # two standard deviations of one of 2 x 48 coordinates
    assert net.loss(found, true).item() == pytest.approx(4 / 96)
    assert net.loss(found, true._replace(has_depth=torch.tensor([False, True]))).item() == 0.0
    assert net.loss(found, true._replace(has_depth=torch.zeros(2, dtype=torch.bool))).item() == 0.0


def test_the_mean_ray_gives_the_mean_pose_of_an_untrained_network_without_weights() -> None:
    true = crops(8)
    net = baseline(true).eval()
    for p in net.mlp.parameters():
        nn.init.zeros_(p)
    mean = true.relative.mean(dim=0).expand(8, -1, -1)
    torch.testing.assert_close(net(true.xy, true.K), mean, atol=1e-5, rtol=1e-5)


def test_crops_of_the_same_person_give_the_same_pose() -> None:
    true = crops(4)
    net = baseline(true).eval()
    halved = torch.diag(torch.tensor([0.5, 0.5, 1.0])) @ true.K
    torch.testing.assert_close(net(true.xy / 2, halved), net(true.xy, true.K), atol=1e-4, rtol=1e-4)


def test_missing_joint_counts_as_its_mean() -> None:
    true = crops(4)
    net = baseline(true).eval()
    missing, mean = true.xy.clone(), true.xy.clone()
    missing[:, 7] = float("nan")
    mean[:, 7] = net.ray[0, 7] * true.K[0, 0, 0] + true.K[0, 0, 2]
    torch.testing.assert_close(net(missing, true.K), net(mean, true.K), atol=1e-4, rtol=1e-4)


def test_every_parameter_learns_and_a_batch_is_overfitted() -> None:
    torch.manual_seed(0)
    true = crops(8)
    net = baseline(true, dropout=0.0)
    assert without_gradient(net, net.loss(net(true.xy, true.K), true)) == []
    assert fall(net, lambda: net.loss(net(true.xy, true.K), true), 150, 1e-2) < 0.01


def test_weights_act_with_a_norm_of_at_most_1() -> None:
    at_most = simple_baseline.AtMost(1.0)
    torch.testing.assert_close(at_most(torch.ones(4, 3)), torch.full((4, 3), 1 / 12**0.5))
    assert torch.equal(at_most(torch.full((4, 3), 0.1)), torch.full((4, 3), 0.1))  # a norm of sqrt(0.12) < 1
    norms = {
        limit: [layer.weight.norm().item() for layer in SimpleBaseline(width=64, max_norm=limit).modules()
                if isinstance(layer, nn.Linear)]
        for limit in (1.0, None)
    }  # fmt: skip
    assert norms[1.0] == pytest.approx([1.0] * 6)
    assert min(norms[None]) > 2.0


def test_depths_of_the_true_pose_at_its_true_distance_give_the_pose() -> None:
    true = crops(5)
    wrong_in_the_image = true.relative + torch.tensor([0.3, -0.2, 0.0])
    found = with_depths_of(true.xy, wrong_in_the_image, true.xyz[:, 0, 2], true.K)
    torch.testing.assert_close(found, true.relative, atol=1e-5, rtol=1e-4)


def test_depths_alone_by_hand() -> None:
    K = torch.tensor([[[100.0, 0.0, 50.0], [0.0, 200.0, 60.0], [0.0, 0.0, 1.0]]])
    found = from_depths(
        torch.tensor([[[50.0, 60.0], [150.0, 160.0]]]), torch.tensor([[0.0, 1.0]]), torch.tensor([3.0]), K
    )
    # The second joint: 4 m away, (100 / 100 * 4, 100 / 200 * 4).
    assert found.flatten().tolist() == pytest.approx([0.0, 0.0, 0.0, 4.0, 2.0, 1.0])


def test_estimated_distance_of_a_flat_person_is_exact() -> None:
    xyz = crops(3).xyz
    xyz[..., 2] = 5.0
    K = camera(64).repeat(3, 1, 1)
    distance = root_depth(xyz - xyz[:, :1], project(xyz, K), K)
    torch.testing.assert_close(distance, torch.full((3,), 5.0), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("squared", "value"), [(False, 0.2 / 51), (True, 0.04 / 51)])
def test_pose_loss_by_hand_counts_images_with_depth_only(squared, value) -> None:
    true = crops(2)
    found = true.relative.clone()
    found[0, 4, 1] += 0.2
    found[1] += 7.0
    true = true._replace(has_depth=torch.tensor([True, False]))
    assert pose_loss(found, true, squared).item() == pytest.approx(value, rel=1e-4)
    labelled_nowhere = true._replace(
        xyz=torch.full_like(true.xyz, float("nan")), has_depth=torch.tensor([False, False])
    )
    assert pose_loss(found, labelled_nowhere, squared).item() == 0.0
