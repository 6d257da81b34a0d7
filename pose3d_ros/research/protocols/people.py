"""People of one frame in any order: MPJPE, recall and average precision of CMU Panoptic.

Tu et al., "VoxelPose" (ECCV 2020), Sec. 5.1: an estimate belongs to the person to whom its mean error is lowest; in the
order of the scores a person is found once. AP_K counts an estimate as right where that error is below K mm; MPJPE and
recall where it is below 500 mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.research.protocols.scored import MM, Scored
from pose3d_ros.structures import Floats

FOUND_MM = 500.0
AP_MM = (25, 50, 75, 100, 125, 150)


class Found(NamedTuple):
    """Over all frames."""

    mpjpe_mm: float
    recall: float  # %
    precision: Mapping[int, float]  # %, AP by threshold in mm


def found_people(scored: Sequence[Scored], scores: Sequence[Floats] | None = None) -> Found:
    """Estimates (T, E, J, 3) m, NaN for no person; scores (T, E) of each sequence, without which the order decides."""
    errors: list[float] = []
    whom: list[int] = []
    order: list[float] = []
    people = 0
    for number, one in enumerate(scored):
        for frame, (true, estimate) in enumerate(zip(one.truth.xyz, one.estimate, strict=True)):
            there = true[np.isfinite(true).any(axis=(1, 2))]
            for person, pose in enumerate(estimate):
                if not np.isfinite(pose).any() or not len(there):
                    continue
                distance = MM * np.nanmean(np.linalg.norm(pose - there, axis=-1), axis=-1)
                errors.append(float(np.nanmin(distance)))
                whom.append(people + int(np.nanargmin(distance)))
                order.append(0.0 if scores is None else -float(scores[number][frame, person]))
            people += len(there)
    ranked = np.argsort(np.array(order), kind="stable")
    error, person_of = np.array(errors)[ranked], np.array(whom, dtype=np.int64)[ranked]
    first = first_of(error, person_of, FOUND_MM)
    mean = float(error[first].mean()) if first.any() else float("nan")
    precision = {limit: 100 * average_precision(first_of(error, person_of, limit), people) for limit in AP_MM}
    return Found(mean, 100 * first.sum() / people if people else float("nan"), precision)


def first_of(error: Floats, person: NDArray[np.int64], limit: float) -> NDArray[np.bool_]:
    """(N,) bool: below the limit, and no earlier one of the same person was."""
    seen: set[int] = set()
    right = np.zeros(len(error), dtype=bool)
    for row, (one, whom) in enumerate(zip(error, person, strict=True)):
        right[row] = one < limit and int(whom) not in seen
        if right[row]:
            seen.add(int(whom))
    return right


def average_precision(right: NDArray[np.bool_], people: int) -> float:
    """The area below precision over recall, precision made to fall (Everingham et al., IJCV 2010)."""
    if not people:
        return float("nan")
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float((falling * right).sum() / people)
