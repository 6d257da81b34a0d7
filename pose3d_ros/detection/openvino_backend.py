"""Run a graph network with OpenVINO, which takes about two thirds of torch's time on CPUs, in full precision.

The graph is built from the network's own layers without tracing torch: 0.3 s, where a conversion takes 6 s.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino import opset15 as ops
from torch import Tensor
from torch.nn import functional

from pose3d_ros.detection.graph import LEAKY_SLOPE, Convolution, GraphNetwork

# Images processed at the same time, each by its share of the threads. This takes less CPU time than a batch, whose
# every layer waits for all threads (4 crops on 2 threads: 53 ms of CPU per crop instead of 64).
MAX_STREAMS = 4
# Input shapes that stay compiled (some 30 MB each): cameras of this stream_requests different shapes.
MAX_SHAPES = 4


class OpenVinoBackend:
    """Callable on a batch of any size; the first image of another size than size_hw triggers a compilation (0.5 s)."""

    name = "openvino"

    def __init__(self, network: GraphNetwork, threads: int, size_hw: tuple[int, int]) -> None:
        self._core, self._network, self._threads = openvino.Core(), network, threads
        self._compiled: dict[tuple[int, int], tuple[list[Any], Any]] = {}
        self._requests(*size_hw)  # compile now, not while the first images wait

    def __call__(self, images: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """Heads (B, C, h, w), float32, of images (B, H, W, 3)."""
        stream_requests, full_request = self._requests(images.shape[1], images.shape[2])
        images, count = np.ascontiguousarray(images), len(images)
        outputs = [np.empty((count, *output.shape[1:]), np.float32) for output in full_request.model_outputs]
        # A single remaining image would leave all streams but one idle.
        last = count - 1 if count % len(stream_requests) == 1 or count == 1 else count
        under_way: list[tuple[Any, int]] = []

        def take(request: Any, image: int) -> None:
            request.wait()
            for number, output in enumerate(outputs):
                output[image] = request.get_output_tensor(number).data[0]

        for image in range(last):
            if len(under_way) == len(stream_requests):
                take(*under_way.pop(0))
            request = stream_requests[image % len(stream_requests)]
            request.start_async([images[image : image + 1]], share_inputs=True)
            under_way.append((request, image))
        for request, image in under_way:
            take(request, image)
        if last < count:
            full_request.start_async([images[last:]], share_inputs=True)
            take(full_request, last)
        return tuple(torch.from_numpy(output) for output in outputs)

    def _requests(self, height: int, width: int) -> tuple[list[Any], Any]:
        """Return one request per stream, and one that uses all threads."""
        key = height, width
        if key not in self._compiled:
            if len(self._compiled) == MAX_SHAPES:
                del self._compiled[next(iter(self._compiled))]
            streams = min(self._threads, MAX_STREAMS)
            model = model_of(self._network, height, width)
            with ThreadPoolExecutor(2) as pool:
                streamed, *full = pool.map(partial(self._compile, model), sorted({streams, 1}, reverse=True))
            requests = [streamed.create_infer_request() for _ in range(streams)]
            self._compiled[key] = requests, full[0].create_infer_request() if full else requests[0]
        return self._compiled[key]

    def _compile(self, model: openvino.Model, streams: int) -> Any:
        # Threads pinned to cores would not yield to other processes there.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": streams,
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(model, "CPU", settings)


def model_of(network: GraphNetwork, height: int, width: int) -> openvino.Model:
    """Build the network in full precision for one image (1, height, width, 3), 0 to 255, with upright heads."""
    images = ops.parameter([1, height, width, 3], np.uint8)
    scaled = ops.multiply(ops.convert(images, "f32"), network.scale.numpy())
    values: list[Any] = [ops.transpose(ops.add(scaled, network.shift.numpy()), np.array([0, 3, 1, 2]))]
    for operation, numbers in network.steps:
        inputs = [values[number] for number in numbers]
        if isinstance(operation, Convolution):
            values.append(_convolution(operation, inputs[0], network.half_turn))
        elif operation is torch.add:
            values.append(ops.add(*inputs))
        elif getattr(operation, "func", None) is functional.max_pool2d:
            values.append(_max_pool(inputs[0], **operation.keywords))  # type: ignore[attr-defined]
        elif getattr(operation, "func", None) is functional.interpolate:
            values.append(_resize(inputs[0], operation.keywords["scale_factor"]))  # type: ignore[attr-defined]
        else:  # concatenation, the only other operation in graph.py
            values.append(ops.concat(inputs, 1))
    return openvino.Model([values[number] for number in network.outputs], [images])


def _convolution(layer: Convolution, x: Any, half_turn: bool) -> Any:
    weight, before, after, stride = layer.weight.numpy(), list(layer.padding), list(layer.padding), list(layer.stride)
    if half_turn:  # not needed: unlike torch's, this padding may differ before and after the image
        weight = weight[..., ::-1, ::-1]
        sides, kernel = x.output(0).shape, weight.shape
        for axis in range(2):
            padded = sides[2 + axis] + 2 * after[axis] - kernel[2 + axis]
            before[axis] -= padded % stride[axis]  # the remainder of the rotated kernel's last step
    weight = np.ascontiguousarray(weight)
    # Arrays that are not constants yet are converted to lists first: a third of a second per network.
    if layer.groups == 1:
        x = ops.convolution(x, ops.constant(weight), stride, before, after, [1, 1])
    else:
        grouped = weight.reshape(layer.groups, -1, *weight.shape[1:])
        x = ops.group_convolution(x, ops.constant(grouped), stride, before, after, [1, 1])
    x = ops.add(x, ops.constant(layer.bias.numpy()[None, :, None, None]))
    if layer.activation == "Relu":
        return ops.relu(x)
    if layer.activation == "Relu6":
        return ops.clamp(x, 0.0, 6.0)
    if layer.activation == "LeakyRelu":
        return ops.prelu(x, np.array([LEAKY_SLOPE], np.float32))
    return x


def _max_pool(x: Any, kernel_size: int, stride: int, padding: int) -> Any:
    around = [padding] * 2
    return ops.max_pool(x, [stride] * 2, [1, 1], around, around, [kernel_size] * 2).output(0)


def _resize(x: Any, scale: float) -> Any:
    scales, axes = np.array([scale, scale], np.float32), np.array([2, 3])
    return ops.interpolate(x, scales, "linear_onnx", "scales", coordinate_transformation_mode="half_pixel", axes=axes)
