"""People's motion as BVH, which Blender, MotionBuilder and others read.

Written here because no library that does it is kept well enough to depend on: bvhtoolbox rests since 2020, bvhio pins
one release of a compiled library, and pybvh (0.9; our tests read with it) drops names from release to release.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.recordings.writers.bvh_fit import FittedJoint, fit_motion
from pose3d_ros.recordings.writers.person_tracks import PersonTrack
from pose3d_ros.structures import Floats

CM = 100.0  # BVH knows no unit; centimetres are what most programs take it for
_BLOCK = 10_000  # frames formatted at a time


def write_bvh(track: PersonTrack, path: Path | str) -> None:
    """Write one person as BVH: lengths in cm, y up, angles in degrees, z then x then y.

    BVH (X, Y, Z) is world (y, z, x), as in our TRC, so a world with z up stands upright. BVH knows no gaps: see
    bvh_fit for how they are bridged and what is exact. Raises InputError for a person without a pelvis.
    """
    motion = fit_motion(track.xyz[..., [1, 2, 0]], track.skeleton)
    order = _depth_first(motion.joints)
    columns = [CM * motion.root, *(_angles_deg(motion.joints[n].turn) for n in order)]
    with Path(path).open("w", encoding="ascii") as file:
        file.write("HIERARCHY\n" + "\n".join(_hierarchy(motion.joints, 0, "")) + "\n")
        file.write(f"MOTION\nFrames: {len(track.xyz)}\nFrame Time: {1 / track.rate_hz:.9f}\n")
        for begin in range(0, len(track.xyz), _BLOCK):
            np.savetxt(file, np.hstack([part[begin : begin + _BLOCK] for part in columns]), fmt="%.6f")


def _children(joints: Sequence[FittedJoint], number: int) -> list[int]:
    return [n for n, joint in enumerate(joints) if joint.parent == number]


def _depth_first(joints: Sequence[FittedJoint], number: int = 0) -> list[int]:
    """The order in which BVH lists joints, and so their channels."""
    return [number, *(below for child in _children(joints, number) for below in _depth_first(joints, child))]


def _hierarchy(joints: Sequence[FittedJoint], number: int, indent: str) -> list[str]:
    """A joint and what hangs on it; the end of a limb is its last joint, so its End Site has no length."""
    joint = joints[number]
    root = joint.parent < 0
    offset = "{:.6f} {:.6f} {:.6f}".format(*(CM * joint.offset))
    channels = "6 Xposition Yposition Zposition" if root else "3"
    inner = indent + "  "
    lines = [
        f"{indent}{'ROOT' if root else 'JOINT'} {joint.name}",
        f"{indent}{{",
        f"{inner}OFFSET {offset}",
        f"{inner}CHANNELS {channels} Zrotation Xrotation Yrotation",
    ]
    below = _children(joints, number)
    for child in below:
        lines += _hierarchy(joints, child, inner)
    if not below:
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}  OFFSET 0.000000 0.000000 0.000000", f"{inner}}}"]
    return [*lines, f"{indent}}}"]


def _angles_deg(turn: Floats) -> Floats:
    """Angles (T, 3) in degrees about z, x, y, without leaps by a whole turn."""
    # scipy warns where x is a right angle and the other two are not unique; either choice is right.
    angles = Rotation.from_matrix(turn).as_euler("ZXY", degrees=True)
    return np.asarray(np.unwrap(angles, axis=0, period=360.0))
