"""Smoothing takes jitter away without lagging behind, and never invents or hides a joint."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_people import walker
from synthetic_poses import pose_at

from pose3d_ros.estimation.smoothing import Smoother
from pose3d_ros.structures import Floats, Pose3D


def pose_of(xyz: Floats, stamp_ns: int, identity: str = "1") -> Pose3D:
    """A visible person at xyz (17, 3) m with 2 cm of doubt."""
    return pose_at(xyz, (identity,), stamp_ns, covariance=np.broadcast_to(4e-4 * np.eye(3), (1, 17, 3, 3)))


def run(method: str, speed: float, noise_m: float, frames: int = 120) -> tuple[float, float]:
    """RMS error in m of raw and smoothed joints of a walker at 30 fps, once the filter has settled."""
    rng = np.random.default_rng(1)
    smoother = Smoother(method)
    raw, smooth = [], []
    for k in range(frames):
        truth = walker((-2, 0), (speed, 0), k / 30)
        noisy = truth + rng.normal(0, noise_m, truth.shape)
        result = smoother(pose_of(noisy, round(k / 30 * 1e9)))
        if k > 30:
            raw.append(noisy - truth)
            smooth.append(result.xyz[0] - truth)
    return float(np.sqrt(np.mean(np.square(raw)))), float(np.sqrt(np.mean(np.square(smooth))))


@pytest.mark.parametrize("method", ["one_euro", "kalman"])
def test_a_standing_person_jitters_less(method: str) -> None:
    raw, smooth = run(method, 0.0, 0.02)
    assert smooth < 0.75 * raw


@pytest.mark.parametrize("method", ["one_euro", "kalman"])
def test_a_walking_person_is_not_left_behind(method: str) -> None:
    _, smooth = run(method, 1.2, 0.0)
    assert smooth < 0.04


def test_none_changes_nothing() -> None:
    pose = pose_of(walker((0, 0), (1, 0), 0.3), 0)
    assert Smoother()(pose) is pose


@pytest.mark.parametrize("method", ["one_euro", "kalman"])
def test_absent_joints_stay_absent_and_come_back_as_seen(method: str) -> None:
    smoother = Smoother(method)
    body = walker((0, 0), (0, 0), 0)
    hidden = body.copy()
    hidden[5] = np.nan
    smoother(pose_of(hidden, 0))
    result = smoother(pose_of(hidden, 33_000_000))
    assert np.isnan(result.xyz[0, 5]).all()
    np.testing.assert_allclose(smoother(pose_of(body, 66_000_000)).xyz[0, 5], body[5])
    assert np.isfinite(smoother(pose_of(body, 99_000_000)).xyz).all()


@pytest.mark.parametrize("method", ["one_euro", "kalman"])
@pytest.mark.parametrize("jump_s", [-2.0, 5.0])
def test_a_jump_in_time_starts_afresh(method: str, jump_s: float) -> None:
    smoother = Smoother(method)
    for k in range(10):
        smoother(pose_of(walker((0, 0), (1, 0), k / 30), round((10 + k / 30) * 1e9)))
    elsewhere = walker((2, 2), (0, 0), 0)
    result = smoother(pose_of(elsewhere, round((10.3 + jump_s) * 1e9)))
    np.testing.assert_allclose(result.xyz[0], elsewhere)


@pytest.mark.parametrize("method", ["one_euro", "kalman"])
def test_a_jump_in_space_starts_afresh(method: str) -> None:
    smoother = Smoother(method)
    for k in range(30):
        smoother(pose_of(walker((0, 0), (1, 0), k / 60), round(k / 60 * 1e9)))
    for k in range(30, 60):
        elsewhere = walker((1.5, 1.0), (1, 0), k / 60)
        result = smoother(pose_of(elsewhere, round(k / 60 * 1e9)))
        assert np.linalg.norm(result.xyz[0] - elsewhere, axis=-1).mean() < 0.04, k


@pytest.mark.parametrize("method", ["one_euro", "kalman"])
def test_people_do_not_mix(method: str) -> None:
    smoother = Smoother(method)
    smoother(pose_of(walker((0, 0), (0, 0), 0), 0, "1"))
    other = walker((3, 3), (0, 0), 0)
    np.testing.assert_allclose(smoother(pose_of(other, 33_000_000, "2")).xyz[0], other)
