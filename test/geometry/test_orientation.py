"""Orientations of joints of skeletons that were posed by known rotations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose3d_ros.geometry.orientation import MAX_TWIST_STD_RAD, joint_orientations
from pose3d_ros.skeletons import COCO_17, H36M_17, map_matrix
from pose3d_ros.structures import Skeleton

TRUNK = ("Pelvis", "Spine", "Thorax")
BENT = {"Knee": 1.0, "Elbow": -1.0}  # about which way of y the lower bone turns
_PARTS = (("Hip", "Knee", "Ankle"), ("Shoulder", "Elbow", "Wrist"))
LIMBS = {f"{side}{start}": (f"{side}{hinge}", f"{side}{end}", BENT[hinge])
         for side in "LR" for start, hinge, end in _PARTS}  # fmt: skip
HALF_WIDTH_M = 0.15  # of hips and shoulders: with equal ones the body's axes lie half way between theirs
WITHOUT = ("Nose", "HeadTop", "LWrist", "RWrist", "LAnkle", "RAnkle")
SURE = np.broadcast_to(np.eye(3) * 1e-8, (17, 3, 3))
seeds = st.integers(0, 2**32 - 1)


def posed(trunk, limbs, bends, waist=0.0):
    """Joints (17, 3) m, and the frames world_from_joint by name, of a body turned by trunk.

    limbs: by the start of each, the upper bone's rotation against the trunk; bends: rad at its hinge; waist: rad by
    which the shoulders are turned against the hips about the trunk's z.
    """
    at, frames = {"Pelvis": np.zeros(3), "Thorax": trunk.apply([0, 0, 0.5]), "Spine": trunk.apply([0, 0, 0.25])}, {}
    for name, turned in zip(TRUNK, (-0.5 * waist, 0.0, 0.5 * waist), strict=True):
        frames[name] = trunk * Rotation.from_euler("z", turned)
    for start, (hinge, end, way) in LIMBS.items():
        left = 1.0 if start[0] == "L" else -1.0
        centre = "Pelvis" if start.endswith("Hip") else "Thorax"
        at[start] = at[centre] + frames[centre].apply([0, left * HALF_WIDTH_M, 0])
        frames[start] = trunk * limbs[start]
        frames[hinge] = frames[start] * Rotation.from_euler("y", way * bends[start])
        at[hinge] = at[start] + frames[start].apply([0, 0, -0.35])
        at[end] = at[hinge] + frames[hinge].apply([0, 0, -0.3])
    at["Nose"], at["HeadTop"] = at["Thorax"] + [0.1, 0, 0.15], at["Thorax"] + [0, 0, 0.3]
    return np.stack([at[name] for name in H36M_17.joint_names]), frames


def a_body(seed, lowest_bend=0.4):
    """A body of random rotations, each hinge bent by lowest_bend to 2.6 rad."""
    rng = np.random.default_rng(seed)
    limbs = {start: Rotation.random(None, rng) for start in LIMBS}
    bends = {start: rng.uniform(lowest_bend, 2.6) for start in LIMBS}
    return posed(Rotation.random(None, rng), limbs, bends, waist=rng.uniform(-0.8, 0.8))


def random_covariances(rng, size_m=0.01):
    root = rng.normal(size=(17, 3, 3)) * size_m
    return root @ root.swapaxes(-1, -2) + np.eye(3) * 1e-6


def oriented(xyz, covariance=SURE, skeleton=H36M_17):
    quaternion, std = joint_orientations(skeleton, xyz[None], np.broadcast_to(covariance, (1, len(xyz), 3, 3)))
    return quaternion[0], std[0]


def joint(name):
    return H36M_17.index(name)


@settings(deadline=None, max_examples=60)
@given(seed=seeds)
def test_posed_body_has_the_rotations_that_it_was_posed_by(seed):
    xyz, frames = a_body(seed)
    quaternion, std = oriented(xyz)
    for name, frame in frames.items():
        off = (frame.inv() * Rotation.from_quat(quaternion[joint(name)])).magnitude()
        assert off < 1e-6, name
    known = [joint(name) for name in frames]
    assert np.linalg.norm(quaternion[known], axis=-1) == pytest.approx(1.0)
    assert np.isfinite(std[known]).all()
    assert np.isnan(quaternion[[joint(name) for name in WITHOUT]]).all()


def test_upright_person_with_hanging_bent_arms_has_the_bodys_axes():
    still = {start: Rotation.identity() for start in LIMBS}
    xyz, _ = posed(Rotation.identity(), still, dict.fromkeys(LIMBS, 0.5))
    quaternion, _ = oriented(xyz)
    starts = [joint(name) for name in (*TRUNK, *LIMBS)]
    assert quaternion[starts] == pytest.approx(np.tile([0, 0, 0, 1.0], (len(starts), 1)), abs=1e-9)
    # The wrists are in front of the elbows, the ankles behind the knees: elbows and knees bend so.
    assert (xyz[[joint("LWrist"), joint("RWrist")], 0] > 0.1).all()
    assert (xyz[[joint("LAnkle"), joint("RAnkle")], 0] < -0.1).all()


@pytest.mark.parametrize("axis", np.vstack([np.eye(3), [[0.6, 0.8, 0.0], [0.0, -0.6, 0.8]]]).tolist())
def test_half_turns_have_unit_quaternions_too(axis):
    """There w is 0, and three of the four numbers may be."""
    trunk = Rotation.from_rotvec(np.pi * np.array(axis))
    xyz, _ = posed(trunk, {start: Rotation.identity() for start in LIMBS}, dict.fromkeys(LIMBS, 0.5))
    quaternion, _ = oriented(xyz)
    spine = quaternion[joint("Spine")]
    assert np.linalg.norm(spine) == pytest.approx(1.0)
    assert (trunk.inv() * Rotation.from_quat(spine)).magnitude() < 1e-7


@settings(deadline=None, max_examples=40)
@given(seed=seeds, straight=st.booleans())
def test_orientations_turn_with_the_world_and_their_std_stays(seed, straight):
    rng = np.random.default_rng(seed)
    xyz, _ = a_body(seed, lowest_bend=0.0 if straight else 0.4)
    covariance = random_covariances(rng)
    turn = Rotation.random(None, rng)
    R = turn.as_matrix()
    before, std = oriented(xyz, covariance)
    after, turned_std = oriented(turn.apply(xyz) + rng.normal(size=3), R @ covariance @ R.T)
    known = np.isfinite(before[:, 0])
    np.testing.assert_array_equal(known, np.isfinite(after[:, 0]))
    off = ((turn * Rotation.from_quat(before[known])).inv() * Rotation.from_quat(after[known])).magnitude()
    assert off.max() < 1e-5
    np.testing.assert_allclose(turned_std, std, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("bend", [0.0, 0.1])
def test_straight_limb_has_a_direction_but_says_that_its_twist_is_not_known(bend):
    """An arm that is raised sideways by 0.8 rad, bent less than its joints' errors show."""
    raised = Rotation.from_euler("x", 0.8)
    limbs = {start: Rotation.identity() for start in LIMBS} | {"LShoulder": raised * Rotation.from_euler("z", 1.1)}
    turned = Rotation.from_euler("z", 0.6)
    xyz, _ = posed(turned, limbs, dict.fromkeys(LIMBS, 0.6) | {"LShoulder": bend})
    quaternion, std = oriented(xyz, np.eye(3) * 0.02**2)
    arm = [joint("LShoulder"), joint("LElbow")]
    assert np.isnan(std[arm, 2]).all()
    assert (std[arm, :2] < 0.15).all()
    along = Rotation.from_quat(quaternion[arm]).apply([0, 0, -1.0])
    wanted = np.diff(xyz[[*arm, joint("LWrist")]], axis=0)
    np.testing.assert_allclose(along, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-9)
    # Turned from the trunk onto the limb the shortest way, which is a rotation about x.
    assert (Rotation.from_quat(quaternion[arm[0]]).inv() * turned * raised).magnitude() == pytest.approx(0, abs=1e-9)
    assert np.isfinite(std[joint("RShoulder")]).all()


