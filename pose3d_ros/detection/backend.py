"""Backends of a graph network: torch on any device, OpenVINO on CPUs; the faster one is chosen by measurement."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose3d_ros.detection.devices import halves
from pose3d_ros.detection.fastest import fastest
from pose3d_ros.detection.graph import GraphNetwork
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.errors import DependencyError, InputError

MEASURED_BATCH = 2  # images used to compare the backends


class Backend(Protocol):
    """A network up to its heads, on any device."""

    @property
    def name(self) -> str:
        """torch or openvino."""
        ...

    def __call__(self, images: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """Heads (B, C, h, w), float32, of images (B, H, W, 3)."""
        ...


class TorchBackend:
    """A network on the device and in the precision of its layers."""

    name = "torch"

    def __init__(self, network: GraphNetwork, device: torch.device) -> None:
        self._network, self._device = network, device

    def __call__(self, images: NDArray[np.uint8]) -> tuple[Tensor, ...]:
        """Heads (B, C, h, w), float32, of images (B, H, W, 3)."""
        with torch.inference_mode():
            return self._network.heads(torch.from_numpy(images).to(self._device))


def backend_of(
    what: str,
    network: GraphNetwork,
    lowered: Callable[[GraphNetwork], GraphNetwork] | None,
    size_hw: tuple[int, int],
    device: torch.device,
    options: DetectorOptions,
) -> Backend:
    """Return the backend of the options or, with auto, the one that is faster on this machine for size_hw px.

    network is in full precision, what is its name; lowered converts it to half precision on a CPU, None if it does not
    tolerate that. Raises InputError, and DependencyError if OpenVINO is requested but missing.
    """
    on_cpu = device.type == "cpu"
    half = halves(options.precision, device) and not (on_cpu and lowered is None)

    def by_torch() -> Backend:
        if not half:
            return TorchBackend(network.to(device), device)
        copy = deepcopy(network)
        return TorchBackend((lowered(copy) if on_cpu and lowered is not None else copy.half()).to(device), device)

    def by_openvino() -> Backend:
        # Imported late: OpenVINO is optional.
        from pose3d_ros.detection.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(network, torch.get_num_threads(), size_hw)

    present = find_spec("openvino") is not None
    if options.backend == "openvino":
        if not on_cpu:
            raise InputError(
                f"backend is 'openvino', which only runs on CPUs, but device is {str(device)!r}: use device cpu"
            )
        if not present:
            raise DependencyError("backend is 'openvino', which is not installed: pip install 'openvino>=2025.2'")
        return by_openvino()
    if options.backend == "torch" or not on_cpu or options.precision == "half" or not present:
        return by_torch()
    makers = {"openvino": by_openvino, "torch": by_torch}
    images = np.zeros((MEASURED_BATCH, *size_hw, 3), dtype=np.uint8)
    kind = f"{what}, torch in {'half' if half else 'full'} precision"
    return fastest(kind, makers, lambda backend: backend(images))
