"""The definition of kernels/tracking.py: one person at a time (NumPy, float64)."""

from __future__ import annotations

from typing import Any

import numpy as np
from definitions import kalman
from numpy.typing import NDArray

from pose3d_ros.estimation.track import Observed3D, Track
from pose3d_ros.kernels.constants import MIN_SHARED_JOINTS, SCORE_HALF_LIFE_S
from pose3d_ros.structures import Floats, JointSource, PersonState


def observe(gone_ns: int, track: Track, observed: Observed3D, row: int, stamp_ns: int) -> None:
    track.ignored_joints = surer(gone_ns, track, observed, row, stamp_ns)
    xyz, covariance = np.where(track.ignored_joints[:, None], np.nan, observed.xyz[row]), observed.covariance[row]
    seen, guessed = np.isfinite(xyz).all(-1), observed.guessed[row]
    measured = np.where(guessed[:, None], np.nan, xyz)
    dt_s = (stamp_ns - track.seen_ns) * 1e-9
    if track.before_jump or kalman.jumped(track.states.position, measured, dt_s, observed.depth_noise[row]):
        track.before_jump = False
        track.states = kalman.start(xyz, covariance)
    else:
        # Guesses of one body err alike from frame to frame: a filter would take them for ever surer.
        corrected = kalman.update(track.states, measured, covariance)
        track.states = kalman.restarted(corrected, seen & guessed, xyz, covariance)
    track.depth_noise = observed.depth_noise[row]
    track.calibration_covariance = np.where(
        seen[:, None, None], observed.calibration_covariance[row], track.calibration_covariance
    )
    track.joint_seen_ns = np.where(seen, stamp_ns, track.joint_seen_ns)
    track.joint_score = np.where(seen, observed.score[row], track.joint_score)
    track.seen_ns, track.observed = stamp_ns, row
    track.hits += 1


def surer(gone_ns: int, track: Track, observed: Observed3D, row: int, stamp_ns: int) -> NDArray[np.bool_]:
    """Joints (J,) that a network guesses though the track still knows them better."""
    known = np.isfinite(track.states.position).all(-1) & (stamp_ns - track.joint_seen_ns < gone_ns)
    own, other = (np.trace(c, axis1=-2, axis2=-1) for c in (track.states.position_covariance, observed.covariance[row]))
    return np.asarray(observed.guessed[row] & known & (own < other))


def rows(self: Track, observed: Observed3D, stamp_ns: int, lost_ns: int, gone_ns: int) -> dict[str, Any]:
    """This person's rows of Pose3D: what was observed as it was, the rest as predicted."""
    unseen_ns = stamp_ns - self.joint_seen_ns
    known = np.asarray(np.isfinite(self.states.position).all(-1))
    predicted = known & (unseen_ns > 0) & (unseen_ns < gone_ns)
    xyz = np.where(predicted[:, None], self.states.position, np.nan)
    covariance = np.where(
        predicted[:, None, None], self.states.position_covariance + self.calibration_covariance, np.nan
    )
    fade = 0.5 ** (np.minimum(unseen_ns, gone_ns) * 1e-9 / SCORE_HALF_LIFE_S)
    score = np.where(predicted, self.joint_score * fade, 0.0)
    source = np.where(predicted, JointSource.PREDICTED, JointSource.ABSENT)
    n_views, reprojection = np.zeros(len(known)), np.full(len(known), np.nan)
    if self.observed >= 0:
        row = self.observed
        seen = np.isfinite(observed.xyz[row]).all(-1) & ~self.ignored_joints
        xyz = np.where(seen[:, None], observed.xyz[row], xyz)
        measured_covariance = observed.covariance[row] + observed.calibration_covariance[row]
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


def distances(a: Floats, b: Floats, covariance: Floats | None = None) -> Floats:
    """Mean joint distance (A, B) m over the joints that both have; inf where they share too few.

    With covariances (A or 1, B, J, 3, 3) m^2 of both together it is kalman.distance.
    """
    offset = a[:, None] - b[None]
    apart = np.linalg.norm(offset, axis=-1) if covariance is None else kalman.distance(offset, covariance)  # (A, B, J)
    shared = np.isfinite(apart)
    count = shared.sum(-1)
    mean = np.where(shared, apart, 0.0).sum(-1) / np.maximum(count, 1)
    return np.asarray(np.where(count >= MIN_SHARED_JOINTS, mean, np.inf))
