"""Which of the known people an estimator publishes: those in the workspace, up to a maximum.

A stage after tracking and smoothing: a person who is left out keeps the id and the track, and is published again at
once on return. NumPy, float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import OptionError
from pose3d_ros.structures import Floats, PersonState, Pose3D

if TYPE_CHECKING:
    from pose3d_ros.estimation.estimate import Estimate

# What the options of both estimators say of themselves.
MIN_TEXT = (
    "lowest x, y, z (m, in the frame of the poses) of where people are published, e.g. [-2.0, -2.0, -0.5]: a "
    "person with the pelvis outside is tracked, but left out; -.inf for a side without an end; empty: none has one"
)
MAX_TEXT = "highest x, y, z (m) of where people are published; .inf for a side without an end; empty: none has one"
MAX_PEOPLE_TEXT = (
    "most people published, of those in the workspace; 0: all. Those known the longest stay, so that no person "
    "flickers; lost people give way"
)


def check_workspace(low: Sequence[float], high: Sequence[float]) -> None:
    """Raise OptionError unless each corner has no number or three, none is NaN, and low lies under high."""
    for name, corner in (("workspace_min", low), ("workspace_max", high)):
        numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in corner)
        if len(corner) not in (0, 3) or not numbers or any(math.isnan(one) for one in corner):
            raise OptionError(
                f"option {name!r} is {list(corner)}, expected three numbers x, y, z in m, or an empty list"
            )
    for axis, a, b in zip("xyz", low, high, strict=False):
        if a >= b:
            raise OptionError(
                f"workspace_min is {list(low)}, workspace_max {list(high)}: {axis} of the first must be less"
            )


def admitted(pose: Pose3D, low: Sequence[float], high: Sequence[float], most: int) -> NDArray[np.intp]:
    """Indices of the people to publish, in the pose's order.

    low and high (3,) m in pose.frame_id, or empty: where the pelvis must be, borders included. most: of those, so many;
    0 for all. The tracker's ids rise with time: a lower number is known longer. LOST people come last.
    """
    if not len(low) and not len(high) and (not most or len(pose) <= most):
        return np.arange(len(pose))
    place = places(pose)
    inside = np.ones(len(pose), dtype=bool)
    if len(low):
        inside &= (place >= np.asarray(low)).all(-1)  # NaN, a person without a known joint, is nowhere
    if len(high):
        inside &= (place <= np.asarray(high)).all(-1)
    people = np.flatnonzero(inside)
    if not most or len(people) <= most:
        return people
    lost = pose.state == PersonState.LOST
    order = sorted(people.tolist(), key=lambda p: (bool(lost[p]), int(pose.ids[p])))
    return np.sort(np.array(order[:most], dtype=np.intp))


def places(pose: Pose3D) -> Floats:
    """Where all people are, (P, 3) m: the pelvis, or without one the middle of the joints that are known; else NaN."""
    pelvis = pose.xyz[:, pose.skeleton.index("Pelvis")]
    known = np.asarray(np.isfinite(pose.xyz).all(-1))
    total = np.where(known[..., None], pose.xyz, 0.0).sum(axis=1)
    count = known.sum(-1)[:, None]
    middle = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.where(np.isfinite(pelvis).all(-1, keepdims=True), pelvis, middle)


def filter_people(estimate: Estimate, low: Sequence[float], high: Sequence[float], most: int) -> Estimate:
    """The estimate of the published people; 2D people of the others have no id, and the others are counted."""
    pose = estimate.pose
    people = admitted(pose, low, high, most)
    if len(people) == len(pose):
        return estimate
    kept = pose.select(people)
    ids = {camera: tuple(one if one in kept.ids else "" for one in names) for camera, names in estimate.ids.items()}
    return replace(estimate, pose=kept, ids=ids, left_out=len(pose) - len(kept))
