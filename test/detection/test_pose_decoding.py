"""Decoding of SimCC and heatmaps against explicit formulas and known truth."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.detection.pose_decoding import heatmap_points, simcc_points


def test_simcc_is_the_most_likely_bin_with_the_lower_likelihood():
    generator = np.random.default_rng(1)
    x, y = generator.random((3, 17, 2 * 192)), generator.random((3, 17, 2 * 256))
    decoded = simcc_points(x, y, (192, 256))
    for n in range(3):
        for j in range(17):
            best_x = max(range(384), key=lambda k: x[n, j, k])
            best_y = max(range(512), key=lambda k: y[n, j, k])
            expected = [best_x / 2.0, best_y / 2.0, min(x[n, j, best_x], y[n, j, best_y])]
            np.testing.assert_allclose(decoded[n, j], expected)


@given(st.floats(6, 41), st.floats(6, 57), st.floats(1.5, 3.0), st.floats(0.2, 1.0))
@settings(max_examples=60, deadline=None)
def test_centre_of_a_gaussian_is_decoded_to_two_hundredths_of_a_cell(x, y, sigma, height):
    rows, columns = np.mgrid[:64, :48]
    heatmap = height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    decoded = heatmap_points(heatmap[None, None], (192, 256))[0, 0]
    np.testing.assert_allclose(decoded[:2] / 4, [x, y], atol=0.02)
    # At the cell that is nearest, half a cell away at most in each direction.
    assert height * np.exp(-0.25 / sigma**2) * (1 - 1e-6) <= decoded[2] <= height


def test_peak_at_the_border_is_not_refined():
    heatmap = np.zeros((1, 1, 64, 48))
    heatmap[0, 0, 0, 47] = 0.7
    np.testing.assert_allclose(heatmap_points(heatmap, (192, 256))[0, 0], [188, 0, 0.7])


def test_flat_heatmap_has_zero_score():
    assert heatmap_points(np.zeros((1, 2, 64, 48)), (192, 256))[..., 2].max() == 0
