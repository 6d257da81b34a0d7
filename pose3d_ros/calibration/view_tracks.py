"""People followed from image to image of one camera, and lifted to 3D (NumPy, float64).

Axes: T images of a track, M moments, N = 13 joints that a detector measures (estimation/body.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.estimation.body import JOINTS, MADE, WEIGHTS
from pose3d_ros.estimation.lifting import lift
from pose3d_ros.estimation.single_view import load_lifter
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D
from pose3d_ros.synchronisation.clock_regression import KERNEL_S, SPEED_KERNEL_S, local_lines

# A person walks about one own height a second; within this share of it, plus that, a detection continues a track.
STEP, STEP_PER_S = 0.15, 1.2
# A second detection or track within so many times the distance of the best makes the continuation uncertain: both end.
# Keypoints jitter by JITTER of a person's size from image to image anyway.
AMBIGUOUS, JITTER = 2.0, 0.02
MAX_GAP_S, LEAST_S = 0.5, 0.4
MIN_JOINTS = 6  # of N


@dataclass(frozen=True, eq=False)
class ViewTrack:
    """One person in one camera for a while."""

    times_s: Floats  # (T,) on the camera's own clock
    px: Floats  # (T, N, 2) in the original image, NaN where not detected
    variance: Floats  # (T, N) px^2 an axis
    lifted: Floats  # (T, N, 3) m in the camera's optical frame, NaN where it could not be lifted

    @property
    def span_s(self) -> tuple[float, float]:
        """First and last time."""
        return float(self.times_s[0]), float(self.times_s[-1])

    def sample(self, at_s: Floats) -> tuple[Floats, Floats, Floats]:
        """Pixels (M, N, 2), velocities (M, N, 2) px/s and variances (M, N) px^2 at times (M,); NaN where unknown.

        By local lines, so that the noise of a position hardly depends on where between two images its time lies:
        interpolation between two would favour offsets of half a period.
        """
        period_s = float(np.median(np.diff(self.times_s)))
        weight = np.where(np.isfinite(self.variance), 1.0 / np.maximum(self.variance, 1e-6), 1.0)
        position = local_lines(at_s, self.times_s, self.px, weight, max(KERNEL_S, 1.6 * period_s))[0]
        speed = local_lines(at_s, self.times_s, self.px, weight, max(SPEED_KERNEL_S, 3.0 * period_s))[1]
        after = np.clip(np.searchsorted(self.times_s, at_s), 1, len(self.times_s) - 1)
        before = after - 1
        nearest = np.where(at_s - self.times_s[before] < self.times_s[after] - at_s, before, after)
        inside = (at_s >= self.times_s[0]) & (at_s <= self.times_s[-1])
        seen = inside & (self.times_s[after] - self.times_s[before] <= MAX_GAP_S)
        known = seen[:, None] & np.isfinite(position).all(-1) & np.isfinite(self.px[nearest]).all(-1)
        speed = np.where(np.isfinite(speed), speed, 0.0)
        return np.where(known[..., None], position, np.nan), speed, np.where(known, self.variance[nearest], np.nan)


def follow(views: PeopleViews) -> list[ViewTrack]:
    """The tracks of a camera, the longest first; people who cross or jump start new ones."""
    rows: list[tuple[float, Floats, Floats]] = []
    active: list[list[int]] = []
    ended: list[list[int]] = []
    for image in views.people:
        assert image.covariance is not None
        now_s = image.stamp_ns * 1e-9
        found = []
        for xy, spread in zip(image.xy[:, JOINTS], image.covariance[:, JOINTS], strict=True):
            if np.isfinite(xy).all(-1).sum() >= MIN_JOINTS:
                rows.append((now_s, xy, 0.5 * np.trace(spread, axis1=-2, axis2=-1)))
                found.append(len(rows) - 1)
        still = [track for track in active if now_s - rows[track[-1]][0] <= MAX_GAP_S]
        ended += [track for track in active if now_s - rows[track[-1]][0] > MAX_GAP_S]
        links, unsure = _links([rows[track[-1]] for track in still], [rows[one] for one in found])
        ended += [still[n] for n in unsure]
        active = [
            [*track, found[links[n]]] if n in links else track for n, track in enumerate(still) if n not in unsure
        ]
        active += [[one] for k, one in enumerate(found) if k not in links.values()]
    kept = [track for track in [*ended, *active] if rows[track[-1]][0] - rows[track[0]][0] >= LEAST_S]
    kept.sort(key=lambda track: rows[track[0]][0] - rows[track[-1]][0])
    return _lifted(views.camera, [[rows[one] for one in track] for track in kept])


def _distance(a: tuple[float, Floats, Floats], b: tuple[float, Floats, Floats]) -> float:
    """Median distance of joints of two detections as a share of the person's size; inf: far."""
    away = np.linalg.norm(a[1] - b[1], axis=-1)
    if np.isfinite(away).sum() < MIN_JOINTS // 2:
        return np.inf
    size = max(float(np.linalg.norm(np.nanmax(one[1], axis=0) - np.nanmin(one[1], axis=0))) for one in (a, b))
    share = float(np.nanmedian(away)) / max(size, 1e-6)
    return share if share <= STEP + STEP_PER_S * (b[0] - a[0]) else np.inf


def _links(
    tracks: list[tuple[float, Floats, Floats]], found: list[tuple[float, Floats, Floats]]
) -> tuple[dict[int, int], set[int]]:
    """Which detection continues which track, and the tracks of which that is uncertain."""
    links: dict[int, int] = {}
    unsure: set[int] = set()
    if not tracks or not found:
        return links, unsure
    cost = np.array([[_distance(a, b) for b in found] for a in tracks])
    for row, column in zip(*linear_sum_assignment(np.where(np.isfinite(cost), cost, 1e3)), strict=True):
        if not np.isfinite(cost[row, column]):
            continue
        rivals = np.r_[np.delete(cost[row], column), np.delete(cost[:, column], row), np.inf]
        if rivals.min() > AMBIGUOUS * max(cost[row, column], JITTER):
            links[int(row)] = int(column)
        else:
            unsure.add(int(row))
    return links, unsure


def _lifted(camera: Camera, tracks: list[list[tuple[float, Floats, Floats]]]) -> list[ViewTrack]:
    """Lift all detections of all tracks at once."""
    if not tracks:
        return []
    xy = np.concatenate([np.stack([row[1] for row in track]) for track in tracks])
    seen = np.isfinite(xy).all(-1)
    whole: NDArray[np.bool_] = np.asarray(MADE & ~((WEIGHTS > 0) & ~seen[:, None]).any(axis=-1))  # (T, 17)
    full = np.where(whole[..., None], np.einsum("jn,tnc->tjc", WEIGHTS, np.nan_to_num(xy)), np.nan)
    people = Keypoints2D(xy=full, score=whole.astype(np.float64), skeleton=H36M_17)
    lifted = lift(camera.placed(np.eye(4)), people, load_lifter()).xyz[:, JOINTS]
    result, start = [], 0
    for track in tracks:
        stop = start + len(track)
        times = np.array([row[0] for row in track])
        variance = np.stack([row[2] for row in track])
        result.append(ViewTrack(times, xy[start:stop], variance, lifted[start:stop]))
        start = stop
    return result
