"""The rig that humancalib (PyPI, MIT, 0.5.4) finds from a recording's keypoints, run in an environment of its own.

humancalib estimates poses from videos; here it is given ours through its files. Its steps from there on are those of
`humancalib run` with its defaults, in the same order: alignment of lifted skeletons, outliers, bundle adjustment; the
stage with the lower reprojection error is kept. Lifted skeletons are our shipped lifter's (its own lifter's weights are
for non-commercial use). It calibrates with one person, whom we single out by the id of the recording. Its rig has no
scale: that of a known distance of two cameras is given to it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.estimation.lifting import lift
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.recordings.observations import observations_2d
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Keypoints2D, Rig
from pose3d_ros.weights import trained

INSTALL = "python -m venv peer && peer/bin/pip install humancalib==0.5.4, then --humancalib peer/bin/python"
SUBSET, NUMBERS = "noise_1_0", ("1", "1", "1")
FRAME_BUDGET, CONFIDENCE = 100, "0.5"  # humancalib's defaults
LIFTER = "lifter"
# Joints of its OpenPose-25 files that ours give, by number.
OPENPOSE = {
    0: "Nose", 1: "Thorax", 2: "RShoulder", 3: "RElbow", 4: "RWrist", 5: "LShoulder", 6: "LElbow", 7: "LWrist",
    8: "Pelvis", 9: "RHip", 10: "RKnee", 11: "RAnkle", 12: "LHip", 13: "LKnee", 14: "LAnkle",
}  # fmt: skip
OPENPOSE_JOINTS = 25


def humancalib_rig(python: Path, recording: Recording, distance: tuple[str, str, float]) -> Rig:
    """The recording's cameras as humancalib places them, in the first camera's frame; distance: cameras, m.

    Raises InputError where that Python has no humancalib, and where it finds no rig.
    """
    if subprocess.run([python, "-c", "import humancalib"], capture_output=True).returncode:
        raise InputError(f"{python} has no humancalib: {INSTALL}")
    with TemporaryDirectory() as folder:
        moments = _write(Path(folder), recording)
        skip = str(max(1, round(moments / FRAME_BUDGET)))
        found = _solved(python, Path(folder), skip)
    cameras = []
    for camera, rotation, translation in zip(recording.rig.cameras, found["R_w2c"], found["t_w2c"], strict=True):
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, np.ravel(translation)
        cameras.append(camera.placed(matrix))
    return with_distance(Rig(tuple(cameras)), distance)


def with_distance(rig: Rig, distance: tuple[str, str, float]) -> Rig:
    """The rig scaled so that two cameras are that far apart, in the first camera's frame."""
    one, other, wanted = distance
    scale = wanted / float(np.linalg.norm(rig.camera(one).centre - rig.camera(other).centre))
    to_first = np.linalg.inv(rig.cameras[0].cam_from_world)
    cameras = []
    for camera in rig.cameras:
        matrix = camera.cam_from_world @ to_first
        matrix[:3, 3] *= scale
        cameras.append(camera.placed(matrix))
    return replace(rig, cameras=tuple(cameras))


def _solved(python: Path, folder: Path, skip: str) -> dict[str, list[list[list[float]]]]:
    """humancalib's steps; the calibration file of the better stage."""

    def step(*words: str) -> None:
        done = subprocess.run([python, "-m", "humancalib", *words], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"humancalib {words[0]} failed: {(done.stdout + done.stderr)[-500:]}")

    prefix, confidence = ("--prefix", str(folder)), ("--conf_threshold", CONFIDENCE)
    linear = ("linear", *confidence, str(folder), *NUMBERS, SUBSET, skip, "MyDataset")
    step(*linear)
    step("outliers", *prefix, "--subset", SUBSET, "--calib", "linear_1_0", "--video_dir", str(folder), *confidence)
    step(*linear)
    step("ba", *prefix, "--frame_skip", skip, "--target", "linear_1_0", *confidence)
    errors = {}
    for stage in ("linear_1_0", "linear_1_0_ba"):
        step("evaluate", *prefix, "--calib", stage, *confidence)
        errors[stage] = json.loads((folder / "results" / f"{stage}_mre.json").read_text())["global_mre_px"]
    best = min(errors, key=lambda stage: float(errors[stage]))
    content: dict[str, list[list[list[float]]]] = json.loads((folder / "results" / f"{best}.json").read_text())
    return content


