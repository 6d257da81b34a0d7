"""What a camera's sensor makes of light: exposure, colour cast, blur, noise, 8 bits (NumPy, float32)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# The mean of an image that automatic exposure aims at, linear; cameras differ.
EXPOSURE = (0.14, 0.30)
CAST, VIGNETTING = (0.9, 1.1), (0.0, 0.35)
# Defocus, and what debayering and denoising inside the camera blur, standard deviation, px.
BLUR_PX = (0.3, 0.9)
# Noise: shot noise's variance at white, and that of reading out, as parts of the full range.
SHOT, READOUT = (0.0, 0.0012), (0.001, 0.008)
GAMMA = 2.2


@dataclass(frozen=True)
class Sensor:
    """One camera's."""

    exposure: float
    cast: tuple[float, float, float]
    vignetting: float
    blur_px: float
    shot: float
    readout: float


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Any camera's sensor."""
    red, green, blue = rng.uniform(*CAST, 3)
    return Sensor(
        exposure=float(rng.uniform(*EXPOSURE)),
        cast=(float(red), float(green), float(blue)),
        vignetting=float(rng.uniform(*VIGNETTING)),
        blur_px=float(rng.uniform(*BLUR_PX)),
        shot=float(rng.uniform(*SHOT)),
        readout=float(rng.uniform(*READOUT)),
    )


def develop(light: NDArray[np.float32], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image (H, W, 3), BGR, of linear RGB light (H, W, 3)."""
    height, width = light.shape[:2]
    image = np.asarray(cv2.GaussianBlur(light, (0, 0), sensor.blur_px), dtype=np.float32)
    v, u = np.mgrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
    fall = (1.0 - sensor.vignetting * (u**2 + v**2) / 2.0).astype(np.float32)
    image = image * fall[..., None] * np.array(sensor.cast, np.float32)
    image = image * np.float32(sensor.exposure / max(float(image.mean()), 1e-6))
    spread = np.sqrt(np.float32(sensor.shot) * np.clip(image, 0.0, 1.0) + np.float32(sensor.readout**2))
    image = image + spread * rng.standard_normal(image.shape, dtype=np.float32)
    # A shoulder instead of hard clipping, as cameras have it.
    image = np.where(image > 0.7, 0.7 + 0.3 * np.tanh((image - 0.7) / 0.3), np.maximum(image, 0.0))
    return np.round(255.0 * image[..., ::-1] ** (1.0 / GAMMA)).astype(np.uint8)
