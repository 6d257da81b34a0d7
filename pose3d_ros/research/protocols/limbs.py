"""PCP of Shelf and Campus: the share of limbs that are right, by actor.

Belagiannis et al. (CVPR 2014), Sec. 4: a limb is right where the mean error of its two ends is at most half of its
length. An estimate is matched to the actor to whom its mean error is lowest; one estimate may serve two actors, as in
the evaluations that later works share. The ten limbs are theirs too: the torso runs from the middle of the hips to the
lower end of the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pose3d_ros.research.datasets.shelf_campus import JOINTS
from pose3d_ros.research.protocols.scored import Scored
from pose3d_ros.structures import Floats

SHARE = 0.5
# The actors of whom the tables have columns; Shelf's fourth is hidden most of the time.
COUNTED_ACTORS = 3
LIMBS = {
    "head": (("HeadBottom", "HeadTop"),),
    "torso": (("Hips", "HeadBottom"),),
    "upper arms": (("RShoulder", "RElbow"), ("LShoulder", "LElbow")),
    "lower arms": (("RElbow", "RWrist"), ("LElbow", "LWrist")),
    "upper legs": (("RHip", "RKnee"), ("LHip", "LKnee")),
    "lower legs": (("RKnee", "RAnkle"), ("LKnee", "LAnkle")),
}


class Pcp(NamedTuple):
    """Shares in %, NaN for an actor who is never there."""

    actors: Floats  # (P,) of the truth
    average: float  # of the first COUNTED_ACTORS
    limbs: Mapping[str, float]  # of the same actors together


def pcp(one: Scored) -> Pcp:
    """Of a sequence whose estimate (T, E, 14, 3) m holds any number of people in any order, NaN where there is none.

    Joints that were not estimated are wrong.
    """
    right = np.stack([_right(true, found) for true, found in zip(one.truth.xyz, one.estimate, strict=True)])
    there = np.asarray(np.isfinite(one.truth.xyz).all(axis=(2, 3)))  # (T, P)
    names = [name for name, limbs in LIMBS.items() for _ in limbs]
    total = there.sum(axis=0)
    actors = np.where(total > 0, 100 * (right.mean(axis=2) * there).sum(axis=0) / np.maximum(total, 1), np.nan)
    counted = right[:, :COUNTED_ACTORS][there[:, :COUNTED_ACTORS]]  # (N, 10)
    by_limb = (
        {name: 100 * float(counted[:, [n == name for n in names]].mean()) for name in LIMBS} if len(counted) else {}
    )
    return Pcp(actors, float(np.nanmean(actors[:COUNTED_ACTORS])), by_limb)


def _right(true: Floats, found: Floats) -> Floats:
    """(P, 10) whether limbs are right, of people (P, 14, 3) and estimates (E, 14, 3) of one frame."""
    distance = np.linalg.norm(true[:, None] - found[None], axis=-1)  # (P, E, 14)
    missing = ~np.isfinite(distance)
    mean = np.where(missing, 0.0, distance).sum(axis=-1) / np.maximum((~missing).sum(axis=-1), 1)
    mean[missing.all(axis=-1)] = np.inf
    right = np.zeros((len(true), sum(map(len, LIMBS.values()))))
    for person in range(len(true)):
        if mean.shape[1] and np.isfinite(mean[person]).any():
            right[person] = _limbs_right(true[person], found[np.argmin(mean[person])])
    return right


def _limbs_right(true: Floats, found: Floats) -> Floats:
    ends = []
    for a, b in (limb for limbs in LIMBS.values() for limb in limbs):
        length = np.linalg.norm(_end(true, a) - _end(true, b))
        error = (np.linalg.norm(_end(true, a) - _end(found, a)) + np.linalg.norm(_end(true, b) - _end(found, b))) / 2
        ends.append(error <= SHARE * length)  # False for NaN
    return np.array(ends, dtype=np.float64)


def _end(pose: Floats, name: str) -> Floats:
    if name == "Hips":
        middle: Floats = (pose[JOINTS.index("RHip")] + pose[JOINTS.index("LHip")]) / 2
        return middle
    joint: Floats = pose[JOINTS.index(name)]
    return joint
