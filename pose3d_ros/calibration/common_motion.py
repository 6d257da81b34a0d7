"""How two cameras stand, and their clocks differ, from people whom both see: lifted people put on each other.

Each camera's tracks are people in 3D by AbsPoseLifter, wrong by a tenth of their distance, but at the right place of
their paths at every time. For every difference of the clocks and every pair of tracks the rigid transform between both
follows in closed form (Umeyama 1991); the one under which most people agree for longest is the start of a bundle
adjustment. A mirror image is never a rigid transform, but is tried too, in order to name a camera that mirrors.
(NumPy, float64. Axes: K times of a grid, N joints.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.estimation.body import NAMES
from pose3d_ros.geometry.alignment import rigid
from pose3d_ros.recordings.matched_times import nearest_index
from pose3d_ros.structures import Floats

# The rate at which lifted people are compared; at walking pace 0.1 s is 15 cm, less than lifting errs.
GRID_S = 0.1
# Lifted people at 5 m agree to 0.3 to 0.5 m (median joint); this far apart they agree no longer, m.
AGREE_M = 0.8
# Differences of the clocks farther apart than so long are two answers, if people overlap for this share of the time.
ANOTHER_S, ANOTHER_SHARE = 1.0, 0.5
# Both must see a person for so long.
LEAST_S = 0.6
# Tracks of each camera that propose transforms: the longest.
PROPOSALS = 5
SWAPPED = np.array([NAMES.index(name.translate(str.maketrans("LR", "RL"))) if name[0] in "LR" else n
                    for n, name in enumerate(NAMES)])  # fmt: skip


@dataclass(frozen=True, eq=False)
class CommonMotion:
    """One camera in another's frame by people whom both see."""

    a_from_b: Floats  # (4, 4)
    late_s: float  # time of a = time of b + late_s
    agreeing_s: float  # seconds of people who agree, each by how well
    rival: float  # the best agreement for each second at another difference of the clocks, as a share of this one's
    pairs: tuple[tuple[int, int], ...]  # tracks of a and b that are the same person


@dataclass(frozen=True, eq=False)
class _Path:
    """A track's lifted joints at the times (first + k) GRID_S."""

    first: int
    xyz: Floats  # (K, N, 3) m, NaN where unknown


def paths(tracks: Sequence[ViewTrack], mirrored: bool = False) -> list[_Path]:
    """The lifted tracks on the grid; mirrored: as if the images were mirrored."""
    found = []
    for track in tracks:
        first, last = (round(one / GRID_S) for one in track.span_s)
        grid_s: Floats = np.arange(first, last + 1, dtype=np.float64) * GRID_S
        nearest = nearest_index(track.times_s, grid_s)
        away = np.abs(grid_s - track.times_s[nearest])
        xyz = np.where((away <= 0.5 * GRID_S + 1e-9)[:, None, None], track.lifted[nearest], np.nan)
        found.append(_Path(first, xyz[:, SWAPPED] * (-1.0, 1.0, 1.0) if mirrored else xyz))
    return found


def common_motion(
    a: Sequence[_Path], b: Sequence[_Path], lags: NDArray[np.intp], known: Floats | None = None
) -> CommonMotion | None:
    """The transform and difference of clocks, of lags (in steps of GRID_S), under which most people agree.

    known: a_from_b (4, 4), where only the clocks are sought. None if no two tracks overlap for long enough.
    """
    best: tuple[float, int, Floats] | None = None
    by_lag: dict[int, tuple[float, int]] = {}  # agreement of the best pair, and how many steps it overlaps
    for one in a[:PROPOSALS]:
        for other in b[:PROPOSALS]:
            for lag in lags.tolist():
                both = _overlapping(one, other, lag)
                if both is None:
                    continue
                matrix = known if known is not None else _transform(*both)
                if matrix is None:
                    continue
                score = float(_agreement(*both, matrix).sum())
                by_lag[lag] = max((score, len(both[0])), by_lag.get(lag, (0.0, 0)))
                if best is None or score > best[0]:
                    best = (score, lag, matrix)
    if best is None:
        return None
    _, lag, matrix = best
    rival = _rival(by_lag, lag)
    for _ in range(3):
        pairs = _matched(a, b, lag, matrix)
        if not pairs:
            return None
        if known is None:
            parts = [_overlapping(a[i], b[j], lag) for i, j, _ in pairs]
            x, y = (np.concatenate([part[n] for part in parts if part is not None]) for n in (0, 1))
            refined = _transform(x, y, _agreement(x, y, matrix))
            matrix = matrix if refined is None else refined
    total = sum(score for _, _, score in pairs) * GRID_S
    return CommonMotion(matrix, lag * GRID_S, total, rival, tuple((i, j) for i, j, _ in pairs))


def _rival(by_lag: dict[int, tuple[float, int]], lag: int) -> float:
    """CommonMotion.rival: by the second, since what repeats itself overlaps less the farther it is shifted."""
    most, steps = by_lag[lag]
    others = [
        score / overlap
        for other, (score, overlap) in by_lag.items()
        if abs(other - lag) * GRID_S > ANOTHER_S and overlap >= ANOTHER_SHARE * steps
    ]
    return max(others, default=0.0) * steps / max(most, 1e-9)


def _overlapping(a: _Path, b: _Path, lag: int) -> tuple[Floats, Floats] | None:
    """Both paths where both are known, b shifted by lag."""
    start = max(a.first, b.first + lag)
    stop = min(a.first + len(a.xyz), b.first + lag + len(b.xyz))
    if (stop - start) * GRID_S < LEAST_S:
        return None
    x, y = a.xyz[start - a.first : stop - a.first], b.xyz[start - lag - b.first : stop - lag - b.first]
    good = (np.isfinite(x).all(-1) & np.isfinite(y).all(-1)).sum(-1) >= len(NAMES) // 2
    return (x[good], y[good]) if good.sum() * GRID_S >= LEAST_S else None


def _transform(x: Floats, y: Floats, weight: Floats | None = None) -> Floats | None:
    """The rigid transform (4, 4) of y (K, N, 3) onto x; weight (K,)."""
    if weight is not None:
        x, y = x[weight > 0], y[weight > 0]
        if not len(x):
            return None
    found = rigid(y.reshape(-1, 3), x.reshape(-1, 3)).matrix
    return found if np.isfinite(found).all() else None


def _agreement(x: Floats, y: Floats, matrix: Floats) -> Floats:
    """How well people agree, (K,) from 0 to 1: by the median distance of joints (Tukey's biweight)."""
    moved = y @ matrix[:3, :3].T + matrix[:3, 3]
    away = np.nanmedian(np.linalg.norm(x - moved, axis=-1), axis=-1)
    return np.asarray(np.maximum(1.0 - (away / AGREE_M) ** 2, 0.0) ** 2)


def _matched(a: Sequence[_Path], b: Sequence[_Path], lag: int, matrix: Floats) -> list[tuple[int, int, float]]:
    """Pairs of tracks of the same person with their scores, the best first; a track may continue in several."""
    scored = []
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            both = _overlapping(one, other, lag)
            if both is not None:
                agreement = _agreement(*both, matrix)
                if np.median(agreement) > 0:
                    scored.append((i, j, float(agreement.sum())))
    return sorted(scored, key=lambda row: -row[2])
