"""Smoothing of joints over time, as a stage after the tracker.

One-Euro: Casiez, Roussel, Vogel, "1 Euro filter: a simple speed-based low-pass filter for noisy input in
interactive systems" (CHI 2012), Algorithm 1. Kalman: the constant-velocity filter of kalman.py. Body: constant bones
and motion, body_smoother.py.
NumPy, float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pose3d_ros.estimation import kalman
from pose3d_ros.estimation.body_smoother import BodySmoother
from pose3d_ros.estimation.body_window import BodyFrame
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, JointSource, Pose3D

METHODS = ("none", "body", "one_euro", "kalman")

# Casiez 2012: derivative cutoff 1 Hz and minimum cutoff 1 Hz are the paper's starting values; beta is tuned
# as its section "Tuning the filter" says (raised until fast motion stops lagging), for speeds in m/s:
# at 2 m/s the cutoff is 1 + 4 * 2 = 9 Hz.
MIN_CUTOFF_HZ = 1.0
BETA_PER_M = 4.0
DERIVATIVE_CUTOFF_HZ = 1.0
# After a gap of this length, or time running backwards, a filter starts afresh.
MEMORY_S = 0.5


@dataclass(frozen=True, eq=False)
class OneEuroState:
    """Where one person's filters stand."""

    xyz: Floats  # (J, 3) m, filtered
    speed: Floats  # (J, 3) m/s, filtered derivative
    stamp_ns: int


class Smoother:
    """Smooths each person's joints by one of METHODS; remembers them by id.

    "body" is what BodySmoother says. Of the others only xyz changes. Predicted joints are smooth already and pass
    unchanged; One-Euro starts afresh after them, Kalman goes on from its own prediction. Both restart after a jump.
    """

    def __init__(self, method: str = "none", lag_sets: int = 0) -> None:
        self._method = method
        self._one_euro: dict[str, OneEuroState] = {}
        self._kalman: dict[str, tuple[kalman.PointStates, int]] = {}
        self.body = BodySmoother(lag_sets)  # knows no person unless the method is "body"

    def reset(self) -> None:
        """Forget all people."""
        self._one_euro, self._kalman = {}, {}
        self.body.reset()

    def state_dict(self) -> dict[str, Any]:
        """Where each person's filters stand."""
        return state_of(self, ("_method",))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of another one of the same method."""
        load_state(self, state, ("_method",))

    def __call__(self, pose: Pose3D, frames: Mapping[str, BodyFrame] = MappingProxyType({})) -> Pose3D:
        """The pose with smoothed xyz (P, J, 3) m; frames are the keypoints of people by id, for "body"."""
        if self._method == "body":
            return self.body(pose, frames)
        if self._method == "none" or len(pose) == 0:
            return pose
        smooth = self._smooth_one_euro if self._method == "one_euro" else self._smooth_kalman
        measured = (pose.source != JointSource.ABSENT) & (pose.source != JointSource.PREDICTED)
        shown = np.where(measured[..., None], pose.xyz, np.nan)
        lifted = np.asarray(pose.source == JointSource.MONOCULAR)[..., None, None]
        noise = np.where(lifted, pose.covariance, 0.0)  # by which a joint may leap without having moved
        rows = zip(pose.ids, shown, pose.covariance, noise, strict=True)
        xyz = np.stack([smooth(*row, pose.stamp_ns) for row in rows])
        self._one_euro = {person: self._one_euro[person] for person in pose.ids if person in self._one_euro}
        self._kalman = {person: self._kalman[person] for person in pose.ids if person in self._kalman}
        return replace(pose, xyz=np.where(measured[..., None], xyz, pose.xyz))

    def _smooth_one_euro(self, person: str, xyz: Floats, covariance: Floats, noise: Floats, stamp_ns: int) -> Floats:
        before = self._one_euro.get(person)
        dt_s = 0.0 if before is None else (stamp_ns - before.stamp_ns) * 1e-9
        if before is None or not 0 < dt_s <= MEMORY_S or kalman.jumped(before.xyz, xyz, dt_s, noise):
            self._one_euro[person] = OneEuroState(xyz, np.zeros_like(xyz), stamp_ns)
            return xyz
        raw_speed = np.nan_to_num((xyz - before.xyz) / dt_s)
        speed = before.speed + _alpha(np.array(DERIVATIVE_CUTOFF_HZ), dt_s) * (raw_speed - before.speed)
        # One cutoff a joint, from its speed in space: the axes of the world have no meaning for a body.
        cutoff = MIN_CUTOFF_HZ + BETA_PER_M * np.linalg.norm(speed, axis=-1, keepdims=True)
        known = np.isfinite(before.xyz)
        filtered = np.where(known, before.xyz + _alpha(cutoff, dt_s) * (xyz - before.xyz), xyz)
        self._one_euro[person] = OneEuroState(filtered, np.where(np.isfinite(filtered), speed, 0.0), stamp_ns)
        return filtered

    def _smooth_kalman(self, person: str, xyz: Floats, covariance: Floats, noise: Floats, stamp_ns: int) -> Floats:
        before, before_ns = self._kalman.get(person, (None, 0))
        dt_s = (stamp_ns - before_ns) * 1e-9
        states = kalman.start(xyz, covariance)
        if before is not None and 0 < dt_s <= MEMORY_S:
            expected = kalman.predict(before, dt_s)
            if not kalman.jumped(expected.position, xyz, dt_s, noise):
                states = kalman.update(expected, xyz, covariance)
        self._kalman[person] = (states, stamp_ns)
        return states.position


def _alpha(cutoff_hz: Floats, dt_s: float) -> Floats:
    """Smoothing factor of a first-order low-pass (Casiez 2012, Eq. 5-6)."""
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff_hz * dt_s))
