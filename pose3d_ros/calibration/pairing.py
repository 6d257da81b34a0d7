"""Were two cameras' boards paired right? Found by pairing them up to three frames earlier or later (NumPy, OpenCV)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose3d_ros.calibration.board_views import BoardViews
from pose3d_ros.calibration.boards import MIN_CORNERS, Board
from pose3d_ros.calibration.lenses import LensFit, residuals
from pose3d_ros.structures import Floats

SHIFTS = (1, -1, 2, -2, 3, -3)
# Pairs of which each tries to say how the cameras stand: with 15 some are right, though one in two were not.
TRIED = 15
# A few pairs agree by chance: of as many as this the median must.
MIN_PAIRS = 4
# Boards paired right fit this much better than those paired wrong; on OpenCV's boards 30 times and more.
BETTER = 0.25


@dataclass(frozen=True)
class Shift:
    """What pairing camera b's boards some frames later than camera a's does to how well they agree (median RMS px)."""

    a: str
    b: str
    frames: int  # frame n of a goes with frame n + frames of b
    px: float
    unshifted_px: float


def find_shift(board: Board, views: list[BoardViews], fits: list[LensFit]) -> Shift | None:
    """The shift between two cameras that makes their boards agree where they do not as given; None where none does."""
    frames = sorted({frame for one in views for frame in one.corners})
    step = int(np.median(np.diff(frames))) if len(frames) > 1 else 1
    found = []
    for b in range(1, len(fits)):
        for a in range(b):
            now = disagreement_px(board, views, fits, a, b, 0)
            for shift in SHIFTS:
                then = disagreement_px(board, views, fits, a, b, shift * step)
                if then < BETTER * now:
                    found.append(Shift(views[a].camera, views[b].camera, shift * step, then, now))
    return min(found, key=lambda one: one.px / one.unshifted_px, default=None)


def disagreement_px(board: Board, views: list[BoardViews], fits: list[LensFit], a: int, b: int, shift: int) -> float:
    """Median RMS px of b's corners predicted from a's boards, b's shifted by so many frames; inf with too few pairs."""
    pairs = [
        (frame, frame + shift)
        for frame in fits[a].board_from
        if frame + shift in fits[b].board_from and len(views[b].corners[frame + shift][0]) >= MIN_CORNERS
    ]
    if len(pairs) < MIN_PAIRS:
        return np.inf
    tried = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, TRIED).astype(int))]
    placed = [fits[b].board_from[other] @ np.linalg.inv(fits[a].board_from[frame]) for frame, other in tried]
    return min(
        float(np.median([_rms(board, views[b], fits, a, b, pair, b_from_a) for pair in pairs])) for b_from_a in placed
    )


def _rms(
    board: Board, seen: BoardViews, fits: list[LensFit], a: int, b: int, pair: tuple[int, int], b_from_a: Floats
) -> float:
    numbers, px = seen.corners[pair[1]]
    off = residuals(fits[b].camera, b_from_a @ fits[a].board_from[pair[0]], board.points[numbers], px)
    return float(np.sqrt((off**2).sum(axis=-1).mean()))