@pytest.mark.parametrize("size_m", [0.003, 0.01])
def test_std_is_that_of_orientations_from_joints_with_errors(size_m):
    rng = np.random.default_rng(8)
    xyz, _ = a_body(4, lowest_bend=0.8)
    covariance = random_covariances(rng, size_m)
    quaternion, std = oriented(xyz, covariance)
    root = np.linalg.cholesky(covariance)
    drawn = xyz + (root @ rng.normal(size=(6000, 17, 3, 1)))[..., 0]
    noisy, _ = joint_orientations(H36M_17, drawn, np.broadcast_to(SURE, (6000, 17, 3, 3)))
    for name in (*TRUNK, *LIMBS, *(hinge for hinge, _, _ in LIMBS.values())):
        off = (
            Rotation.from_quat(quaternion[joint(name)]).inv() * Rotation.from_quat(noisy[:, joint(name)])
        ).as_rotvec()
        assert std[joint(name)] == pytest.approx(np.sqrt((off**2).mean(axis=0)), rel=0.1), name


def test_twist_counts_from_the_bend_on_at_which_its_std_falls_below_the_limit():
    still = {start: Rotation.identity() for start in LIMBS}
    twists = []
    for bend in np.linspace(0.02, 1.0, 50):
        xyz, _ = posed(Rotation.identity(), still, dict.fromkeys(LIMBS, bend))
        twists.append(oriented(xyz, np.eye(3) * 0.02**2)[1][joint("LElbow"), 2])
    known = np.isfinite(twists)
    assert not known[0]
    assert known[-1]
    first = int(known.argmax())
    assert known[first:].all()
    assert 0.8 * MAX_TWIST_STD_RAD < twists[first] < MAX_TWIST_STD_RAD
    assert (np.diff(twists[first:]) < 0).all()


