"""A body's bones and motion: truth from a jointed figure whose bones are constant, seen with errors of known size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jointed_figure import STATURE_M, figure
from scipy.stats import chi2
from synthetic_people import h36m_rig, seen

from pose3d_ros.errors import InputError
from pose3d_ros.estimation import body, body_window, checkpoint
from pose3d_ros.estimation.body import JOINTS, MADE, NAMES
from pose3d_ros.estimation.body_window import BodyFrame, Past
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.two_sided import Part, packed, two_sided, unpacked
from pose3d_ros.geometry.observations import observations
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Keypoints2D, Pose3D, Rig

RIG = h36m_rig()
RATE_HZ = 30


def run(
    rig: Rig, count: int, noise_px: float = 4.0, stature_m: float = STATURE_M, **options: object
) -> tuple[list[Estimate], Floats]:
    """Estimates of count sets, and the truth (count, 17, 3) m."""
    rng = np.random.default_rng(3)
    estimator = PoseEstimator(
        rig,
        options=EstimatorOptions(refine="none", min_hits=1, calibration_px=0.0, **options),  # type: ignore[arg-type]
    )
    estimates, truth = [], []
    for k in range(count):
        xyz = figure(k / RATE_HZ, stature_m)
        keypoints = {}
        for camera in rig.cameras:
            found = seen(camera, xyz[None], rng, noise_px=noise_px, stamp_ns=round(k * 1e9 / RATE_HZ))
            spread = np.broadcast_to(noise_px**2 * np.eye(2), (1, 17, 2, 2))
            keypoints[camera.name] = Keypoints2D(
                found.xy, np.full(found.score.shape, 0.7), H36M_17, found.stamp_ns, covariance=spread
            )
        estimates.append(estimator.estimate_from_keypoints(keypoints))
        truth.append(xyz)
    return estimates, np.array(truth)


def joints_of(poses: list[Pose3D]) -> Floats:
    """(T, 16, 3) m of the only person, without HeadTop."""
    return np.stack([pose.xyz[0, MADE] for pose in poses])


def from_both_sides(estimates: list[Estimate], part: int = 64) -> list[Pose3D]:
    def parts():  # type: ignore[no-untyped-def]
        for first in range(0, len(estimates), part):
            some = estimates[first : first + part]
            frames = checkpoint.from_bytes(checkpoint.to_bytes(packed([one.frames for one in some])))
            yield Part([one.pose for one in some], unpacked(frames))

    return [pose for poses in two_sided(parts) for pose in poses]


def errors_mm(poses: list[Pose3D], truth: Floats) -> Floats:
    return 1000 * np.linalg.norm(joints_of(poses) - truth[:, MADE], axis=-1)


@pytest.mark.parametrize("cameras", [2, 4])
def test_bones_and_motion_take_a_third_of_the_error_away(cameras: int) -> None:
    rig = Rig(RIG.cameras[:cameras])
    plain, truth = run(rig, 90, smoothing="none")
    smooth, _ = run(rig, 90)
    late, _ = run(rig, 93, lag_sets=3)
    before = errors_mm([one.pose for one in plain], truth)[30:].mean()
    assert errors_mm([one.pose for one in smooth], truth)[30:].mean() < 0.67 * before
    shifted = [one.pose for one in late[3:]]
    assert [pose.stamp_ns for pose in shifted] == [one.pose.stamp_ns for one in plain]
    assert errors_mm(shifted, truth)[30:].mean() < 0.6 * before
    assert errors_mm(from_both_sides(smooth), truth).mean() < 0.5 * before


def test_bones_become_constant_and_those_of_the_truth() -> None:
    estimates, truth = run(RIG, 120)
    poses = from_both_sides(estimates)
    xyz = np.stack([pose.xyz[0, JOINTS] for pose in poses])
    limbs = body.PAIRS[:10]
    length = np.linalg.norm(xyz[:, limbs[:, 0]] - xyz[:, limbs[:, 1]], axis=-1)
    true = np.linalg.norm(truth[0, JOINTS][limbs[:, 0]] - truth[0, JOINTS][limbs[:, 1]], axis=-1)
    assert (length.std(axis=0) / length.mean(axis=0)).max() < 0.003
    np.testing.assert_allclose(length.mean(axis=0), true, rtol=0.03)
    settled = np.stack([one.pose.xyz[0, JOINTS] for one in estimates[RATE_HZ:]])
    length = np.linalg.norm(settled[:, limbs[:, 0]] - settled[:, limbs[:, 1]], axis=-1)
    assert np.median(length.std(axis=0) / length.mean(axis=0)) < 0.006


@pytest.mark.parametrize("stature_m", [1.5, 1.8])
def test_stature_is_learnt_with_its_uncertainty(stature_m: float) -> None:
    estimates, _ = run(RIG, 90, stature_m=stature_m)
    first, last = estimates[0].pose, estimates[-1].pose
    assert abs(last.stature_m[0] - stature_m) < 2 * last.stature_std_m[0]
    assert last.stature_std_m[0] < first.stature_std_m[0] < body.STATURE_STD_M


def test_a_person_of_another_scale_keeps_it() -> None:
    """A doll, a baby, or a rig in another unit: prior lengths would bend it."""
    estimates, truth = run(RIG, 60, stature_m=0.6, noise_px=0.5)
    assert errors_mm([one.pose for one in estimates], truth).mean() < 5


def test_ellipsoids_hold_the_truth() -> None:
    estimates, truth = run(Rig(RIG.cameras[:2]), 150)
    for poses in ([one.pose for one in estimates], from_both_sides(estimates)):
        miss = joints_of(poses)[30:] - truth[30:, MADE]
        covariance = np.stack([pose.covariance[0, MADE] for pose in poses])[30:]
        squared = np.einsum("tja,tjab,tjb->tj", miss, np.linalg.inv(covariance), miss)
        assert (squared < chi2.ppf(0.95, 3)).mean() > 0.9


def test_a_joint_that_no_camera_sees_is_not_invented() -> None:
    estimates, _ = run(RIG, 10, smoothing="none")
    smooth, _ = run(RIG, 10)
    for plain, one in zip(estimates, smooth, strict=True):
        np.testing.assert_array_equal(np.isfinite(plain.pose.xyz), np.isfinite(one.pose.xyz))
        np.testing.assert_array_equal(plain.pose.source, one.pose.source)


def test_the_result_does_not_depend_on_how_a_recording_is_cut() -> None:
    estimates, truth = run(RIG, 70)
    whole, cut = from_both_sides(estimates, 70), from_both_sides(estimates, 25)
    assert np.abs(joints_of(whole) - joints_of(cut)).max() < 0.005
    assert errors_mm(cut, truth).mean() < 1.1 * errors_mm(whole, truth).mean()


def test_a_person_who_comes_back_keeps_the_bones() -> None:
    rng = np.random.default_rng(0)
    estimator = PoseEstimator(RIG, options=EstimatorOptions(refine="none", min_hits=1, max_age_s=30.0))
    lengths = []
    for k in [*range(60), *range(100, 103)]:
        xyz = figure(k / RATE_HZ)
        keypoints = {c.name: seen(c, xyz[None], rng, stamp_ns=round(k * 1e9 / RATE_HZ)) for c in RIG.cameras}
        pose = estimator.estimate_from_keypoints(keypoints).pose
        lengths.append((pose.ids, float(pose.stature_m[0]), float(pose.stature_std_m[0])))
    assert lengths[59][0] == lengths[-1][0]
    assert lengths[60][1] == pytest.approx(lengths[59][1], abs=0.02)
    assert lengths[60][2] < 1.01 * lengths[59][2]


def test_a_lag_needs_the_smoothing_that_uses_it() -> None:
    with pytest.raises(InputError, match=r"lag_sets is 3, but only smoothing body .* expected 0 with smoothing none"):
        EstimatorOptions(smoothing="none", lag_sets=3)


def a_frame(rng: np.random.Generator, xyz: Floats, time_s: float) -> BodyFrame:
    px = np.stack([seen(c, xyz[None], rng).xy[0] for c in RIG.cameras])[:, JOINTS]
    rays = observations(RIG.cameras, px, None, None, 4.0)
    return BodyFrame(
        time_s, rays.rotation, rays.translation[..., 0], rays.xy, rays.whiten, np.zeros((17, 3, 3)),
        np.zeros(len(body.PAIRS)), body.FLEX_M,
    )  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_window_ends_where_its_cost_is_least(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [a_frame(rng, figure(k / 12), k / 12) for k in range(5)]
    start = np.stack([figure(k / 12)[JOINTS] for k in range(5)])
    past = Past(np.zeros(0), np.zeros((0, len(NAMES), 3)), body.PRIOR_LENGTHS_M, np.linalg.inv(body.PRIOR_COVARIANCE))
    found = body_window.solve(frames, [start], body.MODEL, past)
    for _ in range(5):
        near = found.x + rng.normal(scale=0.004, size=found.x.shape)
        once = replace(past, lengths=found.lengths + rng.normal(scale=0.002, size=len(found.lengths)))
        cost = body_window.equations(frames, near, once.lengths, body.MODEL, past)[0]
        assert found.cost <= cost


def test_covariances_of_all_frames_are_blocks_of_the_inverse() -> None:
    rng = np.random.default_rng(1)
    frames = [a_frame(rng, figure(k / 12), k / 12) for k in range(5)]
    start = np.stack([figure(k / 12)[JOINTS] for k in range(5)])
    past = Past(np.zeros(0), np.zeros((0, len(NAMES), 3)), body.PRIOR_LENGTHS_M, np.linalg.inv(body.PRIOR_COVARIANCE))
    found = body_window.solve(frames, [start], body.MODEL, past)
    blocks = body_window.covariances(found)
    for k in range(5):
        np.testing.assert_allclose(blocks[k], found.covariance(k), rtol=1e-6, atol=1e-12)
