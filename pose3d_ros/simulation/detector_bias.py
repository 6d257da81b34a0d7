"""A detector's bias: what averaging over frames does not take away, built in 3D as it arises (NumPy, float64).

A keypoint is a joint of the annotators' definition, not of the motion data's, and lies on the surface that a camera
sees, not in the joint's centre. So a joint is moved, before it is projected, by

    an offset in its bone's frame (joint definition, 10 to 40 mm; the same for every camera), and
    a shift across the line of sight that depends on which side the person shows to the camera (surface).

Learnable is what all people and detectors of the population have in common (LEARNABLE of the variance). The rest is
not: what one detector has of its own (drawn by seed: training and tests use different ones) and what each person has
(drawn independently for every window). The constants are committed before training and not touched after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pose3d_ros.simulation.detector_residuals import BODY
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats

COMMON_SEED = 2021  # of the part that all people share
TRAIN_SEEDS = tuple(range(1000, 1020))
TEST_SEEDS = tuple(range(9000, 9005))
# Shares of the variance: common, of one detector, of one person.
LEARNABLE, OF_DETECTOR, OF_PERSON = 0.7, 0.1, 0.2
# Length of a joint's offset, m: by so much triangulated detectors and marker-based joint centres differ.
OFFSET_M = (0.010, 0.040)
# Standard deviation of each of the surface's three terms, m.
SURFACE_M = 0.010
# Bones that carry a joint's frame: the joint and the one above it; the others lie in the trunk's frame.
_CARRIED = {"Elbow": "Shoulder", "Wrist": "Elbow", "Knee": "Hip", "Ankle": "Knee"}
_MIRROR = np.array([1.0, -1.0, 1.0])  # front, left, up of a bone's frame
_SURFACE_MIRROR = np.array([1.0, 1.0, -1.0])  # the three terms of _surface


@dataclass(frozen=True, eq=False)
class DetectorBias:
    """One detector's bias; the joints are consensus.BODY (B = 13)."""

    offset: Floats  # (B, 3) m, front, left, up of the joint's frame (person upright, arms and legs hanging)
    surface: Floats  # (B, 3) m, coefficients of _surface
    of_person: float = OF_PERSON  # share of the variance that each person has of its own

    @staticmethod
    def draw(seed: int) -> DetectorBias:
        """The detector of a seed: mostly what all have in common."""
        common, own = learnable_bias(), _drawn(np.random.default_rng(seed))
        return DetectorBias(
            common.offset + np.sqrt(OF_DETECTOR) * own[0], common.surface + np.sqrt(OF_DETECTOR) * own[1]
        )

    def scaled(self, factor: float) -> DetectorBias:
        """The same bias, so many times as large; 0 is no bias."""
        return replace(
            self,
            offset=factor * self.offset,
            surface=factor * self.surface,
            of_person=factor**2 * self.of_person,
        )

    def shifts(self, xyz: Floats, cameras: Sequence[Camera], rng: np.random.Generator) -> Floats:
        """How far each camera's detector moves the joints, (V, W, T, B, 3) m, world, for motion (W, T, 17, 3) m."""
        own = [_drawn(rng) for _ in range(len(xyz))] if self.of_person else []
        share = np.sqrt(self.of_person)
        offset = self.offset + (share * np.stack([one[0] for one in own])[:, None] if own else 0.0)  # (W, 1, B, 3)
        surface = self.surface + (share * np.stack([one[1] for one in own])[:, None] if own else 0.0)
        frames = body_frames(xyz)
        definition = np.einsum("...bxk,...bk->...bx", frames, np.broadcast_to(offset, frames.shape[:-1]))
        return np.stack([definition + _surface(xyz, camera, surface) for camera in cameras])


def learnable_bias() -> DetectorBias:
    """What all detectors and people have in common, and nothing else."""
    offset, surface = _drawn(np.random.default_rng(COMMON_SEED))
    share = np.sqrt(LEARNABLE)
    return DetectorBias(share * offset, share * surface, of_person=0.0)


