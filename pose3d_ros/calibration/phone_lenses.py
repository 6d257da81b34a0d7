"""Lenses of which nothing was measured: focal lengths from metadata or habit, and what phones do to their images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pose3d_ros.files.media_tags import FOCAL_35MM, MAKE, STABILISED, ZOOMED, rotation_deg, video_tags
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.structures import Camera

# 35-mm-equivalent focal length of a phone's main camera: Apple's specifications have 26 mm (iPhone XS to 15), Google's
# 25 to 27 (Pixel 3 to 8), Samsung's 24 to 26 (Galaxy S9 to S24). Videos are cropped a little more, for stabilisation.
PHONE_35MM = 26.0
# By CIPA DCG-001 the diagonal counts: 43.27 mm on film. Sensors of phones are 4 to 3, and videos have their full width,
# which is 0.8 of the diagonal.
FILM_DIAGONAL_MM, WIDTH_OF_DIAGONAL = 43.27, 0.8
# Metadata round to 1 mm and do not hold the crop of videos (10 to 20 % with stabilisation); zoom is 2 and more.
SAME_FOCAL = 1.35


def focal_px(size_wh: tuple[int, int], focal_35mm: float) -> float:
    """Focal length in px of an image of this size."""
    return focal_35mm / (FILM_DIAGONAL_MM * WIDTH_OF_DIAGONAL) * max(size_wh)


def guessed_camera(name: str, size_wh: tuple[int, int], focal_35mm: float = PHONE_35MM) -> Camera:
    """A camera without distortion whose optical axis is the image's centre; cropped images break that."""
    focal = focal_px(size_wh, focal_35mm)
    K = np.array([[focal, 0.0, (size_wh[0] - 1) / 2], [0.0, focal, (size_wh[1] - 1) / 2], [0.0, 0.0, 1.0]])
    return Camera(name, size_wh, K, "plumb_bob", np.zeros(5))


def video_focal_35mm(path: Path) -> float | None:
    """What a video's metadata say, mm; None where they say nothing."""
    try:
        focal = float(video_tags(path).get(FOCAL_35MM, "nan"))
    except ValueError:
        return None
    return focal if 5.0 <= focal <= 2000.0 else None


def lens_findings(videos: Mapping[str, Path], cameras: Mapping[str, Camera], guessed: bool) -> tuple[Finding, ...]:
    """Warnings about rotated, zoomed and stabilised videos, and one of what no metadata say."""
    found, silent = [], []
    for name, path in videos.items():
        tags = video_tags(path)
        if turned := rotation_deg(path):
            found.append(
                f"{name}: players turn this video by {turned} degrees, here pixels are used as stored, so people may "
                f"lie on their side and are detected badly: turn the pixels with `ffmpeg -i {path.name} "
                f"turned_{path.name}`, and calibrate and estimate with that"
            )
        focal, camera = video_focal_35mm(path), cameras[name]
        if focal is not None and not guessed:
            px = focal_px(camera.size_wh, focal)
            if not 1 / SAME_FOCAL < px / camera.K[0, 0] < SAME_FOCAL:
                found.append(
                    f"{name}: the video's metadata say {focal:g} mm (35-mm equivalent), {px:.0f} px, the intrinsics "
                    f"{camera.K[0, 0]:.0f} px: was it zoomed, or filmed through another lens? Film "
                    "again as the lens was calibrated, or give --intrinsics guess"
                )
        if tags.get(ZOOMED) == "Y":
            found.append(f"{name}: filmed with digital zoom: intrinsics without zoom do not hold, film again without")
        if tags.get(STABILISED) == "Y":
            found.append(
                f"{name}: the images were stabilised by software, which moves them: switch stabilisation off "
                "(HyperSmooth) and film again"
            )
        elif STABILISED not in tags and (guessed or MAKE in tags):
            silent.append(name)
    if silent:
        found.append(
            f"{', '.join(silent)}: no metadata say whether images were stabilised or zoomed while filming: put phones "
            "on a stand, switch off stabilisation and automatic lens changes, lock focus and zoom. Rows are read one "
            "after the other (rolling shutter, 10 to 30 ms), so walk rather than run"
        )
    return tuple(Finding(False, text) for text in found)
