"""Bones' frames: rotations along the bones, hinges about +x, without jumps where a limb is straight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.simulation.rendering.orientations import (
    BENT,
    FLAT_BELOW_M,
    PRONATION_RAD,
    between,
    bone_frames,
    rotation,
    rotation_between,
    standing,
)
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats

SEEDS = st.integers(0, 2**32 - 1)
# Part of the body -> the joints between which its y axis points.
ALONG = {
    "pelvis": ("Pelvis", "Spine"), "chest": ("Spine", "Thorax"), "head": ("Thorax", "HeadTop"),
    **{f"thigh.{side}": (f"{side}Hip", f"{side}Knee") for side in "LR"},
    **{f"shin.{side}": (f"{side}Knee", f"{side}Ankle") for side in "LR"},
    **{f"arm.{side}": (f"{side}Shoulder", f"{side}Elbow") for side in "LR"},
    **{f"forearm.{side}": (f"{side}Elbow", f"{side}Wrist") for side in "LR"},
}  # fmt: skip
HINGES = [(f"thigh.{side}", f"shin.{side}") for side in "LR"] + [(f"arm.{side}", f"forearm.{side}") for side in "LR"]
# A standing person who faces +y: left is -x.
STANDING = {
    "Pelvis": (0.0, 0.0, 0.95), "RHip": (0.1, 0.0, 0.95), "RKnee": (0.1, 0.0, 0.5), "RAnkle": (0.1, 0.0, 0.08),
    "LHip": (-0.1, 0.0, 0.95), "LKnee": (-0.1, 0.0, 0.5), "LAnkle": (-0.1, 0.0, 0.08), "Spine": (0.0, 0.0, 1.2),
    "Thorax": (0.0, 0.0, 1.45), "Nose": (0.0, 0.1, 1.6), "HeadTop": (0.0, 0.0, 1.75), "LShoulder": (-0.18, 0.0, 1.45),
    "LElbow": (-0.18, 0.0, 1.15), "LWrist": (-0.18, 0.0, 0.9), "RShoulder": (0.18, 0.0, 1.45),
    "RElbow": (0.18, 0.0, 1.15), "RWrist": (0.18, 0.0, 0.9),
}  # fmt: skip
LEFT, FRONT, UP = np.array([-1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])


def pose(**moved: tuple[float, float, float]) -> Floats:
    """(17, 3) m of the standing person with some joints elsewhere."""
    return np.array([(STANDING | moved)[name] for name in H36M_17.joint_names])


@pytest.fixture(scope="module")
def motion() -> Motion:
    """Walking, crouching, falling, gestures and more of four people."""
    return generated_motion(0, subjects=4)


@pytest.fixture(scope="module")
def xyz(motion) -> Floats:
    """(T, 17, 3) m."""
    return motion.xyz


def anyhow(seed: int, count: int = 20) -> Floats:
    """Joints (count, 17, 3) m that no person could have."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 17, 3))


def assert_rotations(frames: Floats) -> None:
    assert np.abs(frames @ np.swapaxes(frames, -1, -2) - np.eye(3)).max() < 1e-9
    assert np.abs(np.linalg.det(frames) - 1.0).max() < 1e-9


def direction(xyz: Floats, part: str) -> Floats:
    begin, end = (xyz[:, H36M_17.index(name)] for name in ALONG[part])
    return (end - begin) / np.linalg.norm(end - begin, axis=-1, keepdims=True)


def test_frames_of_motion_are_rotations(xyz):
    for frames in bone_frames(xyz, np.array([0.3, -0.5])).values():
        assert_rotations(frames)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_frames_of_impossible_poses_are_rotations_along_their_bones(seed):
    """Noise in a detector's or a converter's joints must not shear a body."""
    xyz = anyhow(seed)
    frames = bone_frames(xyz)
    for frame in frames.values():
        assert_rotations(frame)
    for part in ALONG:
        assert np.abs(frames[part][..., 1] - direction(xyz, part)).max() < 1e-9


def test_y_points_along_the_bone(xyz):
    frames = bone_frames(xyz, np.array([PRONATION_RAD, -PRONATION_RAD]))
    for part in ALONG:
        assert np.abs(frames[part][..., 1] - direction(xyz, part)).max() < 1e-9, part


