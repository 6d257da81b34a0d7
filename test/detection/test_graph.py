"""The graph reader and builder on a small graph, against explicit convolutions."""

import base64
import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from pose3d_ros.detection import graph
from pose3d_ros.detection.graph import GraphNetwork, read_graph
from pose3d_ros.errors import WeightsCorruptError


def _text(word: str) -> str:
    return base64.b64encode(word.encode()).decode()


def _write(folder, nodes, weights):
    manifest = [
        {"name": name, "shape": list(value.shape), "dtype": "float32", "quantization": {"dtype": "float16"}}
        for name, value in weights.items()
    ]
    nodes = [{"name": "in", "op": "Placeholder"}, *nodes, *({"name": name, "op": "Const"} for name in weights)]
    content = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["x.bin"], "weights": manifest}],
    }
    (folder / "x.json").write_text(json.dumps(content))
    (folder / "x.bin").write_bytes(b"".join(value.astype("<f2").tobytes() for value in weights.values()))
    return folder / "x.json"


def _convolution(stride: int) -> dict:
    return {
        "name": "out",
        "op": "_FusedConv2D",
        "input": ["in", "kernel", "bias"],
        "attr": {
            "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
            "padding": {"s": _text("SAME")},
            "fused_ops": {"list": {"s": [_text("BiasAdd"), _text("Relu6")]}},
        },
    }


@pytest.fixture
def weights():
    generator = np.random.default_rng(0)
    return {"kernel": generator.normal(size=(3, 3, 2, 4)).astype("<f2"), "bias": np.arange(4.0).astype("<f2")}


@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_puts_the_odd_pixel_after_the_image(tmp_path, weights, stride):
    network = GraphNetwork(read_graph(_write(tmp_path, [_convolution(stride)], weights)), "in", ["out"], 8, True)
    x = torch.randn(3, 2, 8, 8)
    output = network(x.flip(2, 3))[0].flip(2, 3)
    before, after = (1, 1) if stride == 1 else (0, 1)
    kernel = torch.from_numpy(weights["kernel"].astype(np.float32)).permute(3, 2, 0, 1)
    padded = functional.pad(x, (before, after, before, after))
    expected = functional.conv2d(padded, kernel, torch.arange(4.0), stride).clamp(0, 6)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)


def test_truncated_weights_are_rejected(tmp_path, weights):
    topology = _write(tmp_path, [_convolution(1)], weights)
    (tmp_path / "x.bin").write_bytes(b"\0" * 10)
    with pytest.raises(WeightsCorruptError, match="pose3d models fetch"):
        read_graph(topology)


def test_unsupported_operation_is_rejected(tmp_path, weights):
    node = {"name": "out", "op": "Cosh", "input": ["in"], "attr": {}}
    with pytest.raises(WeightsCorruptError, match="Cosh"):
        GraphNetwork(read_graph(_write(tmp_path, [node], weights)), "in", ["out"], 8)


@pytest.mark.parametrize("activation", sorted(graph.ACTIVATIONS))
def test_fused_operator_equals_the_plain_ones(monkeypatch, activation):
    layer = graph.Convolution(torch.randn(4, 2, 3, 3), (2, 2), 1, (1, 1))
    layer.activation = activation
    x = torch.randn(2, 2, 8, 8) * 5
    with torch.inference_mode():
        fused = layer(x)
        monkeypatch.setattr(graph, "ONEDNN", None)
        torch.testing.assert_close(layer(x), fused, atol=1e-5, rtol=1e-5)
