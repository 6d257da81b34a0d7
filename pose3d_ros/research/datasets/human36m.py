"""Human3.6M in the forms in which it is kept: the release's CDF files, h36m-fetch's annot.h5, Martinez's h5, flat npz.

Ionescu et al., PAMI 2014. Its bodies have 32 points, of which 17 are joints of their own; they are read in the order of
h36m_17. All forms but h36m-fetch's give world coordinates; those are of one camera each, in its frame.

| form | files below the root |
|---|---|
| cdf | S9/MyPoseFeatures/D3_Positions/*.cdf, D2_Positions/*.CAMERA.cdf (or S9/Poses_D3_Positions_S9/*.cdf) |
| fetch | S9/*/annot.h5, imageSequence/CAMERA/img_%06d.jpg |
| martinez | S9/MyPoses/3D_positions/*.h5 |
| flat | data_3d_h36m.npz with arrays named "S9/Directions 1"; VideoPose3D's own holds pickles and has to be converted |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.door import Kind
from pose3d_ros.research.datasets.containers import cdf_variable, hdf5, missing
from pose3d_ros.research.datasets.human36m_cameras import CAMERAS, MM, SIZES_WH, read_rig
from pose3d_ros.research.datasets.pose_sequence import PoseSequence, intrinsics
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Rig

NAME, SITE = "Human3.6M", "register at http://vision.imar.ro/human3.6m"
EXPECTED = "S1 to S11 with MyPoseFeatures/D3_Positions/*.cdf, MyPoses/3D_positions/*.h5 or */annot.h5, or a flat npz"
SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")  # those with published poses
POINTS = 32
# Which of the 32 points are h36m_17's joints; the others repeat them or lie at ends of hands, feet and toes.
JOINTS = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
FLAT = Kind(
    "Human3.6M's npz", 1000, InputError,
    "VideoPose3D's files hold pickles, which are never loaded; convert them once as docs/datasets.md shows",
)  # fmt: skip
# One action has three spellings in the release's own files.
SPELLINGS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}


def sequences(root: Path, subjects: Sequence[str] = SUBJECTS) -> Iterator[PoseSequence]:
    """One sequence after another, subject by subject, by whichever form lies in root.

    Raises InputError where there is none, DependencyError without h5py or cdflib.
    """
    flat = sorted(root.glob("data_3d_h36m*.npz"))
    found = False
    for subject in subjects:
        folder = root / subject
        cdf = _cdf_folder(folder, "D3_Positions")
        martinez = sorted((folder / "MyPoses" / "3D_positions").glob("*.h5"))
        fetch = sorted(folder.glob("*/annot.h5"))
        found |= bool(cdf or martinez or fetch)
        if cdf:
            yield from _from_cdf(root, subject, cdf)
        elif martinez:
            yield from _from_martinez(root, subject, martinez)
        else:
            for path in fetch:
                yield from _from_fetch(path, subject)
    if not found and flat:
        yield from _from_flat(root, flat[0], subjects)
    elif not found:
        raise missing(NAME, root, EXPECTED, SITE)


def joints(points: Floats, axes: int = 3) -> Floats:
    """(T, 1, 17, axes) of 32 points in any shape that holds T * 32 * axes numbers; raises InputError."""
    if points.size % (POINTS * axes):
        raise InputError(f"{points.size} numbers are no frames of {POINTS} points of {axes}: is the file whole?")
    return points.reshape(-1, 1, POINTS, axes)[:, :, JOINTS]


def action_name(stem: str) -> str:
    """The action of a file's name, with its number: "TakingPhoto_1" is "Photo 1"."""
    name, _, number = stem.replace("_", " ").partition(" ")
    return " ".join(filter(None, (SPELLINGS.get(name, name), number)))


def action_of(sequence: PoseSequence) -> str:
    """Which of the 15 actions a sequence is of."""
    return re.split(r"[ -]", sequence.action.partition("/")[0])[0]


