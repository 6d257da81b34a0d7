"""MoveNet Thunder against numbers that another runtime computed once (test/data/detection/README.md)."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pose3d_ros.detection.devices import bfloat16_runs
from pose3d_ros.detection.movenet import SIZES, MoveNet, in_bfloat16
from pose3d_ros.weights import store

DATA = Path(__file__).parents[1] / "data" / "detection"
SIZE = SIZES["movenet-thunder"]
CROPS = ("front", "back")
REFERENCE = np.load(DATA / "reference.npz")


@pytest.fixture(scope="module")
def network(weights):
    return MoveNet(store.path("movenet-thunder"), SIZE).eval()


@pytest.fixture(scope="module")
def crops():
    images = [cv2.imread(str(DATA / f"{name}_crop.png"))[..., ::-1] for name in CROPS]
    return torch.from_numpy(np.stack(images))


@pytest.fixture(scope="module")
def heads(network, crops):
    with torch.inference_mode():
        return network.heads(crops)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("centre", "center"), ("heatmap", "heatmap"), ("regression", "regress"), ("offset", "offset")],
)
def test_raw_heads_equal_the_original_graph(heads, ours, theirs):
    for i, crop in enumerate(CROPS):
        reference = REFERENCE[f"{crop}_{theirs}"]
        head = getattr(heads, ours)[i, :, ::4, ::4].numpy()
        assert np.abs(head - reference).max() <= 1e-4 * np.ptp(reference)


def test_decoded_keypoints_equal_the_original_graph(network, heads):
    decoded = network.decode(heads).numpy()
    for i, crop in enumerate(CROPS):
        reference = REFERENCE[f"{crop}_decoded"]
        np.testing.assert_allclose(decoded[i, :, :2], reference[:, 1::-1] * SIZE, atol=0.02)
        np.testing.assert_allclose(decoded[i, :, 2], reference[:, 2], atol=1e-4)


def test_crop_gives_the_same_result_alone_and_in_a_batch(network, crops):
    with torch.inference_mode():
        together, alone = network(crops), network(crops[1:])
    np.testing.assert_allclose(together[1:], alone, atol=1e-3)


def _in_bfloat16(network):
    in_bfloat16(network.network)
    return network


@pytest.mark.parametrize(
    "lower",
    [
        pytest.param(torch.nn.Module.half, id="float16"),
        pytest.param(
            _in_bfloat16,
            id="bfloat16",
            marks=pytest.mark.skipif(not bfloat16_runs(), reason="this CPU computes no bfloat16"),
        ),
    ],
)
def test_half_precision_moves_keypoints_by_less_than_half_a_pixel(weights, network, crops, lower):
    half = lower(MoveNet(store.path("movenet-thunder"), SIZE).eval())
    with torch.inference_mode():
        moved = (half(crops) - network(crops))[..., :2].norm(dim=-1)
    # px of the crop; the people of these crops are 900 px tall, so 1 px is 3.5 px of the image.
    assert moved.median() * 3.5 <= 0.5


def test_left_and_right_are_the_persons_own(network, heads):
    """Seen from the front, the left shoulder, hip and ankle are on the image's right; from behind, on its left."""
    x = network.decode(heads)[..., 0].numpy()
    for left, right in ((5, 6), (11, 12), (15, 16)):
        assert x[0, left] > x[0, right]
    for left, right in ((5, 6), (11, 12)):
        assert x[1, left] < x[1, right]
