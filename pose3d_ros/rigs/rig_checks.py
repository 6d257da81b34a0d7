"""Checks of a calibrated rig, from any source (NumPy, float64).

The node, recordings, `pose3d estimate`, `rig show` and the estimators all use these checks; camera_checks.py checks
each camera alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

import numpy as np

from pose3d_ros.errors import CalibrationError
from pose3d_ros.geometry.calibration import MIN_BASELINE_M, baselines_m
from pose3d_ros.geometry.projection import project, undistort
from pose3d_ros.rigs.camera_checks import Finding, check_camera, image_grid
from pose3d_ros.structures import Camera, Rig

# From a camera to the nearest one. Halls are 20 m wide; at 25 m, people between two cameras are as small as detectors
# detect them. A camera farther from all others than the longest side of a sports hall shares no person with them.
USUAL_DISTANCE_M, MAX_DISTANCE_M = 25.0, 50.0
ROUNDED_ROTATION = 1e-5  # four decimal places give 1e-4
# Depths of people from a camera, in units of its distance to the other camera (at least 1 m). Steps of 5 %: the view
# of a 5-degree lens is as deep as it is wide where it crosses another one at a right angle.
DEPTHS = np.geomspace(0.25, 32.0, 96)
# Optical axes in a camera's body (REP-103): right is -y, down is -z, forward is x.
OPTICAL_FROM_BODY = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def check_rig(rig: Rig) -> tuple[Finding, ...]:
    """Return the faults and warnings of a rig, each with its fix; empty for a valid rig."""
    return _findings(_Key.of(rig))


def validate_rig(rig: Rig) -> tuple[str, ...]:
    """Return the rig's warnings; raises CalibrationError with its first fault."""
    findings = check_rig(rig)
    for finding in findings:
        if finding.fault:
            raise CalibrationError(finding.text)
    return tuple(finding.text for finding in findings)


@dataclass(frozen=True)
class _Key:
    """Cache key: the cameras and their relative extrinsics, so that a moving rig keeps its key."""

    frame_id: str
    cameras: tuple[object, ...]
    rig: Rig = field(compare=False)

    @staticmethod
    def of(rig: Rig) -> _Key:
        world_from_first = np.linalg.inv(rig.cameras[0].cam_from_world)
        return _Key(
            rig.frame_id,
            tuple(
                (
                    *(cam.name, cam.size_wh, cam.K.tobytes(), cam.distortion_model, cam.distortion.tobytes()),
                    cam.uncropped,
                    # 0.1 mm and 0.1 mrad: transforms from TF differ in the last digits.
                    *np.round(cam.cam_from_world @ world_from_first, 4).ravel().tolist(),
                )
                for cam in rig.cameras
            ),
            rig,
        )


@lru_cache(maxsize=16)
def _findings(key: _Key) -> tuple[Finding, ...]:
    rig = key.rig
    findings = [finding for camera in rig.cameras for finding in (*check_camera(camera), *_rotation(camera))]
    findings += _distances(rig)
    if not any(finding.fault for finding in findings):
        findings += _common_view(rig)
    return tuple(findings)


def axis_hints(rig: Rig) -> tuple[Finding, ...]:
    """Return which axis seems to be up, if the cameras are upright: only a hint, as the people decide."""
    axis, sign = up_axis(rig)
    if rig.frame_id.endswith("_optical"):
        return ()
    if (axis, sign) == (2, 1):
        below = ", ".join(camera.name for camera in rig.cameras if camera.centre[2] < 0)
        return (Finding(False, f"{below} below z = 0: check that the origin is on the floor"),) if below else ()
    up = f"{'+' if sign > 0 else '-'}{'xyz'[axis]}"
    return (
        Finding(
            False,
            f"judging by the images, {up} of frame {rig.frame_id!r} is up, expected +z (REP-103). The cameras may be "
            "rotated: poses of people decide (`pose3d estimate`, /diagnostics)",
        ),
    )


