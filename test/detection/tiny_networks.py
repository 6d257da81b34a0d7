"""ONNX networks in the forms of pose networks, with known output: joint j is at the dot of its colour.

A dot of joint j has full green, and red and blue levels(j); colours mixed at a dot's edge match no joint. A network's
map of joint j is 1 on its dot and nearly 0 elsewhere, smoothed so that the dot's centre is highest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pose3d_ros.detection.onnx_model import DEVIATION, MEAN

JOINTS = 17
FORMS = ("rtmo", "yolo", "yolo-end-to-end")


def levels(joint: int) -> tuple[int, int]:
    """The red and blue values of a joint."""
    return 255 - 12 * (joint % JOINTS), 36 * (joint // JOINTS)


class Graph:
    """Collects nodes and constants, and writes the file."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def __call__(self, op: str, *inputs: str, output: str = "", **attributes: object) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def save(self, path: Path, input_shape: list, outputs: dict[str, list], kind: int = TensorProto.FLOAT) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "tiny",
            [helper.make_tensor_value_info("input", kind, input_shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())
        return path


def maps(
    graph: Graph,
    normalisation: str,
    size_wh: tuple[int, int],
    sigma_px: float = 3.0,
    step: int = 1,
    joints: int = JOINTS,
) -> str:
    """Node of the joints' maps (N, J, H / step, W / step), highest 1 at the dot; see OnnxModel."""
    order = (2, 1, 0) if normalisation == "raw" else (0, 1, 2)
    red, green, blue = (_channel(graph, n, normalisation) for n in order)
    reds, blues = (
        graph.constant(np.array(values, np.float32).reshape(1, -1, 1, 1))
        for values in zip(*(levels(j) for j in range(joints)), strict=True)
    )
    off = [graph("Sub", red, reds), graph("Sub", green, _number(graph, 255.0)), graph("Sub", blue, blues)]
    squared = graph("Sum", *(graph("Mul", difference, difference) for difference in off))
    shown = graph("Reciprocal", graph("Add", squared, _number(graph, 1.0)))
    width, height = size_wh
    rows = graph("MatMul", graph.constant(_smooth(height, sigma_px, step)), shown)
    both = graph("MatMul", rows, graph.constant(np.ascontiguousarray(_smooth(width, sigma_px, step).T)))
    # The constant keeps the score low without a dot.
    highest = graph("Add", graph("ReduceMax", both, axes=[2, 3], keepdims=1), _number(graph, 0.01))
    return graph("Div", both, highest)


def _channel(graph: Graph, number: int, normalisation: str) -> str:
    """A channel of the input, 0 to 255."""
    ends = (graph.constant(np.array([n], np.int64)) for n in (number, number + 1, 1))
    mean, deviation = {"imagenet": (MEAN[number], DEVIATION[number]), "unit": (0, 255), "raw": (0, 1)}[normalisation]
    return graph("Add", graph("Mul", graph("Slice", "input", *ends), _number(graph, deviation)), _number(graph, mean))


def _smooth(size: int, sigma_px: float, step: int) -> np.ndarray:
    """(size / step, size): a Gaussian about every step-th pixel."""
    off = np.arange(0, size, step)[:, None] - np.arange(size)[None]
    return np.exp(-(off**2) / (2 * sigma_px**2)).astype(np.float32)


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, np.float32))


def simcc_file(
    path: Path, size_wh: tuple[int, int] = (192, 256), batch: object = "batch", joints: int = JOINTS
) -> Path:
    """RTMPose's form: the maps' highest value of each column and row, in bins of half a pixel."""
    graph, (width, height) = Graph(), size_wh
    heat = maps(graph, "imagenet", size_wh, joints=joints)
    for name, axis, size in (("simcc_x", 2, width), ("simcc_y", 3, height)):
        profile = graph("ReduceMax", heat, axes=[axis], keepdims=0)  # (N, J, size)
        # Bin 2 i is pixel i, the bin after it the mean of pixels i and i + 1.
        bins = np.zeros((size, 2 * size), np.float32)
        bins[np.arange(size), 2 * np.arange(size)] = 1.0
        bins[np.arange(size), 2 * np.arange(size) + 1] = 0.5
        bins[np.arange(1, size), 2 * np.arange(size - 1) + 1] = 0.5
        graph("MatMul", profile, graph.constant(bins), output=name)
    shapes = {"simcc_x": [batch, joints, 2 * width], "simcc_y": [batch, joints, 2 * height]}
    return graph.save(path, [batch, 3, height, width], shapes)


