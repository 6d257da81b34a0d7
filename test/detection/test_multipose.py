"""MoveNet MultiPose and Lightning against numbers from another runtime (test/data/detection/README.md)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose3d_ros.detection.factory import make_detector
from pose3d_ros.detection.movenet import SIZES, MoveNet
from pose3d_ros.detection.multipose import MultiPose, decode
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import WeightsError
from pose3d_ros.structures import FrameSet
from pose3d_ros.weights import store

DATA = Path(__file__).parents[1] / "data" / "detection"
REFERENCE = np.load(DATA / "reference_movenets.npz")


def _model(name):
    try:
        return store.path(name)
    except WeightsError as error:
        pytest.skip(str(error))


def _canvas(image):
    canvas = np.zeros((416, 256, 3), np.uint8)
    canvas[:, : image.shape[1]] = image
    return torch.from_numpy(np.ascontiguousarray(canvas[..., ::-1]))


def _assert_heads_equal(heads, names, step, model):
    for ours, theirs in names.items():
        reference = REFERENCE[f"{model}_{theirs}"]
        head = getattr(heads, ours).reshape(-1, *getattr(heads, ours).shape[-2:])[:, ::step, ::step].numpy()
        assert np.abs(head - reference).max() <= 1e-4 * np.ptp(reference), ours


def test_lightning_equals_the_original_graph(image):
    network = MoveNet(_model("movenet-lightning"), SIZES["movenet-lightning"]).eval()
    crop = torch.from_numpy(np.ascontiguousarray(image[66:258, :192, ::-1]))
    with torch.inference_mode():
        heads = network.heads(crop[None])
        decoded = network.decode(heads)[0].numpy()
    names = {"centre": "center", "heatmap": "heatmap", "regression": "regress", "offset": "offset"}
    _assert_heads_equal(heads, names, 4, "lightning")
    reference = REFERENCE["lightning_decoded"]
    np.testing.assert_allclose(decoded[:, :2], reference[:, 1::-1] * 192, atol=0.05)
    np.testing.assert_allclose(decoded[:, 2], reference[:, 2], atol=1e-4)


def test_multipose_equals_the_original_graph(image):
    network = MultiPose(_model("movenet-multipose")).eval()
    with torch.inference_mode():
        heads = network.heads(_canvas(image))
        points, boxes = (value.numpy() for value in decode(heads))
    names = {
        "centre": "center", "box_scale": "box_scale", "box_offset": "box_offset",
        "heatmap": "heatmap", "regression": "regress", "offset": "offset",
    }  # fmt: skip
    _assert_heads_equal(heads, names, 8, "multipose")
    reference = REFERENCE["multipose_decoded"]
    joints = reference[:, :51].reshape(6, 17, 3)
    np.testing.assert_allclose(points[..., :2], joints[..., 1::-1] * (256, 416), atol=0.05)
    np.testing.assert_allclose(points[..., 2], joints[..., 2], atol=1e-4)
    np.testing.assert_allclose(boxes[:, :4], reference[:, [52, 51, 54, 53]] * (256, 416, 256, 416), atol=0.05)
    np.testing.assert_allclose(boxes[:, 4], reference[:, 55], atol=1e-4)


@pytest.mark.parametrize("name", ["movenet-lightning", "movenet-multipose"])
def test_other_movenets_agree_with_the_default_detector(weights, image, name):
    _model(name)
    frames = FrameSet({"cam": image}, {"cam": 7})
    default = make_detector(DetectorOptions(), "cpu")(frames)["cam"]
    detector = make_detector(DetectorOptions(detector=name), "cpu")
    detected = detector(frames)["cam"]
    assert name in detector.name
    assert detected.stamp_ns == 7
    for person, score in zip(default.xy[:2], default.score[:2], strict=True):
        height = np.ptp(person[score > 0.3][:, 1])
        distance = np.linalg.norm(detected.xy - person, axis=-1)  # (P, J)
        assert np.nanmedian(np.where(score > 0.5, distance, np.nan), axis=1).min() < 0.03 * height
    visible = detected.score > 0
    assert (np.linalg.eigvalsh(detected.covariance[visible]) > 0).all()


def test_multipose_searches_an_image_of_any_shape(image):
    _model("movenet-multipose")
    detector = make_detector(DetectorOptions(detector="movenet-multipose"), "cpu")
    for shape in ((1, 1, 3), (1, 2000, 3), (3000, 2, 3), (480, 640, 3)):
        assert len(detector(FrameSet({"cam": np.full(shape, 127, np.uint8)}, {"cam": 0}))["cam"]) == 0
