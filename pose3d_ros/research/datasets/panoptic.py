"""CMU Panoptic: people before the HD cameras of the dome.

Joo et al., "Panoptic Studio: A massively multiview system for social interaction capture" (PAMI 2017).
SEQUENCE/calibration_SEQUENCE.json: cameras with K, R, t in cm (x_cam = R X + t), five coefficients of distortion.
SEQUENCE/hdPose3d_stage1_coco19/body3DScene_FRAME.json: bodies with an id and joints19, x y z in cm and a confidence, -1
where a joint is missing. The world's y points down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import reading
from pose3d_ros.research.datasets.containers import ANNOTATIONS, CALIBRATION, json_file, missing
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, placed
from pose3d_ros.skeletons import pairs_by_name
from pose3d_ros.structures import Camera, Floats, Rig, Skeleton

NAME, SITE = "CMU Panoptic", "fetch it by the owner's scripts, http://domedb.perception.cs.cmu.edu"
EXPECTED = "SEQUENCE/calibration_SEQUENCE.json and SEQUENCE/hdPose3d_stage1_coco19/body3DScene_*.json"
CM = 100.0
# Its Neck is what lies between the shoulders, its BodyCenter between the hips.
_NAMES = (
    "Thorax", "Nose", "Pelvis", "LShoulder", "LElbow", "LWrist", "LHip", "LKnee", "LAnkle", "RShoulder", "RElbow",
    "RWrist", "RHip", "RKnee", "RAnkle", "LEye", "LEar", "REye", "REar",
)  # fmt: skip
_PARENTS = (2, 0, -1, 0, 3, 4, 2, 6, 7, 0, 9, 10, 2, 12, 13, 1, 15, 1, 17)
JOINTS = Skeleton("panoptic_19", _NAMES, _PARENTS, pairs_by_name(_NAMES))
# Tu et al., "VoxelPose" (ECCV 2020): the cameras and the sequences of their test.
TEST_CAMERAS = ("00_12", "00_06", "00_23", "00_13", "00_03")
TEST_SEQUENCES = ("160906_pizza1", "160422_haggling1", "160906_ian5", "160906_band4")
MIN_CONFIDENCE = 0.1  # theirs too


def sequences(
    root: Path, names: Sequence[str] = (), cameras: Sequence[str] = (), step: int = 1
) -> Iterator[PoseSequence]:
    """Every step-th frame of the named sequences and HD cameras; none named: all there are. Raises InputError."""
    folders = [root / name for name in names] or sorted(path.parent for path in root.glob("*/hdPose3d_stage1_coco19"))
    found = [(folder, files) for folder in folders if (files := _frames(folder))]
    if not found:
        raise missing(NAME, root, EXPECTED, SITE)
    for folder, files in found:
        rig = read_rig(folder / f"calibration_{folder.name}.json")
        yield _sequence(folder, files[::step], rig.subset(cameras) if cameras else rig)


def read_rig(path: Path) -> Rig:
    """The HD cameras, by names such as 00_12; raises InputError."""
    content = json_file(path, CALIBRATION)
    with reading(path, CALIBRATION):
        return Rig(tuple(_camera(entry) for entry in content["cameras"] if entry["type"] == "hd"))


def read_bodies(path: Path) -> dict[str, Floats]:
    """People of one frame by id: joints (19, 3) m, NaN where the confidence is below MIN_CONFIDENCE."""
    content = json_file(path)
    with reading(path, ANNOTATIONS):
        bodies = {str(body["id"]): np.array(body["joints19"], np.float64).reshape(19, 4) for body in content["bodies"]}
        return {
            one: np.where(joints[:, 3:] > MIN_CONFIDENCE, joints[:, :3] / CM, np.nan) for one, joints in bodies.items()
        }


def _camera(entry: dict[str, Any]) -> Camera:
    width, height = entry["resolution"]
    place = placed(entry["R"], np.ravel(entry["t"]) / CM)
    return Camera(entry["name"], (width, height), np.array(entry["K"]), "plumb_bob", entry["distCoef"], place)


def _sequence(folder: Path, files: Sequence[Path], rig: Rig) -> PoseSequence:
    bodies = [read_bodies(path) for path in files]
    ids = sorted({one for frame in bodies for one in frame}, key=lambda one: (len(one), one))
    xyz = np.full((len(files), len(ids), JOINTS.size, 3), np.nan)
    for row, frame in enumerate(bodies):
        for one, joints in frame.items():
            xyz[row, ids.index(one)] = joints
    frames = np.array([_number(path) for path in files], dtype=np.int64)
    images = {
        name: tuple(folder / "hdImgs" / name / f"{name}_{frame:08d}.jpg" for frame in frames) for name in rig.names
    }
    return PoseSequence(NAME, folder.name, "all", JOINTS, xyz, frames, rig, images=images)


def _frames(folder: Path) -> list[Path]:
    return sorted((folder / "hdPose3d_stage1_coco19").glob("body3DScene_*.json"))


def _number(path: Path) -> int:
    number = re.fullmatch(r"body3DScene_(\d{1,9})", path.stem)
    if not number:
        raise InputError(f"{path} has no number of a frame, expected body3DScene_00000168.json")
    return int(number[1])
