"""How much better a predicted pose is than holding the last one, on real footage (NumPy, float64).

A recording of `pose3d demo` has the keypoints of every camera. The estimator processes them as in the node; its
prediction is compared with the measured pose at that later moment, joint by joint. That pose has its own noise and
shares the cameras' errors with the earlier one, so regions are those of the prediction without these errors, and of the
later joint's noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from pose3d_ros.errors import InputError
from pose3d_ros.estimation import kalman
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.prediction import predicted
from pose3d_ros.evaluation.posern_footage import read
from pose3d_ros.evaluation.tables import Cell, Plot, Table
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Floats, JointSource, PersonState

HORIZONS_S = (0.1, 0.3)
SWEPT_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
# A filter needs this time to estimate a velocity.
WARM_UP_S = 0.2
LEVEL = 0.95
ALL_PEOPLE = "all people"
NOTE = (
    "Mean distance to the measured joint at the later time: of the last pose held, of the tracker's filter, and of the "
    "prediction. Better: reduction relative to held. Inside: share of joints in their 95 % ellipsoid."
)


@dataclass(frozen=True, eq=False)
class Errors:
    """N predicted joints: distances in m to the measured positions at the later time, and Mahalanobis distances."""

    held: Floats  # (N,)
    filtered: Floats  # (N,) of the tracker's own states, carried on
    predicted: Floats  # (N,)
    squared: Floats  # (N,) Mahalanobis

    @property
    def better(self) -> float:
        """The relative reduction of the error by prediction, compared with holding."""
        return float(1 - self.predicted.mean() / self.held.mean()) if len(self.held) else float("nan")

    @property
    def inside(self) -> float:
        """Share of joints in their ellipsoid of probability LEVEL."""
        return float((self.squared <= chi2.ppf(LEVEL, 3)).mean()) if len(self.held) else float("nan")


def estimates(recording: Recording) -> list[Estimate]:
    """Poses and motions of all people at every stamp of the recorded keypoints; raises InputError without keypoints."""
    stamps = sorted({stamp for by_stamp in recording.keypoints.values() for stamp in by_stamp})
    if not stamps:
        raise InputError("the recording holds no keypoints: record it with `pose3d demo --output`")
    estimator = PoseEstimator(recording.rig, options=EstimatorOptions(monocular_fallback="never"))
    found = []
    for stamp in stamps:
        keypoints = {name: by_stamp[stamp][0] for name, by_stamp in recording.keypoints.items() if stamp in by_stamp}
        found.append(estimator.estimate_from_keypoints(keypoints))
    return found


def errors(found: Sequence[Estimate], horizon_s: float) -> dict[str, Errors]:
    """Errors by person, and of ALL_PEOPLE, of predictions horizon_s ahead from every pose of VISIBLE people."""
    by_stamp = {one.pose.stamp_ns: one for one in found}
    stamps = np.array(sorted(by_stamp))
    period_ns = np.median(np.diff(stamps)) if len(stamps) > 1 else 0.0
    rows: dict[str, list[Floats]] = {}
    first_ns: dict[str, int] = {}
    for one in found:
        ahead_ns = one.pose.stamp_ns + round(horizon_s * 1e9)
        later = by_stamp[int(stamps[np.abs(stamps - ahead_ns).argmin()])]
        for p, person in enumerate(one.pose.ids):
            first_ns.setdefault(person, one.pose.stamp_ns)
            warm = one.pose.stamp_ns - first_ns[person] >= WARM_UP_S * 1e9
            if warm and person in later.pose.ids and abs(later.pose.stamp_ns - ahead_ns) <= period_ns:
                rows.setdefault(person, []).append(_compared(one, p, later))
    joined = {person: np.concatenate(parts) for person, parts in rows.items()}
    joined[ALL_PEOPLE] = np.concatenate([np.zeros((0, 4)), *joined.values()])
    return {person: Errors(*numbers.T) for person, numbers in joined.items()}


def _compared(one: Estimate, p: int, later: Estimate) -> Floats:
    """(N, 4): the four numbers of Errors, of the joints of person p seen now and later."""
    assert one.motion is not None
    assert later.motion is not None
    pose, horizon_s = one.pose, (later.pose.stamp_ns - one.pose.stamp_ns) * 1e-9
    q, person = later.pose.ids.index(pose.ids[p]), pose.ids[p]
    if pose.state[p] != PersonState.VISIBLE:
        return np.zeros((0, 4))
    ahead = predicted(pose, one.motion, horizon_s, with_calibration_covariance=False)
    row = ahead.ids.index(person)
    states = kalman.predict(one.motion.states, horizon_s).position[one.motion.ids.index(person)]
    noise = later.pose.covariance[q] - later.motion.calibration_covariance[later.motion.ids.index(person)]
    measurements = [(pose.source[p], pose.xyz[p]), (later.pose.source[q], later.pose.xyz[q]), (1, ahead.xyz[row])]
    both = np.logical_and.reduce(
        [(source != JointSource.PREDICTED) & np.isfinite(xyz).all(-1) for source, xyz in measurements]
    )
    truth = later.pose.xyz[q][both]
    error = ahead.xyz[row][both] - truth
    squared = (error * np.linalg.solve(ahead.covariance[row][both] + noise[both], error[..., None])[..., 0]).sum(-1)
    apart = [np.linalg.norm(xyz - truth, axis=-1) for xyz in (pose.xyz[p][both], states[both], ahead.xyz[row][both])]
    return np.stack([*apart, squared], axis=-1)


def tables(folders: Sequence[Path]) -> Iterator[Table]:
    """One table per recording, with a plot of the gain over the horizon; raises InputError without a recording."""
    for folder in folders:
        found = estimates(read(folder))
        name = folder.resolve().name
        rows: list[tuple[Cell, ...]] = []
        for horizon_s in HORIZONS_S:
            for person, one in errors(found, horizon_s).items():
                rows.append((f"{1e3 * horizon_s:.0f} ms", person, *_figures(one)))
        columns = ("ahead", "person", "joints", "held mm", "filter mm", "predicted mm", "better %", "inside %")
        yield Table(
            "prediction", f"{name}: predicted poses", columns, rows, NOTE, plots={f"prediction_{name}": _plot(found)}
        )


def _figures(one: Errors) -> tuple[Cell, ...]:
    means = [1e3 * float(part.mean()) if len(part) else None for part in (one.held, one.filtered, one.predicted)]
    return (len(one.held), *means, 100 * one.better, 100 * one.inside)


def _plot(found: Sequence[Estimate]) -> Plot:
    swept: Mapping[float, dict[str, Errors]] = {horizon_s: errors(found, horizon_s) for horizon_s in SWEPT_S}
    people = list(swept[SWEPT_S[0]])
    series = {
        person if person == ALL_PEOPLE else f"person {person}": (
            1e3 * np.array([h for h in SWEPT_S if person in swept[h]]),
            100 * np.array([swept[h][person].better for h in SWEPT_S if person in swept[h]]),
        )
        for person in people
    }
    return Plot("ahead, ms", "nearer than the last pose held, %", series)
