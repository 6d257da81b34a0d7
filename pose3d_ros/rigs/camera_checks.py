"""Checks of one camera's calibration, from any source (NumPy, float64).

`Camera` itself rejects values that cannot be computed with; these checks reject values that cannot be true.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.distortion import MAX_ANGLE_RAD, normalised_views, radial_range
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.structures import Camera, Floats

# Lenses used to film people: 400 mm on full frame has 5 degrees; the widest lens that follows the pinhole model has
# about 150, the widest fisheye about 220.
USUAL_FIELD_OF_VIEW_DEG = {False: (5.0, 150.0), True: (30.0, 220.0)}  # by whether the lens is a fisheye
# A metre at 30 m: people are not filmed any tighter, but K in other units or of a far larger image is.
MIN_FIELD_OF_VIEW_DEG, MIN_SIDE_DEG = 2.0, 0.2  # of the long side, and of the short side of a strip
USUAL_PIXEL_ASPECT, PIXEL_ASPECT = (0.8, 1.25), (0.25, 4.0)  # fx/fy; binning of one axis gives 2
MAX_SKEW = 0.05  # of fx; 3 degrees between the pixels' axes, real sensors stay below 0.1
# Lenses have the optical axis within 5 % of the centre. K of half the resolution has it at 25 % in both directions, K
# of another crop anywhere; for a resized image both shares are equal up to the offset from the centre.
MIDDLE, USUAL_MIDDLE, SAME_SHARE = (0.35, 0.65), (0.25, 0.75), 0.06
# Undistorted radius over distorted radius, at the image border. Barrel lenses of 150 degrees reach 3, pincushion
# lenses stay above 0.85; a fisheye's angle stays within a quarter of its radius.
STRETCH = {False: (0.6, 5.0), True: (0.6, 1.7)}
FARTHEST = 2.0  # image sizes; after a crop not reported in roi, the principal point may be outside
CORNERS = 0.05  # of the image: the four corner points of GRID x GRID, which boards rarely cover
GRID = 9  # sample points per side of the image


@dataclass(frozen=True)
class Finding:
    """A fault or warning. A fault makes the camera (the rig, if none is named) unusable until it is fixed."""

    fault: bool
    text: str
    camera: str = ""


def check_camera(camera: Camera) -> tuple[Finding, ...]:
    """Return the faults and warnings of a camera's size, K and lens, each with its fix; empty for a valid camera."""
    return _findings(
        camera.name,
        camera.size_wh,
        tuple(camera.K.ravel().tolist()),
        camera.distortion_model,
        tuple(camera.distortion.tolist()),
        camera.uncropped,
    )


def validate_camera(camera: Camera) -> tuple[str, ...]:
    """Return the camera's warnings; raises CalibrationError with its first fault."""
    findings = check_camera(camera)
    for finding in findings:
        if finding.fault:
            raise CalibrationError(finding.text)
    return tuple(finding.text for finding in findings)


def field_of_view_deg(camera: Camera) -> tuple[float, float]:
    """Return the horizontal and vertical field of view by K alone, without distortion."""
    return _angles(camera, np.array(camera.size_wh, dtype=np.float64))


def image_grid(camera: Camera) -> Floats:
    """Return (GRID, GRID, 2) px over the image, including its corners."""
    width, height = camera.size_wh
    grid: Floats = np.stack(np.meshgrid(np.linspace(0, width - 1, GRID), np.linspace(0, height - 1, GRID)), axis=-1)
    return grid


@lru_cache(maxsize=256)
def _findings(
    name: str,
    size_wh: tuple[int, int],
    K: tuple[float, ...],
    model: str,
    distortion: tuple[float, ...],
    uncropped: tuple[float, ...],
) -> tuple[Finding, ...]:
    camera = Camera(name, size_wh, np.reshape(K, (3, 3)), model, np.array(distortion), uncropped=uncropped)
    findings = [*_focal_length(camera), *_pixels(camera), *_principal_point(camera)]
    if not any(fault for fault, _ in findings):
        findings += _lens(camera)
    return tuple(Finding(fault, f"camera {name!r}: {text}", name) for fault, text in findings)


def _angles(camera: Camera, size_px: Floats) -> tuple[float, float]:
    extent = size_px / np.diag(camera.K)[:2]
    # A fisheye's radius is the angle itself, a pinhole's is its tangent.
    across, down = np.rad2deg(extent if camera.distortion_model == "equidistant" else 2 * np.arctan(extent / 2))
    return float(across), float(down)


def _uncropped(camera: Camera) -> tuple[Floats, Floats]:
    """Return the size and principal point (2,) px of the image before cropping."""
    if not camera.uncropped:
        return np.array(camera.size_wh, dtype=np.float64), camera.K[:2, 2]
    return np.array(camera.uncropped[2:]), camera.K[:2, 2] + camera.uncropped[:2]


