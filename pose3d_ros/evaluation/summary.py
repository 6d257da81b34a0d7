"""A recording in figures: what `pose3d demo` writes to summary.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.evaluation.bone_lengths import BoneLengths, measured
from pose3d_ros.evaluation.identity import TruthPerson, score_identity, visible_frames
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.recordings.observations import observations_2d
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Floats, PersonState

MISSING_JOINT_MM = 200.0  # what a joint that was not found counts in the agreement
STAGES = ("decode", "detect", "associate", "triangulate", "refine", "publish")  # refine: where a network does

Reference = tuple[Sequence[str], Floats]  # joint names (J) and xyz (T, J, 3) m in the world, one row a video frame


def summarise(
    recording: Recording,
    reference: Reference | None = None,
    boxes_fixture: Sequence[TruthPerson] | None = None,
) -> dict[str, Any]:
    """The figures of a run, ready for JSON: finite numbers, and None for unknown ones.

    agreement_mm needs a reference; id_switches, ghosts, and with several required people idf1, need a fixture
    (evaluation/identity.py). What the keys mean:

    frame_sets_sent     frame sets that the player published
    poses_published     frame sets with at least one VISIBLE person
    rate_hz             messages over the span of their receipt
    latency_ms          receipt minus the player's publishing of that stamp
    stage_ms            running medians inside the node
    reprojection_px     keypoint of each camera against the published joint (reprojection_px below)
    left_out_camera_px  keypoint of one camera against the joint triangulated from the others, same person id
    bone_length_cv      std over mean of each bone of each long-lived person, median over those bones
    people              frame sets in which each id is VISIBLE
    """
    summary: dict[str, Any] = {
        "frame_sets_sent": int(recording.frame_sets_sent),
        "poses_published": len({pose.stamp_ns for pose in recording.poses if _any_visible(pose.state)}),
        "rate_hz": rounded(_rate_hz(recording), 2),
        "latency_ms": _spread(_latencies_ms(recording), 1),
        "stage_ms": {stage: rounded(recording.stage_ms.get(stage), 2) for stage in STAGES},
        "reprojection_px": _spread(reprojection_px(recording), 2),
        "left_out_camera_px": {"median": rounded(_median(left_out_camera_px(recording)), 2)},
        "bone_length_cv": rounded(bone_length_cv(recording), 4),
        "people": visible_frames(recording.poses),
        "id_switches": None,
        "ghosts": None,
        "agreement_mm": None if reference is None else agreement_mm(recording, reference),
        "settings": dict(recording.settings),
    }
    if boxes_fixture is not None:
        identity = score_identity(recording, boxes_fixture)
        summary["id_switches"], summary["ghosts"] = identity.switches, identity.ghosts
        if sum(person.required for person in boxes_fixture) > 1:
            summary["idf1"] = rounded(identity.idf1, 4)
    return summary


def agreement_mm(recording: Recording, reference: Reference) -> dict[str, float | int | None]:
    """Distance to a reference over the 12 limb joints and all frame sets sent.

    In the world frame, without alignment in space or time. A joint that is missing counts MISSING_JOINT_MM. The
    subject is the one id that comes nearest over the whole recording: a change of id costs what follows.
    """
    names, truth = reference
    joints = [H36M_17.index(name) for name in LIMB_JOINTS]
    frames = np.arange(recording.frame_sets_sent) % recording.frames_per_loop
    known = frames < len(truth)
    wanted = np.full((len(frames), len(joints), 3), np.nan)  # m
    wanted[known] = truth[:, [list(names).index(name) for name in LIMB_JOINTS]][frames[known]]
    missing = np.full(wanted.shape, np.nan)
    tracks: dict[str, Floats] = {}
    for pose in recording.poses:
        frame = recording.frame_index(pose.stamp_ns)
        for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
            if 0 <= frame < len(wanted):
                tracks.setdefault(pose.ids[row], missing.copy())[frame] = pose.xyz[row, joints]
    compared = np.isfinite(wanted).all(axis=-1)
    errors = {one: np.linalg.norm(xyz - wanted, axis=-1) * 1000 for one, xyz in (tracks or {"": missing}).items()}
    counted = {one: np.where(np.isnan(error), MISSING_JOINT_MM, error)[compared] for one, error in errors.items()}
    if not compared.any():
        return {"mean": None, "median": None, "joints_compared": 0}
    subject = min(counted, key=lambda one: float(counted[one].mean()))
    return {
        "mean": rounded(counted[subject].mean(), 2),
        "median": rounded(np.median(counted[subject]), 2),
        "joints_compared": int(np.isfinite(errors[subject][compared]).sum()),
    }


def left_out_camera_px(recording: Recording) -> Floats:
    """Distances (N,) px between a camera's keypoints and what the other cameras predict for the same person.

    Two other cameras at least must see the joint; so a rig of two gives none.
    """
    cameras = recording.rig.cameras
    observations = observations_2d(recording)
    if not observations.keys or len(cameras) < 3:
        return np.zeros(0)
    distances = [np.zeros(0)]
    for view, camera in enumerate(cameras):
        others = [k for k in range(len(cameras)) if k != view]
        covariance = None if observations.covariance is None else observations.covariance[others]
        triangulated = triangulate([cameras[k] for k in others], observations.xy[others], covariance=covariance)
        distances.append(np.linalg.norm(project(camera, triangulated.xyz) - observations.xy[view], axis=-1).ravel())
    return _finite(np.concatenate(distances))


def reprojection_px(recording: Recording) -> Floats:
    """Distances (N,) px between the cameras' keypoints and the published joints projected there.

    Only joints of VISIBLE people that were measured, not predicted, and seen by three cameras where the rig has
    three: rays of two meet nearly whatever their error, and a bystander in two views would flatter the figure.
    """
    cameras = recording.rig.cameras
    observations = observations_2d(recording)
    place = {key: k for k, key in enumerate(observations.keys)}
    xyz = np.full((len(observations.keys), H36M_17.size, 3), np.nan)
    for pose in recording.poses:
        good = measured(pose) & (pose.n_views >= min(3, len(cameras)))
        for row in np.flatnonzero(pose.state == PersonState.VISIBLE):
            if (pose.stamp_ns, pose.ids[row]) in place:
                joints = np.where(good[row][:, None], pose.xyz[row], np.nan)
                xyz[place[pose.stamp_ns, pose.ids[row]]] = joints
    distances = [
        np.linalg.norm(project(camera, xyz) - observations.xy[k], axis=-1).ravel() for k, camera in enumerate(cameras)
    ]
    return _finite(np.concatenate(distances))


def bone_length_cv(recording: Recording) -> float:
    """Median over the bones of long-lived people of std over mean of the bone's length; NaN without any."""
    bones = BoneLengths()
    bones.add(recording.poses)
    return bones.cv


