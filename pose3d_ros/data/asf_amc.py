"""Acclaim's ASF (a skeleton) and AMC (its motion), as the CMU database has them (NumPy, float64).

A bone's turn is C M C^-1: C from its axis, M from the frame's degrees of freedom, each X first (R = Rz Ry Rx). A
bone's end is its start plus the turned direction times the length. Lengths are (1 / length unit) inches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import CAPTURE, read_text
from pose3d_ros.structures import Floats

INCH_M = 0.0254


@dataclass(frozen=True, eq=False)
class Bone:
    """A bone of the skeleton at rest."""

    direction: Floats  # (3,) unit, in the skeleton's frame
    length: float  # file units
    axis: Floats  # (3, 3), C
    dof: tuple[str, ...]  # of rx ry rz, in the order of the motion file


@dataclass(frozen=True, eq=False)
class AsfSkeleton:
    """Bones by name, parents first."""

    bones: dict[str, Bone]
    parents: dict[str, str]
    root_order: tuple[str, ...]
    root_axis: Floats  # (3, 3)
    unit_m: float  # one file unit, m
    degrees: bool


def read_asf(path: Path | str) -> AsfSkeleton:
    """The skeleton of an .asf file; raises InputError for another file."""
    lines = read_text(path, CAPTURE, "latin-1").splitlines()
    try:
        return _skeleton(lines)
    except Exception as error:  # a damaged text leads anywhere
        raise InputError(f"{path} is not a readable ASF skeleton ({error})") from error


def read_amc(path: Path | str, skeleton: AsfSkeleton) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By bone name ("root" too): its end (T, 3) m, y up as in the file, and its turn from rest (T, 3, 3).

    Raises InputError for a file that is not motion of this skeleton.
    """
    lines = read_text(path, CAPTURE, "latin-1").splitlines()
    try:
        return _moved(skeleton, _frames(lines))
    except Exception as error:  # a damaged text leads anywhere
        raise InputError(f"{path} is not readable AMC motion of this skeleton ({error!r})") from error


def euler(angles_rad: Floats, order: str) -> Floats:
    """Rotations (..., 3, 3) of angles (..., len(order)) about fixed axes x, y, z, the first in order applied first."""
    rotation = np.broadcast_to(np.eye(3), (*angles_rad.shape[:-1], 3, 3))
    for number, axis in enumerate(order):
        cosine, sine = np.cos(angles_rad[..., number]), np.sin(angles_rad[..., number])
        one = np.zeros((*angles_rad.shape[:-1], 3, 3))
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        one[..., 3 - a - b, 3 - a - b] = 1.0
        one[..., a, a], one[..., b, b], one[..., a, b], one[..., b, a] = cosine, cosine, -sine, sine
        rotation = one @ rotation
    return np.asarray(rotation)


def _skeleton(lines: list[str]) -> AsfSkeleton:
    section = ""
    bones: dict[str, Bone] = {}
    parents: dict[str, str] = {}
    order: tuple[str, ...] = ()
    root_axis, unit_m, degrees = np.eye(3), INCH_M, True
    bone: dict[str, list[str]] = {}
    axis_order = "xyz"
    orientation = np.zeros(3)
    for words in (line.split("#")[0].split() for line in lines):
        if not words:
            continue
        if words[0].startswith(":"):
            section = words[0]
        elif section == ":units" and words[0] == "length":
            unit_m = INCH_M / float(words[1])
        elif section == ":units" and words[0] == "angle":
            degrees = words[1].startswith("deg")
        elif section == ":root" and words[0] == "order":
            order = tuple(word.lower() for word in words[1:])
        elif section == ":root" and words[0] == "axis":
            axis_order = words[1].lower()
        elif section == ":root" and words[0] == "orientation":
            orientation = np.array(words[1:4], dtype=np.float64)
        elif section == ":bonedata" and words[0] == "begin":
            bone = {}
        elif section == ":bonedata" and words[0] == "end":
            bones[bone["name"][0]] = _bone(bone, degrees)
        elif section == ":bonedata":
            bone[words[0]] = words[1:]
        elif section == ":hierarchy" and words[0] not in ("begin", "end"):
            parents |= {child: words[0] for child in words[1:]}
    root_axis = euler(_radians(orientation, degrees), axis_order)
    if not order or not bones:
        raise ValueError("it has no :root order or no :bonedata")
    return AsfSkeleton({name: bones[name] for name in parents}, parents, order, root_axis, unit_m, degrees)


def _bone(words: dict[str, list[str]], degrees: bool) -> Bone:
    angles = _radians(np.array(words["axis"][:3], dtype=np.float64), degrees)
    return Bone(
        direction=np.array(words["direction"], dtype=np.float64),
        length=float(words["length"][0]),
        axis=euler(angles, words["axis"][3].lower()),
        dof=tuple(word.lower() for word in words.get("dof", [])),
    )


def _frames(lines: list[str]) -> dict[str, Floats]:
    """Degrees of freedom (T, n) by bone name."""
    values: dict[str, list[list[float]]] = {}
    count = 0
    for words in (line.split() for line in lines):
        if not words or words[0][0] in "#:":
            continue
        if len(words) == 1 and words[0].isdigit():
            count += 1
        else:
            values.setdefault(words[0], []).append([float(word) for word in words[1:]])
    if not count or any(len(rows) != count for rows in values.values()):
        raise ValueError("frames are missing or not whole")
    return {name: np.array(rows) for name, rows in values.items()}


def _moved(skeleton: AsfSkeleton, frames: dict[str, Floats]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    root = {name: frames["root"][:, n] for n, name in enumerate(skeleton.root_order)}
    turns = [name for name in skeleton.root_order if name.startswith("r")]
    angles = _radians(np.stack([root[name] for name in turns], axis=-1), skeleton.degrees)
    rotation = {"root": skeleton.root_axis @ euler(angles, "".join(n[1] for n in turns)) @ skeleton.root_axis.T}
    ends = {"root": np.stack([root["tx"], root["ty"], root["tz"]], axis=-1)}
    for name, parent in skeleton.parents.items():
        bone = skeleton.bones[name]
        rotation[name] = rotation[parent]
        if bone.dof and name in frames:
            own = _radians(frames[name], skeleton.degrees)
            rotation[name] = rotation[parent] @ bone.axis @ euler(own, "".join(d[1] for d in bone.dof)) @ bone.axis.T
        ends[name] = ends[parent] + rotation[name] @ (bone.direction * bone.length)
    return {name: end * skeleton.unit_m for name, end in ends.items()}, rotation


def _radians(angles: Floats, degrees: bool) -> Floats:
    return np.deg2rad(angles) if degrees else angles
