"""The bundle adjustment of a start: moments of every person, where their joints may be, and what is known before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.calibration.people_residuals import DRIFT, Evidence, Unknowns
from pose3d_ros.calibration.people_start import Start
from pose3d_ros.calibration.view_tracks import ViewTrack
from pose3d_ros.estimation.body import NAMES, PAIRS, PRIOR_LENGTHS_M
from pose3d_ros.recordings.matched_times import nearest_index
from pose3d_ros.structures import Camera, Floats

# Moments of all people together; errors last for 0.2 s, so nearer ones add little.
MOST_MOMENTS, LEAST_STEP_S = 240, 0.1
# Rates that differ show in long recordings only, of which more moments are needed to be as sure of both ends.
MOST_OF_DRIFT = 720
# The prior that fixes the scale during the adjustment is the length of legs; the final one comes later.
LEGS: NDArray[np.bool_] = np.array(
    [all(NAMES[joint][1:] in ("Hip", "Knee", "Ankle") for joint in pair) and NAMES[pair[0]][0] == NAMES[pair[1]][0]
     for pair in PAIRS]
)  # fmt: skip
LEG_SPREAD, ODD_PROPORTIONS = 0.08, 0.5


def scene(
    cameras: tuple[Camera, ...],
    tracks: Sequence[Sequence[ViewTrack]],
    start: Start,
    own_std: Floats,
    clocks: Floats | None = None,
) -> tuple[Evidence, Unknowns]:
    """Evidence and start of a bundle adjustment.

    Cameras are placed where they may be; clocks (V, 2) are the start's if they are not given. own_std: see Evidence.
    """
    views = len(cameras)
    clocks = np.stack([start.offset_s, np.zeros(views)], axis=1) if clocks is None else clocks
    offsets = clocks[:, 0]
    by_person = tuple(
        tuple(tuple(tracks[v][n] for n in person.get(v, ())) for v in range(views)) for person in start.people
    )
    spans = [_shared_times(own, offsets) for own in by_person]
    total = sum(len(times) for times in spans)
    most = MOST_OF_DRIFT if (own_std[:, DRIFT] > 0).any() else MOST_MOMENTS
    every = max(1, int(np.ceil(total / most)))
    spans = [times[::every] for times in spans]
    person = np.repeat(np.arange(len(spans)), [len(times) for times in spans])
    at_s = np.concatenate(spans) if spans else np.zeros(0)
    xyz = np.concatenate([_lifted(cameras, own, offsets, times) for own, times in zip(by_person, spans, strict=True)])
    information = _information()
    people = len(by_person)
    evidence = Evidence(
        by_person,
        person,
        at_s,
        own_std,
        cameras,
        clocks.copy(),
        np.tile(PRIOR_LENGTHS_M, (people, 1)),
        np.tile(information, (people, 1, 1)),
    )
    return evidence, Unknowns(cameras, clocks, xyz, np.tile(PRIOR_LENGTHS_M, (people, 1)))


def _information() -> Floats:
    """(L, L) 1/m^2 of a person's lengths: that of the legs; nearly none of proportions."""
    legs = np.where(LEGS, 1.0 / PRIOR_LENGTHS_M, 0.0) / LEGS.sum() / LEG_SPREAD
    return np.asarray(np.outer(legs, legs) + np.diag((ODD_PROPORTIONS * PRIOR_LENGTHS_M) ** -2.0))


def _shared_times(own: Sequence[Sequence[ViewTrack]], offsets: Floats) -> Floats:
    """Common times (K,) in steps at which two cameras or more follow a person."""
    spans = [(v, a + offsets[v], b + offsets[v]) for v, tracks in enumerate(own) for a, b in (t.span_s for t in tracks)]
    times = np.arange(min(a for _, a, _ in spans), max(b for _, _, b in spans), LEAST_STEP_S)
    count = np.zeros(len(times))
    for v in {v for v, _, _ in spans}:
        count += np.any([(times >= a) & (times <= b) for w, a, b in spans if w == v], axis=0)
    return np.asarray(times[count >= 2])


def _lifted(cameras: Sequence[Camera], own: Sequence[Sequence[ViewTrack]], offsets: Floats, times: Floats) -> Floats:
    """A person's joints (K, N, 3) m at common times, as lifted from all cameras, nearer ones counting more."""
    total, weights = np.zeros((len(times), len(NAMES), 3)), np.zeros((len(times), len(NAMES)))
    for v, tracks in enumerate(own):
        inverse = np.linalg.inv(cameras[v].cam_from_world)
        for track in tracks:
            own_s: Floats = times - offsets[v]
            inside: NDArray[np.bool_] = np.asarray((own_s >= track.times_s[0]) & (own_s <= track.times_s[-1]))
            joints = track.lifted[nearest_index(track.times_s, own_s[inside])]
            good: NDArray[np.bool_] = np.asarray(np.isfinite(joints).all(-1))
            weight = np.where(good, 1.0 / np.maximum(np.nan_to_num(joints[..., 2], nan=1.0), 0.5) ** 2, 0.0)
            total[inside] += weight[..., None] * np.where(
                good[..., None], joints @ inverse[:3, :3].T + inverse[:3, 3], 0
            )
            weights[inside] += weight
    known = weights > 0
    xyz = np.where(known[..., None], total / np.maximum(weights, 1e-9)[..., None], np.nan)
    middle = total.sum(axis=1, keepdims=True) / np.maximum(weights.sum(axis=1), 1e-9)[:, None, None]
    return np.where(known[..., None], xyz, middle)
