"""Positions of people from one camera compared with those from all cameras of the rig: real footage, no labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pose3d_ros.detection.detector import Detector
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.evaluation.tables import Table
from pose3d_ros.simulation.views import GIVEN
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, FrameSet, Rig
from pose3d_ros.weights.trained import Loaded

ROOT = H36M_17.index("Pelvis")
CHI2_95 = 7.815  # of 3 degrees of freedom
COLUMNS = (
    "camera", "person", "images", "depth m", "depth error, median %", "bias %", "spread %", "root-relative mm",
    "within 95 % ellipsoid, %",
)  # fmt: skip
NOTE = (
    "Against the same people triangulated from all cameras with the same keypoints, not refined. Depth is the pelvis'. "
    "Root-relative: mean over the joints that both have."
)


@dataclass(eq=False)
class _Person:
    """One person in one camera: true depth and errors of the estimates, by image."""

    depth: list[float] = field(default_factory=list)  # m
    error: list[float] = field(default_factory=list)  # estimate / truth - 1
    relative: list[float] = field(default_factory=list)  # m
    inside: list[bool] = field(default_factory=list)  # joints


def mono_depth_table(name: str, rig: Rig, sets: Iterable[FrameSet], detector: Detector, lifter: Loaded) -> Table:
    """One row per camera and person; ids are those of the whole rig."""
    whole = PoseEstimator(rig, detector, EstimatorOptions(refine="none", smoothing="none"))
    alone = {camera.name: _alone(camera, detector, lifter) for camera in rig.cameras}
    people: dict[tuple[str, str], _Person] = {}
    for frames in sets:
        together = whole.estimate(frames)
        for camera in rig.cameras:
            one = alone[camera.name].estimate_from_keypoints({camera.name: together.keypoints[camera.name]})
            _compare(camera, one, together, people)
    rows = [
        (
            camera, person, len(one.error), float(np.median(one.depth)), 100 * float(np.median(np.abs(one.error))),
            100 * float(np.median(one.error)), 100 * float(np.std(one.error)), 1000 * float(np.mean(one.relative)),
            100 * float(np.mean(one.inside)),
        )
        for (camera, person), one in sorted(people.items())
    ]  # fmt: skip
    title = f"One camera against {len(rig.cameras)}: depth of people in the footage {name!r} ({lifter.name})"
    return Table("mono_depth", title, COLUMNS, rows, NOTE)


def _alone(camera: Camera, detector: Detector, lifter: Loaded) -> PoseEstimator:
    """An estimator of one camera, in its own frame."""
    rig = Rig((camera.placed(np.eye(4)),), f"{camera.name}_optical")
    return PoseEstimator(rig, detector, lifter=PersonLifter(lifter=lifter))


def _compare(camera: Camera, one: Estimate, together: Estimate, people: dict[tuple[str, str], _Person]) -> None:
    """Both estimators took the same 2D people in the same order, so a row of keypoints identifies the person."""
    for mine, theirs in zip(one.ids[camera.name], together.ids[camera.name], strict=True):
        if not mine or not theirs:
            continue
        row = one.pose.ids.index(mine)
        true = _in_camera(camera, together.pose.xyz[together.pose.ids.index(theirs)])
        off = one.pose.xyz[row] - true
        known = np.asarray(np.isfinite(off).all(axis=-1)) & GIVEN
        if not known[ROOT]:
            continue
        person = people.setdefault((camera.name, theirs), _Person())
        person.depth.append(float(true[ROOT, 2]))
        person.error.append(float(one.pose.xyz[row, ROOT, 2] / true[ROOT, 2] - 1.0))
        person.relative.append(float(np.linalg.norm(off - off[ROOT], axis=-1)[known].mean()))
        inverse = np.linalg.inv(one.pose.covariance[row][known])
        squared = np.einsum("ji,jik,jk->j", off[known], inverse, off[known])
        person.inside += (squared < CHI2_95).tolist()


def _in_camera(camera: Camera, xyz: Floats) -> Floats:
    return np.asarray(xyz @ camera.cam_from_world[:3, :3].T + camera.cam_from_world[:3, 3])
