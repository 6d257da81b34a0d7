"""Postures of hand-made people, and drawing them evenly."""

import numpy as np
import pytest

from pose3d_ros.mocap.motion import Clip, Motion
from pose3d_ros.mocap.postures import POSTURES, postures_of
from pose3d_ros.skeletons import H36M_17

STANDING = {
    "Pelvis": (0, 0, 0.93), "RHip": (0, -0.13, 0.93), "RKnee": (0, -0.13, 0.5), "RAnkle": (0, -0.13, 0.08),
    "LHip": (0, 0.13, 0.93), "LKnee": (0, 0.13, 0.5), "LAnkle": (0, 0.13, 0.08), "Spine": (0, 0, 1.2),
    "Thorax": (0, 0, 1.45), "Nose": (0.1, 0, 1.6), "HeadTop": (0, 0, 1.75), "LShoulder": (0, 0.18, 1.42),
    "LElbow": (0, 0.22, 1.15), "LWrist": (0, 0.24, 0.9), "RShoulder": (0, -0.18, 1.42), "RElbow": (0, -0.22, 1.15),
    "RWrist": (0, -0.24, 0.9),
}  # fmt: skip
LEGS = ("RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle")
UPPER = [name for name in STANDING if name not in LEGS]


def pose(**joints):
    """(17, 3) m: a standing person, x forward, with some joints elsewhere."""
    return np.array([{**STANDING, **joints}[name] for name in H36M_17.joint_names], dtype=np.float64)


def lowered(drop_m, forward_m, lean_deg, **joints):
    """Pelvis and upper body drop_m lower and forward_m ahead of the ankles, the trunk leaning forward."""
    lean, out = np.radians(lean_deg), pose(**joints)
    for name in (*UPPER, "RHip", "LHip"):
        up = STANDING[name][2] - STANDING["Pelvis"][2]
        index = H36M_17.index(name)
        out[index] = (forward_m + np.sin(lean) * up, STANDING[name][1], 0.93 - drop_m + np.cos(lean) * up)
    return out


KNEES_BENT = {"RKnee": (0.05, -0.13, 0.5), "LKnee": (0.05, 0.13, 0.5)}
POSES = {
    "standing": (pose(), "upright"),
    "walking": (pose(RAnkle=(-0.3, -0.13, 0.15), LAnkle=(0.3, 0.13, 0.08), LWrist=(0.35, 0.2, 1.0)), "upright"),
    "on a ladder": (pose() + np.array([0, 0, 2.0]), "upright"),
    "arm up": (pose(RElbow=(0, -0.2, 1.7), RWrist=(0, -0.2, 1.95)), "reaching"),
    "arm forward": (pose(LElbow=(0.3, 0.2, 1.4), LWrist=(0.62, 0.2, 1.4)), "reaching"),
    "on a chair": (lowered(0.43, -0.42, 5, **KNEES_BENT), "sitting"),
    "on the floor": (lowered(0.8, -0.8, 0, RKnee=(-0.4, -0.13, 0.3), LKnee=(-0.4, 0.13, 0.3)), "sitting"),
    "squatting": (lowered(0.6, -0.2, 40, RKnee=(0.25, -0.13, 0.4), LKnee=(0.25, 0.13, 0.4)), "crouching"),
    "stooping": (lowered(0.05, -0.1, 80), "crouching"),
    "on the back": (np.stack([pose()[:, 2], pose()[:, 1], pose()[:, 0] + 0.12], axis=-1), "lying"),
}  # fmt: skip


@pytest.mark.parametrize("name", POSES)
def test_posture_follows_from_the_joints_alone(name):
    xyz, posture = POSES[name]
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1.0]])
    for moved in (xyz, xyz @ turn.T + (3, -2, 0), 1.2 * xyz):
        assert POSTURES[postures_of(moved[None])[0]] == posture


def test_postures_of_many_are_those_of_each():
    people = np.stack([xyz for xyz, _ in POSES.values()])
    assert [POSTURES[one] for one in postures_of(people)] == [posture for _, posture in POSES.values()]
    assert postures_of(people[:0]).shape == (0,)


def motion_of(counts):
    """One subject's clip of as many frames of each pose of POSES, and another's who stands, 200 frames each."""
    frames = np.concatenate([np.repeat(POSES[name][0][None], number, axis=0) for name, number in counts.items()])
    xyz = np.concatenate([frames, np.repeat(pose()[None], 200, axis=0)])
    mover = Clip(0, len(frames), 12.0, "mover", "moves", "train", native=True)
    return Motion(xyz, (mover, Clip(len(frames), 200, 12.0, "stander", "stands", "train", native=True)))


def test_postures_are_drawn_evenly_or_for_a_share_of_the_windows():
    motion = motion_of({"standing": 150, "on a chair": 10, "squatting": 40})
    shares = {}
    for even in (0.0, 0.5, 1.0):
        drawn = motion.draw(6000, 1, np.random.default_rng(0), even)[:, 0]
        shares[even] = np.bincount(postures_of(motion.xyz[drawn]), minlength=len(POSTURES)) / 6000
    sitting, crouching, upright = (POSTURES.index(name) for name in ("sitting", "crouching", "upright"))
    assert shares[1.0][[sitting, crouching, upright]] == pytest.approx([1 / 3] * 3, abs=0.03)
    # Half of the people are the one who only stands.
    assert shares[0.0][[sitting, crouching]] == pytest.approx([0.025, 0.1], abs=0.02)
    assert shares[0.5] == pytest.approx((shares[0.0] + shares[1.0]) / 2, abs=0.03)


def test_posture_of_a_few_frames_is_not_drawn_on_its_own():
    motion = motion_of({"standing": 199, "on a chair": 1})
    drawn = motion.draw(1000, 1, np.random.default_rng(0), 1.0)
    assert (postures_of(motion.xyz[drawn[:, 0]]) == POSTURES.index("upright")).all()


def test_evenly_drawn_windows_start_in_their_posture_and_stay_in_the_clip():
    motion = motion_of({"standing": 100, "on a chair": 100})
    drawn = motion.draw(500, 50, np.random.default_rng(0), 1.0)
    assert (drawn[:, -1] - drawn[:, 0] == 49).all()
    assert (drawn // 200 == drawn[:, :1] // 200).all()
    started = postures_of(motion.xyz[drawn[:, 0]])
    assert (started == POSTURES.index("sitting")).mean() == pytest.approx(0.5, abs=0.1)
