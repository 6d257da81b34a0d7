"""Videos whose images show their number as their brightness."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pose3d_ros.plots.overlay import open_writer
from pose3d_ros.structures import FrameSet

SIZE_WH = (64, 48)
GREY = 8  # levels from one number to the next: more than the encoder's error


def write(path: Path, numbers: Iterable[int], fps: float = 25.0, size_wh: tuple[int, int] = SIZE_WH) -> Path:
    """A video of images that show these numbers, at a constant rate."""
    writer = open_writer(path, fps, size_wh)
    for number in numbers:
        writer.write(np.full((size_wh[1], size_wh[0], 3), GREY * number, dtype=np.uint8))
    writer.release()
    return path


def shown(frames: FrameSet) -> dict[str, int]:
    """The number that each image shows."""
    return {name: round(float(image.mean()) / GREY) for name, image in frames.images.items()}
