"""The detector's own joints in space: feet, hands, eyes, whatever h36m_17 has not.

They are those of the same 2D people, at the same time and with the same swaps of sides undone as the pose's. Only
references are kept until joints are asked for, so that they cost nothing without a reader. NumPy, float64.
Axes: V views, G groups of 2D people, P people of a pose, J joints of the detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.left_right import joint_order, part_of_joints
from pose3d_ros.estimation.observation import (
    Grouped2D,
    People2D,
    calibration_shift,
    triangulate_people,
    with_calibration_noise,
    without_uncertain,
)
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.rig_certainty import uncertain_for_rig
from pose3d_ros.estimation.track import Observed3D, without_joints
from pose3d_ros.estimation.views import Views
from pose3d_ros.geometry.observations import Observations
from pose3d_ros.skeletons import remap
from pose3d_ros.structures import JointSource, Keypoints2D, PersonState, Pose3D, Skeleton, unchecked


@dataclass(frozen=True, eq=False)
class DetectorPeople:
    """The G people of a frame set whom two cameras or more see, as their detector has them."""

    views: Views
    groups: NDArray[np.intp]  # (G, V) index of each in the usable 2D people of each view, or -1
    ids: tuple[str, ...]  # (G,) "" for who is in no pose
    swapped: NDArray[np.bool_]  # (V, G, 2) whose legs and arms had their sides swapped in which view
    options: EstimatorOptions
    calibration_px: float  # how far the cameras are off, an axis

    @property
    def skeleton(self) -> Skeleton:
        """The detector's; of several, that with the most joints, to which the others give what they have by name."""
        return max((one.skeleton for one in self.views.detected), key=lambda skeleton: skeleton.size)

    def triangulated(self, joints: Sequence[int]) -> Observed3D:
        """The chosen joints of the skeleton, in the order given, of all G people; calibrated cameras are exact."""
        return self._triangulated(self._grouped.joints(joints))[0]

    def _triangulated(self, keypoints: Grouped2D) -> tuple[Observed3D, Observations]:
        least = self.options.min_views
        return triangulate_people(self.views.cameras, keypoints, min_views=least, max_std_m=np.inf)

    def _all_joints(self) -> Observed3D:
        """All joints (G, J) of the skeleton, with what the cameras' errors add."""
        observed, rays = self._triangulated(self._grouped)
        if self.calibration_px:
            shift = calibration_shift(self.views.cameras, self._grouped, observed, rays)
            observed = with_calibration_noise(observed, shift, self.calibration_px)
        also = uncertain_for_rig(self.views.cameras, self._grouped, observed)
        return without_uncertain(observed, self.options.max_std_m, also)

    def pose(self, people: Pose3D) -> Pose3D:
        """All joints (P, J) of the people of a pose: with its ids, states, frame and stamp, triangulated or absent.

        Velocities are those of the pose's joint of that name, or of the next parent that it has: a toe's the ankle's.
        Nothing is predicted: joints of people who are not VISIBLE are absent.
        """
        pose, skeleton = without_joints(people, self.skeleton), self.skeleton
        rows = [
            (p, self.ids.index(person))
            for p, person in enumerate(people.ids)
            if person in self.ids and people.state[p] == PersonState.VISIBLE
        ]
        if not rows:
            return pose
        observed = self._all_joints()
        shown, groups = np.array(rows).T
        xyz, velocity, covariance = pose.xyz.copy(), pose.velocity.copy(), pose.covariance.copy()
        score, n_views, px = pose.score.copy(), pose.n_views.copy(), pose.reprojection_px.copy()
        xyz[shown], score[shown] = observed.xyz[groups], observed.score[groups]
        covariance[shown] = (observed.covariance + observed.calibration_covariance)[groups]
        n_views[shown], px[shown] = observed.n_views[groups], observed.reprojection_px[groups]
        present = np.asarray(np.isfinite(xyz).all(-1))
        known = np.append(people.velocity, np.full((len(people), 1, 3), np.nan), axis=1)
        velocity[present] = known[:, list(_moves_with(skeleton, people.skeleton))][present]
        source = np.where(present, JointSource.TRIANGULATED, JointSource.ABSENT).astype(np.uint8)
        changed = {"xyz": xyz, "velocity": velocity, "covariance": covariance, "score": np.where(present, score, 0.0)}
        n_views = np.where(present, n_views, 0).astype(np.uint8)
        return replace(pose, **changed, n_views=n_views, reprojection_px=px, source=source)

    @cached_property
    def _grouped(self) -> Grouped2D:
        """Their keypoints, (V, G, J), without weak ones."""
        skeleton, views = self.skeleton, self.views
        flat = People2D.of(
            [
                _without_weak(remap(one, skeleton), usable, self.options.min_joint_score)
                for one, usable in zip(views.detected, views.usable, strict=True)
            ]
        )
        rows = np.where(self.groups >= 0, self.groups + flat.bounds[:-1], -1)
        if self.swapped.any():
            # Of the rest of the body, the head is turned round where all of the person is.
            parts = np.concatenate([self.swapped, self.swapped.all(-1, keepdims=True)], axis=-1)
            exchanged = parts[..., list(part_of_joints(skeleton))]
            flat = flat.with_joints(joint_order(len(flat.xy), rows, exchanged, np.array(skeleton.other_side)))
        return flat.grouped(rows)


def _without_weak(keypoints: Keypoints2D, people: NDArray[np.intp], min_score: float) -> Keypoints2D:
    """The chosen people, without joints below min_score."""
    one = keypoints.select(people)
    weak = one.score < min_score
    return unchecked(
        Keypoints2D,
        xy=np.where(weak[..., None], np.nan, one.xy),
        score=np.where(weak, 0.0, one.score),
        skeleton=one.skeleton,
        stamp_ns=one.stamp_ns,
        covariance=one.covariance,
        boxes=one.boxes,
    )


@lru_cache(maxsize=64)
def _moves_with(skeleton: Skeleton, other: Skeleton) -> tuple[int, ...]:
    """For every joint the joint of another skeleton whose velocity it has; -1 for none."""
    found = []
    for joint in range(skeleton.size):
        while joint >= 0 and skeleton.joint_names[joint] not in other.joint_names:
            joint = skeleton.parents[joint]
        found.append(other.index(skeleton.joint_names[joint]) if joint >= 0 else -1)
    return tuple(found)
