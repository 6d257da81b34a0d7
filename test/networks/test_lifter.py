import pytest
import torch

from pose3d_ros.networks.canonical import stature, targets
from pose3d_ros.networks.lifter import AbsPoseLifter, LifterOptions, PreActivation, normalise
from pose3d_ros.training.losses import canonical_loss


def camera(count: int, f: float = 1100.0) -> torch.Tensor:
    return torch.tensor([[f, 0.0, 510.0], [0.0, 0.9 * f, 490.0], [0.0, 0.0, 1.0]]).repeat(count, 1, 1)


def people(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """xy (B, 17, 2) px, xyz (B, 17, 3) m, K."""
    generator = torch.Generator().manual_seed(0)
    xyz = 0.4 * torch.randn(count, 17, 3, generator=generator)
    xyz[..., 2] += 3.0 + 3.0 * torch.rand(count, 1, generator=generator)
    K = camera(count)
    image = xyz @ K.transpose(1, 2)
    return image[..., :2] / image[..., 2:], xyz, K


@pytest.mark.parametrize(("width", "millions"), [(4096, 67.5), (1024, 4.3)])
def test_parameter_counts_are_the_published_ones(width, millions):
    with torch.device("meta"):
        net = AbsPoseLifter(LifterOptions(width=width))
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_paper_s_network_has_2j_plus_3_inputs_and_3j_minus_2_outputs():
    with torch.device("meta"):
        layers = AbsPoseLifter().layers
    assert layers[0].in_features == 2 * 17 + 3
    assert layers[-1].out_features == 3 * 17 - 2


def test_block_is_twice_batch_norm_dropout_relu_linear():
    names = [type(layer).__name__ for layer in PreActivation(8).body]
    assert names == ["BatchNorm1d", "Dropout", "ReLU", "Linear"] * 2


def test_normalisation_by_hand():
    offset = torch.tensor([[[3.0, 0.0], [-1.0, 0.0], [1.0, 4.0], [1.0, -4.0]]])  # mean (1, 0); distances 2, 2, 4, 4
    out = normalise(offset, torch.ones(1, 4, dtype=torch.bool))
    assert out.location.tolist() == [[1.0, 0.0]]
    assert out.scale.item() == pytest.approx(10**0.5)  # root of the mean of 4, 4, 16, 16
    assert out.xy[0, 2].tolist() == pytest.approx([0.0, 4 / 10**0.5])


def test_missing_joint_is_ignored_in_location_and_scale():
    offset = torch.tensor([[[3.0, 0.0], [-1.0, 0.0], [float("nan")] * 2]])
    out = normalise(offset, torch.tensor([[True, True, False]]))
    assert out.location.tolist() == [[1.0, 0.0]]
    assert out.scale.item() == 2.0
    assert out.xy[0, 2].tolist() == [0.0, 0.0]


def test_input_is_the_same_after_cropping_and_moves_only_the_scales_after_resizing():
    xy, _, K = people(3)
    net = AbsPoseLifter(LifterOptions(width=16))
    seen = torch.ones(3, 17, dtype=torch.bool)
    shift = torch.tensor([120.0, 80.0])
    cropped = K.clone()
    cropped[:, :2, 2] -= shift
    torch.testing.assert_close(net.inputs(xy - shift, cropped, seen), net.inputs(xy, K, seen), atol=1e-4, rtol=1e-4)
    halved = torch.diag(torch.tensor([0.5, 0.5, 1.0])) @ K
    a, b = net.inputs(xy / 2, halved, seen), net.inputs(xy, K, seen)
    torch.testing.assert_close(a[:, :34], b[:, :34], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(a[:, 34:], b[:, 34:] / 2, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("location", "scale", "inputs"), [(0, 0, 34), (1, 0, 36), (0, 1, 35), (1, 1, 37)])
def test_rows_of_table_1_differ_in_their_inputs(location, scale, inputs):
    net = AbsPoseLifter(LifterOptions(width=16, location=bool(location), scale=bool(scale)))
    xy, _, K = people(2)
    assert net.layers[0].in_features == inputs
    assert net(xy, K).pose.shape == (2, 16, 3)


def test_every_parameter_learns():
    torch.manual_seed(0)
    net = AbsPoseLifter(LifterOptions(width=64, mask=True))
    xy, xyz, K = people(32)
    xy[:16, 10] = float("nan")
    lifted, truth = net(xy, K), targets(xyz, K)
    canonical_loss(*lifted, *truth).backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-6]
    assert not idle


def test_one_batch_is_overfitted():
    torch.manual_seed(0)
    net = AbsPoseLifter(LifterOptions(width=128))
    for layer in net.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    xy, xyz, K = people(16)
    truth = targets(xyz, K)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(300):
        optimiser.zero_grad()
        loss = canonical_loss(*net(xy, K), *truth)
        loss.backward()
        optimiser.step()
    assert loss.item() < 1.0  # 48 coordinates and a depth: 2 cm each; it starts above 15


def test_missing_joints_give_a_finite_pose():
    net = AbsPoseLifter(LifterOptions(width=16)).eval()
    xy, _, K = people(4)
    xy[0, 3:] = float("nan")
    xy[1] = float("nan")
    lifted = net(xy, K)
    assert torch.isfinite(lifted.pose).all()
    assert torch.isfinite(lifted.depth).all()


def measured(xy, xyz, K, **options):
    torch.manual_seed(0)
    net = AbsPoseLifter(LifterOptions(width=32, **options)).eval()
    net.measure(xy, K, targets(xyz, K), stature(xyz))
    return net


@pytest.mark.parametrize("any_focal", [False, True])
def test_standardised_outputs_begin_near_the_people_measured(any_focal):
    xy, xyz, K = people(64)
    net = measured(xy, xyz, K, any_focal=any_focal)
    truth = targets(xyz, K)
    x = (net.inputs(xy, K, torch.ones(64, 17, dtype=torch.bool)) - net.input_mean) / net.input_std
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(x.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(dim=0), torch.ones(x.shape[1]), atol=1e-3, rtol=0)
    with torch.no_grad():
        net.layers[-1].weight.zero_()
        net.layers[-1].bias.zero_()
    assert net(xy, K).depth.mean().item() == pytest.approx(truth.depth.mean().item(), rel=1e-4)
    torch.testing.assert_close(net(xy, K).pose[0], truth.pose.mean(dim=0), atol=1e-4, rtol=1e-4)


def test_joint_absent_from_training_counts_as_missing():
    xy, xyz, K = people(8)
    without = xy.clone()
    without[:, 10] = float("nan")
    net = measured(without, xyz, K)
    torch.testing.assert_close(net(xy, K).pose, net(without, K).pose)


def test_with_any_focal_a_resized_image_gives_the_same_metres():
    xy, xyz, K = people(5)
    net = measured(xy, xyz, K, any_focal=True, mask=True, height=True)
    half = torch.diag(torch.tensor([0.5, 0.5, 1.0]))
    depth, pose = net(xy / 2, half @ K)
    torch.testing.assert_close(pose, net(xy, K).pose, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(depth / 2, net(xy, K).depth, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("height_input", [False, True])
def test_person_twice_as_high_is_twice_as_far(height_input):
    xy, xyz, K = people(3)
    net = measured(xy, xyz, K, height=height_input)
    height = torch.tensor([1.5, 1.8, float("nan")])
    one, two = net(xy, K, height=height), net(xy, K, height=2 * height)
    torch.testing.assert_close(two.depth[:2], 2 * one.depth[:2])
    torch.testing.assert_close(two.pose[:2], 2 * one.pose[:2])
    torch.testing.assert_close(one.depth[2], net(xy, K).depth[2])
