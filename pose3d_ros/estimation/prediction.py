"""Where people will be a moment later: the pose carried to its own stamp (NumPy, float64).

The tracker's filter says where joints are and how they move. Carried on as it is, that overshoots: a hand that swings
turns back, a person who stands only seems to move. So a joint's velocity is parted in two. That of the trunk lasts for
seconds, the limb's own against it for a fraction of one; and both count the less the slower the trunk was of late, and
the less it kept to one direction: a person who steps to and fro is as likely to go back as on. Nor is the filter's
place the best to start from while a person moves, for it lags; for a standing person it is, for it is calm, unless the
pose was smoothed. The
constants were chosen on the sample footage of three people, of whom two do not walk; docs/staleness.md has the figures
on both clips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pose3d_ros.estimation import kalman
from pose3d_ros.estimation.tracking import Tracker
from pose3d_ros.geometry.orientation import with_orientations
from pose3d_ros.kernels.constants import SCORE_HALF_LIFE_S
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D, unknown_body

TRUNK = [H36M_17.index(name) for name in ("Pelvis", "RHip", "LHip", "Spine", "Thorax", "LShoulder", "RShoulder")]
# How fast the two parts of a velocity die away.
TRUNK_TIME_CONSTANT_S = 2.0
LIMB_TIME_CONSTANT_S = 0.2
# The trunk's mean velocity and mean speed are of about so long; where the mean velocity has this length velocity counts
# half, and at this speed the filter's place does.
MEAN_S = 0.6
HALF_VELOCITY, HALF_SPEED = 0.05, 0.1
# Velocity does not count where the mean velocity is less than the first of these shares of the mean speed, fully from
# the second on: who walks has 0.94 and more, who moves on the spot 0.1 to 0.5.
STEADY = (0.5, 0.9)
# The tracker's covariance grows by this share of what its filter says: its velocities are worse than these.
GROWTH = 0.85
# After a gap of this length a person's mean velocity is learnt again.
MEMORY_S = 1.0


@dataclass(frozen=True, eq=False)
class Motion:
    """How people move at the stamp of a pose."""

    ids: tuple[str, ...]
    states: kalman.PointStates  # (P, J): of the tracker's filter
    calibration_covariance: (
        Floats  # (P, J, 3, 3) m^2 by which the cameras' errors may have moved each joint; in no state
    )
    mean_velocity: Floats  # (P, 3) m/s of the trunk, over the last MEAN_S or so
    mean_speed: Floats  # (P,) m/s, of its lengths
    calm: bool = False  # whether the pose is smoothed already: it is then the best place to start from


class Motions:
    """Takes the motion of all known people out of a tracker, and remembers their trunks' velocity and speed."""

    def __init__(self) -> None:
        self._means: dict[str, tuple[Floats, float, int]] = {}  # mean velocity (3,), mean speed, stamp

    def reset(self) -> None:
        """Forget all people."""
        self._means = {}

    def state_dict(self) -> dict[str, Any]:
        """Each trunk's mean velocity and speed."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def __call__(self, tracker: Tracker, stamp_ns: int) -> Motion:
        """The motion at the stamp of the tracker's last update, which this is."""
        ids, states, calibration_covariance = tracker.states()
        now = trunk_velocity(states.velocity)
        self._means = {person: self._mean(person, now[p], stamp_ns) for p, person in enumerate(ids)}
        velocities = np.array([velocity for velocity, _, _ in self._means.values()]).reshape(-1, 3)
        return Motion(
            ids, states, calibration_covariance, velocities, np.array([speed for _, speed, _ in self._means.values()])
        )

    def _mean(self, person: str, now: Floats, stamp_ns: int) -> tuple[Floats, float, int]:
        speed = math.sqrt(now @ now)
        before, speed_before, before_ns = self._means.get(person, (now, speed, stamp_ns))
        dt_s = (stamp_ns - before_ns) * 1e-9
        if not 0 <= dt_s <= MEMORY_S:
            return now, speed, stamp_ns
        share = 1.0 - math.exp(-dt_s / MEAN_S)
        return before + share * (now - before), speed_before + share * (speed - speed_before), stamp_ns