def test_x_of_the_trunk_points_left_and_z_to_the_front(xyz):
    frames = bone_frames(xyz)
    for part, left, right in (("pelvis", "LHip", "RHip"), ("chest", "LShoulder", "RShoulder")):
        across = xyz[:, H36M_17.index(left)] - xyz[:, H36M_17.index(right)]
        assert (np.einsum("tc,tc->t", frames[part][..., 0], across) > 0).all()
    upright = {name: frame[0] for name, frame in bone_frames(pose()[None]).items()}
    for part in ("pelvis", "chest", "head"):
        assert np.allclose(upright[part], np.stack([LEFT, UP, FRONT], axis=1), atol=1e-9), part


def test_a_standing_person_has_the_documented_frames():
    frames = {name: frame[0] for name, frame in bone_frames(pose()[None]).items()}
    for side in "LR":
        for part in (f"thigh.{side}", f"shin.{side}"):
            assert np.allclose(frames[part], np.stack([LEFT, -UP, -FRONT], axis=1), atol=1e-9)
        assert np.allclose(frames[f"foot.{side}"], np.stack([LEFT, FRONT, -UP], axis=1), atol=1e-9)
        for part in (f"arm.{side}", f"forearm.{side}"):
            # The thumb of a half pronated, hanging hand is in front.
            assert np.allclose(frames[part], np.stack([-LEFT, -UP, FRONT], axis=1), atol=1e-9)
        assert np.allclose(frames[f"clavicle.{side}"], frames["chest"], atol=1e-9)


@pytest.mark.parametrize(("upper", "lower"), HINGES)
def test_bent_knees_and_elbows_bend_about_plus_x(motion, upper, lower):
    """Also of an arm that is raised overhead, where the hanging arm is no guide."""
    frames = bone_frames(motion.xyz)
    axis = np.cross(frames[upper][..., 1], frames[lower][..., 1])
    sine = np.linalg.norm(axis, axis=-1)
    bend = np.linalg.norm(frames[lower][..., 1] - frames[upper][..., 1], axis=-1)
    assert (bend > 2.0 * BENT).mean() > 0.05
    for part in (upper, lower):
        along = np.einsum("tc,tc->t", axis / np.maximum(sine, 1e-9)[:, None], frames[part][..., 0])
        assert along[bend > BENT].min() > 0.0
        assert along[bend > 2.0 * BENT].min() > 1.0 - 1e-9


@pytest.mark.parametrize("part", ["thigh.L", "thigh.R", "arm.L", "arm.R"])
def test_no_limb_flips_about_itself_from_frame_to_frame(motion, part):
    """Clips have 12 frames a second: an arm that falls turns by 26 degrees in one."""
    frames = bone_frames(motion.xyz)[part]
    turned = Rotation.from_matrix(frames[1:] @ np.swapaxes(frames[:-1], -1, -2)).magnitude()
    within = np.delete(turned, [clip.start - 1 for clip in motion.clips[1:]])
    assert np.rad2deg(within.max()) < 45.0


@pytest.mark.parametrize("side", "LR")
def test_a_straightened_knee_and_elbow_keep_their_frames(side):
    """Through straight and a little beyond, as noise does it, no frame turns by more than the bones do."""
    x = STANDING[f"{side}Hip"][0], STANDING[f"{side}Shoulder"][0]
    angles = np.deg2rad(np.linspace(60.0, -10.0, 351))
    xyz = np.stack([
        pose(**{
            f"{side}Ankle": (x[0], -0.42 * np.sin(a), 0.5 - 0.42 * np.cos(a)),
            f"{side}Wrist": (x[1], 0.25 * np.sin(a), 1.15 - 0.25 * np.cos(a)),
        })
        for a in angles
    ])  # fmt: skip
    step = abs(angles[1] - angles[0])
    for part in ("thigh", "shin", "arm", "forearm"):
        frames = bone_frames(xyz)[f"{part}.{side}"]
        turned = Rotation.from_matrix(frames[1:] @ np.swapaxes(frames[:-1], -1, -2)).magnitude()
        assert turned.max() < 1.01 * step, part


