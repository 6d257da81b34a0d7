"""What is learnt apart from the poses is learnt after them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from reports import report_of
from small_lifter import FlatLoaded
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.single_view import PersonLifter
from pose3d_ros.monitoring.health import CalibrationReport
from pose3d_ros.structures import Keypoints2D
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate, ClockOffsets

RIG = h36m_rig()


def walk(count: int) -> Iterator[dict[str, Keypoints2D]]:
    rng = np.random.default_rng(0)
    for number in range(count):
        people = walker((-1.5, 0.0), (1.0, 0.2), number / 15)[None]
        stamp_ns = 10**18 + round(number * 1e9 / 15)
        yield {c.name: seen(c, people, rng, noise_px=3.0, stamp_ns=stamp_ns) for c in RIG.cameras}


def ran(*, at_once: bool) -> tuple[list[Estimate], PoseEstimator]:
    fallback = PersonLifter(lifter=FlatLoaded())  # type: ignore[arg-type]
    estimator = PoseEstimator(RIG, options=EstimatorOptions(refine="none"), lifter=fallback)
    found = []
    for one in walk(100):
        found.append(estimator.estimate_from_keypoints(one))
        if at_once:
            estimator.update_background()
    return found, estimator


def test_poses_and_reports_do_not_depend_on_the_thread_of_the_background_updates() -> None:
    (soon, first), (late, second) = ran(at_once=True), ran(at_once=False)
    for a, b in zip(soon, late, strict=True):
        np.testing.assert_array_equal(a.pose.xyz, b.pose.xyz)
        assert a.reports == b.reports
    assert report_of(soon[-1], ClockEstimate).offsets
    assert report_of(soon[-1], CalibrationReport).state
    states = first.state_dict(), second.state_dict()
    assert states[0]["lifter"] == states[1]["lifter"]
    assert states[0]["lifter"]["_log_ratio"]  # how far the network is off was learnt
    assert first.calibration_health.report == second.calibration_health.report


def test_a_pose_is_published_before_its_background_update(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[int] = []
    monkeypatch.setattr(
        ClockOffsets,
        "update",
        lambda self, cameras, keypoints, ids: learnt.append(max(k.stamp_ns for k in keypoints.values())),
    )
    estimator = PoseEstimator(RIG, options=EstimatorOptions(refine="none", monocular_fallback="never"))
    first, second, third = (estimator.estimate_from_keypoints(one).pose.stamp_ns for one in walk(3))
    assert learnt == [first, second]
    estimator.update_background()
    estimator.update_background()
    assert learnt == [first, second, third]


def test_forgotten_people_cause_no_background_update(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[object] = []
    monkeypatch.setattr(ClockOffsets, "update", lambda self, *given: learnt.append(given))
    estimator = PoseEstimator(RIG, options=EstimatorOptions(refine="none", monocular_fallback="never"))
    estimator.estimate_from_keypoints(next(walk(1)))
    estimator.reset()
    estimator.update_background()
    assert not learnt
