"""TotalCapture: Vicon's joints of five subjects before eight cameras.

Trumble et al., "Total Capture: 3D human pose estimation fusing video and inertial sensors" (BMVC 2017).
gt_skel_gbl_pos.txt: a line of 21 joints' names, then a line a frame of "x y z" in inches, tab after joint;
gt_skel_gbl_ori.txt: likewise quaternions x y z w. calibration.cal: "cameras order", then of each camera a line of
first and last row and column, fx fy cx cy, the radial coefficient, three rows of R, and t in m: x_cam = R X + t.

Vicon's Head is the head's lower end: it is neither h36m_17's Nose nor its HeadTop, which stay NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import read_text, reading
from pose3d_ros.research.datasets.containers import ANNOTATIONS, CALIBRATION, missing, number_lines
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, intrinsics, placed
from pose3d_ros.skeletons import pairs_by_name
from pose3d_ros.structures import Camera, Floats, Rig, Skeleton

NAME, SITE = "TotalCapture", "ask at https://cvssp.org/data/totalcapture"
EXPECTED = "calibration.cal and S1/walking1/gt_skel_gbl_pos.txt"
SUBJECTS = ("S1", "S2", "S3", "S4", "S5")
INCH_M = 0.0254
POSITIONS, ORIENTATIONS = "gt_skel_gbl_pos.txt", "gt_skel_gbl_ori.txt"
VICON = (
    "Hips", "Spine", "Spine1", "Spine2", "Spine3", "Neck", "Head", "RightShoulder", "RightArm", "RightForeArm",
    "RightHand", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand", "RightUpLeg", "RightLeg", "RightFoot",
    "LeftUpLeg", "LeftLeg", "LeftFoot",
)  # fmt: skip
# Vicon names a joint after the bone that begins there. Its Spine is a hand's width above the hips: Qiu et al. (ICCV
# 2019) evaluate it as Human3.6M's.
_NAMES = (
    "Pelvis", "Spine", "Spine1", "Spine2", "Spine3", "Thorax", "Head", "RCollar", "RShoulder", "RElbow", "RWrist",
    "LCollar", "LShoulder", "LElbow", "LWrist", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle",
)  # fmt: skip
_PARENTS = (-1, 0, 1, 2, 3, 4, 5, 4, 7, 8, 9, 4, 11, 12, 13, 0, 15, 16, 0, 18, 19)
JOINTS = Skeleton("total_capture_21", _NAMES, _PARENTS, pairs_by_name(_NAMES))


def sequences(root: Path, subjects: Sequence[str] = SUBJECTS) -> Iterator[PoseSequence]:
    """One sequence after another, actions as "Walking2"; raises InputError."""
    rig = read_rig(root / "calibration.cal") if (root / "calibration.cal").is_file() else None
    paths = [path for path in sorted(root.rglob(POSITIONS)) if _subject(path, root) in subjects]
    if not paths:
        raise missing(NAME, root, EXPECTED, SITE)
    for path in paths:
        xyz = read_joints(path, 3)[:, None] * INCH_M
        action = path.parent.name.capitalize()
        yield PoseSequence(NAME, _subject(path, root), action, JOINTS, xyz, np.arange(len(xyz)), rig)


def read_joints(path: Path, axes: int) -> Floats:
    """(T, 21, axes) numbers of one of the gt_skel_gbl files, as they stand in it; raises InputError."""
    names, *lines = [line for line in read_text(path, ANNOTATIONS).splitlines() if line.strip()]
    if names.split() != list(VICON):
        raise InputError(f"{path}: the first line is {names[:60]!r}, expected the names {', '.join(VICON[:3])}, ...")
    with reading(path, ANNOTATIONS):
        return np.array([line.split() for line in lines], dtype=np.float64).reshape(-1, len(VICON), axes)


def read_rig(path: Path) -> Rig:
    """The cameras of calibration.cal, named cam1 to cam8; raises InputError."""
    (head, *lines) = number_lines(path)
    with reading(path, CALIBRATION):
        count, order = (int(number) for number in head)
        if order != 1 or len(lines) != 7 * count:
            raise ValueError(f"{len(lines)} lines for {count} cameras of distortion order {order}, expected 7 and 1")
        return Rig(tuple(_camera(f"cam{number + 1}", lines[7 * number : 7 * number + 7]) for number in range(count)))


def _subject(path: Path, root: Path) -> str:
    """The folder of a subject above a file, at whatever depth an archive unpacks it; "" for none."""
    return next((part.upper() for part in path.relative_to(root).parts if part.upper() in SUBJECTS), "")


def _camera(name: str, lines: Sequence[Floats]) -> Camera:
    box, lens, radial, *rows, t = lines
    first_row, last_row, first_column, last_column = box
    size_wh = (int(last_column - first_column) + 1, int(last_row - first_row) + 1)
    distortion = np.array([radial[0], 0.0, 0.0, 0.0])
    return Camera(name, size_wh, intrinsics(*lens), "plumb_bob", distortion, placed(np.array(rows), t))
