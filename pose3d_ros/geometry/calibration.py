"""How far cameras stand apart, and whether images are of the size that was calibrated."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.structures import Camera, Rig

# Cameras nearer than this are one camera: at 1 px, f = 1000 px and half a metre, a 1 mm baseline leaves the
# depth unknown by sigma Z^2 / (f B) = 0.25 m. Real stereo heads start at 20 mm.
MIN_BASELINE_M = 1e-3


def baselines_m(rig: Rig) -> dict[tuple[str, str], float]:
    """Distance between the centres of every pair of cameras, m, by their names."""
    return {(a.name, b.name): float(np.linalg.norm(a.centre - b.centre)) for a, b in combinations(rig.cameras, 2)}


def check_image_size(camera: Camera, shape: tuple[int, ...]) -> None:
    """Raise CalibrationError when an image of this shape (H, W, ...) is not of its camera's calibrated size."""
    size_wh = shape[1], shape[0]
    if size_wh != camera.size_wh:
        raise CalibrationError(
            f"camera {camera.name!r}: image is {size_wh[0]} x {size_wh[1]} px, its calibration is for "
            f"{camera.size_wh[0]} x {camera.size_wh[1]} px: take images of the calibrated size, or calibrate at this "
            "one (Camera.resized, if the image was scaled)"
        )
