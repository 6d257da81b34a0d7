import numpy as np
import pytest
from synthetic_motion import arrays

from pose3d_ros.estimation.refinement.posern_gate import CLOSE, LEAST, OPEN, BiasGate, Evidence, evidence, explained
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.detector_bias import DetectorBias, learnable_bias
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import simulated_rig
from pose3d_ros.simulation.views import SimulatedViews, simulate
from pose3d_ros.structures import Floats

FRAME_NS = 100_000_000


def views(bias: DetectorBias | None) -> SimulatedViews:
    """48 people before Human3.6M's first rig."""
    one = simulated_rig("h36m", 0, held_out=False)
    xyz = np.asarray(arrays()["xyz"], dtype=np.float64)[::4][:, None]
    rng = np.random.default_rng(1)
    return simulate(placed(xyz, one.floor, rng), one, GaussianNoise(one.sigma_px), rng, bias=bias)


def slope(seen: SimulatedViews, predicted_px: Floats) -> float:
    """Of a prediction (V, P, 17, 2) px that does not look at the keypoints."""
    xy, std = seen.xy_px[:, :, 0], np.where(seen.score[:, :, 0] > 0, seen.sigma_px, np.nan)

    def solve(points: Floats) -> Floats:
        return triangulate(seen.cameras, points, sigma_px=seen.sigma_px, max_std_m=np.inf).xyz

    found = evidence(lambda _, points: points - predicted_px, solve, seen.cameras, xy, std, solve(xy))
    assert found.power.shape == (xy.shape[1],)
    return float(found.agreement.sum() / found.power.sum())


def test_the_slope_is_one_where_the_predicted_bias_is_there_and_zero_where_it_is_not():
    biased, free = views(learnable_bias()), views(None)
    predicted = (biased.biased_px - biased.true_px)[:, :, 0]
    assert slope(biased, predicted) == pytest.approx(1.0, abs=0.25)
    assert slope(free, predicted) == pytest.approx(0.0, abs=0.25)
    assert slope(biased, -predicted) == pytest.approx(-1.0, abs=0.25)


def test_a_shift_in_space_that_all_cameras_share_leaves_no_evidence():
    seen = views(None)
    shift = np.array([0.03, 0.0, 0.02])
    exact, moved = (
        np.stack([project(camera, seen.truth[:, 0] - by) for camera in seen.cameras]) for by in (0.0 * shift, shift)
    )
    along, predicted = exact - moved, (views(learnable_bias()).biased_px - seen.true_px)[:, :, 0]
    std = np.full(along.shape[:-1], seen.sigma_px)

    def solve(points: Floats) -> Floats:
        return triangulate(seen.cameras, points, sigma_px=seen.sigma_px, max_std_m=np.inf).xyz

    power = [
        evidence(lambda _, points, by=by: points - by, solve, seen.cameras, exact, std, solve(exact)).power.sum()
        for by in (along, predicted)
    ]
    assert power[0] < 1e-2 * power[1]


def test_missing_keypoints_and_gross_errors_do_not_decide():
    rng = np.random.default_rng(0)
    share = rng.normal(size=(4, 3, 17, 2))
    std = np.ones((4, 3, 17))
    residual = share.copy()
    residual[0, 0, 5] = np.nan
    std[1, 1] = np.nan
    clean = explained(residual, share, std)
    np.testing.assert_allclose(clean.agreement, clean.power)
    residual[2, 2, 3] = -1e4 * share[2, 2, 3]
    spoilt = explained(residual, share, std)
    assert abs(spoilt.agreement[2] / spoilt.power[2] - 1.0) < 0.3


def fed(gate: BiasGate, slope: float, people: int) -> BiasGate:
    for number in range(people):
        gate.update(Evidence(np.array([slope]), np.array([1.0])), number * FRAME_NS)
    return gate


def test_the_gate_opens_on_evidence_only_and_stays_open_a_little_below():
    gate = BiasGate()
    assert np.isnan(gate.slope)
    assert not gate.is_open
    assert not fed(gate, 0.9, LEAST - 1).is_open
    assert fed(gate, 0.9, 2).is_open
    assert not fed(BiasGate(), (OPEN + CLOSE) / 2, 5 * LEAST).is_open
    assert "opens at" in str(gate)


def test_an_open_gate_closes_when_the_bias_is_gone():
    gate = fed(BiasGate(), 0.9, 2 * LEAST)
    assert gate.is_open
    assert not fed(gate, 0.0, 6 * LEAST).is_open


def test_people_without_evidence_do_not_count_and_frames_too_near_are_not_due():
    gate = BiasGate()
    gate.update(Evidence(np.zeros(3), np.zeros(3)), 0)
    assert gate.seen == 0
    assert not gate.due(10_000_000)
    assert gate.due(FRAME_NS)
