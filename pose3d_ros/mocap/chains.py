"""Motion capture of one subject as one long walk: clips put one after another, with a passage between (NumPy, float64).

Clips are short and begin anywhere. Each is turned and moved onto the floor, near to where the one before ended; in
between the person glides and turns from one pose into the next. Bones keep the subject's own lengths throughout.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.actions import eased
from pose3d_ros.mocap.load import ANKLE_HEIGHT_M
from pose3d_ros.mocap.motion import Clip, Motion
from pose3d_ros.mocap.stick_figure import rotation
from pose3d_ros.mocap.walks import FPS, Walk
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

LEAST_S, MOST_S = 2.0, 8.0  # of a clip, which is cut to that
CHOICES = 16  # ways to go on, of which the one with the shortest passage is taken
# A passage's least time, and its speeds on average: of the person along the floor and about, and of a bone.
PASSAGE_S, GLIDE_M_S, TURN_RAD_S, BEND_RAD_S = 0.8, 0.8, 1.5, 2.5


def chained(motion: Motion, t_s: Floats, rng: np.random.Generator, draw: Callable[[], tuple[float, float]]) -> Walk:
    """One subject of the motion during the times t_s (N,), evenly spaced at FPS; clips stand about drawn places (2,) m.

    Raises InputError where no subject has a clip of LEAST_S.
    """
    long = [clip for clip in motion.clips if clip.native and (clip.length - 1) / clip.fps >= LEAST_S]
    if not long:
        raise InputError(f"the motion data has no clip of {LEAST_S:g} s: give longer ones")
    subjects = sorted({clip.subject for clip in long})
    subject = subjects[rng.integers(len(subjects))]
    own = [clip for clip in long if clip.subject == subject]
    lengths = _lengths(np.concatenate([motion.xyz[clip.start : clip.start + clip.length] for clip in own]))
    parts = [_placed(_cut(motion, own[rng.integers(len(own))], rng), rng, draw)]
    while sum(map(len, parts)) < len(t_s):
        choices = [_placed(_cut(motion, own[rng.integers(len(own))], rng), rng, draw) for _ in range(CHOICES)]
        between = [_passage_s(parts[-1][-1], xyz[0]) for xyz in choices]
        best = int(np.argmin(between))
        parts += [_passage(parts[-1][-1], choices[best][0], round(between[best] * FPS)), choices[best]]
    xyz = _with_lengths(np.concatenate(parts)[: len(t_s)], lengths)
    return Walk(t_s, xyz, _stature(xyz))


def _cut(motion: Motion, clip: Clip, rng: np.random.Generator) -> Floats:
    """Joints (T, 17, 3) m of at most MOST_S of a clip, at FPS."""
    xyz = motion.xyz[clip.start : clip.start + clip.length]
    seconds = (clip.length - 1) / clip.fps
    length = min(seconds, MOST_S)
    times = rng.uniform(0.0, seconds - length) + np.arange(int(length * FPS)) / FPS
    cut: Floats = CubicSpline(np.arange(clip.length) / clip.fps, xyz)(times)
    return cut


def _placed(xyz: Floats, rng: np.random.Generator, draw: Callable[[], tuple[float, float]]) -> Floats:
    """The clip turned by any angle, its path about a drawn place."""
    turned = (xyz - xyz[:, 0].mean(axis=0) * (1.0, 1.0, 0.0)) @ rotation("z", rng.uniform(-np.pi, np.pi, 1))[0]
    moved: Floats = turned + np.array((*draw(), 0.0))
    return moved


def _heading(pose: Floats) -> float:
    left = pose[H36M_17.index("LHip")] - pose[H36M_17.index("RHip")]
    return float(np.arctan2(-left[0], left[1]))


def _facing(pose: Floats) -> Floats:
    """The pose (17, 3) above the origin, heading along x."""
    faced: Floats = (pose - pose[0] * (1.0, 1.0, 0.0)) @ rotation("z", np.array([_heading(pose)]))[0]
    return faced


def _directions(pose: Floats) -> Floats:
    """(16, 3) of a pose's bones."""
    parents, children = np.array(H36M_17.bones).T
    bones = pose[children] - pose[parents]
    unit: Floats = bones / np.linalg.norm(bones, axis=-1, keepdims=True)
    return unit


def _angles(one: Floats, other: Floats) -> Floats:
    """(16,) rad between directions, less than half a turn."""
    angles: Floats = np.arccos(np.clip((one * other).sum(axis=-1), -0.999, 1.0))
    return angles


def _turn(one: Floats, other: Floats) -> float:
    return float((_heading(other) - _heading(one) + np.pi) % (2.0 * np.pi) - np.pi)


def _passage_s(one: Floats, other: Floats) -> float:
    far = np.linalg.norm(one[0, :2] - other[0, :2])
    bend = _angles(*(_directions(_facing(pose)) for pose in (one, other))).max()
    return float(max(PASSAGE_S, far / GLIDE_M_S, abs(_turn(one, other)) / TURN_RAD_S, bend / BEND_RAD_S))


def _passage(one: Floats, other: Floats, count: int) -> Floats:
    """Poses (count, 17, 3) m between two (17, 3), bones of length 1 m; every bone turns along the shortest arc."""
    share = eased(np.arange(1, count + 1) / (count + 1))
    first, last = (_directions(_facing(pose)) for pose in (one, other))
    angle = np.maximum(_angles(first, last), 1e-6)[:, None]  # (16, 1)
    part = share[:, None, None]
    bones = (np.sin((1.0 - part) * angle) * first + np.sin(part * angle) * last) / np.sin(angle)
    pose = np.zeros((count, *one.shape))
    pose[:, 0, 2] = one[0, 2] + share * (other[0, 2] - one[0, 2])
    for number, (parent, child) in enumerate(H36M_17.bones):
        pose[:, child] = pose[:, parent] + bones[:, number]
    heading = _heading(one) + share * _turn(one, other)
    way = one[0] + share[:, None] * (other[0] - one[0])
    passed: Floats = np.einsum("tab,tjb->tja", rotation("z", heading), pose) + (way * (1.0, 1.0, 0.0))[:, None]
    return passed


def _lengths(xyz: Floats) -> Floats:
    """Bone lengths (17,) m by the joint that ends them, left as right; 0 of the root."""
    lengths = np.zeros(H36M_17.size)
    for parent, child in H36M_17.bones:
        lengths[child] = np.median(np.linalg.norm(xyz[:, child] - xyz[:, parent], axis=-1))
    both: Floats = (lengths + lengths[list(H36M_17.other_side)]) / 2.0
    return both


def _with_lengths(xyz: Floats, lengths: Floats) -> Floats:
    out: Floats = xyz.copy()
    for parent, child in H36M_17.bones:
        bone = xyz[:, child] - xyz[:, parent]
        out[:, child] = out[:, parent] + lengths[child] * bone / np.linalg.norm(bone, axis=-1, keepdims=True)
    return out


def _stature(xyz: Floats) -> float:
    """From the soles to the top of the head of a body (T, 17, 3) m of fixed lengths, along legs, trunk and head."""
    chain = (("RHip", "RKnee"), ("RKnee", "RAnkle"), ("Pelvis", "Thorax"), ("Thorax", "HeadTop"))
    parts = [xyz[:, H36M_17.index(one)] - xyz[:, H36M_17.index(other)] for one, other in chain]
    return ANKLE_HEIGHT_M + sum(float(np.median(np.linalg.norm(part, axis=-1))) for part in parts)
