import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose3d_ros.errors import InputError
from pose3d_ros.evaluation.metrics import auc, joint_errors, mpjpe, mrpe, pa_mpjpe, pck

SHIFT = np.array([0.101, 0, 0])  # m; between two thresholds of the AUC


def body(seed, shape=(10, 17)):
    return np.random.default_rng(seed).normal(0, 0.5, (*shape, 3))


def off_by(truth, metres):
    """Every joint moved by its own distance in a random direction."""
    direction = np.random.default_rng(0).normal(size=truth.shape)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return truth + np.asarray(metres)[..., None] * direction


def test_shift_of_3_and_4_cm_is_an_error_of_5_cm():
    truth = body(0)
    estimate = truth + np.array([0.03, 0.0, -0.04])
    assert mpjpe(estimate, truth) == pytest.approx(0.05)
    assert mpjpe(estimate, truth, root=0) == pytest.approx(0.0)
    assert mrpe(estimate, truth) == pytest.approx(0.05)


def test_root_relative_keeps_the_root_in_the_mean():
    truth = body(1)
    estimate = truth.copy()
    estimate[:, 1:] += (0.17, 0, 0)
    assert mpjpe(estimate, truth, root=0) == pytest.approx(0.17 * 16 / 17)


def test_mrpe_depends_on_the_root_only():
    truth = body(2)
    estimate = truth.copy()
    estimate[:, 5] += (0, 2.0, 0)
    assert mrpe(estimate, truth, root=5) == pytest.approx(2.0)
    assert mrpe(estimate, truth, root=0) == 0.0


@settings(max_examples=25, deadline=None)
@given(turn=st.tuples(*[st.floats(-3, 3)] * 3), shift=st.tuples(*[st.floats(-9, 9)] * 3), scale=st.floats(0.2, 5))
def test_pa_mpjpe_is_invariant_to_similarity(turn, shift, scale):
    truth, estimate = body(3), body(3) + 0.05 * body(4)
    R = Rotation.from_rotvec(turn).as_matrix()
    assert pa_mpjpe(scale * truth @ R.T + shift, truth) == pytest.approx(0, abs=1e-9)
    assert pa_mpjpe(scale * estimate @ R.T + shift, truth) == pytest.approx(pa_mpjpe(estimate, truth), abs=1e-9)
    assert 0 < pa_mpjpe(estimate, truth) < mpjpe(estimate, truth)


def test_pck_is_the_share_below_150_mm():
    truth = body(5, (4,))
    estimate = off_by(truth, [0.0, 0.149, 0.151, 1.0])
    assert pck(estimate, truth) == 0.5
    assert pck(estimate, truth, threshold_m=0.2) == 0.75


def test_auc_is_the_mean_over_thresholds_0_to_150_mm_in_5_mm_steps():
    truth = body(6, (3,))
    # Below 5, 10, ..., 150 mm: 30 of 31 thresholds; above 52 mm: 55 ... 150 mm, 20 of 31; 1 m: none.
    estimate = off_by(truth, [0.0, 0.052, 1.0])
    assert auc(estimate, truth) == pytest.approx((30 + 20 + 0) / (3 * 31))
    assert auc(truth, truth) == pytest.approx(30 / 31)


def test_missing_joint_is_ignored_in_means_and_wrong_in_pck():
    truth = body(7, (2, 4))
    estimate = truth + SHIFT
    estimate[0, 1] = np.nan
    assert mpjpe(estimate, truth) == pytest.approx(0.101)
    assert pck(estimate, truth) == pytest.approx(7 / 8)
    assert auc(estimate, truth) == pytest.approx(7 / 8 * auc(truth + SHIFT, truth))
    assert np.isnan(joint_errors(estimate, truth)[0, 1])


def test_joint_without_truth_is_ignored():
    truth = body(8, (2, 4))
    estimate = truth + SHIFT
    estimate[1, 2] += 9.0
    truth[1, 2] = np.nan
    assert mpjpe(estimate, truth) == pytest.approx(0.101)
    assert pck(estimate, truth) == 1.0


def test_pose_without_its_root_is_left_out_of_root_relative_means():
    truth = body(9, (2, 4))
    estimate = truth.copy()
    estimate[0, 2] += (0.4, 0, 0)
    estimate[1, 0] = np.nan
    assert mpjpe(estimate, truth, root=0) == pytest.approx(0.1)
    assert mrpe(estimate, truth) == 0.0


@pytest.mark.parametrize("metric", [mpjpe, pa_mpjpe, mrpe, pck, auc])
def test_nothing_to_compare_is_nan(metric):
    nothing = np.full((3, 17, 3), np.nan)
    assert np.isnan(metric(nothing, nothing))
    assert np.isnan(metric(np.zeros((0, 17, 3)), np.zeros((0, 17, 3))))


def test_different_shapes_are_rejected():
    with pytest.raises(InputError, match=r"estimate \(17, 3\) and truth \(16, 3\)"):
        mpjpe(np.zeros((17, 3)), np.zeros((16, 3)))
