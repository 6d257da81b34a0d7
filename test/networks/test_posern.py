import torch

from pose3d_ros.networks.posern import PoseRN, bias_of, prepare, refine
from pose3d_ros.networks.residual_mlp import MlpRefiner, ResidualMlp


def scene(count: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """xyz (B, 17, 3) m in the camera frame, xy (B, 17, 2) px, size (B, 2) px."""
    generator = torch.Generator().manual_seed(0)
    xyz = 0.4 * torch.randn(count, 17, 3, generator=generator) + torch.tensor([0.0, 0.0, 5.0])
    return xyz, 1000 * xyz[..., :2] / xyz[..., 2:] + 500, torch.full((count, 2), 1000.0)


def test_two_blocks_of_linear_batch_norm_relu_dropout_and_a_linear():
    net = PoseRN()
    for block in net.blocks:
        assert [type(layer).__name__ for layer in block] == ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert len(net.blocks) == 2
    counted = sum(p.numel() for p in net.parameters())
    assert counted == 6 * 17 * 1024 + 1024 * 1024 + 2 * 2 * 1024 + 1024 * 34 + 34


def test_oracle_bias_leaves_no_residual_and_adding_it_would_double_it():
    xyz, truth, size = scene()
    xy = truth + 8.0 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    ready = prepare(xyz, xy, size)
    beta = bias_of(xy, truth) / ready.unit[:, None, None]
    torch.testing.assert_close(refine(xy, beta, ready.unit, ready.seen), truth, atol=1e-3, rtol=0)
    wrong_sign = refine(xy, -beta, ready.unit, ready.seen)
    torch.testing.assert_close(wrong_sign - truth, 2 * (xy - truth), atol=1e-3, rtol=0)


def test_input_does_not_depend_on_where_the_person_stands_or_how_large_the_image_is():
    xyz, xy, size = scene()
    one = prepare(xyz, xy, size)
    moved = prepare(xyz + 1.0, xy + 150.0, size)
    torch.testing.assert_close(moved.features, one.features, atol=1e-3, rtol=1e-3)
    doubled = prepare(xyz, 2 * xy, 2 * size)
    torch.testing.assert_close(doubled.features, one.features, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(doubled.unit, 2 * one.unit)


def test_pelvis_is_the_origin_and_the_spine_three_units():
    xyz, xy, size = scene()
    flat = prepare(xyz, xy, size).features[:, 3 * 17 : 5 * 17].reshape(-1, 17, 2)
    assert not flat[:, 0].any()
    torch.testing.assert_close(flat[:, 8].norm(dim=-1), torch.full((8,), 3.0))


def test_spine_seen_end_on_keeps_the_unit_bounded():
    xyz, xy, size = scene()
    xy[:, 8] = xy[:, 0]
    torch.testing.assert_close(prepare(xyz, xy, size).unit, torch.full((8,), 10.0))


def test_unseen_joints_enter_as_zero_and_stay_unseen():
    xyz, xy, size = scene()
    xy[:, 10] = float("nan")
    xy[0, 0] = float("nan")
    xyz[:, 10] = float("nan")
    ready = prepare(xyz, xy, size)
    assert torch.isfinite(ready.features).all()
    refined = refine(xy, torch.ones(8, 17, 2), ready.unit, ready.seen)
    assert torch.isnan(refined[:, 10]).all()
    assert torch.isfinite(refined[1:, 0]).all()


def test_every_parameter_learns_and_one_batch_is_overfitted():
    torch.manual_seed(0)
    xyz, xy, size = scene(16)
    ready = prepare(xyz, xy, size)
    target = torch.randn(16, 17, 2, generator=torch.Generator().manual_seed(1))
    net = PoseRN(width=128, dropout=0.0)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(200):
        optimiser.zero_grad()
        loss = (net(ready.features) - target).square().mean()
        loss.backward()
        if step == 0:
            first = loss.item()
            assert all(p.grad.abs().max() > 1e-6 for p in net.parameters())
        optimiser.step()
    assert loss.item() < 0.05 * first


def test_baseline_refines_in_the_same_shapes_and_is_identity_at_zero_weights():
    torch.manual_seed(0)
    coarse = torch.randn(4, 2, 17, 3)
    net = MlpRefiner(views=2, features=3, width=32)
    net(coarse, coarse).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 1e-6 for p in net.parameters())
    last = net.mlp.body[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    assert torch.equal(net.eval()(coarse, coarse), coarse)
    assert ResidualMlp(37, 49, width=16)(torch.randn(3, 37)).shape == (3, 49)