def _cdf_folder(folder: Path, what: str) -> list[Path]:
    """The release's files of one kind, unpacked as they come or as h36m-fetch unpacks them."""
    places = (folder / "MyPoseFeatures" / what, folder / f"Poses_{what}_{folder.name}", folder / f"Poses_{what}")
    return next((files for place in places if (files := sorted(place.glob("*.cdf")))), [])


def _from_cdf(root: Path, subject: str, paths: Sequence[Path]) -> Iterator[PoseSequence]:
    rig = read_rig(root, subject)
    flat = {path.name: path for path in _cdf_folder(root / subject, "D2_Positions")}
    for path in _not_all(paths):
        xyz = joints(cdf_variable(path)) / MM
        seen = {camera: flat.get(f"{path.stem}.{camera}.cdf") for camera in CAMERAS}
        xy = {camera: joints(cdf_variable(file), 2) for camera, file in seen.items() if file}
        yield _sequence(subject, path.stem, xyz, rig, xy)


def _from_martinez(root: Path, subject: str, paths: Sequence[Path]) -> Iterator[PoseSequence]:
    rig = read_rig(root, subject)
    for path in _not_all(paths):
        with hdf5(path, "3D_positions") as file:
            points = np.asarray(file["3D_positions"], dtype=np.float64)  # (96, T)
        yield _sequence(subject, path.stem, joints(points.T) / MM, rig)


def _from_flat(root: Path, path: Path, subjects: Sequence[str]) -> Iterator[PoseSequence]:
    for key, xyz in npz_arrays(path, FLAT).items():
        subject, _, action = key.partition("/")
        if subject not in subjects:
            continue
        if xyz.ndim != 3 or xyz.shape[1:] not in ((POINTS, 3), (H36M_17.size, 3)):
            raise InputError(f"{path}: {key} is {xyz.shape}, expected (frames, 17 or 32, 3) m: {FLAT.fix}")
        chosen = xyz[:, JOINTS] if xyz.shape[1] == POINTS else xyz
        yield _sequence(subject, action, chosen[:, None].astype(np.float64), read_rig(root, subject))


def _from_fetch(path: Path, subject: str) -> Iterator[PoseSequence]:
    """One sequence a camera: its frame, its intrinsics alone, its images."""
    with hdf5(path, "pose/2d", "pose/3d", "camera", "frame") as file:
        flat, points = np.asarray(file["pose/2d"], np.float64), np.asarray(file["pose/3d"], np.float64)
        cameras, frames = np.asarray(file["camera"]), np.asarray(file["frame"], np.int64)
        lenses = {name: np.asarray(file[f"intrinsics/{name}"]) for name in CAMERAS if f"intrinsics/{name}" in file}
    for name in CAMERAS:
        rows = cameras == int(name)
        if not rows.any():
            continue
        rig = None
        if name in lenses:
            fx, cx, fy, cy = lenses[name]  # in this order: each axis is fitted by itself
            rig = Rig((Camera(name, SIZES_WH[name], intrinsics(fx, fy, cx, cy)),))
        images = tuple(path.parent / "imageSequence" / name / f"img_{frame:06d}.jpg" for frame in frames[rows])
        action = path.parent.name.replace("-", " ")
        yield PoseSequence(
            NAME, subject, f"{action_name(action)}/{name}", H36M_17, joints(points[rows]) / MM, frames[rows], rig,
            {name: joints(flat[rows], 2)}, {name: images},
        )  # fmt: skip


def _not_all(paths: Sequence[Path]) -> list[Path]:
    """Without the range-of-motion trials, which no protocol uses."""
    return [path for path in paths if not path.stem.startswith("_ALL")]


def _sequence(
    subject: str, stem: str, xyz: Floats, rig: Rig | None, xy: dict[str, Floats] | None = None
) -> PoseSequence:
    frames = np.arange(len(xyz), dtype=np.int64)
    return PoseSequence(NAME, subject, action_name(stem), H36M_17, xyz, frames, rig, xy or {})
