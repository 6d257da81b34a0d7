"""What we ask of tf_transformations, of our stand-in and of the distribution's alike."""

from __future__ import annotations

import numpy as np
import pytest

HALF = np.sqrt(0.5)


@pytest.fixture
def transformations(taken):
    return taken("tf_transformations")


def test_quaternion_is_x_y_z_w(transformations):
    quarter_turn_about_z = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert transformations.quaternion_matrix([0, 0, HALF, HALF]) == pytest.approx(quarter_turn_about_z)
    quaternion = np.asarray(transformations.quaternion_from_matrix(quarter_turn_about_z))
    assert quaternion * np.sign(quaternion[3]) == pytest.approx([0, 0, HALF, HALF])


def test_random_rotations_round_trip(transformations):
    for quaternion in np.random.default_rng(2).normal(size=(50, 4)):
        quaternion /= np.linalg.norm(quaternion) * np.sign(quaternion[3])
        matrix = transformations.quaternion_matrix(quaternion)
        back = np.asarray(transformations.quaternion_from_matrix(matrix))
        assert back * np.sign(back[3]) == pytest.approx(quaternion, abs=1e-9)


def test_translation_is_the_last_column(transformations):
    assert transformations.translation_matrix([1, 2, 3]) == pytest.approx(
        np.array([[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]])
    )
