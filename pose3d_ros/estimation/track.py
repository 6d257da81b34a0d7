"""One person: what was observed at a time, what is remembered, and how both become rows of Pose3D.

NumPy, float64. Axes: G people observed now, J joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation import kalman
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D, Skeleton

# A predicted joint's score halves in this time.
SCORE_HALF_LIFE_S = 0.25


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
    lasting: Floats = ()  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if not np.size(self.source):
            triangulated = np.full(self.score.shape, JointSource.TRIANGULATED, dtype=np.uint8)
            object.__setattr__(self, "source", triangulated)
        if not np.size(self.lasting):
            object.__setattr__(self, "lasting", np.zeros(self.covariance.shape))

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def depth_noise(self) -> Floats:
        """Covariance (G, J, 3, 3) m^2 of the joints lifted from one view; 0 of the others."""
        lifted = np.asarray(self.source == JointSource.MONOCULAR)[..., None, None]
        return np.where(lifted & np.isfinite(self.covariance), self.covariance, 0.0)

    @property
    def guessed(self) -> NDArray[np.bool_]:
        """Which joints (G, J) a network filled in from the rest of the body: nobody saw them."""
        return np.asarray((self.source == JointSource.REFINED) & (self.n_views == 0) & np.isfinite(self.xyz).all(-1))

    @property
    def joints(self) -> NDArray[np.intp]:
        """Number of joints placed in 3D, (G,), but for those that are guessed: they are no evidence of anybody."""
        return np.asarray((np.isfinite(self.xyz).all(-1) & ~self.guessed).sum(-1))

    @property
    def mean_score(self) -> Floats:
        """Mean score of those joints, (G,)."""
        return np.asarray(np.where(self.guessed, 0.0, self.score).sum(-1) / np.maximum(self.joints, 1))

    def select(self, people: NDArray[np.intp]) -> Observed3D:
        """The chosen people, in the order given; rejected joints stay counted over all."""
        names = ("xyz", "covariance", "score", "n_views", "reprojection_px", "source", "lasting")
        return replace(self, **{name: getattr(self, name)[people] for name in names})


@dataclass(eq=False)
class Track:
    """One person's memory; `number` is 0 until there is evidence enough for an id."""

    states: kalman.PointStates  # (J,) at the last stamp
    joint_seen_ns: NDArray[np.int64]  # (J,) when each joint was last observed
    joint_score: Floats  # (J,) its score then
    depth_noise: Floats  # (J, 3, 3) m^2 by which the last observation's depth may be wrong; 0 unless it was lifted
    lasting: Floats  # (J, 3, 3) m^2 by which the cameras' errors may have moved each joint when last observed
    begun_ns: int  # when the person was first seen
    seen_ns: int  # and last
    number: int = 0
    hits: int = 1
    misses: int = 0
    observed: int = -1  # row of the current observation, or -1
    before_jump: bool = False  # time went back since the last observation: it tells who, no longer where
    passed_over: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), dtype=bool))  # (J,) of its joints

    def rows(self, observed: Observed3D, stamp_ns: int, lost_ns: int, gone_ns: int) -> dict[str, Any]:
        """This person's rows of Pose3D: what was observed as it was, the rest as predicted."""
        unseen_ns = stamp_ns - self.joint_seen_ns
        known = np.asarray(np.isfinite(self.states.position).all(-1))
        predicted = known & (unseen_ns > 0) & (unseen_ns < gone_ns)
        xyz = np.where(predicted[:, None], self.states.position, np.nan)
        covariance = np.where(predicted[:, None, None], self.states.position_covariance + self.lasting, np.nan)
        fade = 0.5 ** (np.minimum(unseen_ns, gone_ns) * 1e-9 / SCORE_HALF_LIFE_S)
        score = np.where(predicted, self.joint_score * fade, 0.0)
        source = np.where(predicted, JointSource.PREDICTED, JointSource.ABSENT)
        n_views, reprojection = np.zeros(len(known)), np.full(len(known), np.nan)
        if self.observed >= 0:
            row = self.observed
            seen = np.isfinite(observed.xyz[row]).all(-1) & ~self.passed_over
            xyz = np.where(seen[:, None], observed.xyz[row], xyz)
            measured_covariance = observed.covariance[row] + observed.lasting[row]
            covariance = np.where(seen[:, None, None], measured_covariance, covariance)
            score = np.where(seen, observed.score[row], score)
            source = np.where(seen, observed.source[row], source)
            n_views = np.where(seen, observed.n_views[row], 0)
            reprojection = np.where(seen, observed.reprojection_px[row], np.nan)
        measured = np.isfinite(xyz).all(-1) & self.states.moving
        age_ns = stamp_ns - self.seen_ns
        hidden = PersonState.LOST if age_ns >= lost_ns else PersonState.OCCLUDED
        return {
            "xyz": xyz,
            "velocity": np.where(measured[:, None], self.states.velocity, np.nan),
            "covariance": covariance,
            "score": score,
            "n_views": n_views.astype(np.uint8),
            "reprojection_px": reprojection,
            "source": source.astype(np.uint8),
            "state": np.uint8(PersonState.VISIBLE if self.observed >= 0 else hidden),
            "age_s": np.float64(age_ns * 1e-9),
        }


def no_pose(skeleton: Skeleton, stamp_ns: int, frame_id: str) -> Pose3D:
    """A pose of nobody."""
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
