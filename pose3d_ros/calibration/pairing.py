"""Detect wrongly paired boards of two cameras, by pairing them up to three frames earlier or later (NumPy, OpenCV)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import MIN_CORNERS, Board
from pose3d_ros.calibration.lenses import LensFit, residuals
from pose3d_ros.structures import Floats

SHIFTS = (1, -1, 2, -2, 3, -3)
# Pairs that each propose the extrinsics: with 15, some are right even if every second pair is wrong.
PROPOSALS = 15
# A few pairs agree by chance: at least this many are required for the median.
MIN_PAIRS = 4
# Correctly paired boards fit better by this factor; on OpenCV's boards by 1/30 or less.
BETTER = 0.25


@dataclass(frozen=True)
class Shift:
    """A shift of camera b's boards against camera a's, and the residual (median RMS px) with and without it."""

    a: str
    b: str
    frames: int  # frame n of a goes with frame n + frames of b
    px: float
    unshifted_px: float


def find_shift(board: Board, views: list[BoardViews], fits: list[LensFit]) -> Shift | None:
    """Return the shift between two cameras that makes their boards agree; None if no shift does."""
    frames = sorted({frame for camera_views in views for frame in camera_views.corners})
    step = int(np.median(np.diff(frames))) if len(frames) > 1 else 1
    shifts = []
    for b in range(1, len(fits)):
        for a in range(b):
            unshifted = pair_residual_px(board, views, fits, a, b, 0)
            for shift in SHIFTS:
                shifted = pair_residual_px(board, views, fits, a, b, shift * step)
                if shifted < BETTER * unshifted:
                    shifts.append(Shift(views[a].camera, views[b].camera, shift * step, shifted, unshifted))
    return min(shifts, key=lambda shift: shift.px / shift.unshifted_px, default=None)


def pair_residual_px(board: Board, views: list[BoardViews], fits: list[LensFit], a: int, b: int, shift: int) -> float:
    """Median RMS px of b's corners predicted from a's boards, b shifted by so many frames; inf with too few pairs."""
    pairs = [
        (frame, frame + shift)
        for frame in fits[a].board_from
        if frame + shift in fits[b].board_from and len(views[b].corners[frame + shift][0]) >= MIN_CORNERS
    ]
    if len(pairs) < MIN_PAIRS:
        return np.inf
    sample = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, PROPOSALS).astype(int))]
    proposals = [fits[b].board_from[other] @ np.linalg.inv(fits[a].board_from[frame]) for frame, other in sample]
    return min(
        float(np.median([_rms(board, views[b], fits, a, b, pair, b_from_a) for pair in pairs]))
        for b_from_a in proposals
    )


def _rms(
    board: Board, views_b: BoardViews, fits: list[LensFit], a: int, b: int, pair: tuple[int, int], b_from_a: Floats
) -> float:
    numbers, px = views_b.corners[pair[1]]
    residual = residuals(fits[b].camera, b_from_a @ fits[a].board_from[pair[0]], board.points[numbers], px)
    return float(np.sqrt((residual**2).sum(axis=-1).mean()))
