"""The 2D people of a recording as arrays, by person and moment (NumPy, float64)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Rig

BETWEEN_NS = 10**9  # from one recording to the next


@dataclass(frozen=True, eq=False)
class Observations2D:
    """The 2D people with an id, by capture stamp and id."""

    keys: tuple[tuple[int, str], ...]  # P
    xy: Floats  # (V, P, J, 2) px, NaN where a camera does not see the joint
    covariance: Floats | None  # (V, P, J, 2, 2) px^2
    score: Floats  # (V, P, J), 0 there


def observations_2d(recording: Recording, rig: Rig | None = None) -> Observations2D:
    """All people with an id in any camera of the rig (default: the recording's), by person and moment."""
    cameras = (recording.rig if rig is None else rig).cameras
    found = [
        (view, (stamp, one), people, row)
        for view, camera in enumerate(cameras)
        for stamp, (people, ids) in recording.keypoints.get(camera.name, {}).items()
        for row, one in enumerate(ids)
        if one
    ]
    place = {key: k for k, key in enumerate(dict.fromkeys(key for _, key, _, _ in found))}
    shape = (len(cameras), len(place), H36M_17.size)
    xy, covariance, score = np.full((*shape, 2), np.nan), np.full((*shape, 2, 2), np.nan), np.zeros(shape)
    for view, key, people, row in found:
        xy[view, place[key]], score[view, place[key]] = people.xy[row], people.score[row]
        if people.covariance is not None:
            covariance[view, place[key]] = people.covariance[row]
    known = bool(found) and all(people.covariance is not None for _, _, people, _ in found)
    return Observations2D(tuple(place), xy, covariance if known else None, score)


def joined_observations(parts: Sequence[Observations2D]) -> Observations2D:
    """Recordings of the same cameras as one, each after the last, of other people; without covariance if one has none.

    Stamps are moved; ids get the recording's number.
    """
    if len(parts) == 1:
        return parts[0]
    keys: list[tuple[int, str]] = []
    begin_ns = 0
    for number, part in enumerate(parts):
        first_ns = min((stamp for stamp, _ in part.keys), default=0)
        keys += [(stamp - first_ns + begin_ns, f"{number}/{one}") for stamp, one in part.keys]
        begin_ns = max((stamp for stamp, _ in keys), default=0) + BETWEEN_NS
    spreads = [part.covariance for part in parts if part.covariance is not None]
    return Observations2D(
        tuple(keys), np.concatenate([part.xy for part in parts], axis=1),
        np.concatenate(spreads, axis=1) if len(spreads) == len(parts) else None,
        np.concatenate([part.score for part in parts], axis=1),
    )  # fmt: skip
