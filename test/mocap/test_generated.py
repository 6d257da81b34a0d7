"""Generated motion: bodies that keep their lengths, joints that bend as people's do, actions that are what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.generated import generated_motion
from pose3d_ros.mocap.motion import Motion, motion_from_arrays
from pose3d_ros.simulation.augmentation import swapped
from pose3d_ros.skeletons import DERIVED, H36M_17

ACTIONS = {
    "walking",
    "turning on the spot",
    "sitting down and standing up",
    "reaching and stooping",
    "crouching",
    "falling and lying",
    "standing with gestures",
}
UPRIGHT = ("walking", "turning on the spot", "crouching")  # with arms that hang or reach forward


@pytest.fixture(scope="module")
def motion() -> Motion:
    return generated_motion(7)


def takes(motion, *actions):
    """The clips (T, 17, 3) m of some actions, of all without one."""
    return [
        motion.xyz[clip.start : clip.start + clip.length]
        for clip in motion.clips
        if not actions or clip.name in actions
    ]


def joint(xyz, name):
    return xyz[..., H36M_17.index(name), :]


def bone_lengths(xyz):
    """Of (..., 17, 3) m: (..., 16), in the order of the joints that end them."""
    parents, children = np.array(H36M_17.bones).T
    return np.linalg.norm(xyz[..., children, :] - xyz[..., parents, :], axis=-1)


def fastest(xyz, fps):
    return (np.linalg.norm(np.diff(xyz, axis=0), axis=-1) * fps).max()


def to_left(xyz):
    """Directions (T, 3) across the hips."""
    across = joint(xyz, "LHip") - joint(xyz, "RHip")
    return across / np.linalg.norm(across, axis=-1, keepdims=True)


def hinge(xyz, joints):
    """Sine of the bend (T,) about the axis to the left; a knee's is positive: the shin goes back from the thigh."""
    root, middle, end = (joint(xyz, name) for name in joints)
    upper, lower = middle - root, end - middle
    turn = np.cross(upper, lower) / np.linalg.norm(upper, axis=-1)[:, None] / np.linalg.norm(lower, axis=-1)[:, None]
    return (turn * to_left(xyz)).sum(axis=-1)


def knees(xyz):
    return np.stack([hinge(xyz, [side + name for name in ("Hip", "Knee", "Ankle")]) for side in "LR"])


def ankles(xyz):
    return np.stack([joint(xyz, "LAnkle"), joint(xyz, "RAnkle")], axis=1)


def headings(xyz):
    """Angles (T,) rad of the direction that the hips face, without jumps."""
    left = to_left(xyz)
    return np.unwrap(np.arctan2(-left[:, 0], left[:, 1]))


def check_body(motion):
    """What holds for every clip of every person."""
    for xyz, clip in zip(takes(motion), motion.clips, strict=True):
        lengths = bone_lengths(xyz)
        assert np.ptp(lengths, axis=0).max() < 1e-9
        np.testing.assert_allclose(lengths[0], bone_lengths(xyz[0][swapped(H36M_17)]), atol=1e-9)
        for name, parts in DERIVED.items():
            expected = sum(weight * joint(xyz, part) for part, weight in parts.items())
            np.testing.assert_allclose(joint(xyz, name), expected, atol=1e-9)
        assert xyz[..., 2].min() > 0.03
        assert fastest(xyz, clip.fps) < 6
        assert knees(xyz).min() > 0.05


def test_bones_keep_their_lengths_and_no_joint_is_below_the_floor_or_too_fast(motion):
    check_body(motion)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    stature=st.floats(1.2, 2.1),
    seconds=st.floats(1, 6),
    fps=st.sampled_from([12.0, 30.0]),
)
def test_every_seed_and_stature_gives_a_sound_body(seed, stature, seconds, fps):
    motion = generated_motion(seed, subjects=1, seconds=seconds, fps=fps, stature_m=(stature, stature))
    check_body(motion)
    standing = max(joint(xyz, "HeadTop")[:, 2].max() for xyz in takes(motion, "standing with gestures"))
    assert stature - 0.1 < standing < stature + 0.01


def test_proportions_are_those_of_the_literature():
    motion = generated_motion(0, subjects=60, seconds=1, fps=2, stature_m=(1.7, 1.7))
    mean = bone_lengths(np.stack([xyz[0] for xyz in takes(motion, "walking")])).mean(axis=0) / 1.7
    share = dict(zip([H36M_17.joint_names[child] for _, child in H36M_17.bones], mean, strict=True))
    expected = {"LKnee": 0.245, "LAnkle": 0.246, "LElbow": 0.186, "LWrist": 0.146}
    assert {name: share[name] for name in expected} == pytest.approx(expected, rel=0.02)


