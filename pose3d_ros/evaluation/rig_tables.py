"""What weights tuned on one's own rig gain: on held-out stretches of their recording, and on other recordings.

On another recording everything runs as in the node, from the 2D people of the recording on. (NumPy, float64)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.refinement.tuned_rig import TunedRig
from pose3d_ros.evaluation.body_tables import estimated, left_out_px
from pose3d_ros.evaluation.bone_lengths import measured
from pose3d_ros.evaluation.footage_tables import reference_of
from pose3d_ros.evaluation.summary import Reference, agreement_mm, bone_length_cv
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.recordings.recording_folder import read_recording
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, PersonState, Pose3D
from pose3d_ros.training.rig import SHIPPED, TRIANGULATED, TUNED, Tuning
from pose3d_ros.weights import trained

HEAD_TOP = H36M_17.index("HeadTop")
NEAR_M = 0.5  # further from every true person a published one is of no person
COLUMNS = (
    "method", "poses", "agreement mm", "agreement median mm", "error mm", "error median mm", "left-out px",
    "bone length cv %", "joints",
)  # fmt: skip
NOTE = (
    "Agreement: with the published result of four cameras, 12 limb joints, a missing one counts 200 mm. Error: of "
    "rendered people against their bodies' joints, 16 joints. Left-out px: median distance of the keypoints of cameras "
    "that were not used. Joints: those compared with the truth."
)


def tuning_table(tuning: Tuning) -> Table:
    """The held-out stretches of the recording that was tuned on."""
    rows: list[tuple[Cell, ...]] = [
        (name, _finite(one.left_out_px), one.own_px, 100.0 * one.bones_cv) for name, one in tuning.held_out.items()
    ]
    note = (
        f"Medians over all stretches of the recording, each while it was held out; {tuning.steps} steps, "
        f"{100 * tuning.share:g} % of the change kept. Left-out px: keypoints of the cameras that the network does not "
        "have. Own px: of those it has; triangulation is what fits them best."
    )
    columns = ("joints", "left-out px", "own px", "bone length cv %")
    return Table("rig", "held-out stretches", columns, rows, note, decimals=2)


def rig_table(folder: Path, weights: str, frames: tuple[int, int] | None = None, truth: Path | None = None) -> Table:
    """A recording's people by the cameras that weights were tuned on: triangulated, refined as shipped, and as tuned.

    frames: first and one past the last that count. truth: the scene of `pose3d render` that was recorded. Raises
    InputError where the weights were tuned on no rig, or the recording lacks one of its cameras.
    """
    tuned = TunedRig.of(trained.load(weights).recipe)
    if tuned is None:
        raise InputError(f"{weights} was not tuned on a rig: give the file that `pose3d train rig` wrote")
    recording = read_recording(folder)
    names = tuned.rig.names
    rig = recording.rig.subset(names)
    joints = None if truth is None else _true_joints(truth)
    reference = reference_of(folder)
    methods = {TRIANGULATED: ("none", ""), SHIPPED: ("cvugcn", ""), TUNED: ("cvugcn", weights)}
    rows: list[tuple[Cell, ...]] = []
    for smoothing in ("none", "body"):
        for name, (refine, file) in methods.items():
            options = EstimatorOptions(refine=refine, cvugcn_weights=file, smoothing=smoothing)
            poses = [
                pose for pose in estimated(recording, PoseEstimator(rig, options=options))
                if frames is None or frames[0] <= recording.footage_frame(pose.stamp_ns) < frames[1]
            ]  # fmt: skip
            label = name if smoothing == "none" else f"{name}, smoothed"
            rows.append((label, *_figures(recording, poses, names, reference, frames, joints)))
    which = "" if frames is None else f", frames {frames[0]} to {frames[1] - 1}"
    return Table("rig", f"{folder.name}: {' '.join(names)}{which}", COLUMNS, rows, NOTE)


def _figures(
    recording: Recording, poses: Sequence[Pose3D], names: Sequence[str], reference: Reference | None,
    frames: tuple[int, int] | None, joints: Floats | None,
) -> tuple[Cell, ...]:  # fmt: skip
    rig = recording.rig.subset(names)
    published = replace(recording, rig=rig, poses=tuple(poses), received_ns=np.zeros(len(poses), dtype=np.int64))
    agreement: dict[str, float | int | None] = {"mean": None, "median": None}
    if reference is not None:
        agreement = agreement_mm(published, _within(reference, frames))
    errors = np.zeros(0) if joints is None else _errors_mm(recording, poses, joints)
    return (
        len(poses), agreement["mean"], agreement["median"],
        float(errors.mean()) if len(errors) else None, float(np.median(errors)) if len(errors) else None,
        left_out_px(recording, rig, poses), 100.0 * bone_length_cv(published), len(errors) or None,
    )  # fmt: skip


def _within(reference: Reference, frames: tuple[int, int] | None) -> Reference:
    """The reference without the frames that do not count."""
    names, xyz = reference
    if frames is None:
        return reference
    number = np.arange(len(xyz))
    counted = (number >= frames[0]) & (number < frames[1])
    return names, np.where(counted[:, None, None], xyz, np.nan)


def _errors_mm(recording: Recording, poses: Sequence[Pose3D], truth: Floats) -> Floats:
    """Distances (N,) mm of measured joints from those of the nearest true person; truth (T, P, 17, 3) m."""
    found = [np.zeros(0)]
    for pose in poses:
        people = truth[recording.footage_frame(pose.stamp_ns)]
        for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
            xyz = np.where(measured(pose)[row, :, None], pose.xyz[row], np.nan)
            if not np.isfinite(xyz).any():
                continue
            apart = np.delete(np.linalg.norm(people - xyz, axis=-1), HEAD_TOP, axis=1)
            nearest = apart[np.nanmedian(apart, axis=1).argmin()]
            if np.nanmedian(nearest) < NEAR_M:
                found.append(1000.0 * nearest[np.isfinite(nearest)])
    return np.concatenate(found)


def _true_joints(scene: Path) -> Floats:
    from pose3d_ros.simulation.rendering.rendered_set import load_scene

    joints: Floats = load_scene(scene).truth.joints_m
    return joints


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
