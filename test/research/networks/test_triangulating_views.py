import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ring_of_views import exact_heatmaps, people, views_of

from pose3d_ros.errors import InputError
from pose3d_ros.research.networks.multiview import project, sample, triangulate, triangulate_peaks


def test_ring_of_views_sees_all_joints_and_its_world_is_the_truth():
    xyz = people(3)
    true = views_of(xyz)
    assert true.visible.all()
    torch.testing.assert_close(true.world, xyz, atol=1e-5, rtol=0)


def test_projection_by_hand():
    projection = torch.tensor([[[[100.0, 0.0, 50.0, 0.0], [0.0, 100.0, 40.0, 0.0], [0.0, 0.0, 1.0, 2.0]]]])
    px, depth = project(projection, torch.tensor([[[0.5, -0.2, 2.0]]]))
    assert depth.item() == 4.0
    assert px.flatten().tolist() == [(50.0 + 100.0) / 4, (-20.0 + 80.0) / 4]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 5), side=st.sampled_from([64, 128, 200]))
def test_triangulation_of_exact_points_is_exact(seed, count, side):
    xyz = people(2, seed)
    true = views_of(xyz, count, side)
    weight = 0.1 + torch.rand(2, count, 17, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(triangulate(true.projection, true.xy, weight), xyz, atol=2e-4, rtol=0)


def test_view_of_weight_0_does_not_count():
    xyz = people(2)
    true = views_of(xyz)
    wrong = true.xy.clone()
    wrong[:, 1] += 20.0
    weight = torch.ones(2, 4, 17)
    assert (triangulate(true.projection, wrong, weight) - xyz).norm(dim=-1).min() > 0.02
    weight[:, 1] = 0.0
    torch.testing.assert_close(triangulate(true.projection, wrong, weight), xyz, atol=2e-4, rtol=0)


def test_gradient_of_triangulation_is_the_numerical_one():
    true = views_of(people(1)[:, :2])
    xy = (true.xy + torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))).double().requires_grad_()
    weight = torch.linspace(0.3, 1.0, 8, dtype=torch.float64).reshape(1, 4, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda *values: triangulate(true.projection, *values), (xy, weight))


def test_one_view_is_rejected():
    true = views_of(people(1), 1)
    with pytest.raises(InputError, match="two views or more, not 1"):
        triangulate(true.projection, true.xy, torch.ones(1, 1, 17))


@pytest.mark.parametrize("size", [16, 32, 50])
def test_map_of_its_own_pixels_is_sampled_at_the_projection(size):
    """A map that says where it is: bilinear interpolation of a linear function is exact, at any size of map."""
    true = views_of(people(2))
    pixel = (torch.arange(size) + 0.5) * (128 / size) - 0.5
    maps = torch.stack([pixel.expand(size, size), pixel[:, None].expand(size, size)]).expand(2, 4, 2, size, size)
    found = sample(maps, true.projection, true.world, 128)
    torch.testing.assert_close(found, true.xy.mT, atol=1e-3, rtol=0)


def test_points_behind_a_camera_or_outside_its_crop_sample_0():
    true = views_of(people(1))
    maps = torch.ones(1, 4, 1, 8, 8)
    points = torch.tensor([[[0.0, 0.0, 1.2], [60.0, 60.0, 1.2], [0.0, 0.0, 1e6]]])
    found = sample(maps, true.projection, points, 128)[0, :, 0]
    assert found[:, 0].tolist() == pytest.approx([1.0] * 4)
    assert (found[:, 1:] == 0).all()


def test_peaks_are_triangulated_to_a_bin():
    """A bin of 64 is 2 px wide, 49 mm at this distance: each view errs by up to half of that along an axis."""
    xyz = people(4)
    true = views_of(xyz)
    error = (triangulate_peaks(exact_heatmaps(true, 64), true.projection, 128) - xyz).norm(dim=-1)
    assert error.max() < 0.049
    assert error.mean() < 0.024