def test_each_subject_does_every_action(motion):
    assert len(motion.subjects) == 12
    assert {(clip.subject, clip.name) for clip in motion.clips} == {
        (subject, action) for subject in motion.subjects for action in ACTIONS
    }
    assert all(clip.native and clip.fps == 12 and clip.length == 72 for clip in motion.clips)


def test_elbows_bend_forward(motion):
    for xyz in takes(motion, *UPRIGHT):
        for side in "LR":
            assert hinge(xyz, [side + name for name in ("Shoulder", "Elbow", "Wrist")]).max() < 0


def test_nose_is_a_hand_s_breadth_in_front_of_the_head_s_axis(motion):
    for xyz in takes(motion):
        axis = joint(xyz, "HeadTop") - joint(xyz, "Thorax")
        axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
        nose = joint(xyz, "Nose") - joint(xyz, "Thorax")
        before = nose - (nose * axis).sum(axis=-1, keepdims=True) * axis
        np.testing.assert_allclose(np.linalg.norm(before, axis=-1), 0.10, atol=1e-9)


def test_nose_leads(motion):
    for xyz in takes(motion, *UPRIGHT):
        forward = np.cross(to_left(xyz), (0, 0, 1))
        assert ((joint(xyz, "Nose") - joint(xyz, "Thorax")) * forward).sum(axis=-1).min() > 0


def test_standing_ankles_are_eight_centimetres_above_the_floor(motion):
    for xyz in takes(motion, "standing with gestures", "crouching", "reaching and stooping"):
        np.testing.assert_allclose(ankles(xyz)[..., 2], 0.08, atol=1e-9)


def test_walking_travels_forward_along_a_curve(motion):
    turned = []
    for xyz in takes(motion, "walking"):
        pelvis, left = joint(xyz, "Pelvis"), to_left(xyz)
        assert np.linalg.norm(pelvis[-1, :2] - pelvis[0, :2]) > 1
        forward = np.cross(left, (0, 0, 1))[:-1]
        assert ((np.diff(pelvis, axis=0) * forward).sum(axis=-1) > 0).all()
        turned.append(np.ptp(headings(xyz)))
    assert np.median(turned) > 0.3


def test_planted_foot_does_not_slide():
    for xyz in takes(generated_motion(1, subjects=6, fps=60), "walking", "turning on the spot"):
        feet = ankles(xyz)
        on_floor = (feet[..., 2] < 0.0801)[1:] & (feet[..., 2] < 0.0801)[:-1]
        steps_m = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1)
        assert on_floor.mean(axis=0) == pytest.approx(0.4, abs=0.15)
        assert steps_m[on_floor].max() * 60 < 0.1  # m/s; a swinging foot has 2 to 5
        assert (feet[..., 2].min(axis=1) < 0.0801).mean() > 0.8  # one foot carries the body


def test_turning_stays_in_place(motion):
    turned = []
    for xyz in takes(motion, "turning on the spot"):
        assert np.ptp(joint(xyz, "Pelvis")[:, :2], axis=0).max() < 0.1
        turned.append(np.ptp(headings(xyz)))
    assert min(turned) > 0.5
    assert np.median(turned) > 1.5


def test_sitting_lowers_the_pelvis_to_a_chair_and_rises_again(motion):
    for xyz in takes(motion, "sitting down and standing up"):
        height = joint(xyz, "Pelvis")[:, 2]
        assert 0.41 < height.min() < 0.51
        assert height.max() > 0.75
        seated = xyz[height < height.min() + 0.01]
        thigh = joint(seated, "LKnee") - joint(seated, "LHip")
        assert np.abs(thigh[:, 2] / np.linalg.norm(thigh, axis=-1)).max() < 0.5  # within 30 degrees of level


def test_reaching_hands_come_from_near_the_floor_to_over_the_head(motion):
    wrists = np.concatenate(
        [xyz[:, [H36M_17.index("LWrist"), H36M_17.index("RWrist")]] for xyz in takes(motion, "reaching and stooping")]
    )
    heads = np.concatenate([joint(xyz, "HeadTop") for xyz in takes(motion, "reaching and stooping")])
    assert wrists[..., 2].min() < 0.25
    assert (wrists[..., 2] > heads[:, None, 2]).any()


def test_crouching_bends_the_knees_over_feet_that_stay(motion):
    for xyz in takes(motion, "crouching"):
        height = joint(xyz, "Pelvis")[:, 2]
        assert height.min() < 0.75 * height.max()
        assert np.ptp(ankles(xyz), axis=0).max() < 1e-9