def heatmap_file(path: Path, size_wh: tuple[int, int] = (192, 256), batch: object = 1) -> Path:
    """HRNet's form: maps of a quarter of the size, a Gaussian of 2 cells about each dot."""
    graph, (width, height) = Graph(), size_wh
    graph("Identity", maps(graph, "imagenet", size_wh, sigma_px=8.0, step=4), output="heatmaps")
    return graph.save(path, [batch, 3, height, width], {"heatmaps": [batch, JOINTS, height // 4, width // 4]})


def one_stage_file(path: Path, form: str, size: int = 256, joints: int = JOINTS) -> Path:
    """One person: the joints are where the maps are highest, the box is around them; twice, with an unsure third.

    form: rtmo, yolo or yolo-end-to-end.
    """
    graph = Graph()
    heat = maps(graph, "raw" if form == "rtmo" else "unit", (size, size), joints=joints)
    flat = graph("Reshape", heat, graph.constant(np.array([1, joints, -1], np.int64)))
    best = graph("ArgMax", flat, axis=2, keepdims=1)  # (1, J, 1)
    wide = graph.constant(np.array(size, np.int64))
    x, y = (graph("Cast", graph(op, best, wide), to=TensorProto.FLOAT) for op in ("Mod", "Div"))
    score = graph("ReduceMax", flat, axes=[2], keepdims=1)
    points = graph("Concat", x, y, score, axis=2)  # (1, J, 3)
    low, high = (
        [graph(op, one, axes=[1], keepdims=0) for one in (x, y)] for op in ("ReduceMin", "ReduceMax")
    )  # (1, 1) each
    row = graph("Reshape", points, graph.constant(np.array([1, 3 * joints], np.int64)))
    sure = [graph.constant(np.array([[value]], np.float32)) for value in (0.9, 0.8, 0.05)]
    if form == "yolo":
        half = _number(graph, 0.5)
        middle = [graph("Mul", graph("Add", a, b), half) for a, b in zip(low, high, strict=True)]
        corners = [*middle, *(graph("Sub", b, a) for a, b in zip(low, high, strict=True))]
    else:
        corners = [*low, *high]
    if form == "rtmo":
        rows = [graph("Concat", *corners, one, axis=1) for one in sure]
        graph("Concat", *(_person(graph, one) for one in rows), axis=1, output="dets")
        people = graph("Unsqueeze", points, graph.constant(np.array([1], np.int64)))
        graph("Concat", people, people, people, axis=1, output="keypoints")
        outputs = {"dets": [1, 3, 5], "keypoints": [1, 3, joints, 3]}
    else:
        kind = [] if form == "yolo" else [graph.constant(np.zeros((1, 1), np.float32))]
        rows = [graph("Concat", *corners, one, *kind, row, axis=1) for one in sure]
        people = graph("Concat", *(_person(graph, one) for one in rows), axis=1)
        columns = 5 + len(kind) + 3 * joints
        order = [0, 2, 1] if form == "yolo" else [0, 1, 2]
        graph("Transpose", people, perm=order, output="output0")
        outputs = {"output0": [1, columns, 3] if form == "yolo" else [1, 3, columns]}
    return graph.save(path, [1, 3, size, size], outputs)


def _person(graph: Graph, row: str) -> str:
    return graph("Unsqueeze", row, graph.constant(np.array([1], np.int64)))


def picture(xy: np.ndarray, size_wh: tuple[int, int], radius: int) -> np.ndarray:
    """A black BGR image in which square dots of 2 radius + 1 px show joints xy (J, 2) px, whole numbers."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for joint, (x, y) in enumerate(np.asarray(xy, int)):
        red, blue = levels(joint)
        image[y - radius : y + radius + 1, x - radius : x + radius + 1] = (blue, 255, red)
    return image
