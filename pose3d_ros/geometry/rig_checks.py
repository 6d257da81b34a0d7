"""What is wrong with a calibrated rig, in plain words (NumPy, float64)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pose3d_ros.geometry.calibration import MIN_BASELINE_M, baselines_m
from pose3d_ros.geometry.projection import project, undistort
from pose3d_ros.structures import Camera, Floats, Rig

# Lenses of cameras that look at people: 400 mm on full frame has 5 degrees, a wide angle that still follows a
# pinhole's formula ends near 150.
FIELD_OF_VIEW_DEG = (5.0, 150.0)
FISHEYE_FIELD_OF_VIEW_DEG = (30.0, 220.0)
PIXEL_ASPECT = (0.8, 1.25)
# No room that people are watched in is this wide, and 100 mm is the least baseline of most rigs.
MAX_DISTANCE_M = 100.0
ROUNDED_ROTATION = 1e-5  # four digits after the point give 1e-4
GRID = 9  # pixels a side that stand for the image
# How far from a camera people may be, in units of its distance to the other camera (at least 1 m).
DEPTHS = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Finding:
    """One thing to know; a fault makes the rig useless until it is mended."""

    fault: bool
    text: str


def check_rig(rig: Rig) -> tuple[Finding, ...]:
    """Faults and warnings of a rig's cameras and their places, each with its mend; empty for a sound rig."""
    found = [finding for camera in rig.cameras for finding in _check_camera(camera)]
    found += _check_distances(rig)
    if not any(finding.fault and "field of view" in finding.text for finding in found):
        found += _check_common_view(rig)
    return (*found, *axis_hints(rig))


def axis_hints(rig: Rig) -> tuple[Finding, ...]:
    """Which axis looks like up, if the cameras are held upright: a hint that people decide, and so never advice."""
    axis, sign = up_axis(rig)
    if rig.frame_id.endswith("_optical") or (axis, sign) == (2, 1):
        return ()
    up = f"{'+' if sign > 0 else '-'}{'xyz'[axis]}"
    return (
        Finding(
            False,
            f"by the images {up} of frame {rig.frame_id!r} is up, robots expect +z (REP-103). Cameras may lie on their "
            "side: people tell it for certain (`pose3d estimate`, /diagnostics)",
        ),
    )


def field_of_view_deg(camera: Camera) -> tuple[float, float]:
    """Angles that the image spans across and down, as K alone has it: distortion is left out."""
    extent = np.array(camera.size_wh) / np.diag(camera.K)[:2]
    # A fisheye's radius is the angle itself, a pinhole's its tangent.
    angles = extent if camera.distortion_model == "equidistant" else 2 * np.arctan(extent / 2)
    return float(np.rad2deg(angles[0])), float(np.rad2deg(angles[1]))


def axis_angles_deg(rig: Rig) -> dict[tuple[str, str], float]:
    """Angle between the optical axes of every pair of cameras, by their names."""
    axes = {camera.name: camera.cam_from_world[2, :3] for camera in rig.cameras}
    return {
        (a, b): float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(axes[a], axes[b])), axes[a] @ axes[b])))
        for a, b in combinations(axes, 2)
    }


def up_axis(rig: Rig) -> tuple[int, int]:
    """The world's axis (0, 1, 2) and its sign that are nearest to up, if the cameras are held upright on average."""
    up = -np.mean([camera.cam_from_world[1, :3] for camera in rig.cameras], axis=0)
    axis = int(np.argmax(np.abs(up)))
    return axis, 1 if up[axis] > 0 else -1


def lonely_cameras(rig: Rig) -> list[str]:
    """Names of the cameras of two or more that see nothing of what another one sees, up to 8 baselines away."""
    if len(rig.cameras) < 2:
        return []
    return [
        camera.name
        for camera in rig.cameras
        if not any(_share_view(camera, other) for other in rig.cameras if other is not camera)
    ]


