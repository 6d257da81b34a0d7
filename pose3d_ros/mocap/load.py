"""Motion data from files: an .npz, a BVH file or a folder of BVH files (NumPy, float64).

Every subject is a folder, or else the file's name up to its first "_"; what lies below a folder train, val or test is
in that split, the rest is dealt by the subject's name. Frames are thinned to about 12 a second.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.archives import npz_arrays
from pose3d_ros.files.door import CAPTURE, MOTION, reading, refused
from pose3d_ros.mocap.bvh import read_bvh
from pose3d_ros.mocap.motion import FARTHEST_M, SPLITS, Clip, Motion, motion_from_arrays, split_of
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

NO_DATA = (
    "no motion data was given and none ships with pose3d_ros (motion capture may not be resold): "
    "give --data FILE.npz, in the form of docs/training.md, or a folder of BVH files"
)
FPS = 12.0
# Points on the head bone, m, as in our motion data: HeadTop beyond its end, Nose before it.
HEAD_TOP_BEYOND_M, NOSE_ALONG_M, NOSE_BEFORE_M = 0.06, 0.0415, 0.10
HEAD_BONE_M = 0.16  # with HEAD_TOP_BEYOND_M chin to crown, 0.13 of 1.7 m (Drillis and Contini 1966)
# The lower ankle of a standing person is at this height; 5 % of a clip's frames may be lower (a jump's landing).
ANKLE_HEIGHT_M, ANKLE_PERCENTILE = 0.08, 5.0
# A BVH file does not name its unit: that of these is taken with which a leg is nearest to LEG_M.
UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "CMU's (inch / 0.45)": 0.0254 / 0.45}
LEG_M = 0.82

# A joint's names in BVH files without left or right, lower case, best first.
BVH_NAMES = {
    "Hip": ("upleg", "thigh", "hip", "upperleg"),
    "Knee": ("leg", "shin", "knee", "lowleg", "lowerleg", "calf"),
    "Ankle": ("foot", "ankle"),
    "Shoulder": ("arm", "uparm", "upperarm", "shldr", "shoulder"),
    "Elbow": ("forearm", "lowarm", "lowerarm", "elbow"),
    "Wrist": ("hand", "wrist"),
}


def load_motion(path: Path | str | None) -> Motion:
    """Read an .npz of the form of docs/training.md, or a .bvh, or a folder of them.

    Raises InputError without a path (the message for a missing --data) and for a file of another form or unit.
    """
    if path is None:
        raise InputError(NO_DATA)
    if Path(path).is_dir() or Path(path).suffix.lower() == ".bvh":
        return load_captures(path)
    arrays = npz_arrays(path, MOTION)
    with reading(path, MOTION):
        return motion_from_arrays(arrays, where=str(path))


def load_captures(path: Path | str) -> Motion:
    """Motion from one .bvh file or from all below a folder; raises InputError when there is none."""
    top = Path(path)
    files = [top] if top.is_file() else sorted(top.rglob("*.bvh"))
    if not files or any(file.suffix.lower() != ".bvh" for file in files):
        raise InputError(f"{path} holds no .bvh file: give one, or a folder with some below it")
    parts: list[Floats] = []
    clips: list[Clip] = []
    start = 0
    for file in files:
        with reading(file, CAPTURE):
            xyz, fps = from_bvh(file)
        if not np.isfinite(xyz).all() or np.abs(xyz).max() > FARTHEST_M:
            raise refused(file, CAPTURE, f"joints are not finite, or farther than {FARTHEST_M} m from the origin")
        stride = max(round(fps / FPS), 1)
        xyz = on_floor(xyz[::stride])
        folders = file.relative_to(top).parts[:-1]  # none for a file; what lies above top says nothing
        subject = folders[-1] if folders and folders[-1] not in SPLITS else file.stem.split("_")[0]
        named = [part for part in folders if part in SPLITS]
        split = named[-1] if named else split_of(subject)
        clips.append(Clip(start, len(xyz), fps / stride, subject, file.stem, split, native=True))
        parts.append(xyz)
        start += len(xyz)
    return Motion(np.concatenate(parts), tuple(clips))


def from_bvh(path: Path | str) -> tuple[Floats, float]:
    """h36m_17 joints (T, 17, 3) m, z up, and frames a second, of a BVH file that names its joints in a usual way."""
    motion = read_bvh(path)
    plain = {_plain(name): name for name in motion.rotation}
    joints = {}
    for part, names in BVH_NAMES.items():
        for side in ("left", "right"):
            found = [plain[key] for name in names for key in (side + name, side[0] + name) if key in plain]
            if not found:
                raise InputError(f"{path}: no joint for {side} {part.lower()} among {', '.join(motion.rotation)}")
            joints[side[0].upper() + part] = motion.position[found[0]]
    unit = _unit_m(joints)
    hips, shoulders = ((joints[f"L{part}"] + joints[f"R{part}"]) / 2.0 for part in ("Hip", "Shoulder"))
    if "head" in plain:
        head = motion.position[plain["head"]]
        front = motion.rotation[plain["head"]][..., 2]
        top = motion.position.get(f"{plain['head']} end")
        if top is None or np.abs(top - head).max() == 0:
            raise InputError(f"{path}: the head {plain['head']!r} has no end site that says how long it is")
    elif "nose" in plain:
        head, top, front = _head_behind(motion.position[plain["nose"]], hips, shoulders, unit)
    else:
        raise InputError(f"{path}: no joint for the head or the nose among {', '.join(motion.rotation)}")
    joints |= {"Thorax": shoulders, "Spine": (hips + shoulders) / 2.0}
    return _in_h36m(joints, head, top, front, unit), motion.fps


def on_floor(xyz: Floats) -> Floats:
    """Joints (T, 17, 3) m lifted or lowered by one height for the clip, so that a standing person is on z = 0."""
    ankles = xyz[:, [H36M_17.index("LAnkle"), H36M_17.index("RAnkle")], 2].min(axis=1)
    lowered: Floats = xyz - (0.0, 0.0, np.percentile(ankles, ANKLE_PERCENTILE) - ANKLE_HEIGHT_M)
    return lowered


def _in_h36m(joints: dict[str, Floats], head: Floats, top: Floats, front: Floats, unit_m: float) -> Floats:
    """Joints of y-up files as (T, 17, 3) m, z up; front (T, 3) is the head's."""
    bone = top - head
    along = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
    before = front - np.einsum("tx,tx->t", front, along)[:, None] * along
    before /= np.linalg.norm(before, axis=-1, keepdims=True)
    joints = {name: place * unit_m for name, place in joints.items()}
    joints["HeadTop"] = top * unit_m + HEAD_TOP_BEYOND_M * along
    joints["Nose"] = head * unit_m + NOSE_ALONG_M * along + NOSE_BEFORE_M * before
    joints["Pelvis"] = (joints["LHip"] + joints["RHip"]) / 2.0
    y_up = np.stack([joints[name] for name in H36M_17.joint_names], axis=1)
    # The inverse of our own export (recordings/writers/bvh_file.py), so that a recording stays in its world.
    return y_up[..., [2, 0, 1]]


def _head_behind(nose: Floats, hips: Floats, shoulders: Floats, unit_m: float) -> tuple[Floats, Floats, Floats]:
    """Begin and end (T, 3) of an upright head bone behind a nose, and its front: `pose3d estimate` writes no head."""
    up = shoulders - hips
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    front = nose - shoulders
    front = front - np.einsum("tx,tx->t", front, up)[:, None] * up
    front /= np.maximum(np.linalg.norm(front, axis=-1, keepdims=True), 1e-9)
    head = nose - (NOSE_ALONG_M * up + NOSE_BEFORE_M * front) / unit_m
    return head, head + HEAD_BONE_M / unit_m * up, front


def _plain(name: str) -> str:
    """A joint's name in lower case, without a namespace ("mixamorig:LeftArm") and without _ and spaces."""
    return name.split(":")[-1].lower().replace("_", "").replace(" ", "")


def _unit_m(joints: dict[str, Floats]) -> float:
    knee = np.linalg.norm(joints["LHip"] - joints["LKnee"], axis=-1)
    leg = float(np.median(knee + np.linalg.norm(joints["LKnee"] - joints["LAnkle"], axis=-1)))
    return min(UNITS_M.values(), key=lambda unit: abs(np.log(leg * unit / LEG_M)))
