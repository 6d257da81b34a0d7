"""Which tracks are the same person, by cameras that are known well enough to triangulate (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from pose3d_ros.calibration.people_residuals import own_times
from pose3d_ros.calibration.people_start import Start, people_of
from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.geometry.projection import rays
from pose3d_ros.structures import Camera, Floats

# Two views of one person miss each other by a few cm, of two people by more than half of the distance between them,
# m; moments compared, and the least.
SAME_M, MOMENTS, LEAST = 0.15, 20, 4


def regrouped(cameras: Sequence[Camera], clocks: Floats, tracks: Sequence[Sequence[ViewTrack]], start: Start) -> Start:
    """The start with people joined by how nearly the lines of sight of their joints meet; clocks (V, 2)."""
    scored: list[tuple[float, tuple[int, int], tuple[int, int]]] = []
    for a, b in combinations(range(len(cameras)), 2):
        for i, one in enumerate(tracks[a]):
            for j, other in enumerate(tracks[b]):
                miss = _miss_m(cameras[a], clocks[a], one, cameras[b], clocks[b], other)
                if miss < SAME_M:
                    scored.append((miss, (a, i), (b, j)))
    pairs = [(one, other) for _, one, other in sorted(scored)]
    return replace(start, people=people_of(tracks, pairs, clocks[:, 0].tolist()))


def _miss_m(
    camera: Camera, clock: Floats, track: ViewTrack, other: Camera, other_clock: Floats, other_track: ViewTrack
) -> float:
    """Median distance at which the lines of sight of two tracks' joints pass each other, m; inf where they never do."""
    spans = [
        [one[0] + (1.0 + 1e-6 * one[1]) * time for time in own.span_s]
        for one, own in ((clock, track), (other_clock, other_track))
    ]
    first, last = max(span[0] for span in spans), min(span[1] for span in spans)
    if first >= last:
        return float("inf")
    at_s = np.linspace(first, last, MOMENTS)
    origin, r = rays(camera, track.sample(own_times(at_s, clock))[0])
    place, s = rays(other, other_track.sample(own_times(at_s, other_clock))[0])
    across = origin - place
    normal = np.cross(r, s)
    length = np.linalg.norm(normal, axis=-1)
    cosine = (r * s).sum(-1)
    along_r, along_s = (r * across).sum(-1), (s * across).sum(-1)
    squared = 1.0 - cosine**2
    with np.errstate(divide="ignore", invalid="ignore"):
        miss = np.abs((normal * across).sum(-1)) / length
        front = ((cosine * along_s - along_r) / squared > 0) & ((along_s - cosine * along_r) / squared > 0)
    known = np.isfinite(miss)
    if known.any(axis=1).sum() < LEAST:
        return float("inf")
    return float(np.median(np.where(front, miss, np.inf)[known]))
