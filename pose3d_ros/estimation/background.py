"""What frame sets teach apart from their poses: how well the cameras and their clocks fit, how far lifting is off.

None of it changes the pose of the set that teaches it, and some of it takes longer than that pose. So it is worked off
once the pose is out. NumPy, float64. Axes: V views, G people.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.estimate import Report
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.people_evidence import PeopleEvidence
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.monitoring.health import CalibrationHealth
from pose3d_ros.state import load_state, per_rig, state_of
from pose3d_ros.structures import Camera, Keypoints2D, Pose3D, Rig
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate, ClockOffsets


@dataclass(frozen=True, eq=False)
class MultiViewObservation:
    """People in the views of a set of two cameras or more."""

    cameras: Sequence[Camera]
    people: Sequence[Keypoints2D]  # h36m_17, by view, those that are used
    groups: NDArray[np.intp]  # (G', V) index of each person in each view, or -1; also of people in one view
    shared: NDArray[np.intp]  # (G, V) of those observed
    observed: Observed3D  # G people
    names: Sequence[str]  # (G,) their ids, "" for none
    known: Sequence[str]  # ids of all tracked people


@dataclass(frozen=True, eq=False)
class FrameObservation:
    """One frame set."""

    stamp_ns: int
    rig: Rig
    keypoints: Mapping[str, Keypoints2D]  # h36m_17, by camera, at the images' own stamps
    ids: Mapping[str, Sequence[str]]  # by camera, of each 2D person
    together: MultiViewObservation | None  # None where one camera was alone
    pose: Pose3D  # of all known people
    options: EstimatorOptions


class BackgroundUpdates:
    """Keeps the last frame set until run() has learnt from it; the one place where anything is learnt."""

    def __init__(self, rig: Rig, lifter: PersonLifter) -> None:
        self._lifter = lifter
        self._next: FrameObservation | None = None
        self.failures = 0  # frame sets of which nothing, or not everything, was learnt
        self._made_with = frozenset({*vars(self), "_made_with"})
        self.calibration_health = CalibrationHealth(rig)
        self.people_evidence, self.clock_offsets = PeopleEvidence(), ClockOffsets()

    @property
    def clocks(self) -> ClockEstimate:
        """How late each camera's stamps are."""
        return self.clock_offsets.estimate

    def reports(self, views: int) -> tuple[Report, ...]:
        """What was learnt, of a set of so many cameras."""
        people = self.people_evidence.report
        return (self.calibration_health.report, people, self.clocks) if views > 1 else (people,)

    def put(self, observation: FrameObservation) -> None:
        """Keep a frame set; the one before was learnt."""
        self._next = observation

    def run(self, *, warn: bool = True) -> Exception | None:
        """Learn what is kept; returns what went wrong, which costs this set's update and no other, or warns of it."""
        observation, self._next = self._next, None
        if observation is None:
            return None
        try:
            self._update(observation)
        except Exception as error:
            self.failures += 1
            if warn and self.failures == 1:
                cause = f"{type(error).__name__}: {error}"[:120]
                warnings.warn(f"learning from a frame set failed ({cause}): its poses stand", stacklevel=3)
            return error
        return None

    def _update(self, one: FrameObservation) -> None:
        self.people_evidence.update(one.rig, one.keypoints, one.pose, one.options)
        if (seen := one.together) is not None:
            self._lifter.learn(seen.cameras, seen.people, seen.shared, seen.names, seen.observed, one.stamp_ns)
            self._lifter.forget_all_but(seen.known)
            self.calibration_health.update(
                seen.cameras, seen.people, seen.groups, one.stamp_ns, seen.names, seen.observed.xyz
            )
            _ = self.calibration_health.report  # worked out now, not with the next pose
        self.clock_offsets.update(one.rig.cameras, one.keypoints, one.ids)

    def reset(self) -> None:
        """Forget all people; what was learnt of the cameras stays."""
        self._next = None
        for part in per_rig(self).values():
            part.reset()

    def begin_again(self) -> None:
        """Forget everything: these are other cameras."""
        for part in per_rig(self).values():
            part.begin_again()

    def state_dict(self) -> dict[str, Any]:
        """What was learnt; run() comes first."""
        return state_of(self, self._made_with)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state, self._made_with)
