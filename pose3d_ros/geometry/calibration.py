"""Distances of cameras, equality of calibrations, and whether images have the calibrated size."""

from __future__ import annotations

from collections.abc import Sequence
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


def same_calibration(before: Sequence[Camera], now: Sequence[Camera]) -> bool:
    """Whether these are the same cameras, placed alike against each other to 1 mm and 0.03 deg."""
    if len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True)):
        return True
    if [one.name for one in before] != [one.name for one in now]:
        return False
    first, other = (np.linalg.inv(cameras[0].cam_from_world) for cameras in (before, now))
    return all(
        np.allclose(a.cam_from_world @ first, b.cam_from_world @ other, rtol=0.0, atol=1e-3)
        and np.array_equal(a.K, b.K)
        and np.array_equal(a.distortion, b.distortion)
        for a, b in zip(before, now, strict=True)
    )
