"""Planes through points that lie on a known floor, some of them above it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pose3d_ros.geometry.floor_plane import fit_floor, tilt_axes

UP = np.array([0.0, 0.0, 1.0])


def on_floor(rng, count, turn, offset_m, above_m=0.0, noise_m=0.0):
    """Points (count, 3) m within 3 m on the plane z = 0, turned and moved."""
    flat = np.column_stack([rng.uniform(-3, 3, (count, 2)), np.full(count, above_m)])
    return turn.apply(flat) + offset_m + noise_m * rng.normal(size=(count, 3))


def fitted(points, noise_m, up=UP, up_std_rad=0.05, groups=None, group_std_m=0.0):
    covariance = np.broadcast_to(np.eye(3) * noise_m**2, (len(points), 3, 3))
    groups = np.arange(len(points)) if groups is None else groups
    return fit_floor(points, covariance, up, up_std_rad, 0.001, groups, group_std_m)


def deviation(plane, turn, offset_m):
    """The true plane against the fitted one: two tilts in rad, the height in m, as the message defines them.

    By a point's height alone: the true floor at p is higher than the fitted one by t1 e2.p - t2 e1.p + h.
    """
    normal = turn.apply(UP)
    e1, e2 = tilt_axes(plane[:3])
    points = np.stack([np.zeros(3), e1, e2])
    # From each point along the fitted normal to the true plane, and to the fitted one.
    true = (normal @ offset_m - points @ normal) / (normal @ plane[:3])
    fit = -(points @ plane[:3] + plane[3])
    at_origin, at_e1, at_e2 = true - fit
    return np.array([at_e2 - at_origin, at_origin - at_e1, at_origin])


def test_axes_are_square_to_the_normal_and_right_handed():
    for normal in (UP, np.array([1.0, 0, 0]), np.array([-0.6, 0.0, 0.8]), np.array([0.95, 0.0, np.sqrt(1 - 0.95**2)])):
        frame = np.column_stack([*tilt_axes(normal), normal])
        assert frame.T @ frame == pytest.approx(np.eye(3))
        assert np.linalg.det(frame) == pytest.approx(1.0)
    assert tilt_axes(UP)[0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_exact_points_give_the_plane_through_them(seed):
    rng = np.random.default_rng(seed)
    turn, offset = Rotation.from_rotvec([0.06, -0.05, 0.0]), rng.normal(size=3) * 4
    plane, _, count = fitted(on_floor(rng, 20, turn, offset), 1e-4)
    assert plane == pytest.approx([*turn.apply(UP), -turn.apply(UP) @ offset], abs=2e-5)
    assert count == 20


def test_points_on_steps_and_a_wrong_one_below_do_not_move_the_floor():
    rng = np.random.default_rng(3)
    turn, offset = Rotation.from_rotvec([0.05, 0.02, 0.0]), np.array([1.0, 2.0, 0.4])
    floor = on_floor(rng, 20, turn, offset, noise_m=0.01)
    steps = [on_floor(rng, 8, turn, offset, above_m=high, noise_m=0.01) for high in (0.2, 0.4)]
    below = on_floor(rng, 1, turn, offset, above_m=-0.5)
    plane, covariance, count = fitted(np.concatenate([floor, *steps, below]), 0.01)
    off = deviation(plane, turn, offset)
    assert np.abs(off[:2]).max() < 0.01
    assert abs(off[2]) < 0.03
    assert off @ np.linalg.solve(covariance, off) < 14.2  # 99.7 % of three normal numbers
    assert 18 <= count <= 21


def test_covariance_covers_the_truth_of_many_floors():
    """Squared deviations in standard deviations, of three numbers; 95 % lie below 7.81."""
    rng, nees = np.random.default_rng(5), []
    for _ in range(300):
        turn, offset = Rotation.from_rotvec([*rng.normal(0, 0.05, 2), 0.0]), rng.normal(size=3) * 3
        plane, covariance, _ = fitted(on_floor(rng, 25, turn, offset, noise_m=0.02), 0.02)
        off = deviation(plane, turn, offset)
        nees.append(off @ np.linalg.solve(covariance, off))
    assert 0.92 <= np.mean(np.array(nees) < 7.81) <= 0.99
    assert 2.2 < np.mean(nees) < 3.4


def test_shared_error_of_a_person_widens_the_covariance_as_much_as_it_moves_the_floor():
    rng, nees = np.random.default_rng(6), []
    groups = np.repeat([1, 2, 3], 10)
    for _ in range(300):
        points = on_floor(rng, 30, Rotation.identity(), np.zeros(3), noise_m=0.005)
        points[:, 2] += 0.015 * rng.normal(size=3)[groups - 1]
        plane, covariance, _ = fitted(points, 0.01, groups=groups, group_std_m=0.015)
        off = deviation(plane, Rotation.identity(), np.zeros(3))
        nees.append(off @ np.linalg.solve(covariance, off))
    assert np.mean(np.array(nees) < 7.81) > 0.92


def test_points_on_a_line_leave_the_tilt_about_it_to_the_prior():
    points = np.column_stack([np.linspace(-3, 3, 12), np.zeros(12), np.zeros(12)])
    plane, covariance, _ = fitted(points, 0.01, up_std_rad=0.05)
    assert plane[:3] == pytest.approx(UP, abs=1e-6)
    about_x, about_y = np.sqrt(np.diag(covariance)[:2])
    assert about_x == pytest.approx(0.05, rel=1e-3)
    assert about_y < 0.005
