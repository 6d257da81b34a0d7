"""Motion data: splits that do not leak, windows that do not cross clips, messages that help."""

import numpy as np
import pytest
import synthetic_motion

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.load import load_motion
from pose3d_ros.mocap.motion import Motion, motion_from_arrays, split_of
from pose3d_ros.skeletons import H36M_17


@pytest.fixture
def motion(tmp_path):
    return load_motion(synthetic_motion.write(tmp_path / "motion.npz"))


def test_without_data_the_message_names_the_flag_and_the_page():
    with pytest.raises(InputError, match=r"--data FILE\.npz.*docs/training\.md"):
        load_motion(None)


def test_file_that_is_not_npz_is_rejected(tmp_path):
    path = tmp_path / "walk.npz"
    path.write_text("not one")
    with pytest.raises(InputError, match=r"motion data .*walk\.npz cannot be read"):
        load_motion(path)


def test_no_subject_is_in_two_splits(motion):
    train, val, test = (set(motion.split(name).subjects) for name in ("train", "val", "test"))
    assert train == {"ann", "ben"}
    assert not train & val
    assert not train & test
    assert not val & test


def test_leaked_subject_is_rejected():
    arrays = synthetic_motion.arrays()
    arrays["split"][1] = "test"  # ann's second clip
    with pytest.raises(InputError, match="'ann' is in split 'train' and in 'test'"):
        motion_from_arrays(arrays)


def test_only_native_clips_are_tested_on(motion):
    assert [clip.name for clip in motion.split("test").clips] == ["dee_0"]
    assert not all(clip.native for clip in motion.clips)


def test_windows_never_cross_a_clip(motion):
    clip_of = np.concatenate([np.full(clip.length, n) for n, clip in enumerate(motion.clips)])
    for windows in (motion.draw(500, 20, np.random.default_rng(0)), motion.even(50, 7)):
        assert (clip_of[windows] == clip_of[windows[:, :1]]).all()
        assert (np.diff(windows, axis=1) == 1).all()


def test_subject_with_few_frames_is_drawn_as_often_as_one_with_many():
    arrays = synthetic_motion.arrays()
    arrays["clip_len"][:2] = 3  # ann keeps 6 frames, ben 48
    train = motion_from_arrays(arrays).split("train")
    drawn = train.draw(4000, 1, np.random.default_rng(1))[:, 0]
    of_ann = (drawn < 48).mean()
    assert abs(of_ann - 0.5) < 0.04  # five standard deviations; by frame it would be 0.11


def test_too_long_a_window_is_rejected(motion):
    with pytest.raises(InputError, match="no clip of the motion data has 25 frames"):
        motion.draw(1, 25, np.random.default_rng(0))


def test_joints_in_another_order_are_brought_into_ours():
    arrays = synthetic_motion.arrays()
    expected = motion_from_arrays(arrays).xyz
    order = np.random.default_rng(2).permutation(17)
    arrays["xyz"], arrays["joint_names"] = arrays["xyz"][:, order], np.array(H36M_17.joint_names)[order]
    np.testing.assert_array_equal(motion_from_arrays(arrays).xyz, expected)


def test_millimetres_and_y_up_are_rejected():
    arrays = synthetic_motion.arrays()
    with pytest.raises(InputError, match="is xyz in metres"):
        motion_from_arrays(arrays | {"xyz": arrays["xyz"] * 1000})
    with pytest.raises(InputError, match="is z up"):
        motion_from_arrays(arrays | {"xyz": arrays["xyz"] * (1, 1, -1)})
    with pytest.raises(InputError, match="is z up"):
        motion_from_arrays(arrays | {"xyz": arrays["xyz"][..., [2, 0, 1]]})


def test_split_without_clips_is_rejected(motion):
    only_train = Motion(motion.xyz, tuple(clip for clip in motion.clips if clip.split == "train"))
    with pytest.raises(InputError, match="no clip in split 'test'"):
        only_train.split("test")


def test_without_a_split_subjects_are_dealt_by_name():
    names = [f"subject {n}" for n in range(2000)]
    share = {split: np.mean([split_of(name) == split for name in names]) for split in ("train", "val", "test")}
    assert share == pytest.approx({"train": 0.6, "val": 0.2, "test": 0.2}, abs=0.04)
    arrays = synthetic_motion.arrays()
    del arrays["split"]
    assert all(clip.split == split_of(clip.subject) for clip in motion_from_arrays(arrays).clips)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("clip_start", np.zeros(1, dtype=int), r"clip_start has shape \(1,\), expected one entry a clip"),
        ("fps", np.array(12.0), r"fps has shape \(\), expected one entry a clip"),
        ("fps", np.full(len(synthetic_motion.arrays()["subject"]), "fast"), "fps holds <U4, expected numbers"),
        ("xyz", np.zeros((0, 17, 3)), r"xyz has shape \(0, 17, 3\), expected"),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(name, value, message):
    with pytest.raises(InputError, match=message):
        motion_from_arrays(synthetic_motion.arrays() | {name: value})
