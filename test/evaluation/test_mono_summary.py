"""The figures of one camera, on made-up runs whose errors are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from synthetic_people import h36m_rig, walker
from synthetic_poses import pose_at

from pose3d_ros.evaluation.identity import TruthPerson, score_identity
from pose3d_ros.evaluation.mono_summary import one_camera_agreement, summarise_mono
from pose3d_ros.evaluation.summary import Reference
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Floats, JointSource, Keypoints2D, Pose3D, Rig

CAMERA = h36m_rig().cameras[0]
FRAMES = 20
LIMBS = [H36M_17.index(name) for name in LIMB_JOINTS]


def truth(frame: int) -> Floats:
    """(17, 3) m in the world."""
    return walker((-0.5, 0.2), (0.9, 0.3), frame / 60)


def reference() -> Reference:
    """A skeleton of its own, with a joint that is compared nowhere."""
    xyz = np.stack([np.concatenate([truth(k)[LIMBS], [[0.0, 0.0, 9.0]]]) for k in range(FRAMES)])
    return (*LIMB_JOINTS, "Hat"), xyz


def further(xyz: Floats, factor: float) -> Floats:
    """The pose moved along the ray of its hips' middle, to so many times its depth."""
    root = xyz[[H36M_17.index("LHip"), H36M_17.index("RHip")]].mean(axis=0)
    return np.asarray(xyz + (factor - 1.0) * (root - CAMERA.centre))


def pose_of(frame: int, people: dict[str, Floats]) -> Pose3D:
    source = np.full((len(people), 17), JointSource.MONOCULAR, dtype=np.uint8)
    return pose_at(list(people.values()), tuple(people), round(frame * 1e9 / 60), source=source)


def recording(poses: list[Pose3D]) -> Recording:
    keypoints = {
        pose.stamp_ns: (Keypoints2D(project(CAMERA, pose.xyz), np.ones((len(pose), 17)), H36M_17), pose.ids)
        for pose in poses
    }
    stages = {"decode": 1.0, "detect": 20.0, "lift": 3.0, "publish": 2.0}
    return Recording(
        Rig((CAMERA,)), tuple(poses), np.arange(len(poses)) * 10**7, {}, {CAMERA.name: keypoints}, 0, 60.0, FRAMES,
        FRAMES, stage_ms=stages,
    )  # fmt: skip


def test_depth_error_is_in_the_root_and_not_in_the_pose() -> None:
    run = recording([pose_of(k, {"1": further(truth(k), 1.08)}) for k in range(FRAMES)])
    found = one_camera_agreement(run, reference())
    assert found["frames"] == found["frames_with_reference"] == FRAMES
    assert found["depth_percent"] == pytest.approx(8.0, abs=0.05)
    assert found["depth_bias_percent"] == pytest.approx(8.0, abs=0.05)
    assert found["root_relative_mm"] == pytest.approx(0.0, abs=0.1)
    hips = np.stack([truth(k)[[1, 4]].mean(axis=0) for k in range(FRAMES)])
    away = 80.0 * np.linalg.norm(hips - CAMERA.centre, axis=1).mean()
    assert found["root_mm"] == pytest.approx(away, rel=0.01)
    assert found["absolute_mm"] == pytest.approx(away, rel=0.01)


def test_size_error_is_in_the_pose_and_not_after_procrustes() -> None:
    def larger(xyz: Floats) -> Floats:
        root = xyz[[1, 4]].mean(axis=0)
        return np.asarray(root + 1.1 * (xyz - root))

    found = one_camera_agreement(recording([pose_of(k, {"1": larger(truth(k))}) for k in range(FRAMES)]), reference())
    assert found["root_mm"] == pytest.approx(0.0, abs=0.1)
    assert found["procrustes_mm"] == pytest.approx(0.0, abs=0.1)
    assert 30 < float(found["root_relative_mm"] or 0) < 100


def test_subject_is_the_nearest_lasting_person_and_missing_frames_are_reported() -> None:
    poses = []
    for k in range(FRAMES):
        people = {"2": further(truth(k), 1.5)} | ({"1": further(truth(k), 1.02)} if k < 12 else {})
        poses.append(pose_of(k, people | ({"9": truth(k)} if k < 2 else {})))
    found = one_camera_agreement(recording(poses), reference())
    assert found["frames"] == 12
    assert found["depth_percent"] == pytest.approx(2.0, abs=0.05)


def test_no_person_gives_no_figure() -> None:
    found = one_camera_agreement(recording([pose_of(k, {}) for k in range(FRAMES)]), reference())
    assert found["frames"] == 0
    assert found["absolute_mm"] is None


def test_mono_summary_is_json_with_the_figures_of_one_camera() -> None:
    run = recording([pose_of(k, {"1": truth(k)}) for k in range(FRAMES)])
    summary = summarise_mono(run, reference())
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["poses_published"] == FRAMES
    assert summary["people"] == {"1": FRAMES}
    assert summary["stage_ms"] == {"decode": 1.0, "detect": 20.0, "lift": 3.0, "publish": 2.0}
    assert summary["reprojection_px"]["median"] == pytest.approx(0.0, abs=0.01)
    assert summary["bone_length_cv"] < 0.1
    assert summary["agreement"]["absolute_mm"] == pytest.approx(0.0, abs=0.1)
    assert not {"left_out_camera_px", "agreement_mm"} & set(summary)
    assert summarise_mono(run)["agreement"] is None


def test_one_camera_is_enough_for_identity_figures() -> None:
    boxes = []
    for k in range(FRAMES):
        xy = project(CAMERA, truth(k))
        boxes.append(np.concatenate([xy.min(axis=0), xy.max(axis=0)]))
    person = TruthPerson("walker", True, {CAMERA.name: np.array(boxes)})
    poses = [pose_of(k, {"1" if k < 15 else "2": truth(k)}) for k in range(FRAMES)]
    found = score_identity(recording(poses), (person,))
    assert found.switches == 1
    assert found.ghosts == 0
