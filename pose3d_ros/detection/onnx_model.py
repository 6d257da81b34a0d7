"""Run a user's ONNX file with ONNX Runtime: images in, arrays out. Only the graph of the file is executed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.cache import cache_dir
from pose3d_ros.detection.finite import check_finite
from pose3d_ros.errors import DependencyError, InputError
from pose3d_ros.files.door import DETECTOR_MODEL, checked, expanded
from pose3d_ros.structures import Floats

INSTALL = "pip install 'pose3d_ros[onnx]'"
PROVIDERS = {
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "cpu": ("CPUExecutionProvider",),
}
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# ImageNet's mean and standard deviation of RGB, as in torchvision, MMPose and networks trained with them.
MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], dtype=np.float32)
NORMALISATIONS = ("imagenet", "unit", "raw")


class OnnxModel:
    """A network for images (N, 3, H, W); device is the device that it actually runs on."""

    def __init__(self, file: str, device: str = "auto") -> None:
        """device: auto (CUDA if ONNX Runtime supports it), cpu, cuda, cuda:1, tensorrt, tensorrt:1.

        Raises DependencyError without ONNX Runtime, InputError for an unusable device or file. If the device is not
        available, it warns and falls back to the next best one.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise DependencyError(f"detector onnx needs ONNX Runtime ({error}): {INSTALL}") from error
        self.file = expanded(file)
        checked(self.file, DETECTOR_MODEL)
        requested = _providers(device, onnxruntime.get_available_providers())
        try:
            self._session: Any = onnxruntime.InferenceSession(str(self.file), providers=requested)
        except Exception as error:  # ONNX Runtime's own errors share no public class
            raise InputError(
                f"detector_model {file}: ONNX Runtime cannot open it ({_line(error)}): give a network's .onnx file"
            ) from error
        provider = self._session.get_providers()[0]
        if provider != requested[0][0]:  # built with the provider, but its libraries are missing here
            warnings.warn(f"{self.file.name}: {requested[0][0]} could not start, {provider} is used", stacklevel=2)
        self.device = f"{device} ({provider.removesuffix('ExecutionProvider')})"
        self.output_names = [output.name for output in self._session.get_outputs()]
        self._read_input(self._session.get_inputs())

    def _read_input(self, inputs: list[Any]) -> None:
        described = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in inputs)
        expected = "one image input (N, 3, height, width) of float32 or float16 with a fixed height and width"
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type not in TYPES:
            raise InputError(f"detector_model {self.file}: its input is {described or 'nothing'}, expected {expected}")
        if not all(isinstance(side, int) and side > 0 for side in shape[2:]):
            raise InputError(
                f"detector_model {self.file}: its input is {described}, expected {expected}: export it again"
            )
        self.size_wh: tuple[int, int] = (shape[3], shape[2])
        self._name, self._type = inputs[0].name, TYPES[inputs[0].type]
        self._batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 0  # 0: any number of images

    def __call__(self, images: NDArray[np.uint8], normalisation: str) -> list[Floats]:
        """Return all outputs for images (N, H, W, 3), BGR, N > 0, batched as the file allows."""
        batch = pixels(images, normalisation).astype(self._type)
        step = self._batch or len(batch)
        parts = []
        for start in range(0, len(batch), step):
            part = batch[start : start + step]
            missing = step - len(part)
            padded = np.concatenate((part, np.zeros((missing, *part.shape[1:]), part.dtype))) if missing else part
            try:
                outputs = self._session.run(None, {self._name: padded})
            except Exception as error:
                raise InputError(f"detector_model {self.file}: ONNX Runtime failed: {_line(error)}") from error
            parts.append([np.asarray(output, dtype=np.float64)[: len(part)] for output in outputs])
            for output in parts[-1]:
                check_finite(output, f"detector_model {self.file}", infinite=True)
        return [np.concatenate(batches) for batches in zip(*parts, strict=True)]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the outputs for one image, measured with a black image."""
        width, height = self.size_wh
        return [output.shape for output in self(np.zeros((1, height, width, 3), np.uint8), "raw")]


def pixels(images: NDArray[np.uint8], normalisation: str) -> NDArray[np.float32]:
    """Convert images (N, H, W, 3), BGR, to a network's input (N, 3, H, W) with one of NORMALISATIONS."""
    channels: NDArray[np.float32] = images.astype(np.float32)
    if normalisation != "raw":
        channels = channels[..., ::-1]  # RGB
        channels = channels / np.float32(255) if normalisation == "unit" else (channels - MEAN) / DEVIATION
    return np.ascontiguousarray(channels.transpose(0, 3, 1, 2))


def _providers(device: str, available: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return ONNX Runtime's providers for a device, best first; warns if the best is not available."""
    kind, _, number = device.partition(":")
    numbered = not number or (number.isdigit() and kind in ("cuda", "tensorrt"))
    if kind not in ("auto", *PROVIDERS) or not numbered:
        raise InputError(f"device {device!r} cannot be used with ONNX: use auto, cpu, cuda, cuda:1, tensorrt, ...")
    names = PROVIDERS["cuda" if kind == "auto" else kind]
    usable = [name for name in names if name in available]
    if kind != "auto" and usable[0] != names[0]:
        warnings.warn(
            f"device {device!r}: this ONNX Runtime has no {names[0]}, {usable[0]} is used: install onnxruntime-gpu",
            stacklevel=3,
        )
    gpu: dict[str, Any] = {"device_id": int(number)} if number else {}
    # Building an engine takes minutes: it is cached for the next start.
    cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache_dir() / "tensorrt")}
    settings = {"CUDAExecutionProvider": gpu, "TensorrtExecutionProvider": {**gpu, **cache}}
    return [(name, settings.get(name, {})) for name in usable]


def _line(error: Exception) -> str:
    """Return the error's text in one line, cut to 300 characters."""
    return " ".join(str(error).split())[:300]
