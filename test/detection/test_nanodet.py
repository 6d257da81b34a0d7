"""NanoDet against numbers that another runtime computed once (test/data/detection/README.md)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose3d_ros.detection.boxes import iou
from pose3d_ros.detection.nanodet import CLASSES, SIZE, NanoDet, decode
from pose3d_ros.weights import store

DATA = Path(__file__).parents[1] / "data" / "detection"
REFERENCE = np.load(DATA / "reference.npz")
# The man and the woman of front_image.png, drawn by hand: left, top, right, bottom px.
PEOPLE = np.array([[53.0, 71.0, 123.0, 253.0], [106.0, 170.0, 209.0, 376.0]])


@pytest.fixture(scope="module")
def network(weights):
    return NanoDet(store.path("nanodet")).eval()


def test_raw_heads_equal_the_original_graph(network, image):
    canvas = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    canvas[0, : image.shape[0], : image.shape[1]] = image
    with torch.inference_mode():
        heads = network.heads(torch.from_numpy(canvas))
    for level, (head, step) in enumerate(zip(heads, (16, 4, 1), strict=True)):
        cells = head[0].flatten(1).T
        scores = REFERENCE[f"nanodet_scores_{level}"]
        distances = REFERENCE[f"nanodet_distances_{level}"]
        probabilities = cells[:, : scores.shape[1]].sigmoid().numpy()
        assert np.abs(probabilities - scores).max() <= 1e-4 * np.ptp(scores)
        assert np.abs(cells[::step, CLASSES:].numpy() - distances).max() <= 1e-4 * np.ptp(distances)


@pytest.mark.parametrize("width", [256, 416])
def test_boxes_enclose_the_people_for_any_padding(network, image, width):
    canvas = np.zeros((1, SIZE, width, 3), np.uint8)
    canvas[0, : image.shape[0], : image.shape[1]] = image
    with torch.inference_mode():
        cells = network(torch.from_numpy(canvas))[0].numpy().astype(float)
    sure = cells[cells[:, 4] > 0.4]
    assert (iou(PEOPLE, sure[:, :4]).max(axis=1) > 0.85).all()


def test_distribution_on_one_bin_is_that_distance():
    head = torch.full((1, CLASSES + 44, 2, 3), -30.0)
    for side, steps in enumerate((1, 2, 3, 4)):
        head[0, CLASSES + 11 * side + steps] = 30.0
    head[0, 0, 1, 2] = 0.0
    boxes = decode(head, stride=8)
    assert boxes.shape == (1, 6, 5)
    # The cell in row 1, column 2 has its centre at (20, 12).
    np.testing.assert_allclose(boxes[0, 5], [20 - 8, 12 - 16, 20 + 24, 12 + 32, 0.5], atol=1e-4)
