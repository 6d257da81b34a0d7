"""Cameras whose images show nothing, nearly black or overexposed: by samples of pixels over several images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Samples along a side of the image, each the mean of 2 x 2 px, which halves the sensor's noise.
GRID, BLOCK = 128, 2
# Video-range black is 16 of 255. A lamp at night or a screen is brighter, and larger than hot pixels.
DARK, LIT_SHARE = 24.0, 0.0008
# Saturated in all channels. A person in front of an overexposed wall covers more than the rest.
BRIGHT, WHITE_SHARE = 252.0, 0.95
# A camera shows nothing if all samples of so long do; the sampling period; how long after the last image the fault
# stays.
SHOWS_NOTHING_S, SAMPLE_S, STALE_S = 2.0, 0.25, 3.0
# Share of a camera's images in a recording from which on a warning is given.
OFTEN = 0.5

WORDS = {
    "dark": "nearly black: is its lens covered, the light off, the exposure too short?",
    "bright": "overexposed: lower exposure and gain, or turn automatic exposure on",
}


def exposure(image: NDArray[Any]) -> str:
    """dark or bright where a uint8 image (H, W) or (H, W, C) shows nothing, else ""."""
    if image.dtype != np.uint8 or not image.size:
        return ""
    height, width = image.shape[:2]
    step = max(int((height * width) ** 0.5) // GRID, 1)
    block = min(BLOCK, step)
    rows, columns = height - block + 1, width - block + 1
    corners = [(y, x) for y in range(block) for x in range(block)]
    total = sum(image[y : y + rows : step, x : x + columns : step].astype(np.uint16) for y, x in corners)
    # By channel: reducing over a last axis of three takes ten times as long.
    channels = np.asarray(total)[..., None].T if image.ndim == 2 else np.asarray(total).T
    if (reduce(np.maximum, channels) > DARK * block**2).mean() < LIT_SHARE:
        return "dark"
    return "bright" if (reduce(np.minimum, channels) >= BRIGHT * block**2).mean() >= WHITE_SHARE else ""


@dataclass(frozen=True)
class _Stream:
    shows: str  # dark, bright or ""
    since_s: float
    sampled_s: float


class Exposure:
    """Samples the images of live cameras; time is any monotonic clock, s."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def add(self, camera: str, image: Any, now_s: float) -> None:
        """Add an image of a camera, uint8; ignores anything else, such as keypoints."""
        before = self._streams.get(camera)
        if not isinstance(image, np.ndarray) or (before and 0 <= now_s - before.sampled_s < SAMPLE_S):
            return
        shows = exposure(image)
        # A gap is no evidence of a lasting fault.
        lasting = before and before.shows == shows and 0 <= now_s - before.sampled_s < SHOWS_NOTHING_S
        self._streams[camera] = _Stream(shows, before.since_s if before and lasting else now_s, now_s)

    def faults(self, now_s: float) -> list[str]:
        """Cameras whose images show nothing now, each with the fix."""
        return [
            f"images of camera {camera!r} have been {WORDS[one.shows]}"
            for camera, one in self._streams.items()
            if one.shows and one.sampled_s - one.since_s >= SHOWS_NOTHING_S and now_s - one.sampled_s <= STALE_S
        ]


class ExposureCounts:
    """Counts the images of a recording; by camera: all, dark, bright."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}

    def add(self, camera: str, image: NDArray[Any]) -> None:
        """One image."""
        shows = exposure(image)
        count = self.counts.setdefault(camera, [0, 0, 0])
        for k, counted in enumerate((True, shows == "dark", shows == "bright")):
            count[k] += counted


def exposure_warnings(parts: list[dict[str, list[int]]]) -> list[str]:
    """The warnings for the counts of a recording's parts."""
    total: Counter[tuple[str, str]] = Counter()
    for part in parts:
        for camera, (images, dark, bright) in part.items():
            total[camera, ""] += images
            total[camera, "dark"] += dark
            total[camera, "bright"] += bright
    return [
        f"{count / total[camera, '']:.0%} of the images of camera {camera!r} are {WORDS[shows]}"
        for (camera, shows), count in total.items()
        if shows and count and count >= OFTEN * total[camera, ""]
    ]
