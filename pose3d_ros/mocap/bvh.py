"""Biovision's BVH: a skeleton and its motion in one file (NumPy, float64)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import InputError
from pose3d_ros.files.door import CAPTURE, read_text
from pose3d_ros.structures import Floats


@dataclass(frozen=True, eq=False)
class BvhMotion:
    """Joints by name; the end of a joint without children is named after it with " end"."""

    position: dict[str, Floats]  # (T, 3) in the file's unit, y up as in the file
    rotation: dict[str, Floats]  # (T, 3, 3) from rest; none for ends
    fps: float


@dataclass(frozen=True)
class _Joint:
    name: str
    parent: str | None
    offset: tuple[float, ...]
    channels: tuple[str, ...]


def read_bvh(path: Path | str) -> BvhMotion:
    """Read a .bvh file; raises InputError for another file."""
    words = read_text(path, CAPTURE, "latin-1").split()
    try:
        start = words.index("MOTION")
        joints = _hierarchy(words[1:start])
        if words[start + 1] != "Frames:" or words[start + 3 : start + 5] != ["Frame", "Time:"]:
            raise ValueError("MOTION lacks Frames: or Frame Time:")
        count, step = int(words[start + 2]), float(words[start + 5])
        values = np.array(words[start + 6 :], dtype=np.float64).reshape(count, -1)
        if values.shape[1] != sum(len(joint.channels) for joint in joints) or not 1e-3 <= step <= 1 or not count:
            raise ValueError(
                f"{values.shape[1]} numbers a frame, {step:g} s each, do not fit the channels or no motion"
            )
        return _moved(joints, values, 1.0 / step)
    except Exception as error:  # a damaged text leads anywhere
        raise InputError(f"{path} is not a readable BVH file ({error})") from error


def _hierarchy(words: list[str]) -> list[_Joint]:
    """Joints, parents first, with ends."""
    joints: list[_Joint] = []
    above: list[str] = []
    name, at = "", 0
    offset: tuple[float, ...] = ()
    pending = False  # a joint whose channels are yet to come
    while at < len(words):
        word = words[at]
        if word in ("ROOT", "JOINT"):
            name, at = words[at + 1], at + 2
        elif word == "End":
            name, at = f"{above[-1]} end", at + 2
        elif word == "{":
            at += 1
        elif word == "OFFSET":
            offset, at = tuple(float(number) for number in words[at + 1 : at + 4]), at + 4
            pending = True
            if name.endswith(" end"):
                joints.append(_Joint(name, above[-1], offset, ()))
                above.append(name)
                pending = False
        elif word == "CHANNELS" and pending:
            count = int(words[at + 1])
            channels = tuple(words[at + 2 : at + 2 + count])
            joints.append(_Joint(name, above[-1] if above else None, offset, channels))
            above.append(name)
            pending, at = False, at + 2 + count
        elif word == "}":
            above.pop()
            at += 1
        else:
            raise ValueError(f"{word!r} is not expected in the hierarchy")
    if above or not joints:
        raise ValueError("the hierarchy's braces do not match")
    return joints


def _moved(joints: list[_Joint], values: Floats, fps: float) -> BvhMotion:
    position: dict[str, Floats] = {}
    rotation: dict[str, Floats] = {}
    column = 0
    for joint in joints:
        own = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        place = np.broadcast_to(np.array(joint.offset), (len(values), 3)).copy()
        turns = [n for n, channel in enumerate(joint.channels) if channel.endswith("rotation")]
        for number, channel in enumerate(joint.channels):
            if channel.endswith("position"):
                place[:, "XYZ".index(channel[0])] += own[:, number]
        # Channels are applied to the axes that turn along: the last one first to the fixed ones.
        order = "".join(joint.channels[n][0].lower() for n in reversed(turns))
        turn = Rotation.from_euler(order, own[:, turns[::-1]], degrees=True).as_matrix() if turns else np.eye(3)
        if joint.parent is None:
            position[joint.name], rotation[joint.name] = place, turn
            continue
        above = rotation[joint.parent]
        position[joint.name] = position[joint.parent] + (above @ place[..., None])[..., 0]
        if not joint.name.endswith(" end"):
            rotation[joint.name] = above @ turn
    return BvhMotion(position, rotation, fps)
