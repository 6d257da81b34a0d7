"""Networks for the joints of people in given boxes: their interface, and MoveNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pose3d_ros.detection import movenet
from pose3d_ros.detection.backend import backend_of
from pose3d_ros.detection.boxes import grown
from pose3d_ros.detection.crops import cut, square, to_image
from pose3d_ros.detection.devices import one_thread, torch_device
from pose3d_ros.detection.finite import check_finite
from pose3d_ros.detection.options import DetectorOptions
from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats, Skeleton
from pose3d_ros.weights import store

Image = NDArray[np.uint8]
# Size of the crop relative to the box around the person. By choice.
CROP_SCALE = 1.1


@dataclass(frozen=True, eq=False)
class FoundKeypoints:
    """The joints of N people; detection/uncertainty.py scales its standard deviations by crop_scale."""

    xy: Floats  # (N, J, 2) px of each person's image
    score: Floats  # (N, J) in [0, 1]
    crop_scale: Floats  # (N,) image px in one px of a crop of 256 px


class KeypointHead(Protocol):
    """A network for the joints of one person in a box, or a pair of networks, with the exact one used on request."""

    @property
    def name(self) -> str:
        """The last part of the detector's name."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of its joints."""
        ...

    @property
    def device(self) -> str:
        """The device that it runs on."""
        ...

    @property
    def backend(self) -> str:
        """The backend that runs it."""
        ...

    def __call__(self, images: Sequence[Image], boxes: Floats, exact: NDArray[np.bool_]) -> FoundKeypoints:
        """Detect one person in each of N boxes (N, 4) px of N BGR images; exact (N,): use the exact network."""
        ...


class MoveNetJoints:
    """MoveNet Thunder or Lightning."""

    skeleton: Skeleton = COCO_17

    def __init__(self, name: str, device: str, options: DetectorOptions) -> None:
        """name is one of movenet.SIZES. Raises WeightsMissingError, WeightsCorruptError, InputError."""
        self.name, self._device = name, torch_device(device)
        network = movenet.MoveNet(store.path(name), movenet.SIZES[name]).eval()
        sides = network.size, network.size
        self._heads = backend_of(name, network.network, movenet.in_bfloat16, sides, self._device, options)
        self._network = network.to(self._device)

    @property
    def device(self) -> str:
        """The device that it runs on."""
        return str(self._device)

    @property
    def backend(self) -> str:
        """The backend that runs it: torch or openvino."""
        return self._heads.name

    def __call__(self, images: Sequence[Image], boxes: Floats, exact: NDArray[np.bool_]) -> FoundKeypoints:
        """Detect all people in one forward pass; exact has no effect."""
        size = self._network.size
        crops = [square(box) for box in grown(boxes, CROP_SCALE)]
        if not crops:
            return FoundKeypoints(np.zeros((0, movenet.JOINTS, 2)), np.zeros((0, movenet.JOINTS)), np.zeros(0))
        rgb = np.empty((len(crops), size, size, 3), dtype=np.uint8)
        for target, image, crop in zip(rgb, images, crops, strict=True):
            cv2.cvtColor(cut(image, crop, size), cv2.COLOR_BGR2RGB, dst=target)
        heads = movenet.Heads(*self._heads(rgb))
        with one_thread(), torch.inference_mode():
            points = self._network.points(heads).cpu().numpy().astype(np.float64)
        check_finite(points, self.name)
        xy = np.stack([to_image(joints[:, :2], crop, size) for joints, crop in zip(points, crops, strict=True)])
        side = np.array([crop.side for crop in crops])
        return FoundKeypoints(xy, np.clip(points[..., 2], 0.0, 1.0), side / 256 * movenet.SPREAD[self.name])


class LightAndExact:
    """A light network, and an exact one for the people that need it; both have the same skeleton and device."""

    def __init__(self, light: KeypointHead, exact: KeypointHead) -> None:
        self._light, self._exact = light, exact
        self.name, self.skeleton, self.device = "movenet-auto", light.skeleton, light.device

    @property
    def backend(self) -> str:
        """The backends that run them."""
        light, exact = self._light.backend, self._exact.backend
        return light if light == exact else f"{light}, {exact}"

    def __call__(self, images: Sequence[Image], boxes: Floats, exact: NDArray[np.bool_]) -> FoundKeypoints:
        """Detect each person with one of the two networks."""
        parts = []
        order = []
        for network, selected in ((self._light, ~exact), (self._exact, exact)):
            rows = np.flatnonzero(selected)
            parts.append(network([images[row] for row in rows], boxes[rows], exact[rows]))
            order.append(rows)
        back = np.argsort(np.concatenate(order))
        return FoundKeypoints(
            np.concatenate([part.xy for part in parts])[back],
            np.concatenate([part.score for part in parts])[back],
            np.concatenate([part.crop_scale for part in parts])[back],
        )
