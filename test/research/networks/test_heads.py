"""Heatmaps and coordinates, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose3d_ros.research.networks import heads


def test_soft_argmax_is_the_mean_place_weighted_by_the_softmax():
    logits = torch.full((1, 1, 2, 3), -50.0)
    logits[0, 0, 0, 0], logits[0, 0, 1, 2] = math.log(1.0), math.log(3.0)
    # A quarter at x 0, y 0 and three quarters at x 2, y 1.
    assert heads.soft_argmax(logits)[0, 0].tolist() == pytest.approx([1.5, 0.75], abs=1e-6)


def test_soft_argmax_orders_x_y_and_depth():
    logits = torch.zeros(1, 2, 3, 4, 5)
    logits[0, :, 1, 2, 3] = 60.0
    assert torch.allclose(heads.soft_argmax(logits), torch.tensor([3.0, 2.0, 1.0]).expand(1, 2, 3))


def test_argmax_gives_the_highest_bin_and_its_height():
    heatmaps = torch.zeros(1, 1, 4, 6)
    heatmaps[0, 0, 3, 4] = 0.7
    place, height = heads.argmax(heatmaps)
    assert place[0, 0].tolist() == [4.0, 3.0]
    assert height.item() == pytest.approx(0.7)


def test_gaussians_have_height_one_at_their_place_and_the_known_width():
    heatmap = heads.gaussians(torch.tensor([[[3.0, 2.0]]]), 8, 1.5)[0, 0]
    assert heatmap[2, 3].item() == 1.0
    assert heatmap[2, 5].item() == pytest.approx(math.exp(-(2**2) / (2 * 1.5**2)))
    assert heatmap[4, 4].item() == pytest.approx(math.exp(-(2**2 + 1) / (2 * 1.5**2)))


def test_losses_count_visible_joints_only():
    found, true = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    true[0, 0, 0, 0], true[0, 1] = 2.0, 9.0
    assert heads.heatmap_loss(found, true, torch.tensor([[True, False]])).item() == pytest.approx(4 / 4)
    assert heads.heatmap_loss(found, true, torch.tensor([[False, False]])).item() == 0.0
    places = torch.tensor([[[1.0, -2.0], [5.0, 5.0]]])
    assert heads.coordinate_loss(places, torch.zeros(1, 2, 2), torch.tensor([[True, False]])).item() == 1.5


@given(st.floats(0, 255), st.sampled_from([8, 32, 64]), st.sampled_from([64, 128, 256]))
def test_bins_and_pixels_are_inverse(px, size, side):
    bins = heads.to_bins(torch.tensor(px, dtype=torch.float64), size, side)
    assert heads.to_pixels(bins, size, side).item() == pytest.approx(px, abs=1e-9)


def test_the_middles_of_bins_cover_the_crop_evenly():
    # 4 bins of 2 px: 0 1 | 2 3 | 4 5 | 6 7
    assert heads.to_pixels(torch.arange(4.0), 4, 8).tolist() == [0.5, 2.5, 4.5, 6.5]
