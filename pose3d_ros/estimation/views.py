"""The 2D people of a frame set: which are used, which of their joints, and whose they turned out to be. NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.skeletons import H36M_17, remap
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig, unchecked

# 2D people with fewer usable joints are not used: fewer say little of who a person is. By choice.
MIN_PERSON_JOINTS = 5


@dataclass(frozen=True, eq=False)
class Views:
    """The 2D people of V cameras."""

    cameras: tuple[Camera, ...]
    whole: tuple[Keypoints2D, ...]  # h36m_17, all detected people
    detected: tuple[Keypoints2D, ...]  # the same people as the detector gave them, in its skeleton
    usable: Sequence[NDArray[np.intp]]  # of each view, the indices in whole of the people that are used
    people: Sequence[Keypoints2D]  # these people, without weak joints

    @staticmethod
    def of(rig: Rig, detected: Mapping[str, Keypoints2D], options: EstimatorOptions) -> Views:
        """Those of a frame set, by camera."""
        cameras = tuple(camera for camera in rig.cameras if camera.name in detected)
        given = tuple(detected[camera.name] for camera in cameras)
        whole = tuple(remap(one, H36M_17) for one in given)
        return Views(cameras, whole, given, *used_people(whole, options))

    @property
    def keypoints(self) -> dict[str, Keypoints2D]:
        """All detected people, by camera."""
        return {camera.name: one for camera, one in zip(self.cameras, self.whole, strict=True)}

    def ids(self, groups: NDArray[np.intp], ids: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """The person id of each of `whole` by camera, "" for none; groups (G, V) as of `people`, ids (G,)."""
        return {
            camera.name: ids_of_people(len(one), usable, groups[:, view], ids)
            for view, (camera, one, usable) in enumerate(zip(self.cameras, self.whole, self.usable, strict=True))
        }


def as_message(keypoints: Keypoints2D) -> Keypoints2D:
    """Rounded to float32, as Keypoints2DArray carries them: a detector on another machine then gives the same poses.

    Of a coordinate below 2048 px that takes 6e-5 px, which a stereo head would turn into micrometres.
    """

    def rounded(numbers: Floats) -> Floats:
        return numbers.astype(np.float32).astype(np.float64)

    return replace(
        keypoints,
        xy=rounded(keypoints.xy),
        score=rounded(keypoints.score),
        covariance=None if keypoints.covariance is None else rounded(keypoints.covariance),
    )


def usable_people(keypoints: Keypoints2D, options: EstimatorOptions) -> NDArray[np.intp]:
    """Indices of the 2D people with joints and score enough."""
    return np.flatnonzero(_usable(keypoints.score, options))


def used_people(
    keypoints: Sequence[Keypoints2D], options: EstimatorOptions
) -> tuple[list[NDArray[np.intp]], list[Keypoints2D]]:
    """usable_people of every view, and these people without weak joints."""
    score = np.concatenate([one.score for one in keypoints])
    index = np.flatnonzero(_usable(score, options))
    starts = np.cumsum([0, *(len(one) for one in keypoints)])
    bounds = np.searchsorted(index, starts).tolist()
    score, xy = score[index], np.concatenate([one.xy for one in keypoints])[index]
    weak = score < options.min_joint_score
    xy[weak], score[weak] = np.nan, 0.0
    indices, people = [], []
    for view, one in enumerate(keypoints):
        rows = slice(bounds[view], bounds[view + 1])
        mine = index[rows] - starts[view]
        indices.append(mine)
        people.append(
            unchecked(
                Keypoints2D,
                xy=xy[rows],
                score=score[rows],
                skeleton=one.skeleton,
                stamp_ns=one.stamp_ns,
                covariance=None if one.covariance is None else one.covariance[mine],
                boxes=None if one.boxes is None else one.boxes[mine],
            )
        )
    return indices, people


def _usable(score: Floats, options: EstimatorOptions) -> NDArray[np.bool_]:
    """Which people (P,) of score (P, J)."""
    good = score >= max(options.min_joint_score, 1e-6)
    count = good.sum(-1)
    mean = np.where(good, score, 0.0).sum(-1) / np.maximum(count, 1)
    return np.asarray((count >= MIN_PERSON_JOINTS) & (mean >= options.min_person_score))


def without_weak_joints(keypoints: Keypoints2D, options: EstimatorOptions) -> Keypoints2D:
    """The same people without joints below min_joint_score."""
    weak = keypoints.score < options.min_joint_score
    return replace(
        keypoints, xy=np.where(weak[..., None], np.nan, keypoints.xy), score=np.where(weak, 0.0, keypoints.score)
    )


def ids_of_people(
    count: int, usable: NDArray[np.intp], person_of_group: NDArray[np.intp], ids: tuple[str, ...]
) -> tuple[str, ...]:
    """Ids (count) of all 2D people of one camera, from the groups that hold some of the usable ones."""
    found = [""] * count
    for person, name in zip(person_of_group, ids, strict=True):
        if person >= 0:
            found[int(usable[person])] = name
    return tuple(found)
