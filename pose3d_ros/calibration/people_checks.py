"""Whether people determine a rig: what is certain enough, and what to do where it is not (NumPy, float64)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pose3d_ros.calibration.people_adjusted import Solved, adjust
from pose3d_ros.calibration.people_covariance import relative_covariances
from pose3d_ros.calibration.people_metric import Metric
from pose3d_ros.calibration.people_residuals import FOCAL, Evidence
from pose3d_ros.calibration.people_start import ADVICE
from pose3d_ros.estimation.body import NAMES
from pose3d_ros.rigs.camera_checks import Finding
from pose3d_ros.structures import Rig

# Standard deviations above which a camera is not calibrated: rad, and m for each m of distance.
MOST_RAD, MOST_SHARE = np.deg2rad(2.0), 0.06
WARNING_RAD, WARNING_SHARE = np.deg2rad(0.7), 0.02
# A person who stays in place turns errors of joints into errors of cameras: in one camera at least the hips must spread
# in the image by this share of the person's size there (std). Standing people have 0.01 to 0.04, keypoints' errors
# included; the 1.7 s of the sample footage have 0.1, walks through a room 0.3 and more.
LEAST_SPREAD, LEAST_IMAGES = 0.07, 5
# Keypoints that miss by so many of the detector's own standard deviations (median) fit no rig.
MOST_NOISE = 4.0
# A focal length that people find off by this, and by so many standard deviations, is wrong.
WRONG_FOCAL, WRONG_STD, FREE_FOCAL = 0.10, 3.0, 0.3
MOST_FOCAL_STD = 0.03
_HIPS = [NAMES.index("LHip"), NAMES.index("RHip")]


def check(metric: Metric) -> tuple[Finding, ...]:
    """Faults and warnings of an adjustment in metres."""
    findings, solved = [], metric.solved
    hips = metric.xyz[:, _HIPS].mean(axis=1)
    seen = np.isfinite(solved.linear.joints.kept).any(axis=(0, 2))
    spread = _spread(solved.evidence)
    if spread < LEAST_SPREAD:
        findings.append(Finding(True, f"people hardly move ({spread:.0%} of their size around their mean): {ADVICE}"))
    noise = float(np.median(solved.noise))
    if noise > MOST_NOISE:
        text = f"keypoints miss people by {noise:.1f} times what the detector expects of itself"
        findings.append(
            Finding(True, f"{text}: are the lenses and the images' sizes right, and all videos of one take?")
        )
    uncertain: dict[bool, list[str]] = {True: [], False: []}  # by whether it is a fault
    for name, covariance in relative_covariances(metric.shape, metric.cameras).items():
        away = np.linalg.norm(hips[seen] - Rig(metric.cameras).camera(name).centre, axis=-1)
        distance = float(np.median(away)) if len(away) else 1.0
        turned, moved = (
            float(np.sqrt(np.linalg.eigvalsh(covariance[own, own])[-1])) for own in (slice(3), slice(3, 6))
        )
        fault = turned > MOST_RAD or moved > MOST_SHARE * distance
        if fault or turned > WARNING_RAD or moved > WARNING_SHARE * distance:
            text = f"camera {name!r} is known to {np.rad2deg(turned):.1f} deg and {100 * moved:.0f} cm only"
            uncertain[fault].append(f"{text} ({distance:.1f} m from people)")
    findings += [Finding(fault, f"{', '.join(texts)}: {ADVICE}") for fault, texts in uncertain.items() if texts]
    guesses = {name: std for name, std in solved.focal_std().items() if std > MOST_FOCAL_STD}
    if guesses:
        texts = ", ".join(
            f"camera {name!r}: its focal length is known to {std:.0%} only" for name, std in guesses.items()
        )
        findings.append(Finding(True, f"{texts}: calibrate the lens (pose3d calibrate board), or {ADVICE}"))
    return tuple(findings)


def _spread(evidence: Evidence) -> float:
    """How far hips move about their mean in an image, as a share of the person's size; of who moves most anywhere."""
    found = [0.0]
    for by_view in evidence.tracks:
        for tracks in by_view:
            px = np.concatenate([track.px for track in tracks]) if tracks else np.zeros((0, len(NAMES), 2))
            hips = px[:, _HIPS].mean(axis=1)
            hips = hips[np.isfinite(hips).all(axis=-1)]
            if len(hips) < LEAST_IMAGES:
                continue
            size = np.median(np.linalg.norm(np.nanmax(px, axis=1) - np.nanmin(px, axis=1), axis=-1))
            found.append(float(np.sqrt(np.linalg.eigvalsh(np.cov(hips.T))[-1]) / max(float(size), 1.0)))
    return max(found)


def without_floor(frame_id: str) -> Finding:
    """The warning where no floor was found, so that the frame is the first camera's."""
    return Finding(
        False,
        "no floor was found, because no person stands or walks upright with the feet in view of two cameras: the frame "
        f"is {frame_id}. Put it on the floor with `pose3d calibrate align`",
    )


def wrong_focal_lengths(solved: Solved) -> tuple[Finding, ...]:
    """Faults of cameras whose focal length people contradict."""
    own_std = solved.evidence.own_std.copy()
    own_std[:, FOCAL] = FREE_FOCAL
    freed = adjust(replace(solved.evidence, own_std=own_std), solved.unknowns)
    findings = []
    for before, after in zip(solved.unknowns.cameras, freed.unknowns.cameras, strict=True):
        off = float(np.log(after.K[0, 0] / before.K[0, 0]))
        std = freed.focal_std()[before.name]
        if abs(off) > max(WRONG_FOCAL, WRONG_STD * std):
            findings.append(
                Finding(
                    True,
                    f"camera {before.name!r}: by its people its focal length is {after.K[0, 0]:.0f} px (+- "
                    f"{std:.0%}), not {before.K[0, 0]:.0f}: give the intrinsics of this zoom and image size, or "
                    "--intrinsics guess",
                    before.name,
                )
            )
    return tuple(findings)