def body_frames(xyz: Floats) -> Floats:
    """Frames (..., B, 3, 3) of the joints of poses (..., 17, 3): columns front, left, up, world.

    A limb's frame is the trunk's, turned the shortest way until its down is the bone: that jumps only where a limb
    points straight up the trunk.
    """
    trunk = _trunk(xyz)
    frames = []
    for name in BODY:
        above = _CARRIED.get(name[1:])
        if above is None:
            frames.append(trunk)
            continue
        bone = xyz[..., H36M_17.index(name), :] - xyz[..., H36M_17.index(name[0] + above), :]
        frames.append(_shortest_turn(-trunk[..., 2], _unit(bone)) @ trunk)
    return np.stack(frames, axis=-3)


def joint_frames(xyz: Floats) -> Floats:
    """Frames (..., 17, 3, 3) of all joints of poses (..., 17, 3) m, as body_frames; the trunk's in the middle."""
    frames = body_frames(np.nan_to_num(xyz))
    rows = [BODY.index(name) if name in BODY else BODY.index("LHip") for name in H36M_17.joint_names]
    return frames[..., rows, :, :]


def _trunk(xyz: Floats) -> Floats:
    """The trunk's frame (..., 3, 3), columns front, left, up."""

    def joint(name: str) -> Floats:
        one: Floats = xyz[..., H36M_17.index(name), :]
        return one

    shoulders, hips = joint("LShoulder") - joint("RShoulder"), joint("LHip") - joint("RHip")
    up = _unit((joint("LShoulder") + joint("RShoulder")) - (joint("LHip") + joint("RHip")))
    front = _unit(np.cross(_unit(shoulders) + _unit(hips), up))
    return np.stack([front, np.cross(up, front), up], axis=-1)


def _surface(xyz: Floats, camera: Camera, coefficients: Floats) -> Floats:
    """Shift (W, T, B, 3) m, world, across the line of sight.

    With phi the angle between the person's front and the direction to the camera, seen from above, and the image's
    axes x (right) and y (down): (a sin phi + c cos phi) x + b cos phi y; a and b are the same left and right, c has
    the other sign.
    """
    trunk = _trunk(xyz)
    to_camera = _unit(camera.centre - xyz[..., 0, :])
    forward = np.einsum("...x,...x->...", trunk[..., 0], to_camera)
    sideways = np.einsum("...x,...x->...", trunk[..., 1], to_camera)
    flat = np.maximum(np.hypot(forward, sideways), 1e-9)
    cosine, sine = (forward / flat)[..., None], (sideways / flat)[..., None]  # (W, T, 1)
    a, b, c = np.moveaxis(np.broadcast_to(coefficients, (*xyz.shape[:-2], len(BODY), 3)), -1, 0)
    right, down = camera.cam_from_world[0, :3], camera.cam_from_world[1, :3]
    shift: Floats = (a * sine + c * cosine)[..., None] * right + (b * cosine)[..., None] * down
    return shift


def _drawn(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Offsets and surface coefficients (B, 3) of unit share; the right side mirrors the left."""
    direction = _unit(rng.normal(size=(len(BODY), 3)))
    offset = direction * rng.uniform(*OFFSET_M, (len(BODY), 1))
    surface = rng.normal(scale=SURFACE_M, size=(len(BODY), 3))
    nose = BODY.index("Nose")
    offset[nose, 1], surface[nose, 2] = 0.0, 0.0  # in the middle: no side to go to
    for joint, name in enumerate(BODY):
        if name.startswith("R"):
            left = BODY.index("L" + name[1:])
            offset[joint], surface[joint] = offset[left] * _MIRROR, surface[left] * _SURFACE_MIRROR
    return offset, surface


def _shortest_turn(start: Floats, end: Floats) -> Floats:
    """Rotations (..., 3, 3) that take unit vectors start to end."""
    axis = np.cross(start, end)
    cosine = np.einsum("...x,...x->...", start, end)
    zero = np.zeros_like(cosine)
    x, y, z = np.moveaxis(axis, -1, 0)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*cosine.shape, 3, 3)
    rest = 1.0 / np.maximum(1.0 + cosine, 1e-6)
    turn: Floats = np.eye(3) + cross + cross @ cross * rest[..., None, None]
    return turn


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)
    return unit
