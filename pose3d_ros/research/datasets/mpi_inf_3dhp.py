"""MPI-INF-3DHP: annot.mat and camera.calibration of S1 to S8, annot_data.mat of the test sequences TS1 to TS6.

Mehta et al., "Monocular 3D human pose estimation in the wild using improved CNN supervision" (3DV 2017). annot.mat
(MATLAB 5) holds a cell of each of 14 cameras: annot2 (T, 56) px, annot3 and univ_annot3 (T, 84) mm in the camera's
frame; univ_annot3 is scaled to the height of one universal skeleton about the camera's centre. annot_data.mat (7.3)
holds valid_frame, activity_annotation and the same of 17 joints. `head` lies inside of the head and is read as
h36m_17's Nose, as others do: the two are some centimetres apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import read_text, reading
from pose3d_ros.research.datasets.containers import CALIBRATION, cells, hdf5, mat5, missing
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, fitted_camera, in_world, placed
from pose3d_ros.skeletons import pairs_by_name
from pose3d_ros.structures import Camera, Floats, Rig, Skeleton

NAME, SITE = "MPI-INF-3DHP", "ask at https://vcai.mpi-inf.mpg.de/3dhp-dataset"
EXPECTED = "S1/Seq1/annot.mat with camera.calibration, or TS1/annot_data.mat"
SUBJECTS = tuple(f"S{number}" for number in range(1, 9))
TEST = tuple(f"TS{number}" for number in range(1, 7))
MM = 1000.0
# The order of the data set's own mpii_get_joint_set, in our names where they are h36m_17's joints.
_NAMES_28 = (
    "Spine3", "Spine4", "Spine2", "Spine", "Pelvis", "Thorax", "Nose", "HeadTop", "LClavicle", "LShoulder", "LElbow",
    "LWrist", "LHand", "RClavicle", "RShoulder", "RElbow", "RWrist", "RHand", "LHip", "LKnee", "LAnkle", "LFoot",
    "LToe", "RHip", "RKnee", "RAnkle", "RFoot", "RToe",
)  # fmt: skip
_PARENTS_28 = (2, 0, 3, 4, -1, 1, 5, 6, 5, 8, 9, 10, 11, 5, 13, 14, 15, 16, 4, 18, 19, 20, 21, 4, 23, 24, 25, 26)
JOINTS_28 = Skeleton("mpi_inf_3dhp_28", _NAMES_28, _PARENTS_28, pairs_by_name(_NAMES_28))
_NAMES_17 = (
    "HeadTop", "Thorax", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "RHip", "RKnee", "RAnkle",
    "LHip", "LKnee", "LAnkle", "Pelvis", "Spine", "Nose",
)  # fmt: skip
_PARENTS_17 = (16, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, -1, 14, 1)
JOINTS_17 = Skeleton("mpi_inf_3dhp_17", _NAMES_17, _PARENTS_17, pairs_by_name(_NAMES_17))
ACTIVITIES = {
    1: "Standing/Walking", 2: "Exercising", 3: "Sitting", 4: "Reaching/Crouching", 5: "On The Floor", 6: "Sports",
    7: "Miscellaneous",
}  # fmt: skip
# Width and height of the test sequences' images; TS5 and TS6 are outdoors.
TEST_SIZES_WH = {name: (2048, 2048) if name in TEST[:4] else (1920, 1080) for name in TEST}


def sequences(root: Path, subjects: Sequence[str] = SUBJECTS) -> Iterator[PoseSequence]:
    """The training sequences in the world, with all cameras that both files hold; raises InputError."""
    paths = [path for subject in subjects for path in sorted((root / subject).glob("Seq*/annot.mat"))]
    if not paths:
        raise missing(NAME, root, EXPECTED, SITE)
    for path in paths:
        rig = read_rig(path.with_name("camera.calibration"))
        views = camera_poses(path, "annot3")
        rig = rig.subset([name for name in rig.names if name in views])
        world = in_world(views[rig.names[0]][0], rig.cameras[0])
        yield PoseSequence(
            NAME, path.parts[-3], path.parts[-2], JOINTS_28, world, np.arange(len(world)), rig,
            {name: views[name][1] for name in rig.names},
        )  # fmt: skip


def universal(sequence: PoseSequence, root: Path) -> dict[str, PoseSequence]:
    """The same, camera by camera in the camera's own frame, with poses of the universal skeleton's height."""
    views = camera_poses(root / sequence.subject / sequence.action / "annot.mat", "univ_annot3")
    assert sequence.rig is not None
    made = {}
    for camera in sequence.rig.cameras:
        xyz, xy = views[camera.name]
        alone = Rig((replace(camera, cam_from_world=np.eye(4)),), camera.name)
        made[camera.name] = replace(sequence, xyz=xyz, xy={camera.name: xy}, rig=alone)
    return made


def camera_poses(path: Path, poses: str) -> dict[str, tuple[Floats, Floats]]:
    """Of annot.mat, by camera number: joints (T, 1, 28, 3) m in its frame and (T, 1, 28, 2) px."""
    content = mat5(path, "annot2", poses)
    with_points = zip(cells(content["annot2"]), cells(content[poses]), strict=True)
    return {
        str(number): (_shaped(xyz, 3, path) / MM, _shaped(xy, 2, path))
        for number, (xy, xyz) in enumerate(with_points)
        if np.size(xyz)
    }


def held_out(root: Path, names: Sequence[str] = TEST, *, universal: bool = True) -> Iterator[PoseSequence]:
    """The test sequences' valid frames in the camera's frame, labelled with their activities; raises InputError.

    The camera is the one that fits annot2 and annot3, as the test set comes without a calibration.
    """
    paths = [
        path
        for name in names
        for folder in (root, root / "mpi_inf_3dhp_test_set")
        if (path := folder / name / "annot_data.mat").is_file()
    ]
    if not paths:
        raise missing(NAME, root, EXPECTED, SITE)
    for path in paths:
        yield _test_sequence(path, "univ_annot3" if universal else "annot3")


def read_rig(path: Path) -> Rig:
    """Cameras 0 to 13 by camera.calibration: size, a 4 x 4 K, a 4 x 4 extrinsic in mm; raises InputError."""
    entries: list[dict[str, list[str]]] = []
    for line in read_text(path, CALIBRATION).splitlines()[1:]:
        words = line.split()
        if words and words[0] == "name":
            entries.append({})
        if words and entries:
            entries[-1][words[0]] = words[1:]
    with reading(path, CALIBRATION):
        return Rig(tuple(_camera(entry) for entry in entries))


def _camera(entry: dict[str, list[str]]) -> Camera:
    K = np.array(entry["intrinsic"], dtype=np.float64).reshape(4, 4)[:3, :3]
    place = np.array(entry["extrinsic"], dtype=np.float64).reshape(4, 4)
    width, height = (int(float(side)) for side in entry["size"])
    if any(float(number) for number in entry.get("radial", ())):
        raise ValueError(f"camera {entry['name'][0]} has radial distortion, expected none")
    return Camera(entry["name"][0], (width, height), K, cam_from_world=placed(place[:3, :3], place[:3, 3] / MM))


def _test_sequence(path: Path, poses: str) -> PoseSequence:
    with hdf5(path, "annot2", "annot3", poses, "valid_frame", "activity_annotation") as file:
        valid = np.flatnonzero(np.ravel(file["valid_frame"]))
        labels = np.ravel(file["activity_annotation"]).astype(np.int64)[valid]
        metric, xyz = (_test_joints(file[name], 3, path)[valid] / MM for name in ("annot3", poses))
        xy = _test_joints(file["annot2"], 2, path)[valid]
    name = path.parent.name
    camera = fitted_camera("0", TEST_SIZES_WH.get(name, (2048, 2048)), metric, xy)
    files = tuple(path.parent / "imageSequence" / f"img_{frame + 1:06d}.jpg" for frame in valid)
    return PoseSequence(
        NAME, name, "all", JOINTS_17, xyz, valid.astype(np.int64), Rig((camera,), "0"), {"0": xy}, {"0": files}, labels
    )


def _shaped(points: Any, axes: int, path: Path) -> Floats:
    numbers = np.asarray(points, dtype=np.float64)
    if numbers.ndim != 2 or numbers.shape[1] != JOINTS_28.size * axes:
        raise InputError(f"{path}: a camera has {numbers.shape}, expected (frames, {JOINTS_28.size * axes})")
    return numbers.reshape(-1, 1, JOINTS_28.size, axes)


def _test_joints(points: Any, axes: int, path: Path) -> Floats:
    """(T, 1, 17, axes): HDF5 has MATLAB's (axes, 17, 1, T) the other way round."""
    numbers = np.asarray(points, dtype=np.float64)
    if numbers.ndim != 4 or numbers.shape[1:] != (1, JOINTS_17.size, axes):
        raise InputError(f"{path}: joints are {numbers.shape}, expected (frames, 1, {JOINTS_17.size}, {axes})")
    return numbers
