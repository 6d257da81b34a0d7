"""What a 2D detector adds to the truth: the interface, independent Gaussian errors, and errors that last in time.

A noise model is given COCO-17 keypoints without error, (V, W, T, 17, 2) px of the original image (V views, W windows
of T frames; NaN where the motion data has no such joint), and how many px of the image one px of the detector's
256 px crop is, (V, W, T). It returns keypoints of the same shape and scores (V, W, T, 17) in [0, 1], 0 for a miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pose3d_ros.skeletons import COCO_17
from pose3d_ros.structures import Floats

# Median score of the default detector's joints on both trials of Pose2Sim's demonstration: 0.78 and 0.79.
PLAIN_SCORE = 0.8
CROP_PX = 256  # MoveNet Thunder's input; AbsPoseLifter's statistics are in px of the same crop
# Side of the detector's crop over the longest side of the box around the 13 joints from nose to ankles; median of
# the default detector on both trials, 5th to 95th percentile 1.32 to 1.40.
CROP_PER_EXTENT = 1.36
# The joints of COCO-17 that motion data have: all but eyes and ears, which h36m_17 does not use either.
DETECTED = tuple(COCO_17.index(name) for name in COCO_17.joint_names if not name.endswith(("Eye", "Ear")))


class Noise(Protocol):
    """Anything that turns true keypoints into detected ones."""

    def __call__(
        self, true_px: Floats, px_per_crop_px: Floats, dt_s: float, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Keypoints (V, W, T, 17, 2) px, NaN for a miss, and scores (V, W, T, 17)."""
        ...


@dataclass(frozen=True)
class GaussianNoise:
    """Test noise (a): independent in joint, view and time; no outliers, no misses, an uninformative score."""

    sigma_px: float  # an axis, px of the image

    def __call__(
        self, true_px: Floats, px_per_crop_px: Floats, dt_s: float, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """See Noise."""
        xy = true_px + rng.normal(scale=self.sigma_px, size=true_px.shape) if self.sigma_px else true_px.copy()
        return xy, np.where(np.isfinite(true_px).all(axis=-1), PLAIN_SCORE, 0.0)


def crop_scale(true_px: Floats) -> Floats:
    """px of the image in one px of the crop, (...), of people (..., 17, 2) px in COCO-17.

    The crop is a square about the joints; NaN without a person.
    """
    body = true_px[..., DETECTED, :]
    filled_low, filled_high = np.where(np.isnan(body), np.inf, body), np.where(np.isnan(body), -np.inf, body)
    extent = (filled_high.max(axis=-2) - filled_low.min(axis=-2)).max(axis=-1)
    scale: Floats = np.where(extent > 0, extent, np.nan) * CROP_PER_EXTENT / CROP_PX
    return scale


def autoregressive(shape: tuple[int, ...], rho: float, rng: np.random.Generator) -> Floats:
    """Standard normal numbers of a shape (V, W, T, ...) whose correlation over n steps of T is rho^n: AR(1).

    Stationary from the first step on.
    """
    fresh = rng.normal(size=shape)
    for step in range(1, shape[2]):
        fresh[:, :, step] = rho * fresh[:, :, step - 1] + np.sqrt(1.0 - rho**2) * fresh[:, :, step]
    return fresh
