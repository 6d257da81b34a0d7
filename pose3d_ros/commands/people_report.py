"""What a calibration by people says of itself: report.yaml, and the lines that `pose3d calibrate` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pose3d_ros.calibration.people import Clock, PeopleCalibration
from pose3d_ros.commands.calibrate_input import finding_lines
from pose3d_ros.geometry.calibration import baselines_m
from pose3d_ros.rigs.camera_checks import Finding

# 1 ms in 17 minutes.
SMALL_DRIFT_PPM = 1.0


def report_of(calibration: PeopleCalibration, findings: Sequence[Finding]) -> dict[str, Any]:
    """The content of report.yaml: plain numbers and strings."""
    rig = calibration.rig
    cameras = {}
    for camera in rig.cameras:
        rotation_deg, centre_mm = camera_std(calibration, camera.name)
        cameras[camera.name] = {
            "rotation_std_deg": _rounded(rotation_deg, 4),
            "position_std_mm": _rounded(centre_mm, 2),
            "reprojection_px": _rounded(calibration.reprojection_px.get(camera.name), 3),
            "focal_px": _rounded(camera.K[0, 0], 2),
            "focal_std_percent": _rounded(100 * calibration.focal_std.get(camera.name, 0.0), 3),
            "clock": clock_report(calibration.clocks.get(camera.name, Clock())),
        }
    return {
        "good": not any(finding.fault for finding in findings),
        "frame": rig.frame_id,
        "cameras": cameras,
        "baselines_m": {" - ".join(pair): round(distance, 5) for pair, distance in baselines_m(rig).items()},
        "scale_std_percent": _rounded(100 * calibration.scale_std, 3),
        "floor_tilt_std_deg": _rounded(np.rad2deg(calibration.tilt_std_rad), 4),
        "statures_m": [_rounded(stature, 3) for stature in calibration.statures_m],
        "findings": finding_lines(findings),
    }


def clock_report(clock: Clock) -> dict[str, float | None]:
    """A clock's numbers for report.yaml."""
    return {
        "offset_s": _rounded(clock.offset_s, 6),
        "offset_std_s": _rounded(clock.offset_std_s, 6),
        "drift_ppm": _rounded(clock.drift_ppm, 3),
        "drift_std_ppm": _rounded(clock.drift_std_ppm, 3),
    }


def camera_std(calibration: PeopleCalibration, name: str) -> tuple[float, float]:
    """Standard deviations of a camera against the first, in their worst directions, degrees and mm; 0 for itself."""
    covariance = np.asarray(calibration.covariance.get(name, np.zeros((6, 6))))
    if not np.isfinite(covariance).all():
        return float("nan"), float("nan")
    worst = [np.sqrt(max(np.linalg.eigvalsh(part)[-1], 0.0)) for part in (covariance[:3, :3], covariance[3:, 3:])]
    return float(np.rad2deg(worst[0])), float(1000 * worst[1])


def report_lines(calibration: PeopleCalibration) -> list[str]:
    """A line for each camera and pair, then what holds for the whole rig."""
    lines = []
    for camera in calibration.rig.cameras:
        rotation_deg, centre_mm = camera_std(calibration, camera.name)
        known = (
            "the origin" if camera is calibration.rig.cameras[0] else f"+-{rotation_deg:.2f} deg, +-{centre_mm:.0f} mm"
        )
        focal = ""
        if camera.name in calibration.focal_std:
            focal = f", f {camera.K[0, 0]:.0f} px +-{100 * calibration.focal_std[camera.name]:.1f} %"
        px = calibration.reprojection_px.get(camera.name, float("nan"))
        lines.append(f"{camera.name}: {known}{focal}; joints re-project at {px:.1f} px (median)")
    lines += clock_lines(calibration.clocks)
    lines += [f"{' - '.join(pair)}: {distance:.3f} m apart" for pair, distance in baselines_m(calibration.rig).items()]
    statures = ", ".join(f"{stature:.2f}" for stature in calibration.statures_m)
    tilt_deg = np.rad2deg(calibration.tilt_std_rad)
    floor = f"floor +-{tilt_deg:.2f} deg" if np.isfinite(tilt_deg) else f"no floor: frame {calibration.rig.frame_id}"
    lines.append(
        f"scale +-{100 * calibration.scale_std:.1f} %, {floor}" + (f"; people of {statures} m" if statures else "")
    )
    return lines


def clock_lines(clocks: Mapping[str, Clock]) -> list[str]:
    """A line for each clock that is not the first camera's own, nor was known."""
    lines = []
    for name, clock in list(clocks.items())[1:]:
        if clock.offset_std_s == 0:
            continue
        drift = f", drift {clock.drift_ppm:+.1f} +-{clock.drift_std_ppm:.1f} ppm" if clock.drift_ppm else ""
        lines.append(f"{name}: began {clock.offset_s:+.4f} +-{clock.offset_std_s:.4f} s{drift}")
    return lines


def offset_arguments(clocks: Mapping[str, Clock]) -> list[str]:
    """--offset CAMERA=SECONDS[,PPM] for `pose3d estimate`, also where it is 0: ends may differ then."""
    words = []
    for name, clock in list(clocks.items())[1:]:
        drift = f",{clock.drift_ppm:.2f}" if abs(clock.drift_ppm) >= SMALL_DRIFT_PPM else ""
        words += ["--offset", f"{name}={clock.offset_s:.4f}{drift}"]
    return words


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
