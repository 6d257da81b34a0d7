"""Read a TensorFlow.js graph model (topology and fp16 weights, as data) and build it as a torch module.

Only the operations of the MoveNets and NanoDet before their decoders are supported: convolutions with padding, bias
and activation folded in, additions, concatenation, max pooling, bilinear resizing. TensorFlow's tensors are NHWC; here
every tensor is (B, C, H, W) in channels_last memory, so the graphs' own transposes vanish.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pose3d_ros.errors import WeightsCorruptError

Operation = Callable[..., Tensor]

LEAKY_SLOPE = 0.1  # of every LeakyRelu in NanoDet's graph
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "Relu": functional.relu_,
    "Relu6": partial(functional.hardtanh_, min_val=0.0, max_val=6.0),
    "LeakyRelu": partial(functional.leaky_relu_, negative_slope=LEAKY_SLOPE),
}
# The same for oneDNN, which applies them while a convolution's result is still in registers, by the operator that
# torch's own compiler emits on CPUs. 4 crops on one thread: 104 ms instead of 170.
ONEDNN_ACTIVATIONS: Mapping[str, tuple[str, list[float], str]] = {
    "": ("none", [], ""),
    "Relu": ("relu", [], ""),
    "Relu6": ("hardtanh", [0.0, 6.0], ""),
    "LeakyRelu": ("leaky_relu", [LEAKY_SLOPE], ""),
}
ONEDNN = getattr(torch.ops.mkldnn, "_convolution_pointwise", None) if torch._C._has_mkldnn else None
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True)
class GraphFile:
    """A parsed graph model: nodes by name, constants by name (float32 or int32)."""

    nodes: Mapping[str, dict[str, Any]]
    constants: Mapping[str, NDArray[Any]]


def read_graph(topology: Path) -> GraphFile:
    """Read `x.json` and the weight files that it names, in the same folder.

    Raises WeightsCorruptError if the weights are shorter than the topology requires.
    """
    model = json.loads(topology.read_text())
    constants: dict[str, NDArray[Any]] = {}
    for group in model["weightsManifest"]:
        raw = b"".join((topology.parent / name).read_bytes() for name in group["paths"])
        offset = 0
        for weight in group["weights"]:
            stored = np.dtype(weight.get("quantization", weight)["dtype"]).newbyteorder("<")
            count = int(np.prod(weight["shape"]))
            if offset + count * stored.itemsize > len(raw):
                raise WeightsCorruptError(f"{topology}: its weights end early: run `pose3d models fetch`")
            values = np.frombuffer(raw, stored, count, offset).reshape(weight["shape"])
            constants[weight["name"]] = values.astype(weight["dtype"])
            offset += values.nbytes
    return GraphFile({node["name"]: node for node in model["modelTopology"]["node"]}, constants)


class Convolution(nn.Module):
    """conv2d + bias + activation on (B, I, H, W) in channels_last memory."""

    def __init__(self, weight: Tensor, stride: tuple[int, int], groups: int, padding: tuple[int, int]) -> None:
        """weight is (O, I / groups, kh, kw); padding is added above and below, left and right."""
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(len(weight)), requires_grad=False)
        self.stride, self.groups, self.padding, self.activation = stride, groups, padding, ""

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)  # layers may differ in precision
        if ONEDNN is not None and x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16):
            activation = ONEDNN_ACTIVATIONS[self.activation]
            y: Tensor = ONEDNN(x, self.weight, self.bias, self.padding, self.stride, [1, 1], self.groups, *activation)
            return y
        x = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return ACTIVATIONS[self.activation](x)


class GraphNetwork(nn.Module):
    """The part of a graph model between one node and several others, run in order.

    TensorFlow's SAME adds its odd pixel after an image, torch's padding before it. With `half_turn` every kernel is
    rotated by 180 degrees, so that a rotated image gives the rotated outputs of the original graph: the odd pixel is
    then before the image, and no padded copy is needed (4 crops, 2 threads: 65 ms instead of 78).
    """

    scale: Tensor  # (3,)
    shift: Tensor  # (3,)

    def __init__(
        self,
        file: GraphFile,
        start: str,
        outputs: Sequence[str],
        size: int,
        half_turn: bool = False,
        *,
        scale: Sequence[float] = (1.0, 1.0, 1.0),
        shift: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        """start is the node that the input (B, C, H, W) replaces; outputs are returned in the given order.

        size is the side in px of the square input that the graph was designed for; other multiples of 32 work too,
        since resizing is relative. scale and shift convert an image's three channels to the input.
        """
        super().__init__()
        builder = _Builder(file, start, size, half_turn)
        self.outputs = tuple(builder.value(name) for name in outputs)
        self.steps = tuple(builder.steps)
        self.half_turn = half_turn
        self.layers = nn.ModuleList(operation for operation, _ in self.steps if isinstance(operation, nn.Module))
        last = {number: step for step, (_, inputs) in enumerate(self.steps) for number in inputs}
        self._done: tuple[tuple[int, ...], ...] = tuple(
            tuple(number for number in last if last[number] == step and number not in self.outputs)
            for step in range(len(self.steps))
        )
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    @property
    def convolutions(self) -> list[Convolution]:
        """The convolutions, in the order in which they run."""
        return [layer for layer in self.layers if isinstance(layer, Convolution)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        values: dict[int, Tensor] = {0: x}
        for step, (operation, inputs) in enumerate(self.steps):
            values[step + 1] = operation(*[values[number] for number in inputs])
            for number in self._done[step]:
                del values[number]
        return tuple(values[number] for number in self.outputs)

    def heads(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, float32, of images (B, H, W, 3), 0 to 255, in the images' orientation."""
        if self.half_turn:
            images = images.flip(1, 2)
        # (B, 3, H, W) in channels_last memory.
        outputs = self((images.float() * self.scale.float() + self.shift.float()).permute(0, 3, 1, 2))
        return tuple(head.float().flip(2, 3) if self.half_turn else head.float() for head in outputs)


