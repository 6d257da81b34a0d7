"""How long people's bones are, learned while several cameras see them. NumPy, float64.

Axes: P people, J joints, B bones.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D

# A mean over so many frame sets: some seconds, in which noise averages out and a wrong start is forgotten.
MEMORY = 100
# A size is told once this many bones were seen: a trunk and two limbs.
MIN_BONES = 6
PARENTS, CHILDREN = np.array(H36M_17.bones).T


class BodySizes:
    """Bone lengths by person id; remembers people as long as they are in the poses shown to it."""

    def __init__(self) -> None:
        self._length: dict[str, Floats] = {}  # (B,) m, NaN where a bone was never seen whole
        self._count: dict[str, Floats] = {}  # (B,) poses in it, at most MEMORY

    def learn(self, pose: Pose3D) -> None:
        """Take in the bones that were measured in a pose; forget who is not in it."""
        measured = np.isin(pose.source, (JointSource.TRIANGULATED, JointSource.REFINED)) & (pose.n_views > 0)
        lengths = bone_lengths(np.where(measured[..., None], pose.xyz, np.nan))
        self._length = {name: self._length.get(name, np.full(len(PARENTS), np.nan)) for name in pose.ids}
        self._count = {name: self._count.get(name, np.zeros(len(PARENTS))) for name in pose.ids}
        for name, state, length in zip(pose.ids, pose.state, lengths, strict=True):
            if state != PersonState.VISIBLE:
                continue
            seen = np.isfinite(length)
            count = np.minimum(self._count[name] + seen, MEMORY)
            before = np.where(np.isfinite(self._length[name]), self._length[name], length)
            self._count[name] = count
            self._length[name] = np.where(seen, before + (length - before) / np.maximum(count, 1), before)

    def scale(self, name: str, xyz: Floats) -> float:
        """By what a body xyz (J, 3) m is to be multiplied to be as large as that person; 1 where nothing is known."""
        known, given = self._length.get(name, np.full(len(PARENTS), np.nan)), bone_lengths(xyz)
        both = np.isfinite(known) & np.isfinite(given)
        if both.sum() < MIN_BONES or not given[both].sum() > 0:
            return 1.0
        return float(known[both].sum() / given[both].sum())


def bone_lengths(xyz: Floats) -> Floats:
    """(..., B) m of bodies (..., J, 3) m; NaN where an end is absent."""
    return np.asarray(np.linalg.norm(xyz[..., CHILDREN, :] - xyz[..., PARENTS, :], axis=-1))
