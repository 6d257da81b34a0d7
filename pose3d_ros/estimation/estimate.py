"""What the estimator gives for one frame set, and what it reports of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from pose3d_ros.estimation.body_window import BodyFrame
from pose3d_ros.estimation.prediction import Motion
from pose3d_ros.estimation.refinement.plan import RefinePlan
from pose3d_ros.structures import Keypoints2D, Pose3D


class Report(Protocol):
    """What a part says of itself in /diagnostics."""

    @property
    def severe(self) -> bool:
        """Whether poses are wrong, or would be."""
        ...

    def facts(self) -> Mapping[str, str]:
        """Key values."""
        ...

    def faults(self) -> Sequence[str]:
        """What is wrong in words, each with how to fix it."""
        ...


@dataclass(frozen=True)
class PeopleReport:
    """What is wrong by the people who are seen."""

    said: tuple[str, ...] = ()
    severe: bool = False
    values: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> Mapping[str, str]:
        """Their legs' length, which way is up, and why people have no pose."""
        return self.values

    def faults(self) -> Sequence[str]:
        """What is wrong, each with how to fix it."""
        return self.said


@dataclass(frozen=True, eq=False)
class Estimate:
    """What one frame set gave."""

    pose: Pose3D
    keypoints: Mapping[str, Keypoints2D]  # h36m_17, by camera, every 2D person that the detector gave
    ids: Mapping[str, tuple[str, ...]]  # by camera, the person id of each 2D person, "" if none
    stage_ms: Mapping[str, float]  # detect, associate, triangulate, and refine where a network did; or lift
    single_view: int  # people whom one camera only saw
    rejected: Mapping[str, int]  # joints that some camera saw but that have no position, by reason
    refinement: RefinePlan | None = None  # which networks refined the pose, and why; None for a rig of one camera
    not_refined: Mapping[str, int] = field(default_factory=dict)  # joints that a gate refused, by gates.Refusal
    lifted_from: str = ""  # the only camera left of several, where people were lifted from its view
    left_out: int = 0  # people known who are not in the pose: outside the workspace, or too many
    swapped: tuple[str, ...] = ()  # cameras in which the detector swapped a person's left and right
    motion: Motion | None = None  # of all people known, to predict the pose with
    sets_late: int = 0  # frame sets between those that the pose is of and the newest
    waits: bool = False  # for more frame sets, so that the pose is without people: the next ones are of earlier sets
    frames: Mapping[str, BodyFrame] = field(default_factory=dict)  # keypoints by person id, where bones smooth
    detector_joints: Callable[[Pose3D], Pose3D] | None = None  # of a pose's people; None where they were lifted
    reports: tuple[Report, ...] = ()  # of the sets before: the calibration, people, clocks

    @cached_property
    def keypoints_3d(self) -> Pose3D | None:
        """The pose's people in the detector's own skeleton, triangulated when it is first asked for.

        It is the pose's stamp, frame, ids and states; joints that two cameras did not see in this frame set are absent.
        None where people were lifted from one camera.
        """
        return None if self.detector_joints is None else self.detector_joints(self.pose)

    def facts(self) -> dict[str, str]:
        """Key values for /diagnostics."""
        values = {
            "people": str(len(self.pose)),
            "people_left_out": str(self.left_out),
            "single_view": str(self.single_view),
            "lifted_from": self.lifted_from or "none",
            "left_right_swapped": ", ".join(self.swapped) or "none",
        }
        for report in self.reports:
            values.update(report.facts())
        if self.refinement is not None:
            values.update(self.refinement.facts())
        return values

    def faults(self, *, severe: bool) -> list[str]:
        """What is wrong in words, each with how to fix it: where poses are wrong, or else what may be."""
        found = [words for report in self.reports if report.severe == severe for words in report.faults()]
        if severe:
            return found
        if self.lifted_from:
            found.append(f"people are lifted from camera {self.lifted_from!r} alone")
        if self.refinement is not None and self.refinement.warning:
            found.append(self.refinement.warning)
        lifted, refined = (counts.get("not_finite", 0) for counts in (self.rejected, self.not_refined))
        if lifted:
            found.append(f"the network that lifts returned NaN for {lifted} people: they have no pose; check lifter")
        elif refined:
            found.append(
                f"a network that refines returned NaN for {refined} joints: they stay as triangulated; check refine"
            )
        return found