def test_falls_end_on_front_back_and_side():
    faces = []
    for xyz in takes(generated_motion(2, subjects=24), "falling and lying"):
        lying = xyz[joint(xyz, "Pelvis")[:, 2].argmin()]
        assert joint(lying, "Pelvis")[2] < 0.3
        assert joint(lying, "HeadTop")[2] < 0.5
        assert joint(xyz[0], "HeadTop")[2] > 1.4
        faces.append(np.cross(to_left(lying[None])[0], joint(lying, "Thorax") - joint(lying, "Pelvis"))[2])
    assert min(faces) < -0.3  # on the belly
    assert max(faces) > 0.3  # on the back
    assert np.abs(faces).min() < 0.2


def test_gestures_reach_over_the_head_and_across_the_chest(motion):
    xyz = np.concatenate(takes(motion, "standing with gestures"))
    left = to_left(xyz)
    across = {side: ((joint(xyz, f"{side}Wrist") - joint(xyz, "Thorax")) * left).sum(axis=-1) for side in "LR"}
    assert ((across["L"] < 0) & (across["R"] > 0)).any()
    assert (joint(xyz, "LWrist")[:, 2] > joint(xyz, "HeadTop")[:, 2]).any()


@pytest.mark.parametrize("subjects", [3, 12])
def test_every_split_has_subjects_and_shares_none(subjects):
    motion = generated_motion(0, subjects=subjects, seconds=1)
    names = [set(motion.split(split).subjects) for split in ("train", "val", "test")]
    assert all(names)
    assert sum(map(len, names)) == len(set.union(*names)) == subjects
    assert len(names[0]) >= subjects // 2


def test_same_seed_gives_the_same_bytes_and_another_seed_other_people():
    one, again, other = (generated_motion(seed, subjects=2) for seed in (4, 4, 5))
    assert one.xyz.tobytes() == again.xyz.tobytes()
    assert one.clips == again.clips
    for mine, theirs in zip(takes(one), takes(other), strict=True):
        assert np.abs(mine - theirs).max() > 0.05
    assert not set(one.subjects) & set(other.subjects)


def test_more_subjects_leave_the_first_ones_as_they_are():
    few, many = generated_motion(4, subjects=1), generated_motion(4, subjects=3)
    np.testing.assert_array_equal(many.xyz[: len(few.xyz)], few.xyz)
    assert many.clips[: len(few.clips)] == few.clips


def test_windows_are_drawn_from_it_as_from_motion_capture(motion):
    train = motion.split("train")
    assert train.draw(50, 27, np.random.default_rng(0)).shape == (50, 27)
    assert len(motion.split("test").even(10, 9)) == 10 * len(motion.split("test").subjects)


def test_it_passes_the_checks_of_motion_files(motion):
    arrays = {
        "xyz": motion.xyz,
        "joint_names": np.array(H36M_17.joint_names),
        "clip_start": np.array([clip.start for clip in motion.clips]),
        "clip_len": np.array([clip.length for clip in motion.clips]),
        "fps": np.array([clip.fps for clip in motion.clips]),
        "subject": np.array([clip.subject for clip in motion.clips]),
        "motion": np.array([clip.name for clip in motion.clips]),
        "split": np.array([clip.split for clip in motion.clips]),
    }
    assert motion_from_arrays(arrays).clips == motion.clips


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1, expected 0 to"),
        ({"seed": 0.5}, "seed is 0.5, expected a whole number"),
        ({"subjects": 0}, "subjects is 0, expected 1 to"),
        ({"seconds": 0}, "seconds is 0.0, expected 1 to 600"),
        ({"seconds": np.nan}, "seconds is nan, expected 1 to 600"),
        ({"fps": np.inf}, "fps is inf, expected 2 to 1000"),
        ({"fps": "fast"}, "fps"),
        ({"subjects": 1000, "seconds": 600}, "1000 subjects with 7 clips of 7200 frames have more than 2000000 frames"),
        ({"stature_m": (0.5, 1.8)}, r"stature_m\[0\] is 0.5, expected 1.2 to 2.1"),
        ({"stature_m": (1.8, 1.7)}, r"stature_m\[1\] is 1.7, expected 1.8 to 2.1"),
        ({"stature_m": 1.7}, "stature_m"),
    ],
)
def test_option_out_of_its_range_is_named(options, message):
    with pytest.raises(InputError, match=message):
        generated_motion(**{"seed": 0, **options})
