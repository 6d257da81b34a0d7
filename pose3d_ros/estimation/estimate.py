"""What the estimators give for one frame set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pose3d_ros.estimation.prediction import Motion
from pose3d_ros.estimation.refinement.plan import RefinePlan
from pose3d_ros.monitoring.health import CalibrationReport
from pose3d_ros.structures import Keypoints2D, Pose3D
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate


@dataclass(frozen=True)
class PeopleReport:
    """What is wrong by the people who are seen, each with its fix."""

    faults: tuple[str, ...] = ()
    severe: bool = False  # whether poses are wrong, or would be
    values: Mapping[str, str] = field(default_factory=dict)  # for diagnostics


@dataclass(frozen=True, eq=False)
class Estimate:
    """What one frame set gave."""

    pose: Pose3D
    keypoints: Mapping[str, Keypoints2D]  # h36m_17, by camera, every 2D person that the detector gave
    ids: Mapping[str, tuple[str, ...]]  # by camera, the person id of each 2D person, "" if none
    stage_ms: Mapping[str, float]  # detect, associate, triangulate, and refine where a network did
    single_view: int  # people whom one camera only saw
    rejected: Mapping[str, int]  # joints that some camera saw but that have no position, by reason
    refinement: RefinePlan | None = None  # which networks refined the pose, and why; None where no stage does
    refused: Mapping[str, int] = field(default_factory=dict)  # joints that were not refined, by refine_gates.Refusal
    lifted_from: str = ""  # the only camera of the set, where its people were lifted from that one view
    left_out: int = 0  # people known who are not in the pose: outside the workspace, or too many
    mirrored: tuple[str, ...] = ()  # cameras in which somebody's left and right were exchanged, and changed back
    motion: Motion | None = None  # of everybody known, to predict the pose with
    # Of the sets before: how late each camera's stamps are, how the cameras fit each other (None where one was left),
    # and what people say of the rig.
    clocks: ClockEstimate = field(default_factory=ClockEstimate)
    calibration: CalibrationReport | None = None
    people: PeopleReport = field(default_factory=PeopleReport)
