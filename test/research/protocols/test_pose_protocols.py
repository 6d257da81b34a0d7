"""What the tables of Human3.6M, TotalCapture, HumanEva-I and MPI-INF-3DHP count, by errors known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.research.datasets import humaneva, mpi_inf_3dhp, total_capture
from pose3d_ros.research.datasets.pose_sequence import PoseSequence
from pose3d_ros.research.protocols import columns, human36m
from pose3d_ros.research.protocols import mpi_inf_3dhp as shares
from pose3d_ros.research.protocols.scored import Scored, checked, errors_mm, mean_by, missing_share
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Skeleton


def body(subject: str, action: str, frames: int = 2, skeleton: Skeleton = H36M_17) -> PoseSequence:
    xyz = np.random.default_rng(len(action)).normal(0, 0.5, (frames, 1, skeleton.size, 3))
    return PoseSequence("test", subject, action, skeleton, xyz, np.arange(frames))


def off(truth: PoseSequence, metres: float, joints: slice | list[int] = slice(None)) -> Scored:
    """Estimates of which some joints are moved along x."""
    estimate = truth.xyz.copy()
    estimate[:, :, joints, 0] += metres
    return Scored(truth, estimate)


def test_alignments_take_off_what_they_name() -> None:
    truth = body("S9", "Eating")
    moved = off(truth, 0.1)
    names = H36M_17.joint_names
    np.testing.assert_allclose(errors_mm(moved, "none", names), 100)
    np.testing.assert_allclose(errors_mm(moved, "root", names), 0, atol=1e-9)
    turned = Scored(truth, 1.3 * truth.xyz[..., [1, 2, 0]] + 4)
    np.testing.assert_allclose(errors_mm(turned, "similarity", names), 0, atol=1e-9)
    assert errors_mm(turned, "root", names)[..., 1:].min() > 1
    with pytest.raises(InputError, match="alignment is 'rigid'"):
        errors_mm(moved, "rigid", names)


def test_the_root_itself_counts_among_17_and_not_among_16_joints() -> None:
    one = off(body("S9", "Eating"), 0.1, [5])
    assert human36m.per_action([one], "root", 17)["Eating"] == pytest.approx(100 / 17)
    assert human36m.per_action([one], "root", 16)["Eating"] == pytest.approx(100 / 16)
    assert human36m.per_action([one], "root", 14)["Eating"] == pytest.approx(100 / 14)
    spine = off(body("S9", "Eating"), 0.1, [H36M_17.index("Spine")])
    assert human36m.per_action([spine], "root", 14)["Eating"] == 0


def test_actions_merge_both_trials_by_frames_and_the_average_is_of_actions() -> None:
    scored = [off(body("S9", "Eating", 3), 0.1), off(body("S11", "Eating 1", 1), 0.3), off(body("S9", "Sitting"), 0.05)]
    found = human36m.per_action(scored, "none")
    assert dict(found) == pytest.approx({"Eating": 150, "Sitting": 50, "average": 100})


def test_cameras_of_one_trial_count_to_its_action() -> None:
    found = human36m.per_action([off(body("S9", "WalkDog 1/54138969"), 0.1)], "none")
    assert list(found) == ["WalkDog", "average"]


@pytest.mark.parametrize(
    ("name", "subject", "action", "frames"),
    [
        ("one", "S9", "Eating", 130), ("one", "S1", "Eating", None), ("every64", "S11", "Eating", 3),
        ("s11", "S9", "Eating", None), ("s11", "S11", "Eating", 3), ("absolute", "S9", "Greeting", None),
        ("absolute", "S9", "Greeting 1", 130), ("absolute", "S11", "Greeting", 130), ("one", "S9", "Waiting 1", 130),
        ("absolute", "S9", "Waiting 1/54138969", None),
    ],
)  # fmt: skip
def test_frames_that_a_protocol_counts(name: str, subject: str, action: str, frames: int | None) -> None:
    chosen = human36m.PROTOCOLS[name].chosen(body(subject, action, 130))
    assert (None if chosen is None else len(chosen.frames)) == frames
    if frames == 3:
        assert chosen.frames.tolist() == [0, 64, 128]


def test_missing_joints_are_left_out_of_means_and_reported() -> None:
    one = off(body("S9", "Eating"), 0.1)
    one.estimate[0, 0, :4] = np.nan
    assert mean_by([one], lambda truth: truth.action, lambda s: errors_mm(s, "none", H36M_17.joint_names)) == {
        "Eating": pytest.approx(100)
    }
    assert missing_share([one]) == pytest.approx(4 / 34)
    with pytest.raises(InputError, match=r"S9/Eating: the estimate is \(1, 1, 17, 3\), expected \(2, 1, 17, 3\)"):
        checked(one.truth, one.estimate[:1])


def test_total_capture_columns_tell_trained_subjects_from_others() -> None:
    names = ("S1", "Walking2", 0.01), ("S3", "Walking2", 0.03), ("S4", "Acting3", 0.05), ("S1", "Rom1", 9.0)
    scored = [off(body(who, what, 2, total_capture.JOINTS), metres) for who, what, metres in names]
    found = columns.per_total_capture_column(scored)
    assert dict(found) == pytest.approx({"seen W2": 20, "unseen A3": 50, "average": 35})
    head = off(body("S1", "Walking2", 2, total_capture.JOINTS), 1.0, [total_capture.JOINTS.index("Head")])
    assert columns.per_total_capture_column([head])["seen W2"] == 0


def test_humaneva_columns() -> None:
    names = ("S1", "Walking 1", 0.01), ("S3", "Box 1", 0.03), ("S1", "Gestures 1", 0.5), ("S4", "Walking 1", 9.0)
    scored = [off(body(who, what, 2, humaneva.JOINTS), metres) for who, what, metres in names]
    assert dict(columns.per_humaneva_column(scored, "none")) == pytest.approx(
        {"Walking S1": 10, "Box S3": 30, "average": 20}
    )


def test_3dhp_counts_14_joints_relative_to_the_pelvis_by_activity() -> None:
    skeleton = mpi_inf_3dhp.JOINTS_17
    xyz = np.random.default_rng(0).normal(0, 0.5, (4, 1, 17, 3))
    truth = PoseSequence("test", "TS1", "all", skeleton, xyz, np.arange(4), labels=np.array([1, 1, 6, 6]))
    estimate = xyz + 5.0  # the pelvis' own place does not count
    estimate[0, 0, skeleton.index("LWrist"), 0] += 0.2  # wrong
    estimate[2, 0, skeleton.index("RKnee"), 0] += 0.102  # right, though 102 mm off
    estimate[3, 0, skeleton.index("Nose"), 0] += 9.0  # of the 14 it is none
    found = shares.per_activity([Scored(truth, estimate)])
    assert list(found) == ["Standing/Walking", "Sports", "all"]
    assert found["Standing/Walking"].pck == pytest.approx(100 * 27 / 28)
    assert found["Sports"].pck == 100
    # 30 of 31 thresholds for a joint without error, those above 100 mm for the knee: 105, ..., 150.
    assert found["Sports"].auc == pytest.approx(100 * (27 * 30 + 10) / 28 / 31)
    assert found["all"].mpjpe_mm == pytest.approx(302 / 56)
    assert shares.per_activity([Scored(truth, estimate)], 17)["Sports"].pck == pytest.approx(100 * 33 / 34)


def test_3dhp_needs_activities() -> None:
    truth = body("TS1", "all", 2, mpi_inf_3dhp.JOINTS_17)
    with pytest.raises(InputError, match="TS1/all has no activities"):
        shares.per_activity([Scored(truth, truth.xyz)])
