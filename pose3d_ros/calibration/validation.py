"""Validate a calibration: faults and warnings from its residuals and from the coverage of the boards."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import Board
from pose3d_ros.calibration.extrinsics import RigExtrinsics
from pose3d_ros.calibration.lenses import LensFit
from pose3d_ros.calibration.pairing import find_shift
from pose3d_ros.rigs.camera_checks import Finding

# Corners are detected to 0.1 px, and 0.5 px is the usual aim. Beyond 1 px, or a thousandth of a larger image's width,
# the lens does not fit.
ALONE_PX, OF_WIDTH = 1.0, 1e-3
# Together, the lenses are fixed and the cameras' clocks matter too: a fault starts at twice as much.
TOGETHER = 2.0
# Where the extrinsics add this much to the lenses' own error, images are not of the same time or board.
WORSE_THAN_ALONE = 4.0
MIN_WARNING_PX = 0.5
WORST = 3  # images that are listed
# An image this many times worse than the median is reported even if the calibration as a whole is good.
OUTLYING = 4.0
# Boards of similar pose do not determine the focal length (Zhang 2000, section 4): angles between them, and shares of
# the image's width and height that their corners cover.
MIN_TILT_DEG, WARNING_TILT_DEG = 5.0, 15.0
MIN_COVERAGE, WARNING_COVERAGE = 0.3, 0.5


def validate_calibration(
    board: Board, views: list[BoardViews], fits: list[LensFit], extrinsics: RigExtrinsics
) -> tuple[Finding, ...]:
    """Return the faults and warnings of a calibration, each with its fix; with a fault it is unfit for use."""
    findings = [finding for camera_views, fit in zip(views, fits, strict=True) for finding in _alone(camera_views, fit)]
    if len(fits) > 1 and not any(finding.fault for finding in findings):
        findings += _together(board, views, fits, extrinsics)
    return tuple(findings)


def limit_px(size_wh: tuple[int, int]) -> float:
    """Return the largest acceptable RMS of one camera's own boards."""
    return max(ALONE_PX, OF_WIDTH * max(size_wh))


def _alone(views: BoardViews, fit: LensFit) -> list[Finding]:
    name, limit = views.camera, limit_px(views.size_wh)
    findings = []
    if fit.rms_px > limit:
        worst = _worst({views.label(frame): error for frame, error in fit.error_px.items()})
        findings.append(
            Finding(
                True,
                f"{name}: RMS {fit.rms_px:.2f} px alone, expected at most {limit:.1f} (worst: {worst}): check that the "
                "board is flat, the images are sharp, and --board and --lens are right",
            )
        )
    normals = np.array([camera_from_board[:3, 2] for camera_from_board in fit.board_from.values()])
    tilt = float(np.rad2deg(max(np.arccos(np.clip(a @ b, -1, 1)) for a, b in combinations(normals, 2))))
    if tilt < WARNING_TILT_DEG:
        text = (
            f"{name}: all boards are within {tilt:.1f} degrees of each other, expected {WARNING_TILT_DEG:g} or more: "
            "tilt the board in all directions, or the focal length is unreliable"
        )
        findings.append(Finding(tilt < MIN_TILT_DEG, text))
    corners = np.concatenate([views.corners[frame][1] for frame in fit.board_from])
    across, down = np.ptp(corners, axis=0) / views.size_wh
    if min(across, down) < WARNING_COVERAGE:
        text = (
            f"{name}: boards cover {across:.0%} of the image's width and {down:.0%} of its height, expected "
            f"{WARNING_COVERAGE:.0%} or more: show the board near and out to the corners, or the lens is unreliable"
        )
        findings.append(Finding(min(across, down) < MIN_COVERAGE, text))
    return findings


def _together(board: Board, views: list[BoardViews], fits: list[LensFit], extrinsics: RigExtrinsics) -> list[Finding]:
    alone_px = {fit.camera.name: fit.rms_px for fit in fits}
    limits = {camera_views.camera: TOGETHER * limit_px(camera_views.size_wh) for camera_views in views}
    rms_px, frame_px = extrinsics.rms_px, extrinsics.frame_px
    bad = [name for name, px in rms_px.items() if px > limits[name]]
    loose = [
        name
        for name, px in rms_px.items()
        if px > max(WORSE_THAN_ALONE * alone_px[name], MIN_WARNING_PX) and name not in bad
    ]
    worst = _worst({views[0].label(frame): error for frame, error in frame_px.items()})
    if bad:
        shift = find_shift(board, views, fits)
        if shift is None:
            cause = "check that images of the same number show the same moment and board, and remove the worst"
        else:
            cause = (
                f"frame n of {shift.a} fits frame n{shift.frames:+d} of {shift.b} ({shift.px:.2f} px instead of "
                f"{shift.unshifted_px:.1f}): the pairing is {abs(shift.frames)} off, renumber {shift.b}'s by "
                f"{-shift.frames:+d}"
            )
        name = max(bad, key=lambda name: rms_px[name] / limits[name])
        return [
            Finding(
                True,
                f"{name}: RMS {rms_px[name]:.1f} px with the others, {alone_px[name]:.2f} px alone, expected at "
                f"most {limits[name]:.1f} together (worst: {worst}): {cause}",
            )
        ]
    median = float(np.median(list(frame_px.values())))
    findings = [
        Finding(
            False,
            f"{name}: RMS {rms_px[name]:.2f} px with the others, {alone_px[name]:.2f} px alone (worst: {worst})"
            ": hold the board still, or synchronise the cameras",
        )
        for name in loose
    ]
    outlying = [frame for frame, px in frame_px.items() if px > max(OUTLYING * median, MIN_WARNING_PX)]
    if outlying and not loose:
        findings.append(Finding(False, f"{worst}: much worse than the median {median:.2f} px: remove these images"))
    return findings


def _worst(errors: dict[str, float]) -> str:
    """List the images with the largest errors."""
    ordered = sorted(errors.items(), key=lambda item: -item[1])[:WORST]
    return ", ".join(f"{name} {error:.1f} px" for name, error in ordered)
