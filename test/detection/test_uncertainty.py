import numpy as np
import pytest

from pose3d_ros.detection.uncertainty import JOINT_SIGMA_PX, covariance
from pose3d_ros.skeletons import COCO_17


def test_joint_spreads_are_equal_left_and_right():
    assert JOINT_SIGMA_PX.shape == (COCO_17.size,)
    for left, right in COCO_17.left_right:
        assert JOINT_SIGMA_PX[left] == JOINT_SIGMA_PX[right]


def test_spread_grows_with_the_crop_and_falls_with_the_score():
    score = np.array([np.full(17, 1.0), np.full(17, 0.5), np.full(17, 1.0)])
    sigma = np.sqrt(covariance(score, np.array([1.0, 1.0, 3.0]))[..., 0, 0])
    np.testing.assert_allclose(sigma[0], JOINT_SIGMA_PX)
    np.testing.assert_allclose(sigma[2], 3 * JOINT_SIGMA_PX)
    assert (sigma[1] > 5 * sigma[0]).all()


def test_covariances_are_finite_and_definite_at_any_score():
    spread = covariance(np.array([np.linspace(0, 1, 17)]), np.array([3.4]))
    assert np.isfinite(spread).all()
    assert np.linalg.eigvalsh(spread).min() > 0


def test_confident_wrist_of_a_person_900_px_tall_has_the_measured_spread():
    wrist = COCO_17.index("LWrist")
    sigma = np.sqrt(covariance(np.full((1, 17), 0.8), np.array([4.0]))[0, wrist, 0, 0])
    assert sigma == pytest.approx(17.5, abs=0.5)
