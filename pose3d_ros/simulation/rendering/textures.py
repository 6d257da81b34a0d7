"""Noise that colours and wrinkles surfaces, the same for a place every time (NumPy, float32)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

CELLS = 64  # of the repeating cube of noise, an axis
FINE = 4.0  # cells of the cube for one detail
SEED = 20261130


def noise_at(place: NDArray[np.floating]) -> NDArray[np.float32]:
    """Smooth noise (S,) in [0, 1] at places (S, 3); its details are 1 in size, it repeats after 16."""
    # The nearest of a cube that is finer than its noise: interpolation would cost more than rendering.
    index = np.floor(place * FINE).astype(np.int32) & (CELLS - 1)
    out: NDArray[np.float32] = _cube()[index[:, 0], index[:, 1], index[:, 2]]
    return out


@cache
def _cube() -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(SEED)
    noise = gaussian_filter(rng.standard_normal((CELLS,) * 3), FINE / 2.0, mode="wrap")
    return _stretched(noise)


@cache
def tile() -> NDArray[np.float32]:
    """Noise (512, 512) in [0, 1] of many sizes that repeats, for floors, walls and furniture."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(SEED + 1)
    total = np.zeros((512, 512))
    for size in (1.0, 4.0, 16.0, 64.0):
        layer = gaussian_filter(rng.standard_normal((512, 512)), size, mode="wrap")
        total += layer / layer.std() * size**0.25
    return _stretched(total)


def _stretched(noise: NDArray[np.float64]) -> NDArray[np.float32]:
    low, high = np.percentile(noise, (1, 99))
    return np.asarray(np.clip((noise - low) / (high - low), 0.0, 1.0), dtype=np.float32)