def test_limb_that_is_stretched_turns_bit_by_bit_to_where_its_twist_is_not_known():
    """An arm twisted by 1.1 rad against the trunk turned onto it, bent less and less: no step is over 6 degrees."""
    limbs = {start: Rotation.identity() for start in LIMBS} | {"LShoulder": Rotation.from_euler("xz", [0.8, 1.1])}
    turned = []
    for bend in np.linspace(0.9, 0.0, 200):
        xyz, _ = posed(Rotation.identity(), limbs, dict.fromkeys(LIMBS, 0.6) | {"LShoulder": bend})
        turned.append(oriented(xyz, np.eye(3) * 0.02**2)[0][joint("LShoulder")])
    turned = Rotation.from_quat(turned)
    assert (turned[0].inv() * turned[-1]).magnitude() > 0.9
    assert (turned[:-1].inv() * turned[1:]).magnitude().max() < np.radians(6)


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        ("LWrist", {"LElbow"}),  # the upper arm still has a direction
        ("RKnee", {"RHip", "RKnee"}),
        ("LHip", {*TRUNK, "LHip", "LKnee"}),
        ("Nose", set()),
    ],
)
def test_missing_joint_takes_only_the_frames_that_need_it(missing, gone):
    xyz, frames = a_body(3)
    covariance = SURE.copy()
    xyz[joint(missing)], covariance[joint(missing)] = np.nan, np.nan
    quaternion, std = oriented(xyz, covariance)
    known = {name for name in H36M_17.joint_names if np.isfinite(quaternion[joint(name)]).all()}
    assert known == set(frames) - gone
    assert np.isnan(std[[joint(name) for name in set(H36M_17.joint_names) - known]]).all()
    assert np.isnan(std[joint("LShoulder")]).tolist() == [False, False, missing == "LWrist"]


def test_straight_limb_without_a_trunk_has_no_orientation():
    still = {start: Rotation.identity() for start in LIMBS}
    xyz, _ = posed(Rotation.identity(), still, dict.fromkeys(LIMBS, 0.6) | {"RShoulder": 0.0})
    xyz[joint("LHip")] = np.nan
    quaternion, std = oriented(xyz)
    assert np.isnan(quaternion[[joint("RShoulder"), joint("RElbow")]]).all()
    assert np.isnan(std[[joint("RShoulder"), joint("RElbow")]]).all()
    assert np.isfinite(quaternion[joint("LElbow")]).all()


def test_detectors_skeleton_has_the_same_limbs_and_others_none():
    xyz, frames = a_body(5)
    coco = np.full((17, 3), np.nan)
    for row, weights in enumerate(map_matrix(H36M_17, COCO_17)):
        if weights.any():
            coco[row] = weights @ xyz
    quaternion, _ = oriented(coco, skeleton=COCO_17)
    for name in set(frames) - set(TRUNK):
        off = (frames[name].inv() * Rotation.from_quat(quaternion[COCO_17.index(name)])).magnitude()
        assert off < 1e-6, name
    hand = Skeleton("hand", ("Palm", "Thumb"), (-1, 0), ())
    quaternion, std = oriented(np.eye(3)[:2], np.eye(3), hand)
    assert np.isnan(quaternion).all()
    assert np.isnan(std).all()


def test_no_person_has_no_orientations():
    quaternion, std = joint_orientations(H36M_17, np.zeros((0, 17, 3)), np.zeros((0, 17, 3, 3)))
    assert (quaternion.shape, std.shape) == ((0, 17, 4), (0, 17, 3))
