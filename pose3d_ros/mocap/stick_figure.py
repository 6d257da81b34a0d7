"""A stick figure of h36m_17 with bones of fixed lengths, posed by inverse kinematics (NumPy, float64).

A pose is planned by pelvis, trunk, ankles and arms; knees and elbows follow from two bones each that must meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose3d_ros.mocap.load import ANKLE_HEIGHT_M, NOSE_BEFORE_M
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

# Drillis and Contini, Body Segment Parameters, 1966, as drawn by Winter, Biomechanics, figure 4.1: shares of stature.
THIGH, SHIN, UPPER_ARM, FOREARM, SHOULDER_HEIGHT = 0.245, 0.246, 0.186, 0.146, 0.818
NOSE_HEIGHT = 0.903  # between their chin (0.870) and eyes (0.936)
# Half the distance of the joints: the mean of their half breadths of the body (0.0955, 0.129), which lie outside of the
# joints, and of Human3.6M's published skeleton (133 and 151 mm; 1.83 m tall by its legs), where shoulders lie inside.
HIP, SHOULDER = 0.084, 0.106
LIMB_SPREAD, BREADTH_SPREAD = 0.04, 0.10  # people of one stature differ by a few per cent

# Distance of a limb's ends as a share of its length: never quite straight, where the bend would have no direction, and
# a knee folds to about 35 degrees.
FOLDED, STRAIGHT, STANDING = 0.3, 0.998, 0.995
LOWEST_M = 0.04  # the lowest joint of a person on the floor
SIDES = ((0, 1.0), (1, -1.0))  # left, right: y is to the left


@dataclass(frozen=True)
class Person:
    """Lengths of one person, m; hips and shoulders from the middle."""

    hips: float
    shoulders: float
    thigh: float
    shin: float
    trunk: float
    nose: float  # above Thorax, as head
    head: float
    upper_arm: float
    forearm: float

    @property
    def leg(self) -> float:
        """Hip to ankle."""
        return self.thigh + self.shin

    @property
    def arm(self) -> float:
        """Shoulder to wrist."""
        return self.upper_arm + self.forearm

    @property
    def stature(self) -> float:
        """From the soles to the top of the head, standing upright."""
        return float(ANKLE_HEIGHT_M + self.leg + self.trunk + self.head)

    @property
    def knee(self) -> float:
        """Height of the knee over a foot on the floor."""
        return ANKLE_HEIGHT_M + self.shin

    @property
    def height(self) -> float:
        """Of the pelvis when standing."""
        return ANKLE_HEIGHT_M + STANDING * self.leg


@dataclass(frozen=True)
class Plan:
    """What a person does in T frames. Axes of the pelvis and of all that turns with it: x forward, y left, z up."""

    pelvis: Floats  # (T, 3) m
    world_from_pelvis: Floats  # (T, 3, 3)
    trunk: Floats  # (T, 5) rad: twist, pitch forward, roll right; the head's yaw and pitch
    ankles: Floats  # (T, 2, 3) m, left and right
    # (T, 2, 4): flexion from hanging forward and up, then abduction outward, swivel of the elbow outward (0: backward
    # when hanging), all rad; distance of shoulder and wrist as a share of the arm. They turn with the trunk's twist.
    arms: Floats


def drawn_person(rng: np.random.Generator, stature_m: tuple[float, float]) -> Person:
    """A person with a stature within a range, m, and proportions close to the mean."""
    stature = rng.uniform(*stature_m)
    legs, arms = stature * rng.uniform(1.0 - LIMB_SPREAD, 1.0 + LIMB_SPREAD, 2)
    hips, shoulders = stature * rng.uniform(1.0 - BREADTH_SPREAD, 1.0 + BREADTH_SPREAD, 2)
    return Person(
        hips=HIP * hips,
        shoulders=SHOULDER * shoulders,
        thigh=THIGH * legs,
        shin=SHIN * legs,
        # Who has longer legs has a shorter trunk.
        trunk=SHOULDER_HEIGHT * stature - (THIGH + SHIN) * legs - ANKLE_HEIGHT_M,
        nose=(NOSE_HEIGHT - SHOULDER_HEIGHT) * stature,
        head=(1.0 - SHOULDER_HEIGHT) * stature,
        upper_arm=UPPER_ARM * arms,
        forearm=FOREARM * arms,
    )


def posed(person: Person, plan: Plan) -> Floats:
    """Joints (T, 17, 3) m of a plan, z up; a frame that would be below the floor is lifted onto it."""
    pelvis, hips_frame = plan.pelvis, plan.world_from_pelvis
    twist, pitch, roll, yaw, nod = plan.trunk.T
    arms_frame = hips_frame @ rotation("z", twist)
    chest = arms_frame @ rotation("y", pitch) @ rotation("x", roll)
    head = chest @ rotation("z", yaw) @ rotation("y", nod)
    thorax = pelvis + person.trunk * chest[..., 2]
    joints = {"Pelvis": pelvis, "Spine": (pelvis + thorax) / 2.0, "Thorax": thorax}
    joints["Nose"] = thorax + head @ (NOSE_BEFORE_M, 0.0, person.nose)
    joints["HeadTop"] = thorax + person.head * head[..., 2]
    for side, left in SIDES:
        name = "LR"[side]
        hip = pelvis + left * person.hips * hips_frame[..., 1]
        knee, ankle = _bent(hip, plan.ankles[:, side], person.thigh, person.shin, hips_frame @ (1.0, 0.15 * left, 0.2))
        flexion, abduction, swivel, reach = plan.arms[:, side].T
        s, c, t, d = np.sin(flexion), np.cos(flexion), np.sin(abduction), np.cos(abduction)
        # The arm, and the two directions across it in which flexion falls and abduction grows.
        along = np.stack([s, left * c * t, -c * d], axis=-1)
        back = np.stack([-c, left * s * t, -s * d], axis=-1)
        outward = np.stack([0.0 * d, left * d, t], axis=-1)
        bend = np.cos(swivel)[:, None] * back + np.sin(swivel)[:, None] * outward
        shoulder = thorax + left * person.shoulders * chest[..., 1]
        hand = shoulder + person.arm * reach[:, None] * np.einsum("tab,tb->ta", arms_frame, along)
        bend = np.einsum("tab,tb->ta", arms_frame, bend)
        elbow, wrist = _bent(shoulder, hand, person.upper_arm, person.forearm, bend)
        joints |= {f"{name}Hip": hip, f"{name}Knee": knee, f"{name}Ankle": ankle}
        joints |= {f"{name}Shoulder": shoulder, f"{name}Elbow": elbow, f"{name}Wrist": wrist}
    xyz = np.stack([joints[name] for name in H36M_17.joint_names], axis=1)
    xyz[..., 2] += np.maximum(LOWEST_M - xyz[..., 2].min(axis=1, keepdims=True), 0.0)
    return xyz


def _bent(root: Floats, end: Floats, upper: float, lower: float, towards: Floats) -> tuple[Floats, Floats]:
    """Middle and end (T, 3) m of two bones from root to end, or as near to it as they reach, bent towards a side."""
    line = end - root
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    along = line / distance
    distance = np.clip(distance, FOLDED * (upper + lower), STRAIGHT * (upper + lower))
    across = towards - np.einsum("tx,tx->t", towards, along)[:, None] * along
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    foot = (upper**2 - lower**2 + distance**2) / (2.0 * distance)
    return root + foot * along + np.sqrt(upper**2 - foot**2) * across, root + distance * along


def rotation(axis: str, angle: Floats) -> Floats:
    """Rotations (T, 3, 3) by angles (T,) rad about x, y or z."""
    matrix = np.tile(np.eye(3), (len(angle), 1, 1))
    one, two = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix[:, one, one] = matrix[:, two, two] = np.cos(angle)
    matrix[:, two, one] = np.sin(angle)
    matrix[:, one, two] = -np.sin(angle)
    return matrix


def lowered(person: Person, pelvis: Floats, hips_frame: Floats, ankles: Floats) -> Floats:
    """Pelvis (T, 3) m, no higher than where both legs reach their ankles; the pelvis is level."""
    moved: Floats = pelvis.copy()
    for side, left in SIDES:
        away = ankles[:, side] - pelvis - left * person.hips * hips_frame[..., 1]
        room = (STRAIGHT * person.leg) ** 2 - (away[:, :2] ** 2).sum(axis=1)
        moved[:, 2] = np.minimum(moved[:, 2], ankles[:, side, 2] + np.sqrt(np.maximum(room, 0.0)))
    return moved
