"""What constant bones and motion do to poses: every choice of a recording's cameras, method by method (NumPy, float64).

All rows are of the same keypoints, those of the recording; the cameras left out tell which poses fit better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.stage import load_refinement
from pose3d_ros.estimation.track import no_pose
from pose3d_ros.estimation.two_sided import Part, two_sided
from pose3d_ros.evaluation.bone_lengths import measured
from pose3d_ros.evaluation.summary import Reference, agreement_mm, bone_length_cv
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Floats, PersonState, Pose3D, Rig

METHODS = {
    "triangulated": EstimatorOptions(refine="none", smoothing="none"),
    "CV-UGCN": EstimatorOptions(refine="cvugcn", smoothing="none"),
    "body, lag 0": EstimatorOptions(refine="none"),
    "CV-UGCN, body, lag 0": EstimatorOptions(refine="cvugcn"),
    "body, lag 3": EstimatorOptions(refine="none", lag_sets=3),
    "body, two-sided": EstimatorOptions(refine="none"),
}
TWO_SIDED = "body, two-sided"
DRAWN = ("triangulated", "body, lag 0", TWO_SIDED)
BONES = {"thigh": ("RHip", "RKnee"), "forearm": ("LElbow", "LWrist")}
COLUMNS = (
    "cameras", "method", "agreement mm", "bone length cv %", "cv after 1 s %", "left-out px", "acceleration mm",
    "amplitude %", "joints %",
)  # fmt: skip
NOTE = (
    "Agreement: with the published result of four cameras, 12 limb joints, a missing one counts 200 mm. Left-out px: "
    "median distance of the keypoints of cameras that were not used. Acceleration: median second difference of limb "
    "joints between frames. Amplitude: what 10 to 90 % of the time limb joints span about the pelvis, relative to "
    "triangulated. Joints: share of the 16 joints that were published, of all frame sets and of people in half of "
    "them. A body's "
    "bones are learnt from the clip itself, from its start on (lag) or as a whole (two-sided)."
)
LIMBS = [H36M_17.index(name) for name in LIMB_JOINTS]
PELVIS, HEAD_TOP = H36M_17.index("Pelvis"), H36M_17.index("HeadTop")
LAST = 3  # frame sets at the end that the lag does not reach
NEAR_PX = 200.0  # nearer than people are to each other in the sample footage


def body_table(name: str, recording: Recording, reference: Reference | None) -> Table:
    """One row a choice of cameras and method; reference as agreement_mm takes it."""
    rows: list[tuple[Cell, ...]] = []
    refinement = load_refinement(METHODS["CV-UGCN"])
    names = recording.rig.names
    for count in range(2, len(names) + 1):
        for chosen in combinations(names, count):
            plain: list[Pose3D] = []
            for method, options in METHODS.items():
                estimator = PoseEstimator(
                    recording.rig.subset(chosen), options=options,
                    refinement=refinement if options.refine != "none" else None,
                )  # fmt: skip
                poses = estimated(recording, estimator, two_sides=method == TWO_SIDED)
                plain = plain or poses
                figures = _figures(recording, estimator.rig, poses, plain, reference)
                rows.append((" ".join(chosen), method, *figures))
    return Table("bodies", f"{name}: constant bones and motion", COLUMNS, rows, NOTE, decimals=2)


def bone_curves(recording: Recording) -> dict[str, tuple[Floats, Floats]]:
    """Lengths (T,) cm over time (T,) s of two bones of the person seen most, from the first two cameras, by method."""
    curves = {}
    rig = recording.rig.subset(recording.rig.names[:2])
    for method in DRAWN:
        estimator = PoseEstimator(rig, options=METHODS[method])
        poses = estimated(recording, estimator, two_sides=method == TWO_SIDED)
        person = Counter(one for pose in poses for one in pose.ids).most_common(1)[0][0]
        poses = [pose for pose in poses if person in pose.ids]
        times_s = np.array([pose.stamp_ns - recording.t0_ns for pose in poses]) * 1e-9
        xyz = np.stack([pose.xyz[pose.ids.index(person)] for pose in poses])
        for name, ends in BONES.items():
            start, end = (H36M_17.index(joint) for joint in ends)
            curves[f"{name}, {method}"] = times_s, 100.0 * np.linalg.norm(xyz[:, start] - xyz[:, end], axis=-1)
    return curves


def estimated(recording: Recording, estimator: PoseEstimator, *, two_sides: bool = False) -> list[Pose3D]:
    """The poses at each of the recording's stamps, of the estimator's cameras; with a lag the last have no people."""
    names = estimator.rig.names
    stamps = sorted({stamp for name in names for stamp in recording.keypoints.get(name, {})})
    estimates = [
        estimator.estimate_from_keypoints(
            {name: recording.keypoints[name][stamp][0] for name in names if stamp in recording.keypoints[name]}
        )
        for stamp in stamps
    ]
    if two_sides:
        return smoothed(estimates)
    # With a lag sets come without people first, and again later.
    poses: dict[int, Pose3D] = dict.fromkeys(stamps, no_pose(H36M_17, stamps[0], estimator.rig.frame_id))
    return list({**poses, **{one.pose.stamp_ns: one.pose for one in estimates}}.values())


def smoothed(estimates: Sequence[Estimate], part: int = 64) -> list[Pose3D]:
    """The poses of estimates in order, with what came before and after."""

    def parts() -> Iterator[Part]:
        for first in range(0, len(estimates), part):
            some = estimates[first : first + part]
            yield Part([one.pose for one in some], [one.frames for one in some])

    return [pose for poses in two_sided(parts) for pose in poses]


def _figures(
    recording: Recording, rig: Rig, poses: Sequence[Pose3D], plain: Sequence[Pose3D], reference: Reference | None
) -> tuple[Cell, ...]:
    poses, plain = poses[:-LAST], plain[:-LAST]
    tracks = _tracks(poses)
    published = replace(
        recording, rig=rig, poses=tuple(poses), received_ns=np.zeros(len(poses), dtype=np.int64),
        frame_sets_sent=recording.frame_sets_sent - LAST,
    )  # fmt: skip
    late = [pose for pose in poses if pose.stamp_ns - poses[0].stamp_ns >= 10**9]
    settled = replace(published, poses=tuple(late), received_ns=np.zeros(len(late), dtype=np.int64))
    second = [1000.0 * np.linalg.norm(np.diff(xyz, 2, axis=0), axis=-1).ravel() for xyz in tracks.values()]
    joints = [np.isfinite(xyz).all(axis=-1).mean() for xyz in tracks.values()]
    before = _tracks(plain)
    both = [(_amplitude(xyz), _amplitude(before[one])) for one, xyz in tracks.items() if one in before]
    amplitude, amplitude_before = np.sum(both, axis=0) if both else (np.nan, np.nan)
    return (
        None if reference is None else agreement_mm(published, reference)["mean"],
        100.0 * bone_length_cv(published), 100.0 * bone_length_cv(settled), left_out_px(recording, rig, poses),
        float(np.nanmedian(np.concatenate(second))) if second else None,
        100.0 * (amplitude / amplitude_before - 1.0),
        100.0 * float(np.mean(joints)) if joints else None,
    )  # fmt: skip


def _tracks(poses: Sequence[Pose3D]) -> dict[str, Floats]:
    """(T, 16, 3) m of people who are seen in half of the frame sets, NaN where not."""
    people: dict[str, Floats] = {}
    for k, pose in enumerate(poses):
        for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
            own = people.setdefault(pose.ids[row], np.full((len(poses), H36M_17.size, 3), np.nan))
            own[k] = np.where(measured(pose)[row, :, None], pose.xyz[row], np.nan)
    often = {one: xyz for one, xyz in people.items() if np.isfinite(xyz).all(-1).any(-1).mean() >= 0.5}
    return {one: np.delete(xyz, HEAD_TOP, axis=1) for one, xyz in often.items()}


def _amplitude(xyz: Floats) -> float:
    limbs = [joint - (joint > HEAD_TOP) for joint in LIMBS]
    low, high = np.nanpercentile(xyz[:, limbs] - xyz[:, [PELVIS]], (10, 90), axis=0)
    return float(np.nanmean(high - low))


def left_out_px(recording: Recording, rig: Rig, poses: Sequence[Pose3D]) -> float | None:
    """Median distance of the other cameras' keypoints of the nearest person."""
    distances = []
    for camera in recording.rig.cameras:
        if camera.name in rig.names:
            continue
        for pose in poses:
            people = recording.keypoints.get(camera.name, {}).get(pose.stamp_ns)
            shown = pose.xyz[pose.state == PersonState.VISIBLE]
            if people is None or not len(people[0]) or not len(shown):
                continue
            apart = np.linalg.norm(project(camera, shown)[:, None] - people[0].xy, axis=-1)
            nearest = np.nanmean(apart, axis=-1).argmin(axis=1)
            own = apart[np.arange(len(shown)), nearest]
            # A person whom the camera does not see is nearest to another one.
            near = np.nanmedian(own, axis=-1) < NEAR_PX
            distances.append(own[near].ravel())
    together = np.concatenate(distances) if distances else np.zeros(0)
    return float(np.nanmedian(together)) if np.isfinite(together).any() else None