@pytest.mark.parametrize("side", "LR")
def test_a_limb_that_bends_to_the_side_turns_gradually(side):
    """A limb's own plane takes over as the bend grows, instead of at one angle."""
    x = STANDING[f"{side}Shoulder"][0]
    bends = np.deg2rad(np.linspace(0.0, 60.0, 301))
    sideways = np.deg2rad(50.0)  # from the front
    xyz = np.stack([
        pose(**{
            f"{side}Wrist": (
                x + 0.25 * np.sin(a) * np.sin(sideways), 0.25 * np.sin(a) * np.cos(sideways), 1.15 - 0.25 * np.cos(a),
            )
        })
        for a in bends
    ])  # fmt: skip
    frames = bone_frames(xyz)[f"arm.{side}"]
    turned = Rotation.from_matrix(frames[1:] @ np.swapaxes(frames[:-1], -1, -2)).magnitude()
    assert turned.max() < np.deg2rad(1.5)
    assert 0.9 * sideways < turned.sum() < 1.1 * sideways


def test_pronation_turns_both_thumbs_inwards():
    turned = bone_frames(pose()[None], np.array([PRONATION_RAD, PRONATION_RAD]))
    # Hands hang in front of the thighs: thumbs, +z, turn towards the body's middle.
    assert turned["forearm.L"][0, :, 2] @ -LEFT > 0.5
    assert turned["forearm.R"][0, :, 2] @ LEFT > 0.5
    assert np.allclose(turned["arm.L"], bone_frames(pose()[None])["arm.L"])


def test_feet_are_level_and_point_where_the_shin_faces(xyz):
    frames = bone_frames(xyz)
    for side in "LR":
        foot, shin = frames[f"foot.{side}"], frames[f"shin.{side}"]
        assert np.abs(foot[:, 2, 1]).max() < 1e-9
        assert (np.einsum("tc,tc->t", foot[..., 1], -shin[..., 2]) >= 0).all()


def test_a_raised_arm_lifts_the_shoulder_by_a_third_beyond_60_degrees():
    for degrees, expected in ((30.0, 0.0), (60.0, 0.0), (120.0, 20.0)):
        a = np.deg2rad(degrees)
        x = STANDING["LShoulder"][0]
        elbow = (x - 0.3 * np.sin(a), 0.0, 1.45 - 0.3 * np.cos(a))
        wrist = (x - 0.55 * np.sin(a), 0.0, 1.45 - 0.55 * np.cos(a))
        frames = bone_frames(pose(LElbow=elbow, LWrist=wrist)[None])
        turn = Rotation.from_matrix(frames["clavicle.L"][0] @ frames["chest"][0].T)
        assert np.rad2deg(turn.magnitude()) == pytest.approx(expected, abs=1e-6)


def test_a_foot_stands_where_its_ankle_is_low():
    height = np.array([0.0, FLAT_BELOW_M, 1.5 * FLAT_BELOW_M, 2.0 * FLAT_BELOW_M, 1.0])
    assert np.allclose(standing(height), [1.0, 1.0, 0.5, 0.0, 0.0])


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_rotations_are_scipys(seed):
    vectors = np.random.default_rng(seed).uniform(-3.0, 3.0, (5, 3))
    vectors[0] = 0.0
    assert np.allclose(rotation(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


@given(SEEDS, st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_between_is_spherical_interpolation(seed, share):
    both = Rotation.from_rotvec(np.random.default_rng(seed).uniform(-1.7, 1.7, (2, 3)))
    first, second = both.as_matrix()
    expected = Slerp([0.0, 1.0], both)(share).as_matrix()
    assert np.allclose(between(first, second, share), expected, atol=1e-7)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_least_rotation_turns_one_vector_onto_the_other_by_their_angle(seed):
    first, second = np.random.default_rng(seed).normal(size=(2, 8, 3))
    first, second = (one / np.linalg.norm(one, axis=-1, keepdims=True) for one in (first, second))
    second[0], second[1] = first[0], -first[1]
    turn = rotation_between(first, second)
    assert_rotations(turn)
    assert np.allclose(np.einsum("nab,nb->na", turn, first), second, atol=1e-9)
    angle = np.arctan2(np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(axis=-1))
    assert np.allclose(Rotation.from_matrix(turn).magnitude(), angle, atol=1e-6)