def _check_camera(camera: Camera) -> list[Finding]:
    found = []
    fisheye = camera.distortion_model == "equidistant"
    low, high = FISHEYE_FIELD_OF_VIEW_DEG if fisheye else FIELD_OF_VIEW_DEG
    across, down = field_of_view_deg(camera)
    if not low <= max(across, down) <= high:
        found.append(
            Finding(
                True,
                f"camera {camera.name!r}: focal length {camera.K[0, 0]:.6g} px at {camera.size_wh[0]} x "
                f"{camera.size_wh[1]} px is a field of view of {across:.1f} x {down:.1f} degrees, expected {low:g} to "
                f"{high:g}: is K in px, and of images of this size?",
            )
        )
    aspect = camera.K[0, 0] / camera.K[1, 1]
    if not PIXEL_ASPECT[0] <= aspect <= PIXEL_ASPECT[1]:
        found.append(Finding(False, f"camera {camera.name!r}: fx/fy is {aspect:.3f}: are its pixels not square?"))
    cx, cy = camera.K[:2, 2] / camera.size_wh
    if not (0.25 <= cx <= 0.75 and 0.25 <= cy <= 0.75):
        found.append(
            Finding(
                False,
                f"camera {camera.name!r}: the principal point lies at {cx:.0%} of the width and {cy:.0%} of the "
                "height, expected near the middle: is K of another image size or a crop?",
            )
        )
    folded = float(np.isnan(undistort(camera, _grid(camera))).any(axis=-1).mean())
    if folded:
        found.append(
            Finding(
                True,
                f"camera {camera.name!r}: its distortion {camera.distortion.tolist()} folds inside the image, so "
                f"{folded:.0%} of it has no ray: calibrate with boards out to the corners, or with fewer coefficients",
            )
        )
    rotation = camera.cam_from_world[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > ROUNDED_ROTATION:
        found.append(
            Finding(False, f"camera {camera.name!r}: its rotation is off a rotation by {error:.1e}: too few digits?")
        )
    return found


def _check_distances(rig: Rig) -> list[Finding]:
    distances = baselines_m(rig)
    reach = max([*distances.values(), *(float(np.linalg.norm(camera.centre)) for camera in rig.cameras)])
    if reach > MAX_DISTANCE_M:
        return [Finding(True, f"the cameras are up to {reach:.0f} m apart or from the origin: are lengths in mm? Say "
                              "`--unit mm`")]  # fmt: skip
    found = []
    for (a, b), distance in distances.items():
        if distance < MIN_BASELINE_M:
            fault = max(distances.values()) < MIN_BASELINE_M
            found.append(
                Finding(
                    fault,
                    f"cameras {a!r} and {b!r} stand at the same place (baseline {distance * 1000:.3f} mm): what only "
                    "they see has no depth: were their transforms set, and in m?",
                )
            )
    if up_axis(rig) == (2, 1) and not rig.frame_id.endswith("_optical"):
        under = [camera.name for camera in rig.cameras if camera.centre[2] < 0]
        if under:
            found.append(Finding(False, f"{', '.join(under)} below z = 0: is the origin not on the floor?"))
    return found


def _check_common_view(rig: Rig) -> list[Finding]:
    """Cameras that share no view with any other; cameras whose every partner looks away."""
    lonely = lonely_cameras(rig)
    if not lonely:
        return []
    many = "cameras look away from all others" if len(lonely) > 1 else "camera looks away from all others"
    return [
        Finding(
            True,
            f"{', '.join(lonely)}: {many}, they see nothing in common: is world_from_camera given where "
            "cam_from_world is meant, or a rotation about another axis?",
        )
    ]


def _share_view(a: Camera, b: Camera) -> bool:
    """Whether something that one camera sees at a person's distance is inside the other's image."""
    return _sees_some_of(a, b) or _sees_some_of(b, a)


def _sees_some_of(camera: Camera, other: Camera) -> bool:
    ideal = undistort(camera, _grid(camera)).reshape(-1, 2)
    ideal = ideal[np.isfinite(ideal).all(axis=-1)]
    unit = max(1.0, float(np.linalg.norm(camera.centre - other.centre)))
    rays = np.hstack([ideal, np.ones((len(ideal), 1))]) @ camera.cam_from_world[:3, :3]
    points = camera.centre + rays * (np.array(DEPTHS)[:, None, None] * unit)
    pixels = project(other, points)
    return bool(((pixels >= 0) & (pixels < other.size_wh)).all(axis=-1).any())


def _grid(camera: Camera) -> Floats:
    """(GRID, GRID, 2) px over the image, its corners included."""
    width, height = camera.size_wh
    grid: Floats = np.stack(np.meshgrid(np.linspace(0, width - 1, GRID), np.linspace(0, height - 1, GRID)), axis=-1)
    return grid
