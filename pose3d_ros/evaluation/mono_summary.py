"""A recording of one camera in figures: what `pose3d demo --mono` writes to summary.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pose3d_ros.evaluation.identity import TruthPerson
from pose3d_ros.evaluation.metrics import joint_errors
from pose3d_ros.evaluation.summary import Reference, rounded, summarise
from pose3d_ros.geometry.alignment import procrustes
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Camera, Floats, PersonState

STAGES = ("decode", "detect", "lift", "publish")
HIPS = [LIMB_JOINTS.index("LHip"), LIMB_JOINTS.index("RHip")]


def summarise_mono(
    recording: Recording,
    reference: Reference | None = None,
    boxes_fixture: Sequence[TruthPerson] | None = None,
) -> dict[str, Any]:
    """The figures of a run with one camera; keys as in summarise, but for what takes two cameras.

    agreement is one_camera_agreement with a reference, else None.
    """
    summary = summarise(recording, None, boxes_fixture)
    del summary["left_out_camera_px"], summary["agreement_mm"]
    summary["stage_ms"] = {stage: rounded(recording.stage_ms.get(stage), 2) for stage in STAGES}
    summary["agreement"] = None if reference is None else one_camera_agreement(recording, reference)
    return summary


def one_camera_agreement(recording: Recording, reference: Reference) -> dict[str, float | int | None]:
    """Distance of the subject from a reference, over the 12 limb joints, in mm.

    The reference lies in the world, without alignment in time. The subject is the id that comes nearest, of those
    visible in a quarter of the frame sets or more. The root is the middle of the hips, of reference and pose alike.

    frames               frame sets with a reference in which the subject is VISIBLE, of frames_with_reference
    absolute_mm          mean distance of the joints, in the world
    root_relative_mm     the same after the roots were put together
    procrustes_mm        the same after the best move, turn and scale of each pose
    root_mm              mean distance of the root (MRPE)
    root_median_mm       its median
    depth_percent        median of |depth of the root / true depth - 1|, in %
    depth_bias_percent   median of depth of the root / true depth - 1, in %
    """
    (camera,) = recording.rig.cameras
    names, truth = reference
    wanted = truth[:, [list(names).index(name) for name in LIMB_JOINTS]]  # (T, 12, 3) m
    pairs = _pairs(recording, wanted)
    with_reference = sum(frame % recording.frames_per_loop < len(wanted) for frame in range(recording.frame_sets_sent))
    long = {one: both for one, both in pairs.items() if len(both[0]) >= max(1, with_reference / 4)}
    figures: dict[str, float | int | None] = {"frames": 0, "frames_with_reference": with_reference}
    keys = ("absolute_mm", "root_relative_mm", "procrustes_mm", "root_mm", "root_median_mm", "depth_percent",
            "depth_bias_percent")  # fmt: skip
    if not long:
        return {**figures, **dict.fromkeys(keys)}
    found, true = min(long.values(), key=lambda both: float(np.nanmean(joint_errors(*both))))
    root, true_root = found[:, HIPS].mean(axis=1), true[:, HIPS].mean(axis=1)
    off = np.linalg.norm(root - true_root, axis=-1)
    depth = _depth(camera, root) / _depth(camera, true_root) - 1.0
    values = (
        np.nanmean(joint_errors(found, true)) * 1000,
        np.nanmean(joint_errors(found - root[:, None], true - true_root[:, None])) * 1000,
        np.nanmean(joint_errors(procrustes(found, true), true)) * 1000,
        np.nanmean(off) * 1000,
        np.nanmedian(off) * 1000,
        np.nanmedian(np.abs(depth)) * 100,
        np.nanmedian(depth) * 100,
    )
    figures["frames"] = len(found)
    return {**figures, **{key: rounded(value, 1) for key, value in zip(keys, values, strict=True)}}


def _pairs(recording: Recording, wanted: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Limb joints (N, 12, 3) m as found and as in the reference, of every id, where both are known."""
    joints = [H36M_17.index(name) for name in LIMB_JOINTS]
    rows: dict[str, list[tuple[Floats, Floats]]] = {}
    for pose in recording.poses:
        frame = recording.footage_frame(pose.stamp_ns)
        if not 0 <= frame < len(wanted) or not np.isfinite(wanted[frame]).all():
            continue
        for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
            rows.setdefault(pose.ids[row], []).append((pose.xyz[row, joints], wanted[frame]))
    return {one: (np.stack([a for a, _ in both]), np.stack([b for _, b in both])) for one, both in rows.items()}


def _depth(camera: Camera, xyz: Floats) -> Floats:
    """Depth (N,) m before the camera of points (N, 3) m in the world."""
    depth: Floats = xyz @ camera.cam_from_world[2, :3] + camera.cam_from_world[2, 3]
    return depth
