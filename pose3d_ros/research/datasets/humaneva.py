"""HumanEva-I: three colour and four grey cameras, motion capture of four subjects.

Sigal, Balan and Black, "HumanEva: Synchronized video and motion capture dataset and baseline algorithm for evaluation
of articulated human motion" (IJCV 2010).

| form | files below the root |
|---|---|
| cameras | S1/Calibration_Data/C1.cal: f (2), c (2), skew, k (5), R (9, by rows), t (3) mm; x_cam = R X + t |
| markers | S1/Mocap_Data/Walking_1.c3d, whose joints are the virtual markers that the owner's toolbox names |
| toolbox | Train/S1/Walking_1.mat, Validate/...: poses_3d (T, 15, 3) mm and poses_2d (3, T, 15, 2) px of C1 to C3 |
| synchrony | S1/Sync_Data/Walking_1_(C1).ofs: first image, its frame of motion capture, frames an image |

The toolbox form is what the owner's evaluation compares; it comes out of their MATLAB code. The markers' joints differ
from it: its pelvis lies 50 mm further back, its elbows take off the shoulders' offsets, and its head's top is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import checked, reading
from pose3d_ros.research.datasets.containers import (
    ANNOTATIONS,
    CALIBRATION,
    mat5,
    missing,
    number_lines,
    optional_module,
)
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, placed
from pose3d_ros.skeletons import pairs_by_name
from pose3d_ros.structures import Camera, Floats, Rig, Skeleton

NAME, SITE = "HumanEva-I", "register at http://humaneva.is.tue.mpg.de"
EXPECTED = "Validate/S1/Walking_1.mat or S1/Mocap_Data/Walking_1.c3d, and S1/Calibration_Data/*.cal"
SUBJECTS = ("S1", "S2", "S3", "S4")
COLOUR = ("C1", "C2", "C3")
SIZES_WH = {"C": (640, 480), "B": (644, 488)}  # colour, grey; Sigal et al., Sec. 3
MM = 1000.0
_NAMES = (
    "Pelvis", "Thorax", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist", "LHip", "LKnee", "LAnkle",
    "RHip", "RKnee", "RAnkle", "HeadTop",
)  # fmt: skip
_PARENTS = (-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1)
JOINTS = Skeleton("humaneva_15", _NAMES, _PARENTS, pairs_by_name(_NAMES))
# The toolbox's joint centres among the virtual markers: ends of the bones of Vicon's model.
MARKERS = {
    "Pelvis": "PELO", "Thorax": "TRXO", "LShoulder": "LCLO", "LElbow": "LHUO", "LWrist": "LRAO", "RShoulder": "RCLO",
    "RElbow": "RHUO", "RWrist": "RRAO", "LHip": "LFEP", "LKnee": "LFEO", "LAnkle": "LTIO", "RHip": "RFEP",
    "RKnee": "RFEO", "RAnkle": "RTIO",
}  # fmt: skip


class StreamOffset(NamedTuple):
    """How a camera's images fit the motion capture; both count from 1."""

    image: float
    mocap: float
    mocap_per_image: float

    def mocap_of(self, image: float) -> float:
        """The moment of an image, in frames of motion capture."""
        return self.mocap + (image - self.image) * self.mocap_per_image


def sequences(root: Path, subjects: Sequence[str] = SUBJECTS, partition: str = "Validate") -> Iterator[PoseSequence]:
    """The toolbox's sequences of a partition where they lie in root, else the markers' at their own rate.

    Raises InputError for neither, DependencyError without ezc3d for the markers.
    """
    converted = [path for one in subjects for path in sorted((root / partition / one).glob("*.mat"))]
    markers = [path for one in subjects for path in sorted((root / one / "Mocap_Data").glob("*_*.c3d"))]
    if not converted and not markers:
        raise missing(NAME, root, EXPECTED, SITE)
    for path in converted:
        yield _from_toolbox(path, read_rig(root / path.parent.name))
    for path in () if converted else markers:
        xyz = read_markers(path)
        rig = read_rig(path.parents[1])
        yield PoseSequence(NAME, path.parts[-3], _action(path), JOINTS, xyz, np.arange(1, len(xyz) + 1), rig)


def read_camera(path: Path) -> Camera:
    """A camera by its .cal file; raises InputError."""
    numbers = np.concatenate(number_lines(path)) if number_lines(path) else np.zeros(0)
    with reading(path, CALIBRATION):
        if len(numbers) != 22:
            raise ValueError(f"{len(numbers)} numbers, expected 22")
        (fx, fy), (cx, cy), skew, k, R, t = np.split(numbers, [2, 4, 5, 10, 19])
        # Bouguet's skew is a share of fx.
        K = np.array([[fx, fx * skew[0], cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        return Camera(path.stem, SIZES_WH[path.stem[0]], K, "plumb_bob", k, placed(R, t / MM))


def read_rig(folder: Path) -> Rig | None:
    """A subject's cameras; None where no .cal file lies in its Calibration_Data."""
    paths = sorted((folder / "Calibration_Data").glob("*.cal"))
    return Rig(tuple(read_camera(path) for path in paths if path.stem[0] in SIZES_WH)) if paths else None


def read_offset(path: Path) -> StreamOffset:
    """A .ofs file of three numbers; raises InputError."""
    numbers = np.concatenate(number_lines(path)) if number_lines(path) else np.zeros(0)
    if len(numbers) != 3:
        raise InputError(f"{path} has {len(numbers)} numbers, expected image, frame and frames an image")
    return StreamOffset(*(float(number) for number in numbers))


def read_markers(path: Path) -> Floats:
    """(T, 1, 15, 3) m of a .c3d file's virtual markers; NaN for lost ones and for the head's top; raises InputError."""
    ezc3d = optional_module("ezc3d", "C3D files")
    place = checked(path, ANNOTATIONS)
    with reading(place, ANNOTATIONS):
        content = ezc3d.c3d(str(place))
        names = [label.rpartition(":")[2].strip() for label in content["parameters"]["POINT"]["LABELS"]["value"]]
        points = np.asarray(content["data"]["points"], dtype=np.float64)[:3].transpose(2, 1, 0)  # (T, markers, 3) mm
    absent = [marker for marker in MARKERS.values() if marker not in names]
    if absent:
        raise InputError(f"{path} has no marker {', '.join(absent)}: give a trial that the data set's owner processed")
    points[(points == 0).all(axis=-1)] = np.nan  # lost
    xyz = np.full((len(points), 1, JOINTS.size, 3), np.nan)
    for joint, marker in MARKERS.items():
        xyz[:, 0, JOINTS.index(joint)] = points[:, names.index(marker)] / MM
    return xyz


def _from_toolbox(path: Path, rig: Rig | None) -> PoseSequence:
    content = mat5(path, "poses_3d", "poses_2d")
    xyz, xy = (np.asarray(content[name], dtype=np.float64) for name in ("poses_3d", "poses_2d"))
    if xyz.ndim != 3 or xyz.shape[1:] != (JOINTS.size, 3) or xy.shape != (len(COLOUR), *xyz.shape[:2], 2):
        raise InputError(f"{path}: poses are {xyz.shape} and {xy.shape}, expected (T, 15, 3) and (3, T, 15, 2)")
    flat = {camera: one[:, None] for camera, one in zip(COLOUR, xy, strict=True)}
    return PoseSequence(
        NAME, path.parent.name, _action(path), JOINTS, xyz[:, None] / MM, np.arange(len(xyz)), rig, flat
    )  # fmt: skip


def _action(path: Path) -> str:
    return path.stem.replace("_", " ")
