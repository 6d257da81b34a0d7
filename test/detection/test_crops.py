import numpy as np
import pytest

from pose3d_ros.detection.crops import Crop, cut, shrunk, square, to_image


def test_square_contains_the_whole_box_around_its_centre():
    crop = square(np.array([10.0, 20, 30, 120]))
    assert crop == Crop(left=-32, top=18, side=104)


@pytest.mark.parametrize("crop", [Crop(40, 30, 128), Crop(-50, -60, 256), Crop(300, 200, 64)])
def test_point_in_the_crop_maps_back_to_the_image(crop):
    """A bright square of 4 px, its centre between pixels, maps back to its position."""
    image = np.zeros((480, 640, 3), np.uint8)
    x, y = max(crop.left, 0) + 24, max(crop.top, 0) + 32
    image[y : y + 4, x : x + 4] = 255
    small = cut(image, crop, 64)[..., 0].astype(float)
    rows, columns = np.indices(small.shape) + 0.5  # 0 is the first pixel's edge
    centre = np.array([(columns * small).sum(), (rows * small).sum()]) / small.sum()
    np.testing.assert_allclose(to_image(centre, crop, 64), [x + 1.5, y + 1.5], atol=0.05 * crop.side / 64)


def test_crop_is_black_outside_the_image():
    image = np.full((50, 50, 3), 200, np.uint8)
    assert cut(image, Crop(-50, 0, 100), 10)[:5, :4].max() == 0
    assert cut(image, Crop(-50, 0, 100), 10)[:4, 6:].min() == 200
    assert cut(image, Crop(500, 500, 100), 10).max() == 0


def test_shrinking_keeps_mean_and_position():
    rows, columns = np.indices((1080, 800))
    ramp = np.repeat((columns / 4 + rows / 100)[..., None], 3, axis=2).astype(np.uint8)
    small = shrunk(ramp, (200, 270))
    expected = np.arange(200) + 0.375 + 135 * 0.04  # the ramp at each cell's centre, in row 135
    np.testing.assert_allclose(small[135, :, 0], expected, atol=1.5)
