"""What frame sets teach beside their poses: how the cameras fit each other and their clocks, how far lifting is off.

None of it changes the pose of the set that teaches it, and some of it takes longer than that pose. So it is worked off
once the pose is out. NumPy, float64. Axes: V views, G people.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.estimate import PeopleReport
from pose3d_ros.estimation.fallback import MonocularFallback
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.people_evidence import PeopleEvidence
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.monitoring.health import CalibrationHealth, CalibrationReport
from pose3d_ros.structures import Camera, Keypoints2D, Pose3D, Rig
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate, ClockOffsets


@dataclass(frozen=True, eq=False)
class MultiViewObservation:
    """People in the views of a set of two cameras or more."""

    cameras: Sequence[Camera]
    people: Sequence[Keypoints2D]  # h36m_17, by view, those that are used
    groups: NDArray[np.intp]  # (G', V) index of everybody in each view, or -1; whom one view alone saw too
    shared: NDArray[np.intp]  # (G, V) of those observed
    observed: Observed3D  # G people
    names: Sequence[str]  # (G,) their ids, "" for none
    known: Sequence[str]  # ids of everybody who is followed


@dataclass(frozen=True, eq=False)
class FrameObservation:
    """One frame set."""

    stamp_ns: int
    rig: Rig
    keypoints: Mapping[str, Keypoints2D]  # h36m_17, by camera, at the images' own stamps
    ids: Mapping[str, Sequence[str]]  # by camera, of each 2D person
    together: MultiViewObservation | None  # None where one camera was alone
    pose: Pose3D  # of everyone who is known
    options: EstimatorOptions


class BackgroundUpdates:
    """Keeps the last frame set's lesson until it is learnt."""

    def __init__(self, rig: Rig, fallback: MonocularFallback) -> None:
        self.calibration_health = CalibrationHealth(rig)
        self.people_evidence = PeopleEvidence()
        self.clock_offsets, self._fallback = ClockOffsets(), fallback
        self.failures = 0  # frame sets of which nothing, or not everything, was learnt
        self._next: FrameObservation | None = None

    @property
    def clocks(self) -> ClockEstimate:
        """How late each camera's stamps are."""
        return self.clock_offsets.estimate

    @property
    def calibration(self) -> CalibrationReport:
        """How the cameras fit each other."""
        return self.calibration_health.report

    @property
    def people(self) -> PeopleReport:
        """What is wrong by the people who are seen."""
        return self.people_evidence.report

    def put(self, lesson: FrameObservation) -> None:
        """Keep what a set teaches; the one before was learnt."""
        self._next = lesson

    def learn(self) -> None:
        """Learn what is kept; nothing where nothing is. What it raises costs this lesson and no other."""
        lesson, self._next = self._next, None
        if lesson is None:
            return
        self.people_evidence.update(lesson.rig, lesson.keypoints, lesson.pose, lesson.options)
        if (seen := lesson.together) is not None:
            self._fallback.learn(seen.cameras, seen.people, seen.shared, seen.names, seen.observed, lesson.stamp_ns)
            self._fallback.forget_all_but(seen.known)
            self.calibration_health.update(
                seen.cameras, seen.people, seen.groups, lesson.stamp_ns, seen.names, seen.observed.xyz
            )
            _ = self.calibration  # worked out now, not with the next pose
        self.clock_offsets.update(lesson.rig.cameras, lesson.keypoints, lesson.ids)

    def learn_or_warn(self) -> None:
        """The same before the next set, whose poses do not depend on it: a failure is counted and warned of, once."""
        try:
            self.learn()
        except Exception as error:
            self.failures += 1
            if self.failures == 1:
                cause = f"{type(error).__name__}: {error}"[:120]
                warnings.warn(f"learning from a frame set failed ({cause}): its poses stand", stacklevel=2)

    def forget(self) -> None:
        """Learn nothing of the last set."""
        self._next = None