class _Builder:
    """Converts nodes to steps; value number 0 is the input, n + 1 is the output of step n."""

    def __init__(self, file: GraphFile, start: str, size: int, half_turn: bool) -> None:
        self.nodes, self.constants, self.half_turn = file.nodes, file.constants, half_turn
        self.steps: list[tuple[Operation, tuple[int, ...]]] = []
        self.sizes = [size]  # side of each value in px, for an input of `size`
        self.numbers = {start: 0}
        self.consumers = Counter(name for node in file.nodes.values() for name in node.get("input", []))

    def value(self, name: str) -> int:
        """Return the number of a node's value, after building its inputs."""
        if name not in self.numbers:
            node = self.nodes[name]
            build = getattr(self, f"build_{node['op'].strip('_').lower()}", None)
            if build is None:
                raise WeightsCorruptError(
                    f"the graph has the unsupported operation {node['op']} ({name}), so it is not one of the "
                    "published models: run `pose3d models fetch`"
                )
            self.numbers[name] = build(node, node["input"])
        return self.numbers[name]

    def step(self, operation: Operation, *inputs: str, size: int | None = None) -> int:
        numbers = tuple(self.value(name) for name in inputs)
        self.steps.append((operation, numbers))
        self.sizes.append(self.sizes[numbers[0]] if size is None else size)
        return len(self.steps)

    def convolution(self, node: dict[str, Any], weight: NDArray[np.float32], groups: int) -> int:
        """weight in torch's order (O, I / groups, k, k)."""
        kernel, stride = weight.shape[-1], int(node["attr"]["strides"]["list"]["i"][1])
        source, padding = self.unpadded(node["input"][0])
        size = self.sizes[self.value(source)]
        if _text(node["attr"]["padding"]) == "SAME":
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            assert total % 2 == 0 or self.half_turn
            padding = total - total // 2
        if self.half_turn:
            weight = weight[..., ::-1, ::-1]
        layer = Convolution(torch.from_numpy(weight.copy()), (stride, stride), groups, (padding, padding))
        return self.step(layer, source, size=(size + 2 * padding - kernel) // stride + 1)

    def unpadded(self, name: str) -> tuple[str, int]:
        """Return the value behind a Pad (skipping transposes) and how much it adds on each side."""
        inner = name
        while inner in self.nodes and self.nodes[inner]["op"] == "Transpose":
            inner = self.nodes[inner]["input"][0]
        if not self.nodes[inner]["op"].startswith("Pad"):
            return name, 0
        source, amounts = self.nodes[inner]["input"][:2]
        before_after = self.constants[amounts][2:]  # of height and width: NanoDet pads in NCHW
        assert (before_after == before_after[0, 0]).all()
        return source, int(before_after[0, 0])

    def last_convolution(self, name: str) -> tuple[int, Convolution]:
        """Return the value `name` and its layer, into which bias and activation are folded."""
        number = self.value(name)
        layer = self.steps[number - 1][0]
        assert isinstance(layer, Convolution)
        assert self.consumers[name] == 1
        return number, layer

    def build_conv2d(self, node: dict[str, Any], inputs: list[str]) -> int:
        return self.convolution(node, self.constants[inputs[1]].transpose(3, 2, 0, 1), groups=1)

    def build_depthwiseconv2dnative(self, node: dict[str, Any], inputs: list[str]) -> int:
        weight = self.constants[inputs[1]].transpose(2, 3, 0, 1)  # multiplier 1: (C, 1, k, k)
        return self.convolution(node, weight, groups=len(weight))

    def build_fusedconv2d(self, node: dict[str, Any], inputs: list[str]) -> int:
        return self.finish(self.build_conv2d(node, inputs), node, inputs)

    def build_fuseddepthwiseconv2dnative(self, node: dict[str, Any], inputs: list[str]) -> int:
        return self.finish(self.build_depthwiseconv2dnative(node, inputs), node, inputs)

    def finish(self, number: int, node: dict[str, Any], inputs: list[str]) -> int:
        """Set bias and activation of the convolution that was built last from its node."""
        layer = self.steps[number - 1][0]
        assert isinstance(layer, Convolution)
        layer.bias.data = torch.from_numpy(self.constants[inputs[2]].copy())
        fused = [base64.b64decode(text).decode() for text in node["attr"]["fused_ops"]["list"]["s"]]
        layer.activation = "".join(fused[1:])  # the first is BiasAdd
        return number

    def build_add(self, node: dict[str, Any], inputs: list[str]) -> int:
        if inputs[1] not in self.constants:
            return self.step(torch.add, *inputs)
        number, layer = self.last_convolution(inputs[0])
        layer.bias.data = torch.from_numpy(self.constants[inputs[1]].copy())
        return number

    build_addv2 = build_add

    def build_leakyrelu(self, node: dict[str, Any], inputs: list[str]) -> int:
        assert abs(node["attr"]["alpha"]["f"] - LEAKY_SLOPE) < 1e-6
        number, layer = self.last_convolution(inputs[0])
        layer.activation = "LeakyRelu"
        return number

    def build_transpose(self, node: dict[str, Any], inputs: list[str]) -> int:
        assert self.constants[inputs[1]].tolist() in (NHWC_TO_NCHW, NCHW_TO_NHWC)
        return self.value(inputs[0])

    def build_concatv2(self, node: dict[str, Any], inputs: list[str]) -> int:
        assert self.constants[inputs[-1]] == 1  # the channels: NanoDet concatenates in NCHW
        return self.step(_concatenate, *inputs[:-1])

    def build_maxpool(self, node: dict[str, Any], inputs: list[str]) -> int:
        source, padding = self.unpadded(inputs[0])
        kernel, stride = (int(node["attr"][key]["list"]["i"][1]) for key in ("ksize", "strides"))
        size = (self.sizes[self.value(source)] + 2 * padding - kernel) // stride + 1
        pool = partial(functional.max_pool2d, kernel_size=kernel, stride=stride, padding=padding)
        return self.step(pool, source, size=size)

    def build_resizebilinear(self, node: dict[str, Any], inputs: list[str]) -> int:
        assert node["attr"]["half_pixel_centers"]["b"]
        old = self.sizes[self.value(inputs[0])]
        if inputs[1] in self.constants:
            size = int(self.constants[inputs[1]][0])
        else:  # MultiPose multiplies the input's size by a constant
            size = old * int(self.constants[self.nodes[inputs[1]]["input"][1]][0])
        scale = size / old
        resize = partial(functional.interpolate, scale_factor=scale, mode="bilinear", align_corners=False)
        return self.step(resize, inputs[0], size=size)


def _concatenate(*values: Tensor) -> Tensor:
    return torch.cat(values, dim=1)


def _text(attribute: Mapping[str, str]) -> str:
    return base64.b64decode(attribute["s"]).decode()
