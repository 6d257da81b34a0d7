"""One person: what was observed at a time, and what is remembered.

NumPy, float64. Axes: G people observed now, J joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation import kalman
from pose3d_ros.structures import Floats, JointSource, Pose3D, Skeleton


@dataclass(frozen=True, eq=False)
class Observed3D:
    """The people placed in space at one time; NaN joints have score 0."""

    xyz: Floats  # (G, J, 3) m, world
    covariance: Floats  # (G, J, 3, 3) m^2
    score: Floats  # (G, J) in [0, 1]
    n_views: NDArray[np.uint8]  # (G, J)
    reprojection_px: Floats  # (G, J)
    rejected: Mapping[str, int] = field(default_factory=dict)  # joints seen by some camera but not placed, by reason
    source: NDArray[np.uint8] = ()  # type: ignore[assignment]  # (G, J) JointSource; TRIANGULATED if empty
    # (G, J, 3, 3) m^2 to be added to covariance: what the cameras' errors move, which no time averages out; 0 if empty
    calibration_covariance: Floats = ()  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if not np.size(self.source):
            triangulated = np.full(self.score.shape, JointSource.TRIANGULATED, dtype=np.uint8)
            object.__setattr__(self, "source", triangulated)
        if not np.size(self.calibration_covariance):
            object.__setattr__(self, "calibration_covariance", np.zeros(self.covariance.shape))

    def __len__(self) -> int:
        return len(self.xyz)

    @cached_property
    def depth_noise(self) -> Floats:
        """Covariance (G, J, 3, 3) m^2 of the joints lifted from one view; 0 of the others."""
        lifted = np.asarray(self.source == JointSource.MONOCULAR)[..., None, None]
        if not lifted.any():
            return np.zeros(self.covariance.shape)
        return np.where(lifted & np.isfinite(self.covariance), self.covariance, 0.0)

    @cached_property
    def guessed(self) -> NDArray[np.bool_]:
        """Which joints (G, J) a network filled in from the rest of the body: no camera saw them."""
        return np.asarray((self.source == JointSource.REFINED) & (self.n_views == 0) & np.isfinite(self.xyz).all(-1))

    @property
    def joints(self) -> NDArray[np.intp]:
        """Number of joints placed in 3D, (G,), but for those that are guessed: they are no evidence of a person."""
        return np.asarray((np.isfinite(self.xyz).all(-1) & ~self.guessed).sum(-1))

    @property
    def mean_score(self) -> Floats:
        """Mean score of those joints, (G,)."""
        return np.asarray(np.where(self.guessed, 0.0, self.score).sum(-1) / np.maximum(self.joints, 1))

    def select(self, people: NDArray[np.intp]) -> Observed3D:
        """The chosen people, in the order given; rejected joints stay counted over all."""
        names = ("xyz", "covariance", "score", "n_views", "reprojection_px", "source", "calibration_covariance")
        return replace(self, **{name: getattr(self, name)[people] for name in names})


@dataclass(eq=False)
class Track:
    """One person's memory; `number` is 0 until there is evidence enough for an id."""

    states: kalman.PointStates  # (J,) at the last stamp
    joint_seen_ns: NDArray[np.int64]  # (J,) when each joint was last observed
    joint_score: Floats  # (J,) its score then
    depth_noise: Floats  # (J, 3, 3) m^2 by which the last observation's depth may be wrong; 0 unless it was lifted
    calibration_covariance: (
        Floats  # (J, 3, 3) m^2 by which the cameras' errors may have moved each joint when last observed
    )
    begun_ns: int  # when the person was first seen
    seen_ns: int  # and last
    number: int = 0
    hits: int = 1
    misses: int = 0
    observed: int = -1  # row of the current observation, or -1
    before_jump: bool = False  # time went back since the last observation: the track says who, no longer where
    ignored_joints: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), dtype=bool))  # (J,) of its joints


def no_pose(skeleton: Skeleton, stamp_ns: int, frame_id: str) -> Pose3D:
    """A pose without people."""
    joints = skeleton.size
    return Pose3D(
        xyz=np.zeros((0, joints, 3)),
        velocity=np.zeros((0, joints, 3)),
        covariance=np.zeros((0, joints, 3, 3)),
        score=np.zeros((0, joints)),
        n_views=np.zeros((0, joints), dtype=np.uint8),
        reprojection_px=np.zeros((0, joints)),
        source=np.zeros((0, joints), dtype=np.uint8),
        ids=(),
        state=np.zeros(0, dtype=np.uint8),
        age_s=np.zeros(0),
        skeleton=skeleton,
        frame_id=frame_id,
        stamp_ns=stamp_ns,
    )


def without_joints(people: Pose3D, skeleton: Skeleton) -> Pose3D:
    """The people of a pose in another skeleton, of which no joint is known."""
    shape = (len(people), skeleton.size)
    return Pose3D(
        xyz=np.full((*shape, 3), np.nan),
        velocity=np.full((*shape, 3), np.nan),
        covariance=np.full((*shape, 3, 3), np.nan),
        score=np.zeros(shape),
        n_views=np.zeros(shape, dtype=np.uint8),
        reprojection_px=np.full(shape, np.nan),
        source=np.zeros(shape, dtype=np.uint8),
        ids=people.ids,
        state=people.state,
        age_s=people.age_s,
        stature_m=people.stature_m,
        stature_std_m=people.stature_std_m,
        foot_contact=people.foot_contact,
        floor=people.floor,
        skeleton=skeleton,
        frame_id=people.frame_id,
        stamp_ns=people.stamp_ns,
    )
