"""Keypoints of several cameras brought to one time, against motion that is known."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_people import h36m_rig, walker

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Keypoints2D, Rig
from pose3d_ros.synchronisation.resampling import RAMP_S, Resampler, at_time

MS = 1_000_000
T0 = 1_700_000_000 * 10**9
BODY = np.random.default_rng(0).uniform(0, 200, (17, 2))


def moving(people: list[tuple[float, float]], at_ms: float) -> Keypoints2D:
    """People who start at x px and move along it by px/ms."""
    xy = np.stack([BODY + np.array((start + speed * at_ms, 0.0)) for start, speed in people])
    return Keypoints2D(xy, np.full(xy.shape[:2], 0.9), H36M_17, T0 + round(at_ms * MS))


def test_people_are_interpolated_when_their_order_changes() -> None:
    people = [(0.0, 0.3), (500.0, -0.2)]
    images = [moving(people, 0), moving(people[::-1], 33), moving(people, 67)]
    found = at_time(images, T0 + 50 * MS)
    assert found.xy == pytest.approx(moving(people, 50).xy)
    assert at_time(images, T0 + 10 * MS).xy == pytest.approx(moving(people, 10).xy)
    assert found.stamp_ns == T0 + 50 * MS


def test_nothing_is_extrapolated_or_made_of_images_far_apart_or_of_other_people() -> None:
    images = [moving([(0.0, 0.3)], 0), moving([(0.0, 0.3)], 33)]
    assert at_time(images, T0 - MS) is images[-1]
    assert at_time(images, T0 + 33 * MS) is images[-1]
    apart = [moving([(0.0, 0.1)], 0), moving([(0.0, 0.1)], 200)]
    assert at_time(apart, T0 + 100 * MS) is apart[-1]
    other = [moving([(900.0, 0.0)], 0), moving([(0.0, 0.0)], 33)]
    assert at_time(other, T0 + 20 * MS).xy == pytest.approx(other[-1].xy)


def test_joint_that_one_image_lacks_stays_as_it_is() -> None:
    before, after = moving([(0.0, 0.3)], 0), moving([(0.0, 0.3)], 33)
    xy = before.xy.copy()
    xy[0, 4] = np.nan
    found = at_time([Keypoints2D(xy, before.score, H36M_17, before.stamp_ns), after], T0 + 20 * MS)
    assert found.xy[0, 4] == pytest.approx(after.xy[0, 4])
    assert found.xy[0, 5] == pytest.approx(moving([(0.0, 0.3)], 20).xy[0, 5])


def test_time_is_that_of_the_camera_furthest_behind_and_never_steps_back() -> None:
    common, times = Resampler(), []
    for n in range(90):
        at_ms = 33.3 * n
        seen = {"a": moving([(0.0, 0.1)], at_ms), "b": moving([(0.0, 0.1)], at_ms)}
        found, time_ns = common(seen, {"a": 0.0, "b": 0.05 if n > 20 else 0.0})
        times.append((time_ns - T0) / MS - at_ms)
    assert times[:20] == pytest.approx([0.0] * 20, abs=1e-3)
    assert times[-1] == pytest.approx(-50.0, abs=1e-3)
    assert np.abs(np.diff(times)).max() <= 1e3 * RAMP_S + 1e-3
    # Camera b's clock is 50 ms late, so that what it shows now was 50 ms ago; camera a is asked for then.
    assert found["b"].xy == pytest.approx(seen["b"].xy)
    assert found["a"].xy == pytest.approx(moving([(0.0, 0.1)], at_ms - 50.0).xy, abs=1e-6)


def person(t_s: float) -> Floats:
    """Walks to and fro, 1 m/s."""
    lap, along = divmod(t_s, 3.0)
    sign = 1.0 if lap % 2 == 0 else -1.0
    body = walker((0.0, 0.0), (0.8 * sign, 0.6 * sign), t_s)
    body[:, :2] += np.array((0.8, 0.6)) * sign * (along - 1.5 - t_s)
    return body


def test_compensation_takes_the_error_of_late_cameras_away() -> None:
    cameras, late_s = h36m_rig().cameras[:3], (0.0, 0.05, -0.02)
    options = EstimatorOptions(refine="none", compensate_offsets=True, monocular_fallback="never", smoothing="none")
    estimator = PoseEstimator(Rig(cameras), None, options)
    error_m: list[float] = []
    miss_px: list[float] = []
    for n in range(140):
        stamp_ns = T0 + n * 50 * MS
        seen = {
            c.name: Keypoints2D(project(c, person(n * 0.05 - late)[None]), np.full((1, 17), 0.9), H36M_17, stamp_ns)
            for c, late in zip(cameras, late_s, strict=True)
        }
        pose = estimator.estimate_from_keypoints(seen).pose
        true = person((pose.stamp_ns - T0) * 1e-9)
        error_m.append(float(np.nanmedian(np.linalg.norm(pose.xyz[0] - true, axis=-1))))
        miss_px.append(float(np.nanmedian(pose.reprojection_px[0])))
    before, after = slice(20, 60), slice(125, None)  # the offsets are not known before 4 s of walking
    assert np.median(miss_px[before]) > 3.0
    assert np.median(miss_px[after]) < 0.5
    assert np.median(error_m[before]) > 0.006
    assert np.median(error_m[after]) < 0.003
