import numpy as np
import pytest

from pose3d_ros.detection.boxes import around, grown, iou, oks, suppress


def test_iou_of_equal_half_and_apart():
    boxes = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1], [5, 5, 6, 6]])
    np.testing.assert_allclose(iou(boxes[:1], boxes), [[1.0, 0.5, 0.0]])


def test_suppression_keeps_the_best_of_similar_boxes():
    similarity = np.array([[1, 0.9, 0.1], [0.9, 1, 0.1], [0.1, 0.1, 1]])
    assert suppress(similarity, np.array([0.5, 0.8, 0.2]), threshold=0.6).tolist() == [1, 2]


def test_oks_is_one_for_the_same_person_and_falls_with_distance():
    xy = np.zeros((3, 17, 2))
    xy[1] += 5.0
    xy[2] += 500.0
    similarities = oks(xy, np.ones((3, 17)), np.full(3, 100.0 * 100.0))
    assert similarities[0, 0] == pytest.approx(1.0)
    assert 0.4 < similarities[0, 1] < 0.95
    assert similarities[0, 2] < 1e-6


def test_guessed_joints_do_not_distinguish_people():
    xy = np.zeros((2, 17, 2))
    xy[1, 11:] = 1000.0
    score = np.ones((2, 17))
    score[1, 11:] = 0.0
    assert oks(xy, score, np.full(2, 1e4))[0, 1] == pytest.approx(1.0)


def test_box_around_joints_ignores_low_scores():
    xy = np.array([[0.0, 1], [4, 5], [100, 100]])
    assert around(xy, np.array([0.9, 0.5, 0.1]), min_score=0.2).tolist() == [0, 1, 4, 5]


def test_growing_keeps_the_centre():
    assert grown(np.array([0.0, 0, 2, 4]), 1.5).tolist() == [-0.5, -1, 2.5, 5]
