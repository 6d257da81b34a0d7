"""Is a calibration good enough to be used? Faults and warnings from its residuals and from what the boards covered."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import Board
from pose3d_ros.calibration.extrinsics import PlacedRig
from pose3d_ros.calibration.lenses import LensFit
from pose3d_ros.calibration.pairing import find_shift
from pose3d_ros.rigs.camera_checks import Finding

# Corners are found to 0.1 px, and 0.5 px is the usual aim. Beyond 1 px, or a thousandth of a larger image's width,
# the lens does not fit.
ALONE_PX, OF_WIDTH = 1.0, 1e-3
# With the others the lenses stay as they are and the cameras' clocks count too: twice as much is a fault.
TOGETHER = 2.0
# Where the places add this much to the lenses' own error, pictures were not of one moment, or not of one board.
WORSE_THAN_ALONE = 4.0
WORTH_A_WARNING_PX = 0.5
WORST = 3  # pictures that are named
# A picture so many times worse than the median one is named though all together are good enough.
OUTLYING = 4.0
# Boards all alike do not fix a focal length (Zhang 2000, section 4): angles between them, and shares of the image's
# width and height that their corners reach over.
TILT_DEG, WARNED_TILT_DEG = 5.0, 15.0
REACH, WARNED_REACH = 0.3, 0.5


def judge_calibration(
    board: Board, views: list[BoardViews], fits: list[LensFit], placed: PlacedRig
) -> tuple[Finding, ...]:
    """What is wrong with a calibration and what to do about it; faults make it unfit for use, empty is good."""
    found = [finding for one, fit in zip(views, fits, strict=True) for finding in _alone(one, fit)]
    if len(fits) > 1 and not any(finding.fault for finding in found):
        found += _together(board, views, fits, placed)
    return tuple(found)


def limit_px(size_wh: tuple[int, int]) -> float:
    """The largest RMS of one camera's own boards."""
    return max(ALONE_PX, OF_WIDTH * max(size_wh))


def _alone(views: BoardViews, fit: LensFit) -> list[Finding]:
    name, most = views.camera, limit_px(views.size_wh)
    found = []
    if fit.rms_px > most:
        worst = _worst({views.called(frame): error for frame, error in fit.error_px.items()})
        found.append(
            Finding(
                True,
                f"{name}: RMS {fit.rms_px:.2f} px alone, expected at most {most:.1f} (worst: {worst}): is the board "
                "flat, are the pictures sharp, --board and --lens right?",
            )
        )
    normals = np.array([place[:3, 2] for place in fit.board_from.values()])
    tilt = float(np.rad2deg(max(np.arccos(np.clip(a @ b, -1, 1)) for a, b in combinations(normals, 2))))
    if tilt < WARNED_TILT_DEG:
        text = (
            f"{name}: all boards are within {tilt:.1f} degrees of each other, expected {WARNED_TILT_DEG:g} or more: "
            "tilt the board in all directions, or the focal length is a guess"
        )
        found.append(Finding(tilt < TILT_DEG, text))
    corners = np.concatenate([views.corners[frame][1] for frame in fit.board_from])
    across, down = np.ptp(corners, axis=0) / views.size_wh
    if min(across, down) < WARNED_REACH:
        text = (
            f"{name}: boards reach over {across:.0%} of the image's width and {down:.0%} of its height, expected "
            f"{WARNED_REACH:.0%} or more: show the board near and out to the corners, or the lens is a guess there"
        )
        found.append(Finding(min(across, down) < REACH, text))
    return found


def _together(board: Board, views: list[BoardViews], fits: list[LensFit], placed: PlacedRig) -> list[Finding]:
    alone_px = {fit.camera.name: fit.rms_px for fit in fits}
    most = {one.camera: TOGETHER * limit_px(one.size_wh) for one in views}
    bad = [name for name, px in placed.rms_px.items() if px > most[name]]
    loose = [
        name
        for name, px in placed.rms_px.items()
        if px > max(WORSE_THAN_ALONE * alone_px[name], WORTH_A_WARNING_PX) and name not in bad
    ]
    names = {frame: views[0].pictures.get(frame, f"frame {frame}") for frame in placed.frames}
    worst = _worst({names[frame]: error for frame, error in placed.frame_px.items()})
    if bad:
        shift = find_shift(board, views, fits)
        if shift is None:
            cause = "are pictures of one number of the same moment and board? Take the worst ones out"
        else:
            cause = (
                f"frame n of {shift.a} fits frame n{shift.frames:+d} of {shift.b} ({shift.px:.2f} px instead of "
                f"{shift.unshifted_px:.1f}): they are paired {abs(shift.frames)} off, renumber {shift.b}'s by "
                f"{-shift.frames:+d}"
            )
        name = max(bad, key=lambda name: placed.rms_px[name] / most[name])
        return [
            Finding(
                True,
                f"{name}: RMS {placed.rms_px[name]:.1f} px with the others, {alone_px[name]:.2f} px alone, expected at "
                f"most {most[name]:.1f} together (worst: {worst}): {cause}",
            )
        ]
    middle = float(np.median(list(placed.frame_px.values())))
    found = [
        Finding(
            False,
            f"{name}: RMS {placed.rms_px[name]:.2f} px with the others, {alone_px[name]:.2f} px alone (worst: {worst})"
            ": hold the board still, or synchronise the cameras",
        )
        for name in loose
    ]
    outlying = [frame for frame, px in placed.frame_px.items() if px > max(OUTLYING * middle, WORTH_A_WARNING_PX)]
    if outlying and not loose:
        found.append(Finding(False, f"{worst}: much worse than the median {middle:.2f} px: take them out"))
    return found


def _worst(errors: dict[str, float]) -> str:
    """The pictures with the largest errors, in words."""
    ordered = sorted(errors.items(), key=lambda item: -item[1])[:WORST]
    return ", ".join(f"{name} {error:.1f} px" for name, error in ordered)
