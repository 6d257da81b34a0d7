"""What is learnt beside the poses is learnt after them, and no less for it."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.lessons import Lessons
from pose3d_ros.estimation.multiview import MultiViewEstimator
from pose3d_ros.estimation.multiview_options import MultiViewOptions
from pose3d_ros.structures import Keypoints2D

RIG = h36m_rig()
OPTIONS = MultiViewOptions(refine="none", monocular_fallback="never")


def walk(count: int) -> list[dict[str, Keypoints2D]]:
    rng = np.random.default_rng(0)
    sets = []
    for number in range(count):
        people = walker((-1.5, 0.0), (1.0, 0.2), number / 15)[None]
        stamp_ns = 10**18 + round(number * 1e9 / 15)
        sets.append({c.name: seen(c, people, rng, noise_px=3.0, stamp_ns=stamp_ns) for c in RIG.cameras})
    return sets


def ran(*, at_once: bool) -> tuple[list[Estimate], MultiViewEstimator]:
    estimator = MultiViewEstimator(RIG, options=OPTIONS)
    found = []
    for one in walk(100):
        found.append(estimator.estimate_from_keypoints(one))
        if at_once:
            estimator.learn()
    return found, estimator


def test_poses_and_reports_are_the_same_whoever_learns() -> None:
    (soon, first), (late, second) = ran(at_once=True), ran(at_once=False)
    for a, b in zip(soon, late, strict=True):
        np.testing.assert_array_equal(a.pose.xyz, b.pose.xyz)
        assert a.clocks == b.clocks
        assert a.calibration == b.calibration
    assert soon[-1].clocks.offsets
    assert soon[-1].calibration is not None
    second.learn()
    assert first.calibration_health.report == second.calibration_health.report


def test_a_pose_goes_out_before_its_lesson_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[int] = []
    monkeypatch.setattr(Lessons, "learn", lambda self: learnt.append(0))
    estimator = MultiViewEstimator(RIG, options=OPTIONS)
    before = len(learnt)
    estimator.estimate_from_keypoints(walk(1)[0])
    assert len(learnt) == before + 1  # of the set before, of which there was none
    estimator.learn()
    assert len(learnt) == before + 2


def test_forgetting_everybody_forgets_the_lesson_too() -> None:
    estimator = MultiViewEstimator(RIG, options=OPTIONS)
    for one in walk(100):
        estimator.estimate_from_keypoints(one)
    estimator.reset()
    estimator.learn()
    assert not estimator.estimate_from_keypoints(walk(1)[0]).clocks.offsets
