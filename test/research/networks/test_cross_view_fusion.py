import pytest
import torch
from ring_of_views import exact_heatmaps, people, views_of

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.cross_view_fusion import CrossViewFusion, FusedHeatmaps, FusedPose, fusion_loss
from pose3d_ros.research.networks.integral import IntegralPose, sigma_bins


def small_network(views: int = 2) -> FusedPose:
    torch.manual_seed(0)
    return FusedPose(IntegralPose(18, width=8, deconvolution=32), views, 16)


def test_four_views_of_80_by_80_bins_have_the_published_weights():
    with torch.device("meta"):
        fusion = CrossViewFusion(4, 80)
    assert sum(p.numel() for p in fusion.parameters()) == 491_520_000


def test_initial_weights_are_uniform_up_to_a_tenth():
    weight = CrossViewFusion(2, 16).weight.detach()
    assert weight.min() >= 0
    assert weight.max() <= 0.1
    assert weight.mean().item() == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize(("views", "other"), [(4, 0.2), (2, 0.6)])
def test_weights_set_by_hand_move_a_peak_to_another_view(views, other):
    """Bin (y 1, x 2) of view 1 is bin (y 3, x 0) of view 0."""
    fusion = CrossViewFusion(views, 4)
    heatmaps = torch.zeros(1, views, 2, 4, 4)
    heatmaps[0, 1, 1, 1, 2] = 1.0
    heatmaps[0, 0, 1, 0, 0] = 0.5
    with torch.no_grad():
        fusion.weight.zero_()
        fusion.weight[0, 0, 1 * 4 + 2, 3 * 4 + 0] = 1.0  # to view 0 from the first of the others, view 1
        fused = fusion(heatmaps)
    expected = 0.4 * heatmaps
    expected[0, 0, 1, 3, 0] = other
    torch.testing.assert_close(fused, expected)


def test_each_view_reads_its_others_in_order():
    """To view 2 of 3, the others are 0 and 1: identity from view 1 only."""
    fusion = CrossViewFusion(3, 2)
    heatmaps = torch.rand(2, 3, 5, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fusion.weight.zero_()
        fusion.weight[2, 1] = torch.eye(4)
        fused = fusion(heatmaps)
    torch.testing.assert_close(fused[:, 2], 0.4 * heatmaps[:, 2] + 0.3 * heatmaps[:, 1])
    torch.testing.assert_close(fused[:, :2], 0.4 * heatmaps[:, :2])


def test_loss_by_hand():
    """Exact before, off by 0.1 in each bin after: 0 + 0.01; joints outside of the crop do not count."""
    true = views_of(people(1), 2)
    visible = torch.ones_like(true.visible)
    visible[:, 0, 3] = False
    true = true._replace(visible=visible)
    exact = exact_heatmaps(true, 16, sigma_bins(16))
    exact[:, 0, 3] = 7.0
    assert fusion_loss(FusedHeatmaps(exact, exact + 0.1), true).item() == pytest.approx(0.01, rel=1e-4)


def test_gradient_reaches_every_parameter():
    true = views_of(people(2), 2, side=64)
    net = small_network()
    found = net(true.image)
    assert found.before.shape == found.after.shape == (2, 2, 17, 16, 16)
    fusion_loss(found, true).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_one_batch_can_be_learned():
    true = views_of(people(1), 2, side=64)
    net = small_network()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = fusion_loss(net(true.image), true)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("shape", [(1, 3, 17, 8, 8), (1, 2, 17, 8, 4)])
def test_other_rigs_and_sizes_are_rejected(shape):
    with pytest.raises(InputError, match="expected 2 views of 8 x 8 bins"):
        CrossViewFusion(2, 8)(torch.zeros(shape))


def test_one_view_has_nothing_to_fuse():
    with pytest.raises(InputError, match="two views or more"):
        CrossViewFusion(1, 8)
