"""Shelf and Campus: actorsGT.mat and the cameras, as 3 x 4 matrices or as the JSON that later works share.

Belagiannis et al., "3D pictorial structures for multiple human pose estimation" (CVPR 2014). actor3D is a cell of each
actor, of a cell of each frame, of 14 joints in m or nothing. JSON: R, T in mm, fx, fy, cx, cy, k, p of each camera,
which sees X at R (X - T). prmat_0.txt (or P0.txt): K [R t], px from m.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import reading
from pose3d_ros.research.datasets.containers import (
    ANNOTATIONS,
    CALIBRATION,
    cells,
    json_file,
    mat5,
    missing,
    number_lines,
)
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, intrinsics, placed
from pose3d_ros.skeletons import pairs_by_name
from pose3d_ros.structures import Camera, Floats, Rig, Skeleton

SITE = "fetch it at https://campar.in.tum.de/Chair/MultiHumanPose"
EXPECTED = "actorsGT.mat and calibration_shelf.json, calibration_campus.json or prmat_*.txt"
SIZES_WH = {"Shelf": (1032, 776), "Campus": (360, 288)}
# The frames that are evaluated, first and last (Belagiannis et al., Sec. 4).
TEST_FRAMES = {"Shelf": ((300, 600),), "Campus": ((350, 470), (650, 750))}
MM = 1000.0
_NAMES = (
    "RAnkle", "RKnee", "RHip", "LHip", "LKnee", "LAnkle", "RWrist", "RElbow", "RShoulder", "LShoulder", "LElbow",
    "LWrist", "HeadBottom", "HeadTop",
)  # fmt: skip
_PARENTS = (1, 2, 12, 12, 3, 4, 7, 8, 12, 12, 9, 10, -1, 12)
JOINTS = Skeleton("shelf_14", _NAMES, _PARENTS, pairs_by_name(_NAMES))


def sequences(root: Path, names: Sequence[str] = ("Shelf", "Campus")) -> Iterator[PoseSequence]:
    """Each of the two that lies in root, or in a folder of it; raises InputError."""
    found = False
    for name in names:
        for folder in (root / name, root / f"{name}Seq1", root / f"{name}_Seq1", root):
            mine = folder != root or name.lower() in root.name.lower()
            if mine and (folder / "actorsGT.mat").is_file():
                found = True
                yield read_sequence(folder, name)
                break
    if not found:
        raise missing(" or ".join(names), root, EXPECTED, SITE)


def read_sequence(folder: Path, name: str) -> PoseSequence:
    """Shelf or Campus; the frames count from 0, as in the images' names."""
    path = folder / "actorsGT.mat"
    people = [_frames(actor, path) for actor in _actors(mat5(path, "actor3D")["actor3D"])]
    if len({len(person) for person in people}) != 1:
        raise InputError(f"{path}: its actors have {[len(one) for one in people]} frames: {ANNOTATIONS.fix}")
    xyz = np.stack(people, axis=1)
    return PoseSequence(name, name, "all", JOINTS, xyz, np.arange(len(xyz)), read_rig(folder, name))


def tested(sequence: PoseSequence) -> PoseSequence:
    """Its frames that are evaluated."""
    ranges = TEST_FRAMES[sequence.dataset]
    return sequence.at(np.flatnonzero([any(a <= frame <= b for a, b in ranges) for frame in sequence.frames]))


def read_rig(folder: Path, name: str) -> Rig | None:
    """The cameras by whichever form lies in the folder or its Calibration; None without one. Raises InputError."""
    shared = folder / f"calibration_{name.lower()}.json"
    if shared.is_file():
        content = json_file(shared, CALIBRATION)
        with reading(shared, CALIBRATION):
            return Rig(tuple(_json_camera(f"Camera{one}", name, entry) for one, entry in content.items()))
    for place in (folder, folder / "Calibration", folder / "calibration"):
        if matrices := sorted(one for one in place.glob("*.txt") if re.fullmatch(r"(prmat_|P)\d\.txt", one.name)):
            return Rig(tuple(_matrix_camera(f"Camera{number}", name, one) for number, one in enumerate(matrices)))
    return None


def decomposed(matrix: Floats) -> tuple[Floats, Floats]:
    """K (3, 3) px and cam_from_world (4, 4) m of a 3 x 4 projection matrix (Hartley & Zisserman, Sec. 6.2.4)."""
    # RQ by QR of the rows in reverse: an upper triangle with a positive diagonal, and a rotation.
    reverse = np.eye(3)[::-1]
    Q, R = np.linalg.qr((reverse @ matrix[:, :3]).T)
    K, rotation = reverse @ R.T @ reverse, reverse @ Q.T
    signs = np.diag(np.sign(np.diag(K)))
    K, rotation = K @ signs, signs @ rotation
    t = np.linalg.solve(K, matrix[:, 3])
    if np.linalg.det(rotation) < 0:  # P and -P are one camera
        rotation, t = -rotation, -t
    K = np.triu(K / K[2, 2])
    return K, placed(rotation, t)


def _actors(value: Any) -> list[Any]:
    """The cells of the actors, each of cells of the frames."""
    inner = cells(value)
    return inner if isinstance(inner[0], np.ndarray) and inner[0].dtype == object and inner[0].size > 1 else [value]


def _frames(actor: Any, path: Path) -> Floats:
    """(T, 14, 3) m, NaN where an actor is absent."""
    frames = cells(actor)
    xyz = np.full((len(frames), JOINTS.size, 3), np.nan)
    for number, joints in enumerate(frames):
        shape = np.shape(joints)
        if shape == xyz.shape[1:]:
            with reading(path, ANNOTATIONS):
                xyz[number] = np.array([[np.ravel(one)[0] for one in row] for row in joints], dtype=np.float64)
        elif np.size(joints) > 1:  # an absent actor is an empty matrix, or one number
            raise InputError(f"{path}: an actor has {shape} in frame {number}, expected {xyz.shape[1:]}")
    return xyz


def _json_camera(name: str, dataset: str, entry: dict[str, Any]) -> Camera:
    R = np.array(entry["R"], dtype=np.float64)
    (k1, k2, k3), (p1, p2) = np.ravel(entry["k"]), np.ravel(entry["p"])
    K = intrinsics(*(float(entry[one]) for one in ("fx", "fy", "cx", "cy")))
    place = placed(R, -R @ np.ravel(entry["T"]) / MM)
    return Camera(name, SIZES_WH[dataset], K, "plumb_bob", np.array([k1, k2, p1, p2, k3]), place)


def _matrix_camera(name: str, dataset: str, path: Path) -> Camera:
    with reading(path, CALIBRATION):
        K, place = decomposed(np.array(number_lines(path)).reshape(3, 4))
        return Camera(name, SIZES_WH[dataset], K, cam_from_world=place)
