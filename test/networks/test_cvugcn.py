import pytest
import torch

from pose3d_ros.errors import InputError
from pose3d_ros.networks.cvugcn import CvUgcn, CvUgcnOptions, GraphConvolution, fuse_views
from pose3d_ros.networks.graph import Graph, normalised_kernels
from pose3d_ros.networks.rig_features import RIG_FEATURES

NARROW = (8, 16, 32)


def poses(batch: int = 4, views: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, views, 17, 3, generator=generator)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("options", [CvUgcnOptions(), CvUgcnOptions(stems="shared", features=RIG_FEATURES)])
def test_both_forms_have_the_papers_twenty_megabytes(options):
    megabytes = 4 * count(CvUgcn(options)) / 1e6
    assert 17.5 <= megabytes <= 20.0


def test_graph_convolution_is_equation_3_written_as_a_loop():
    kernels = normalised_kernels(Graph(size=3, edges=((0, 1), (0, 2)), mirrored=((1, 2),)), views=2)
    layer = GraphConvolution(kernels, 2, 5)
    h = torch.randn(1, 2, 3, 2, generator=torch.Generator().manual_seed(0))
    H = h.reshape(6, 2)
    expected = torch.zeros(6, 5)
    for k, kernel in enumerate(kernels):
        W = layer.weight.weight[:, 2 * k : 2 * k + 2].T  # (C, F)
        expected += kernel @ H @ W
    torch.testing.assert_close(layer(h).reshape(6, 5), expected)


@pytest.mark.parametrize("stems", ["separate", "shared", "none"])
@pytest.mark.parametrize(("spatial", "cross_view"), [(True, True), (False, True), (True, False)])
def test_every_form_refines_and_every_parameter_learns(stems, spatial, cross_view):
    torch.manual_seed(0)
    net = CvUgcn(CvUgcnOptions(widths=NARROW, stems=stems, spatial=spatial, cross_view=cross_view))
    refined = net(poses(), poses())
    assert refined.shape == (4, 2, 17, 3)
    refined.square().sum().backward()
    # 1e-5: far above rounding, which is all that a parameter without effect would get
    idle = [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-5]
    assert not idle


def test_with_a_zero_last_layer_the_pose_comes_back_as_it_was():
    net = CvUgcn(CvUgcnOptions(widths=NARROW)).eval()
    torch.nn.init.zeros_(net.shift.weight)
    coarse = poses()
    assert torch.equal(net(coarse, coarse), coarse)


def test_untrained_network_hardly_moves_a_joint():
    torch.manual_seed(0)
    coarse = poses()
    assert (CvUgcn(CvUgcnOptions(widths=NARROW))(coarse, coarse) - coarse).abs().max() < 0.01  # m


def test_one_batch_is_overfitted():
    torch.manual_seed(0)
    net = CvUgcn(CvUgcnOptions(widths=(16, 32, 64)))
    coarse = poses(16)
    target = coarse + 0.05 * torch.randn(coarse.shape, generator=torch.Generator().manual_seed(2))
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    before = (net(coarse, coarse) - target).square().mean().item()
    for _ in range(400):
        optimiser.zero_grad()
        loss = (net(coarse, coarse) - target).square().mean()
        loss.backward()
        optimiser.step()
        if loss.item() < 0.1 * before:
            return
    pytest.fail(f"the loss went from {before:.5f} to {loss.item():.5f} only")


def test_without_cross_view_kernels_views_are_independent():
    torch.manual_seed(0)
    coarse = poses()
    changed = coarse.clone()
    changed[:, 1] += 0.3
    for cross_view, expected in ((True, False), (False, True)):
        net = CvUgcn(CvUgcnOptions(widths=NARROW, cross_view=cross_view)).eval()
        same = torch.equal(net(coarse, coarse)[:, 0], net(changed, coarse)[:, 0])
        assert same == expected


def test_shared_stems_serve_more_views_and_treat_them_alike():
    torch.manual_seed(0)
    two = CvUgcn(CvUgcnOptions(widths=NARROW, stems="shared")).eval()
    coarse = poses(views=2)
    doubled = coarse[:, [0, 1, 0, 1]]
    swapped = two(coarse[:, [1, 0]], coarse[:, [1, 0]])
    torch.testing.assert_close(swapped[:, [1, 0]], two(coarse, coarse))
    four = two.with_views(4)
    out = four(doubled, doubled)
    assert out.shape == (4, 4, 17, 3)
    torch.testing.assert_close(out[:, 0], out[:, 2])


def test_pair_specific_network_rejects_another_number_of_views():
    with pytest.raises(InputError, match="rig-conditioned"):
        CvUgcn(CvUgcnOptions(widths=NARROW)).with_views(3)


def test_features_of_the_wrong_size_are_rejected_with_both_sizes():
    with pytest.raises(InputError, match="2 views"):
        CvUgcn(CvUgcnOptions(widths=NARROW))(poses(views=3), poses(views=3))


def test_views_are_fused_by_their_weights():
    world = torch.stack([torch.zeros(1, 17, 3), torch.ones(1, 17, 3)], dim=1)
    assert fuse_views(world).unique().tolist() == [0.5]
    assert fuse_views(world, [1.0, 3.0]).unique().tolist() == [0.75]


def test_input_norm_is_measured_once_and_then_fixed():
    torch.manual_seed(0)
    for stems, shape in (("separate", (2, 17, 3)), ("shared", (1, 17, 3))):
        net = CvUgcn(CvUgcnOptions(widths=NARROW, stems=stems))
        features = 3.0 + 2.0 * torch.randn(500, 2, 17, 3)
        features[:, :, 10] = 0.0  # a joint that is never there
        net.norm.measure(features)
        assert net.norm.mean.shape == shape
        normed = net.norm(features)[:, :, :10]
        torch.testing.assert_close(normed.mean(dim=(0, 1)), torch.zeros(10, 3), atol=1e-4, rtol=0)
        torch.testing.assert_close(normed.std(dim=(0, 1)), torch.ones(10, 3), atol=5e-3, rtol=0)
        assert torch.isfinite(net.norm(features)).all()
        assert "norm.mean" in net.state_dict()
