"""A jointed figure whose bones are constant: truth for tests of bones and motion."""

from __future__ import annotations

import numpy as np

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

STATURE_M = 1.8


def turn(rad: float, axis: int) -> Floats:
    """(3, 3) rotation about a world axis."""
    c, s = np.cos(rad), np.sin(rad)
    rotation = np.eye(3)
    a, b = [k for k in range(3) if k != axis]
    rotation[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
    return rotation


def figure(t_s: float, stature_m: float = STATURE_M) -> Floats:
    """(17, 3) m: a person who swings arms and legs on the spot; every limb is a share of the stature, and rigid."""
    out = np.full((H36M_17.size, 3), np.nan)

    def put(name: str, xyz: Floats) -> Floats:
        out[H36M_17.index(name)] = xyz
        return xyz

    hips, shoulders = np.array((0.0, 0.0, 0.53)), np.array((0.0, 0.0, 0.82))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        swing = 0.5 * sign * np.sin(2 * np.pi * 0.7 * t_s)
        hip = put(f"{side}Hip", hips + np.array((0, sign * 0.06, 0)))
        knee = put(f"{side}Knee", hip + turn(swing, 1) @ (0, 0, -0.226))
        put(f"{side}Ankle", knee + turn(swing + 0.3, 1) @ (0, 0, -0.237))
        shoulder = put(f"{side}Shoulder", shoulders + np.array((0, sign * 0.1, 0)))
        elbow = put(f"{side}Elbow", shoulder + turn(-swing, 1) @ turn(0.2 * sign, 0) @ (0, 0, -0.159))
        put(f"{side}Wrist", elbow + turn(-swing - 0.6, 1) @ (0, 0, -0.13))
    put("Nose", shoulders + np.array((0.05, 0, 0.1)))
    for name, made in {"Pelvis": hips, "Thorax": shoulders, "Spine": (hips + shoulders) / 2}.items():
        put(name, made)
    put("HeadTop", shoulders + np.array((0, 0, 0.18)))
    return np.asarray(out * stature_m)
