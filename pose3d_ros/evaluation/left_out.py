"""Tests the covariance of joints on real footage with a camera that was left out (NumPy, float64).

A recording of `pose3d demo` has the keypoints of every camera. Each camera is left out in turn; two or more of the
others triangulate all people as the node does, including refinement. The joint's covariance S and the keypoint's own
covariance C predict a region in the camera left out: the keypoint is in the 95 % ellipse of J S J' + C. Of the camera
left out only its calibration is used.

Calibrations and stamps have errors. calibration_px p of the estimator's options is their size: it adds p^2 K to S
(geometry/camera_errors.py), and p^2 I to C, because the camera left out is no better. With p = -1, it is the noise that
the other cameras have measured up to that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.calibration_noise import MEASURED, CalibrationNoise
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.measured_people import Stopwatch
from pose3d_ros.estimation.observation import Grouped2D, triangulated
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.recorded_people import recorded_people
from pose3d_ros.estimation.refinement.stage import load_refinement
from pose3d_ros.geometry.projection import project_with_covariance
from pose3d_ros.recordings.observations import observations_2d
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Floats, JointSource, Rig

LEVEL = 0.95
# Upper end of the search: no usable rig has a larger error.
MAX_PX = 200.0


@dataclass(frozen=True, eq=False)
class Predictions:
    """N keypoints of cameras left out, with the prediction of the others."""

    error: Floats  # (N, 2) px, keypoint less prediction
    covariance: Floats  # (N, 2, 2) px^2 from the detector's errors: J S J' + C
    per_px2: Floats  # (N, 2, 2) factor of calibration_px^2: J K J' + I
    left_out: NDArray[np.intp]  # (N,) number of the camera
    views: NDArray[np.intp]  # (N,) cameras that triangulated the joint
    joint: NDArray[np.intp]  # (N,) in h36m_17
    refined: NDArray[np.bool_]  # (N,) whether a network refined it
    measured_px: Floats  # (N,) calibration_px as measured by the other cameras by then
    stamp_ns: NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        return len(self.error)

    def select(self, which: NDArray[np.bool_]) -> Predictions:
        """Those chosen (N,)."""
        return Predictions(*(getattr(self, one.name)[which] for one in fields(self)))

    def squared(self, calibration_px: float = 0.0) -> Floats:
        """Squared Mahalanobis distances (N,): chi-squared with 2 degrees of freedom if the covariance is right."""
        px = self.measured_px if calibration_px == MEASURED else np.full(len(self), calibration_px)
        whole = self.covariance + px[:, None, None] ** 2 * self.per_px2
        found: Floats = (self.error * np.linalg.solve(whole, self.error[..., None])[..., 0]).sum(axis=-1)
        return found

    def coverage(self, calibration_px: float = 0.0, level: float = LEVEL) -> float:
        """Share of the keypoints inside their region of this probability; NaN without any."""
        return float((self.squared(calibration_px) <= chi2.ppf(level, 2)).mean()) if len(self) else float("nan")


def joined(parts: Sequence[Predictions]) -> Predictions:
    """All in one."""
    return Predictions(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Predictions)))


def fitted_px(parts: Sequence[Predictions]) -> float:
    """The least calibration_px with LEVEL of the keypoints in their region; all parts have equal weight."""
    nonempty = [part for part in parts if len(part)]
    if not nonempty:
        raise InputError(
            "no person in the recordings is in view of three cameras at once: record people in view of all"
        )

    def lacking(px: float) -> float:
        return LEVEL - float(np.mean([part.coverage(px) for part in nonempty]))

    if lacking(0.0) <= 0.0:
        return 0.0
    return MAX_PX if lacking(MAX_PX) > 0.0 else float(brentq(lacking, 0.0, MAX_PX, xtol=1e-3))


def predictions(recording: Recording, refine: str = "auto") -> Predictions:
    """Every keypoint of every camera, predicted from every choice of two or more of the others.

    refine as in EstimatorOptions. A joint missing in a camera of the choice counts in the smaller choices.
    Raises InputError for fewer than three cameras or a recording whose keypoints have no covariance.
    """
    cameras, observations = recording.rig.cameras, observations_2d(recording)
    if len(cameras) < 3:
        raise InputError(f"the recording has {len(cameras)} cameras, expected at least 3 to leave one out")
    if observations.covariance is None:
        raise InputError("the recording's keypoints have no covariance: record with a detector that gives one")
    options = EstimatorOptions(refine=refine, calibration_px=1.0)
    refinement = load_refinement(options)
    all_people = recorded_people(observations, options)
    parts = []
    for count in range(2, len(cameras)):
        for chosen in combinations(range(len(cameras)), count):
            rig = Rig(tuple(cameras[number] for number in chosen), recording.rig.frame_id)
            estimator = PoseEstimator(rig, options=options, refinement=refinement)
            people = all_people.of(chosen)
            rows = np.flatnonzero((people.seen.any(axis=-1)).sum(axis=0) >= 2)
            observed, _, _ = estimator.triangulate(rig.cameras, people.select(rows), 0, Stopwatch())
            whole = np.asarray(observed.n_views == count)
            stamps = np.array([observations.keys[row][0] for row in rows], dtype=np.int64)
            measured = _measured(rig, people.select(rows), stamps, options)
            for view in set(range(len(cameras))) - set(chosen):
                own = observations.xy[view][rows]
                xy, spread = project_with_covariance(cameras[view], observed.xyz, observed.covariance)
                _, per_px2 = project_with_covariance(cameras[view], observed.xyz, observed.calibration_covariance)
                there = whole & (observations.score[view][rows] >= options.min_joint_score)
                there &= np.isfinite(own - xy).all(axis=-1) & np.isfinite(spread + per_px2).all(axis=(-1, -2))
                person, joint = np.nonzero(there)
                parts.append(
                    Predictions(
                        error=(own - xy)[there],
                        covariance=(spread + observations.covariance[view][rows])[there],
                        per_px2=(per_px2 + np.eye(2))[there],
                        left_out=np.full(len(joint), view),
                        views=np.full(len(joint), count),
                        joint=joint,
                        refined=np.asarray(observed.source == JointSource.REFINED)[there],
                        measured_px=measured[person],
                        stamp_ns=stamps[person],
                    )
                )
    return joined(parts)


def _measured(rig: Rig, people: Grouped2D, stamps: NDArray[np.int64], options: EstimatorOptions) -> Floats:
    """calibration_px (P,) as measured by these cameras alone over time, as in a node."""
    triangulated_people = triangulated(rig.cameras, people, min_views=2, max_std_m=np.inf)
    meter, px = CalibrationNoise(), np.zeros(len(stamps))
    for stamp in np.unique(stamps).tolist():
        now = np.flatnonzero(stamps == stamp)
        px[now] = meter.update(triangulated_people.select(now), stamp)
    return px