def _any_visible(state: ArrayLike) -> bool:
    return bool((np.asarray(state) == PersonState.VISIBLE).any())


def _rate_hz(recording: Recording) -> float:
    times = recording.received_ns
    span_s = float(times.max() - times.min()) / 1e9 if len(times) else 0.0
    return (len(times) - 1) / span_s if span_s > 0 else float("nan")


def _latencies_ms(recording: Recording) -> Floats:
    """Receipt minus publishing, of the poses whose publishing is known."""
    times = [
        (received - recording.published_ns[pose.stamp_ns]) / 1e6
        for pose, received in zip(recording.poses, recording.received_ns.tolist(), strict=True)
        if pose.stamp_ns in recording.published_ns
    ]
    return np.array(times, dtype=np.float64)


def _finite(values: Floats) -> Floats:
    kept: Floats = values[np.isfinite(values)]
    return kept


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _spread(values: Floats, digits: int) -> dict[str, float | None]:
    """Median and 95th percentile."""
    p95 = float(np.percentile(values, 95)) if len(values) else float("nan")
    return {"median": rounded(_median(values), digits), "p95": rounded(p95, digits)}


def rounded(value: Any, digits: int) -> float | None:
    """A finite number for JSON; None for anything else."""
    if value is None or not np.isfinite(value):
        return None
    return round(float(value), digits)
