"""What cameras are off by, measured from people: against errors that were put in."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.calibration_noise import MEMORY_S, CalibrationNoise
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.observation import gathered, triangulated
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.structures import Keypoints2D, Rig

RIG = h36m_rig()


def shifted(offsets: np.ndarray, noise_px: float, frame: int, seed: int = 0) -> list[Keypoints2D]:
    rng = np.random.default_rng([seed, frame])
    truth = walker((-1, 0), (0.5, 0.3), frame / 30)[None]
    people = [seen(camera, truth, rng, noise_px=noise_px) for camera in RIG.cameras]
    return [Keypoints2D(one.xy + offset, one.score, one.skeleton) for one, offset in zip(people, offsets, strict=True)]


def test_offsets_of_cameras_are_measured() -> None:
    """The mean over many rigs: one rig's offsets are eight numbers, of which a person's place takes three."""
    found = []
    for seed in range(60):
        offsets = np.random.default_rng(seed).normal(0, 9.0, (4, 2))
        people = gathered(shifted(offsets, 0.0, 0, seed), np.array([[0, 0, 0, 0]]))
        placed = triangulated(RIG.cameras, people, min_views=2, max_std_m=np.inf)
        found.append(CalibrationNoise().update(placed, 0) ** 2)
    assert np.sqrt(np.mean(found)) == pytest.approx(9.0, rel=0.12)


def test_cameras_that_agree_are_off_by_nothing() -> None:
    people = gathered(shifted(np.zeros((4, 2)), 0.0, 0), np.array([[0, 0, 0, 0]]))
    placed = triangulated(RIG.cameras, people, min_views=2, max_std_m=np.inf)
    assert CalibrationNoise().update(placed, 0) == pytest.approx(0.0, abs=1e-3)


def with_residual(px: float) -> Observed3D:
    """One joint seen by two cameras: one degree of freedom, two residuals."""
    shape = (1, 1)
    return Observed3D(
        np.zeros((*shape, 3)), np.zeros((*shape, 3, 3)), np.ones(shape), np.full(shape, 2, np.uint8),
        np.full(shape, px / np.sqrt(2)),
    )  # fmt: skip


def test_empty_views_measure_nothing_and_old_observations_are_dropped() -> None:
    meter = CalibrationNoise()
    no_people = with_residual(np.nan)
    assert meter.update(no_people, 0) == 0.0
    assert meter.update(with_residual(4.0), 0) == pytest.approx(4.0)
    soon = meter.update(with_residual(1.0), 1)
    assert 1.0 < soon < 4.0
    assert meter.update(with_residual(1.0), round(20e9 * MEMORY_S)) == pytest.approx(1.0, abs=1e-3)
    assert meter.update(no_people, round(21e9 * MEMORY_S)) == pytest.approx(1.0, abs=1e-3)


def test_a_rig_that_is_off_publishes_wider_joints_in_the_same_places() -> None:
    offsets = np.array([(9.0, -4.0), (-6.0, 3.0), (2.0, 8.0), (-5.0, -7.0)])
    exact, wide = (PoseEstimator(RIG, options=EstimatorOptions(refine="none", calibration_px=px)) for px in (0.0, -1.0))
    for frame in range(3):
        people = shifted(offsets, 2.0, frame)
        given = {
            camera.name: Keypoints2D(one.xy, one.score, one.skeleton, frame * 33_000_000)
            for camera, one in zip(RIG.cameras, people, strict=True)
        }
        narrow, wider = exact.estimate_from_keypoints(given).pose, wide.estimate_from_keypoints(given).pose
    np.testing.assert_allclose(narrow.xyz, wider.xyz, atol=1e-12)
    grown = np.linalg.eigvalsh(wider.covariance - narrow.covariance)
    assert (grown[np.isfinite(grown)] > 0).all()
    assert np.isfinite(grown).any()


def test_a_robot_that_drives_keeps_what_was_measured_and_another_calibration_does_not() -> None:
    rig = h36m_rig()
    estimator = PoseEstimator(rig, options=EstimatorOptions(refine="none"))
    measured = {"_squared_px": 90.0, "_freedom": 10.0, "_stamp_ns": 5}
    estimator.load_state_dict(estimator.state_dict() | {"calibration_noise": measured})
    moved = np.eye(4)
    moved[:3, 3] = (0.4, -1.0, 0.0)
    driven = Rig(tuple(one.placed(one.cam_from_world @ moved) for one in rig.cameras), rig.frame_id)
    estimator.set_rig(driven)
    assert estimator.state_dict()["calibration_noise"] == measured
    turned = Rig(
        (driven.cameras[0].placed(driven.cameras[0].cam_from_world @ moved), *driven.cameras[1:]), rig.frame_id
    )
    estimator.set_rig(turned)
    assert not any(estimator.state_dict()["calibration_noise"].values())