def _focal_length(camera: Camera) -> list[tuple[bool, str]]:
    size, _ = _uncropped(camera)
    across, down = _angles(camera, size)
    low, high = USUAL_FIELD_OF_VIEW_DEG[camera.distortion_model == "equidistant"]
    wide, narrow = max(across, down), min(across, down)
    if low <= wide <= high and narrow >= MIN_SIDE_DEG:
        return []
    return [
        (
            not (MIN_FIELD_OF_VIEW_DEG <= wide <= high and narrow >= MIN_SIDE_DEG),
            f"focal length {camera.K[0, 0]:.6g} px at {size[0]:g} x {size[1]:g} px is a field of view of "
            f"{across:.1f} x {down:.1f} degrees, expected {low:g} to {high:g}: is K in px and of images of this size?",
        )
    ]


def _pixels(camera: Camera) -> list[tuple[bool, str]]:
    findings = []
    aspect = camera.K[0, 0] / camera.K[1, 1]
    if not USUAL_PIXEL_ASPECT[0] <= aspect <= USUAL_PIXEL_ASPECT[1]:
        fault = not PIXEL_ASPECT[0] <= aspect <= PIXEL_ASPECT[1]
        findings.append(
            (fault, f"fx/fy is {aspect:.3g}, expected near 1: calibrate it again, unless its pixels are not square")
        )
    if abs(camera.K[0, 1]) > MAX_SKEW * camera.K[0, 0]:
        findings.append(
            (
                True,
                f"K has a skew of {camera.K[0, 1]:.6g} px at fx={camera.K[0, 0]:.6g} px, expected 0: check that the "
                "rows of K are fx s cx, 0 fy cy, 0 0 1",
            )
        )
    return findings


def _principal_point(camera: Camera) -> list[tuple[bool, str]]:
    size, point = _uncropped(camera)
    x, y = point / size
    where = f"its principal point ({point[0]:.6g}, {point[1]:.6g}) px is at {x:.0%} of the width and {y:.0%} of the "
    middle = (x + y) / 2
    if abs(x - y) <= SAME_SHARE and not MIDDLE[0] <= middle <= MIDDLE[1]:
        width, height = size * 2 * middle
        return [
            (
                True,
                f"{where}height of {size[0]:g} x {size[1]:g} px, expected near the centre: K is of images of about "
                f"{width:.0f} x {height:.0f} px: calibrate at the size of the images, or set binning or roi (REP-104)",
            )
        ]
    if max(abs(x - 0.5), abs(y - 0.5)) > 0.5 + FARTHEST:
        return [(True, f"{where}height, expected inside the image: calibrate the camera again")]
    if not (USUAL_MIDDLE[0] <= min(x, y) and max(x, y) <= USUAL_MIDDLE[1]):
        return [(False, f"{where}height, expected near the centre: check that K is not of another image size or crop")]
    return []


def _lens(camera: Camera) -> list[tuple[bool, str]]:
    if not camera.distortion.any():
        return []
    fisheye = camera.distortion_model == "equidistant"
    grid = image_grid(camera)
    normalised = normalised_views([camera], grid.reshape(1, -1, 2))[0]
    radius = np.hypot(normalised[:, 0], normalised[:, 1])
    lens = f"its distortion {_short(camera.distortion)}"
    if fisheye:
        valid = radial_range(camera)
        angle = np.interp(radius, valid.distorted, valid.angle)
        # Beyond 90 degrees there is no ray here, but the lens may still be valid.
        fold = (radius > valid.distorted[-1]) & (valid.angle[-1] < MAX_ANGLE_RAD)
    else:
        ideal = undistort(camera, grid).reshape(-1, 2)
        angle = np.hypot(ideal[:, 0], ideal[:, 1])
        fold = ~np.isfinite(angle)
    findings = []
    if fold.any():
        share = float(fold.mean())
        findings.append(
            (
                share > CORNERS,
                f"{lens} folds inside the image, so {share:.0%} of it has no ray: calibrate with boards out to the "
                "corners, or with fewer coefficients",
            )
        )
    valid_points = ~fold & (radius > 0)
    stretch = angle[valid_points] / radius[valid_points]
    low, high = STRETCH[fisheye]
    if stretch.size and not low <= stretch.min() <= stretch.max() <= high:
        worst = stretch.min() if stretch.min() < low else stretch.max()
        findings.append(
            (
                True,
                f"{lens} moves a point of the image to {worst:.2g} times its distance from the centre, expected "
                f"{low:g} to {high:g}: check that the coefficients are in OpenCV's order and of this lens model",
            )
        )
    return findings


def _short(coefficients: Floats) -> str:
    return f"[{', '.join(f'{k:.4g}' for k in coefficients)}]"