def trunk_velocity(velocity: Floats) -> Floats:
    """Mean velocity (..., 3) m/s of the trunk's joints, of (..., J, 3); zero where none is known."""
    trunk = velocity[..., TRUNK, :]
    known = np.isfinite(trunk)
    return np.asarray(np.where(known, trunk, 0.0).sum(-2) / np.maximum(known.sum(-2), 1))


def predicted(pose: Pose3D, motion: Motion, horizon_s: float, *, with_calibration_covariance: bool = True) -> Pose3D:
    """The pose horizon_s after its stamp, with that stamp; LOST people are not in it.

    motion is that of the pose's stamp and of all people in the pose at least. Joints are PREDICTED, states those of the
    pose, ages counted on. Without with_calibration_covariance the covariance is that against a later pose of the same
    cameras.
    """
    people = np.flatnonzero(pose.state != PersonState.LOST)
    rows = [motion.ids.index(pose.ids[p]) for p in people]
    states = kalman.PointStates(motion.states.mean[rows], motion.states.covariance[rows])
    # What smoothed the pose knows its velocity better.
    velocity = np.where(np.isfinite(pose.velocity[people]), pose.velocity[people], states.velocity)
    trunk = trunk_velocity(velocity)[:, None]
    along = np.linalg.norm(motion.mean_velocity[rows], axis=-1)[:, None, None]
    speed = motion.mean_speed[rows][:, None, None]
    steady = np.clip((along / np.maximum(speed, 1e-9) - STEADY[0]) / (STEADY[1] - STEADY[0]), 0.0, 1.0)
    gain = steady * along**2 / (along**2 + HALF_VELOCITY**2)
    seen = speed**2 / (speed**2 + HALF_SPEED**2)
    start = pose.xyz[people] if motion.calm else seen * pose.xyz[people] + (1.0 - seen) * states.position
    left = [np.exp(-horizon_s / constant) for constant in (TRUNK_TIME_CONSTANT_S, LIMB_TIME_CONSTANT_S)]
    travel = (TRUNK_TIME_CONSTANT_S * (1 - left[0]), LIMB_TIME_CONSTANT_S * (1 - left[1]))
    limb = velocity - trunk
    present = np.asarray((pose.source[people] != JointSource.ABSENT) & np.isfinite(states.mean).all(-1))
    shown = present[..., None]
    now, later = states.position_covariance, kalman.predict(states, horizon_s).position_covariance
    covariance = now + GROWTH * (later - now) + with_calibration_covariance * motion.calibration_covariance[rows]
    ahead = replace(
        pose,
        xyz=np.where(shown, start + gain * (travel[0] * trunk + travel[1] * limb), np.nan),
        velocity=np.where(shown, gain * (left[0] * trunk + left[1] * limb), np.nan),
        covariance=np.where(shown[..., None], covariance, np.nan),
        score=np.where(present, pose.score[people] * 0.5 ** (horizon_s / SCORE_HALF_LIFE_S), 0.0),
        n_views=np.zeros_like(pose.n_views[people]),
        reprojection_px=np.full_like(pose.reprojection_px[people], np.nan),
        source=np.where(present, JointSource.PREDICTED, JointSource.ABSENT),
        ids=tuple(pose.ids[p] for p in people),
        state=pose.state[people],
        age_s=pose.age_s[people] + horizon_s,
        stamp_ns=pose.stamp_ns + round(horizon_s * 1e9),
        **{
            **unknown_body(len(people), pose.skeleton.size),
            "stature_m": pose.stature_m[people],
            "stature_std_m": pose.stature_std_m[people],
        },
    )
    return with_orientations(ahead)
