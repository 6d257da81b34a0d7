"""HeadTop of people whose detector has none, by the shape of heads (geometry/head.py). NumPy, float64.

It comes after the tracker: who is who, how joints move and what networks refine do not depend on it. Its source is
REFINED with n_views 0, as of any joint that was filled in: no camera saw it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose3d_ros import kernels
from pose3d_ros.estimation.detector_joints import DetectorPeople
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.geometry.head import HEAD_POINTS, Heads, fit_heads, head_orientation
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D, Skeleton, unchecked

CHANGED = ("xyz", "velocity", "covariance", "score", "source", "orientation", "orientation_std")
FACE, THORAX = HEAD_POINTS[:-1], H36M_17.index(HEAD_POINTS[-1])
NOSE, HEAD_TOP = H36M_17.index("Nose"), H36M_17.index("HeadTop")


def with_head_tops(pose: Pose3D, people: DetectorPeople, observed: Observed3D) -> Pose3D:
    """The pose (h36m_17) with HeadTop of VISIBLE people who have none, and at Nose the orientation of their heads.

    observed are the people of people.groups. HeadTop's velocity is the nose's, its score the lowest of the points that
    it comes from. It is absent where those are too few, are not like a head, or leave it a standard deviation above
    max_std_m.
    """
    joints = _face_of(people.skeleton)
    lacking = (pose.state == PersonState.VISIBLE) & ~np.isfinite(pose.xyz[:, HEAD_TOP]).all(-1)
    if not lacking.any() or joints is None:
        return pose
    rows = [(p, people.ids.index(pose.ids[p])) for p in np.flatnonzero(lacking) if pose.ids[p] in people.ids]
    if not rows:
        return pose
    shown, groups = np.array(rows).T
    face = people.triangulated(joints)
    heads = _heads(face, observed)
    unsure = kernels.validation.wider(heads.top_covariance, float(people.options.max_std_m))  # False where it is NaN
    known = (np.isfinite(heads.top).all(-1) & ~unsure)[groups]
    shown, groups = shown[known], groups[known]
    if not len(shown):
        return pose
    # The cameras' errors move it as the person's other joints, on average, as in with_calibration_noise.
    others = np.isfinite(observed.xyz[groups]).all(-1, keepdims=True)[..., None]
    moved = np.where(others, observed.calibration_covariance[groups], 0.0).sum(1) / others.sum(1)
    seen = np.isfinite(face.xyz[groups]).all(-1)
    fields = {name: getattr(pose, name).copy() for name in CHANGED}
    at = shown, HEAD_TOP
    fields["xyz"][at], fields["covariance"][at] = heads.top[groups], heads.top_covariance[groups] + moved
    fields["velocity"][at] = pose.velocity[shown, NOSE]
    fields["score"][at] = np.where(seen, face.score[groups], 1.0).min(-1)
    fields["source"][at] = JointSource.REFINED
    # The bone from Nose to HeadTop turns with the head.
    turned, turned_std = head_orientation(heads)
    fields["orientation"][shown, NOSE], fields["orientation_std"][shown, NOSE] = turned[groups], turned_std[groups]
    return unchecked(Pose3D, **{**vars(pose), **fields})


def _heads(face: Observed3D, observed: Observed3D) -> Heads:
    """The heads (G,) of nose, eyes and ears (G, 5), and the Thorax of the people."""

    def points(one: str) -> Floats:
        return np.concatenate([getattr(face, one), getattr(observed, one)[:, [THORAX]]], axis=1)

    return fit_heads(points("xyz"), points("covariance"))


@lru_cache(maxsize=64)
def _face_of(skeleton: Skeleton) -> tuple[int, ...] | None:
    """Nose, eyes and ears in a skeleton; None where it lacks some."""
    if not set(FACE) <= set(skeleton.joint_names):
        return None
    return tuple(skeleton.index(name) for name in FACE)
