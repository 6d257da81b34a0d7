"""Which posture a person is in, from the geometry of the joints alone (NumPy, float64)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

POSTURES = ("lying", "sitting", "crouching", "reaching", "upright")
COMPACT = POSTURES[:3]
# All lengths are in lengths of the person's legs, hip to ankle. Standing, a body is 2 high and its pelvis 0.95 above
# the ankles.
LYING_HEIGHT = 0.8
LOW_PELVIS = 0.75  # between a chair's 0.5 to 0.6 and the 0.85 of walking with bent knees
STOOPING = 0.5  # cosine of the trunk's angle to the vertical
OFF_FEET = 0.3  # who squats keeps the trunk above the feet; who sits or kneels need not
ARM_OUT = 0.7  # wrist to trunk, horizontally; swinging arms of walking people stay within 0.5


def postures_of(xyz: Floats) -> NDArray[np.intp]:
    """Indices (N,) into POSTURES of poses (N, 17, 3) m, z up.

    Lying: the whole body low. Sitting (or kneeling): the pelvis low and the trunk off the feet. Crouching (or
    squatting, stooping): else low or bent. Reaching: a wrist above the head or far out. Upright: the rest.
    """
    joint = {name: xyz[:, number] for number, name in enumerate(H36M_17.joint_names)}
    ends = [(f"{side}{one}", f"{side}{other}") for side in "LR" for one, other in (("Hip", "Knee"), ("Knee", "Ankle"))]
    leg = sum(np.linalg.norm(joint[one] - joint[other], axis=-1) for one, other in ends) / 2.0
    ankles = np.stack([joint["LAnkle"], joint["RAnkle"]])
    wrists = np.stack([joint["LWrist"], joint["RWrist"]])
    trunk, middle = joint["Thorax"] - joint["Pelvis"], (joint["Thorax"] + joint["Pelvis"]) / 2.0
    # The lower foot is the ground: people stand on ladders and stairs too.
    low = joint["Pelvis"][:, 2] - ankles[..., 2].min(axis=0) < LOW_PELVIS * leg
    bent = trunk[:, 2] < STOOPING * np.linalg.norm(trunk, axis=-1)
    off_feet = np.linalg.norm((middle - ankles.mean(axis=0))[:, :2], axis=-1) > OFF_FEET * leg
    above = wrists[..., 2].max(axis=0) > joint["HeadTop"][:, 2]
    out = np.linalg.norm((wrists - middle)[..., :2], axis=-1).max(axis=0) > ARM_OUT * leg
    lying = np.ptp(xyz[..., 2], axis=-1) < LYING_HEIGHT * leg
    return np.asarray(np.select([lying, low & off_feet & ~bent, low | bent, above | out], range(4), default=4))