def _write(folder: Path, recording: Recording) -> int:
    """Write humancalib's input files of the person in view of most cameras; returns the number of moments."""
    cameras = recording.rig.cameras
    xy, score, stamps = _person(recording)
    lifter = trained.load(LIFTER)
    data = folder / SUBSET
    for view, camera in enumerate(cameras):
        ideal = undistort(camera, xy[view]) @ camera.K[:2, :2].T + camera.K[:2, 2]
        lifted = lift(camera, Keypoints2D(xy[view], score[view], H36M_17), lifter).xyz
        lifted -= lifted[:, :1]
        name = f"A001_P001_G001_C{view + 1:03d}.json"
        _save(data / "2d_joint" / name, _openpose(ideal), _openpose(score[view][..., None])[..., 0])
        known = np.isfinite(_openpose(lifted)).all(axis=-1)
        _save(data / "3d_joint" / name, _openpose(lifted), known.astype(float))
        (folder / f"{camera.name}.mp4").touch()  # it names cameras by their videos
    content = {  # of places only what the reader needs
        "CAMID": list(range(1, len(cameras) + 1)), "K": [camera.K.tolist() for camera in cameras],
        "R_w2c": [np.eye(3).tolist()] * len(cameras),
        "t_w2c": [[0.0, 0.0, 0.0]] * len(cameras), "dist_coeffs": [[0.0] * 5] * len(cameras),
    }  # fmt: skip
    (data / "cameras_G001.json").write_text(json.dumps(content))
    joints = np.zeros((len(stamps), OPENPOSE_JOINTS, 3)).tolist()
    (data / "skeleton_w_G001.json").write_text(
        json.dumps({"skeleton": joints, "frame_indices": list(range(len(stamps)))})
    )
    width, height = cameras[0].size_wh
    session = {
        "camera_ids": list(range(1, len(cameras) + 1)), "available_joints": list(range(OPENPOSE_JOINTS)), "aid": 1,
        "pid": 1, "gid": 1, "video_dir": str(folder), "width": width, "height": height, "frame_rate": recording.fps,
    }  # fmt: skip
    (data / "session.yaml").write_text(json.dumps(session))  # JSON is YAML
    return len(stamps)


def _person(recording: Recording) -> tuple[Floats, Floats, Sequence[int]]:
    """Keypoints (V, T, 17, 2) px, scores (V, T, 17) and stamps of the person who is in most images."""
    found = observations_2d(recording)
    counts: dict[str, int] = {}
    for number, (_, name) in enumerate(found.keys):
        counts[name] = counts.get(name, 0) + int((found.score[:, number] > 0).any(axis=-1).sum())
    who = max(counts, key=lambda name: counts[name])
    rows = sorted((stamp, number) for number, (stamp, name) in enumerate(found.keys) if name == who)
    order = [number for _, number in rows]
    return found.xy[:, order], found.score[:, order], [stamp for stamp, _ in rows]


def _openpose(values: Floats) -> Floats:
    """Values (T, 17, N) of h36m_17 by OpenPose's numbers (T, 25, N), NaN where ours lack a joint."""
    out = np.full((len(values), OPENPOSE_JOINTS, values.shape[-1]), np.nan)
    for number, name in OPENPOSE.items():
        out[:, number] = values[:, H36M_17.index(name)]
    return out


def _save(path: Path, values: Floats, score: Floats) -> None:
    """A pose file; what is not known is 0 with score 0 in 2D and NaN in 3D, as its own steps write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values.shape[-1] == 2:
        values = np.nan_to_num(values)
    frames = [
        {"frame_index": number, "skeleton": [{"pose": one.ravel().tolist(), "score": np.nan_to_num(own).tolist()}]}
        for number, (one, own) in enumerate(zip(values, score, strict=True))
    ]
    path.write_text(json.dumps({"data": frames}))
