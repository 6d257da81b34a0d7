"""How constant people's bones stay over a recording: a measure of precision that needs no reference."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D

HEAD_TOP = H36M_17.index("HeadTop")
LONG_LIVED = 0.5  # of the recording's poses: shorter ones give a poor spread of a bone's length


class BoneLengths:
    """Mean and spread of each bone of each person, from sums."""

    def __init__(self) -> None:
        self._poses = 0
        self._frames: Counter[str] = Counter()
        # Count, sum and sum of squares of each bone, in m from the first length, which keeps the squares small.
        self._sums: dict[str, Floats] = defaultdict(lambda: np.zeros((3, len(H36M_17.bones))))
        self._first: dict[str, Floats] = {}

    def add(self, poses: Iterable[Pose3D]) -> None:
        """Take in what cameras saw of VISIBLE people."""
        parent, child = np.array(H36M_17.bones).T
        for pose in poses:
            self._poses += 1
            for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
                joints = np.where(measured(pose)[row, :, None], pose.xyz[row], np.nan)
                length = np.linalg.norm(joints[child] - joints[parent], axis=-1)
                one = pose.ids[row]
                first = self._first.get(one, length)
                self._first[one] = first = np.where(np.isfinite(first), first, length)
                known, offset = np.isfinite(length), np.nan_to_num(length - first)
                self._sums[one] += np.stack([known, offset, offset**2])
                self._frames[one] += 1

    @property
    def cv(self) -> float:
        """Median over the bones of long-lived people of std over mean of the bone's length; NaN without any."""
        spreads = [np.zeros(0)]
        for one, frames in self._frames.items():
            if frames >= max(2, LONG_LIVED * self._poses):
                count, total, squares = self._sums[one]
                often = count >= max(2, LONG_LIVED * frames)
                count, total, squares = count[often], total[often], squares[often]
                variance = np.maximum(squares / count - (total / count) ** 2, 0.0)
                spreads.append(np.sqrt(variance) / (self._first[one][often] + total / count))
        values = np.concatenate(spreads)
        return float(np.median(values)) if len(values) else float("nan")


def measured(pose: Pose3D) -> NDArray[np.bool_]:
    """Joints (P, J) that cameras saw, however they were placed; not those that are predicted.

    Nor HeadTop where the rest of the head stands for it (estimation/head_top.py).
    """
    seen = (pose.source != JointSource.ABSENT) & (pose.source != JointSource.PREDICTED)
    seen[:, HEAD_TOP] &= (pose.source[:, HEAD_TOP] != JointSource.REFINED) | (pose.n_views[:, HEAD_TOP] > 0)
    return np.asarray(seen)
