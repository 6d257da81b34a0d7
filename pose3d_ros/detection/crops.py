"""Square crops of an image for a network, without processing the rest of the image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.structures import Floats

EVEN = 8  # px: sides are multiples of it and can be halved three times (2048 to 256 px)


@dataclass(frozen=True)
class Crop:
    """A square of the image: its upper left pixel and side, in px; it may extend beyond the border."""

    left: int
    top: int
    side: int


def square(box: Floats) -> Crop:
    """Return the square around a box (left, top, right, bottom px) that contains all of it."""
    longer = float(max(box[2] - box[0], box[3] - box[1]))
    side = max(int(np.ceil(longer / EVEN)), 1) * EVEN
    left, top = (box[:2] + box[2:]) / 2 - side / 2
    return Crop(round(float(left)), round(float(top)), side)


def cut(image: NDArray[np.uint8], crop: Crop, size: int) -> NDArray[np.uint8]:
    """Return the crop scaled to (size, size, 3), black outside the image."""
    height, width = image.shape[:2]
    right, bottom = crop.left + crop.side, crop.top + crop.side
    inside = image[max(crop.top, 0) : min(bottom, height), max(crop.left, 0) : min(right, width)]
    if inside.shape[:2] != (crop.side, crop.side):
        if 0 in inside.shape:
            return np.zeros((size, size, 3), dtype=np.uint8)
        above, left = max(-crop.top, 0), max(-crop.left, 0)
        below, right = crop.side - above - inside.shape[0], crop.side - left - inside.shape[1]
        inside = cv2.copyMakeBorder(inside, above, below, left, right, cv2.BORDER_CONSTANT)  # type: ignore[assignment]
    return shrunk(inside, (size, size))


def shrunk(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale an image to size_wh px: halve it while possible, then interpolate.

    This is close to area averaging, in a sixth of the time (824 to 256 px: 0.26 ms instead of 1.71).
    """
    while image.shape[1] >= 2 * size_wh[0] and image.shape[0] >= 2 * size_wh[1]:
        half_wh = image.shape[1] // 2, image.shape[0] // 2
        image = np.asarray(cv2.resize(image, half_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def to_image(xy: Floats, crop: Crop, size: int) -> Floats:
    """Transform points (..., 2) from the crop to the image, both in px.

    In the crop, 0 is the left or upper edge of the first pixel, as in networks; in the image it is the pixel's centre.
    """
    return xy * (crop.side / size) + (crop.left - 0.5, crop.top - 0.5)
