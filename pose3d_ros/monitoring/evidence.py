"""One second's evidence on the cameras: the motions and residuals of all corresponding joints (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.geometry.association import ray_mismatch
from pose3d_ros.geometry.projection import rays
from pose3d_ros.monitoring.bone_lengths import Steadiness
from pose3d_ros.monitoring.camera_motions import Motions, measure
from pose3d_ros.structures import Camera, Floats, Keypoints2D

# Rays of a person from a camera that moved miss those of the others by less than this, rad (9 deg).
REACH_RAD = 0.15
Sample = tuple[Floats, Floats]  # xy (V, N, 2) px, score (V, N), N joints of all people of one frame set


@dataclass(frozen=True, eq=False)
class EvidenceWindow:
    """Motions and residuals of an average joint; NaN without evidence."""

    motions: Motions
    left_out_px: Floats  # (V,) median
    epipolar_px: Floats  # (V, V) median, both ways
    behind: float  # share of joints that two rays triangulate behind a camera
    miss_rad: float  # median over everything, as an angle
    steadiness: Steadiness = field(default_factory=Steadiness)

    def summary(self, names: Sequence[str]) -> dict[str, float]:
        """Figures by name, for /diagnostics."""
        figures = {f"left_out_px/{name}": float(px) for name, px in zip(names, self.left_out_px, strict=True)}
        for a, first in enumerate(names):
            for b in range(a):
                figures[f"epipolar_px/{names[b]}-{first}"] = float(self.epipolar_px[b, a])
        figures["behind_share"] = self.behind
        figures["bones_spread"], figures["size"] = self.steadiness.spread, self.steadiness.size
        return {name: value for name, value in figures.items() if np.isfinite(value)}


def one_second(cameras: Sequence[Camera], samples: Sequence[Sample], steadiness: Steadiness) -> EvidenceWindow:
    """The evidence of the frame sets of one second."""
    xy = np.concatenate([one for one, _ in samples], axis=1)
    score = np.concatenate([one for _, one in samples], axis=1)
    used = score[score > 0]
    motions, residuals = measure(cameras, xy, score / np.sqrt((used**2).mean()))
    epipolar = residuals.epipolar_px
    focal = np.array([0.5 * (camera.K[0, 0] + camera.K[1, 1]) for camera in cameras])
    return EvidenceWindow(
        _of_one(motions),
        _median(residuals.left_out_px),
        _median(np.concatenate([epipolar, epipolar.swapaxes(0, 1)], axis=-1)),
        float(residuals.behind.mean()) if residuals.behind.size else float("nan"),
        float(_median((epipolar / focal[:, None, None]).reshape(1, -1))[0]),
        steadiness,
    )


def mean_of(seconds: Sequence[EvidenceWindow]) -> EvidenceWindow:
    """Their mean, with equal weights."""
    total = seconds[0].motions
    for one in seconds[1:]:
        total = total + one.motions
    share = 1.0 / len(seconds)
    motions = replace(
        total,
        H=total.H * share,
        g=total.g * share,
        squared_px=total.squared_px * share,
        freedom=total.freedom * share,
        shift=total.shift * share,
        points=total.points * share,
    )
    return EvidenceWindow(
        motions,
        _median(np.stack([one.left_out_px for one in seconds], axis=-1)),
        _median(np.stack([one.epipolar_px for one in seconds], axis=-1)),
        float(np.mean([one.behind for one in seconds])),
        float(np.median([one.miss_rad for one in seconds])),
        Steadiness(
            float(_median(np.array([one.steadiness.spread for one in seconds]))),
            float(_median(np.array([one.steadiness.size for one in seconds]))),
        ),
    )


def correspondences(
    names: Sequence[str], cameras: Sequence[Camera], people: Sequence[Keypoints2D], groups: NDArray[np.intp]
) -> Sample | None:
    """Corresponding joints of all cameras in `names`; None without a person in two views.

    Groups of two and more views are kept. A camera that is in none of them may have moved too far for association: its
    people are matched to the groups by the least angle.
    """
    rows = [list(row) for row in groups[(groups >= 0).sum(axis=-1) >= 2]]
    lonely = [v for v, one in enumerate(people) if len(one) and not any(row[v] >= 0 for row in rows)]
    if lonely and not rows:
        first = max(lonely, key=lambda v: len(people[v]))
        rows = [[n if v == first else -1 for v in range(len(people))] for n in range(len(people[first]))]
        lonely.remove(first)
    for view in lonely:
        _matched(rows, view, cameras, people)
    rows = [row for row in rows if sum(one >= 0 for one in row) >= 2]
    if not rows:
        return None
    joints = people[0].skeleton.size
    xy = np.full((len(names), len(rows), joints, 2), np.nan)
    score = np.zeros((len(names), len(rows), joints))
    for view, camera in enumerate(cameras):
        number = list(names).index(camera.name)
        for n, row in enumerate(rows):
            if row[view] >= 0:
                xy[number, n], score[number, n] = people[view].xy[row[view]], people[view].score[row[view]]
    score = np.where(np.isfinite(xy).all(axis=-1), score, 0.0)
    return xy.reshape(len(names), -1, 2), score.reshape(len(names), -1)


def _matched(rows: list[list[int]], view: int, cameras: Sequence[Camera], people: Sequence[Keypoints2D]) -> None:
    """Assign the people of one camera to the rows, in place, where they are within REACH_RAD."""
    origin, mine = rays(cameras[view], people[view].xy)  # (P, J, 3)
    cost = np.full((len(rows), len(people[view])), np.inf)
    for n, row in enumerate(rows):
        missed = []
        for other, person in enumerate(row):
            if person >= 0:
                place, theirs = rays(cameras[other], people[other].xy[person])
                missed.append(_angle(mine, theirs, place - origin))
        cost[n] = np.mean(missed, axis=0)
    affordable = np.where(cost <= REACH_RAD, cost, 1e3)
    for n, person in zip(*linear_sum_assignment(affordable), strict=True):
        if cost[n, person] <= REACH_RAD:
            rows[n][view] = int(person)


def _angle(mine: Floats, theirs: Floats, baseline: Floats) -> Floats:
    """Mean angle (P,) rad by which people (P, J, 3) miss one person (J, 3); inf where they share too few joints."""
    r, s = np.broadcast_arrays(np.moveaxis(mine, -1, 0), theirs.T[:, None])
    visible = np.isfinite(r[0]) & np.isfinite(s[0])
    mismatch, _, blind = ray_mismatch(np.where(visible, r, 1.0), np.where(visible, s, 1.0), baseline[:, None, None])
    used = visible & ~blind
    total = np.where(used, mismatch, 0.0).sum(axis=-1)
    return np.where(used.sum(axis=-1) >= 4, total / np.maximum(used.sum(axis=-1), 1), np.inf)


def _of_one(motions: Motions) -> Motions:
    """Normalised to one degree of freedom, the shift to one point."""
    freedom = max(motions.freedom, 1e-9)
    return replace(
        motions,
        H=motions.H / freedom,
        g=motions.g / freedom,
        squared_px=motions.squared_px / freedom,
        freedom=1.0,
        shift=motions.shift / np.maximum(motions.points, 1e-9)[:, None, None],
        points=np.minimum(motions.points, 1.0),
    )


def _median(values: Floats) -> Floats:
    """Median over the last axis without NaN; NaN where nothing is left."""
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, max(values.shape[-1] - 1, 0))
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    pick = np.take_along_axis
    return np.asarray((pick(ordered, low[..., None], -1) + pick(ordered, high[..., None], -1))[..., 0] / 2)
