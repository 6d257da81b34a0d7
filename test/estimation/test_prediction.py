"""A prediction lies nearer to what comes than the last pose held, and its ellipsoids hold what they promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2
from synthetic_people import walker

from pose3d_ros.estimation.prediction import Motion, Motions, predicted
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.tracking import Tracker
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D

NOISE_M = 0.015
FPS = 30


def watched(people: Callable[[float], Floats], sets: int, *, seed: int = 0) -> list[tuple[float, Pose3D, Motion]]:
    """Poses and motions of a tracker that sees people(t) (P, 17, 3) m with noise; HeadTop is never seen."""
    tracker, motions, rng, found = Tracker(H36M_17), Motions(), np.random.default_rng(seed), []
    for k in range(sets):
        xyz = people(k / FPS)
        xyz = xyz + rng.normal(0.0, NOISE_M, xyz.shape)
        xyz[:, 10] = np.nan
        seen = np.isfinite(xyz).all(-1)
        observed = Observed3D(
            xyz,
            np.where(seen[..., None, None], NOISE_M**2 * np.eye(3), np.nan),
            np.where(seen, 0.8, 0.0),
            np.where(seen, 4, 0).astype(np.uint8),
            np.where(seen, 2.0, np.nan),
        )
        stamp_ns = round(k * 1e9 / FPS)
        pose, _ = tracker.update(observed, stamp_ns)
        found.append((k / FPS, pose, motions(tracker, stamp_ns)))
    return found


def walk(t_s: float) -> Floats:
    return walker((-2.0, 0.0), (1.2, 0.3), t_s)[None]


@pytest.mark.parametrize("horizon_s", [0.1, 0.3])
def test_of_a_walker_it_is_nearer_than_the_last_pose_by_half_and_covers_the_truth(horizon_s: float) -> None:
    held, ahead, inside = [], [], []
    for t_s, pose, motion in watched(walk, 60)[20:]:
        then = predicted(pose, motion, horizon_s)
        truth, seen = walk(t_s + horizon_s), np.isfinite(pose.xyz).all(-1)
        error = (then.xyz - truth)[seen]
        held.append(np.linalg.norm((pose.xyz - truth)[seen], axis=-1))
        ahead.append(np.linalg.norm(error, axis=-1))
        inside.append((error * np.linalg.solve(then.covariance[seen], error[..., None])[..., 0]).sum(-1))
    assert np.mean(ahead) < 0.5 * np.mean(held)
    assert np.mean(np.array(inside) <= chi2.ppf(0.95, 3)) > 0.9


def test_a_standing_person_is_predicted_in_place() -> None:
    still = walker((0.0, 0.0), (0.0, 0.0), 0.0)[None]
    moved = [
        np.nanmean(np.linalg.norm(predicted(pose, motion, 0.3).xyz - motion.states.position, axis=-1))
        for _, pose, motion in watched(lambda t_s: still, 60)[30:]
    ]
    carried = [
        np.nanmean(np.linalg.norm(0.3 * motion.states.velocity, axis=-1))
        for *_, motion in watched(lambda t_s: still, 60)[30:]
    ]
    assert np.mean(moved) < 0.25 * np.mean(carried)


@pytest.mark.parametrize("horizon_s", [0.1, 0.3])
def test_the_prediction_of_a_swaying_person_is_hardly_worse_than_the_last_pose(horizon_s: float) -> None:
    def sway(t_s: float) -> Floats:
        return walker((0.12 * np.sin(2.0 * np.pi * t_s / 0.6), 0.0), (0.0, 0.0), 0.0)[None]

    held, ahead = [], []
    for t_s, pose, motion in watched(sway, 90)[45:]:
        truth = sway(t_s + horizon_s)
        held.append(np.nanmean(np.linalg.norm(pose.xyz - truth, axis=-1)))
        ahead.append(np.nanmean(np.linalg.norm(predicted(pose, motion, horizon_s).xyz - truth, axis=-1)))
    assert np.mean(ahead) < 1.05 * np.mean(held)


def test_it_carries_its_own_stamp_and_says_that_it_is_predicted() -> None:
    _, pose, motion = watched(walk, 10)[-1]
    then = predicted(pose, motion, 0.25)
    assert then.stamp_ns == pose.stamp_ns + 250_000_000
    assert (then.ids, then.state.tolist(), then.age_s.tolist()) == (("1",), [PersonState.VISIBLE], [0.25])
    assert set(then.source[0, np.arange(17) != 10]) == {JointSource.PREDICTED}
    assert then.source[0, 10] == JointSource.ABSENT
    assert np.isnan(then.xyz[0, 10]).all()
    assert then.score[0, 10] == 0.0
    assert (then.score[0] <= pose.score[0]).all()
    now = predicted(pose, motion, 0.0)
    # Who walks starts nearly where the cameras see them, not where the filter lags.
    from_seen, from_filter = (np.nanmean(np.abs(now.xyz - xyz)) for xyz in (pose.xyz, motion.states.position))
    assert from_seen < 0.1 * from_filter
    growth = np.trace(then.covariance - now.covariance, axis1=-2, axis2=-1)
    assert (growth[np.isfinite(growth)] > 0).all()


def test_fault_lost_people_are_not_predicted() -> None:
    """Fault: a person has not been seen for longer than lost_after_s.
    Sees: LOST on human_pose_3d; no person on human_pose_3d/predicted.
    Recovers: by itself when the person is seen again.
    """
    no_people = np.zeros((0, 17, 3))
    found = watched(lambda t_s: walk(t_s) if t_s < 0.5 else no_people, 35)
    states = [int(pose.state[0]) for _, pose, _ in found if len(pose)]
    assert set(states) == set(PersonState)
    for _, pose, motion in found:
        assert predicted(pose, motion, 0.1).ids == tuple(
            one for one, state in zip(pose.ids, pose.state, strict=True) if state != PersonState.LOST
        )