def axis_angles_deg(rig: Rig) -> dict[tuple[str, str], float]:
    """Return the angle between the optical axes of every pair of cameras, by their names."""
    axes = {camera.name: camera.cam_from_world[2, :3] for camera in rig.cameras}
    return {
        (a, b): float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(axes[a], axes[b])), axes[a] @ axes[b])))
        for a, b in combinations(axes, 2)
    }


def up_axis(rig: Rig) -> tuple[int, int]:
    """Return the world axis (0, 1, 2) and sign that are nearest to up, if the cameras are upright on average."""
    up = -np.mean([camera.cam_from_world[1, :3] for camera in rig.cameras], axis=0)
    axis = int(np.argmax(np.abs(up)))
    return axis, 1 if up[axis] > 0 else -1


def lonely_cameras(rig: Rig) -> list[str]:
    """Return the cameras that share no view with any other one, up to 32 baselines away."""
    if len(rig.cameras) < 2:
        return []
    return [
        camera.name
        for camera in rig.cameras
        if not any(_share_view(camera, other) for other in rig.cameras if other is not camera)
    ]


def _rotation(camera: Camera) -> list[Finding]:
    rotation = camera.cam_from_world[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error <= ROUNDED_ROTATION:
        return []
    text = (
        f"camera {camera.name!r}: its rotation matrix is not orthonormal (error {error:.1e}): give it with more digits"
    )
    return [Finding(False, text, camera.name)]


def _distances(rig: Rig) -> list[Finding]:
    distances = baselines_m(rig)
    findings = []
    for camera in rig.cameras if distances else ():
        nearest = min(distance for pair, distance in distances.items() if camera.name in pair)
        if nearest > USUAL_DISTANCE_M:
            findings.append(
                Finding(
                    nearest > MAX_DISTANCE_M,
                    f"camera {camera.name!r} is {nearest:.4g} m from the nearest camera, expected "
                    f"{USUAL_DISTANCE_M:g} m at most: are lengths in mm or board squares? For a file: `--unit mm`",
                    camera.name,
                )
            )
    closest = {pair: distance for pair, distance in distances.items() if distance < MIN_BASELINE_M}
    for (a, b), distance in closest.items():
        findings.append(
            Finding(
                len(closest) == len(distances),
                f"cameras {a!r} and {b!r} have the same position in frame {rig.frame_id!r} (baseline "
                f"{distance * 1000:.3f} mm), so they measure no depth: give each its own position in m (TF, Tx of a "
                "stereo driver's P, or a rig file)",
            )
        )
    return findings


def _common_view(rig: Rig) -> list[Finding]:
    """Report cameras that share no view with any other."""
    lonely = lonely_cameras(rig)
    cause = "is world_from_camera given instead of cam_from_world, or a rotation about another axis?"
    turned = tuple(_as_body(camera) if camera.name in lonely else camera for camera in rig.cameras)
    if lonely and not lonely_cameras(Rig(turned, rig.frame_id)):
        cause = (
            "with x forward and z up it would: give the poses of the optical frames (x right, y down, z forward), not "
            "of the camera bodies"
        )
    text = f"{', '.join(lonely)}: no view in common with any other camera: {cause}"
    return [Finding(True, text, name) for name in lonely]


def _as_body(camera: Camera) -> Camera:
    """Return the camera whose body (x forward, y left, z up) has this one's optical pose (REP-103)."""
    return camera.placed(OPTICAL_FROM_BODY @ camera.cam_from_world)


def _share_view(a: Camera, b: Camera) -> bool:
    """Whether a point that one camera sees at a person's distance is inside the other's image."""
    return _sees_some_of(a, b) or _sees_some_of(b, a)


def _sees_some_of(camera: Camera, other: Camera) -> bool:
    ideal = undistort(camera, image_grid(camera)).reshape(-1, 2)
    ideal = ideal[np.isfinite(ideal).all(axis=-1)]
    unit = max(1.0, float(np.linalg.norm(camera.centre - other.centre)))
    rays = np.hstack([ideal, np.ones((len(ideal), 1))]) @ camera.cam_from_world[:3, :3]
    points = camera.centre + rays * (DEPTHS[:, None, None] * unit)
    pixels = project(other, points)
    return bool(((pixels >= 0) & (pixels < other.size_wh)).all(axis=-1).any())
