"""Whom an estimator gives out: truth are boxes and people put together by hand, and the chain with walkers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_people import h36m_rig, seen, walker
from synthetic_poses import pose_at

from pose3d_ros.errors import OptionError
from pose3d_ros.estimation.estimate import Estimate
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.publish_filter import admitted, places
from pose3d_ros.options import from_mapping
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import PersonState, Pose3D

BOX = ((-1.0, -2.0, 0.0), (1.0, 2.0, 2.0))


def people_at(*pelvis: tuple[float, float, float], ids: tuple[str, ...] = (), lost: tuple[int, ...] = ()) -> Pose3D:
    """A person whose every joint is at each place, m."""
    P = len(pelvis)
    state = [PersonState.LOST if p in lost else PersonState.VISIBLE for p in range(P)]
    xyz = np.repeat(np.reshape(pelvis, (P, 1, 3)), H36M_17.size, axis=1)
    return pose_at(xyz, ids or [str(p + 1) for p in range(P)], state=state)


coordinate = st.floats(-3.0, 3.0)


@given(st.lists(st.tuples(coordinate, coordinate, coordinate), max_size=8))
def test_people_inside_the_workspace_lie_between_its_corners_on_every_axis(
    pelvis: list[tuple[float, float, float]],
) -> None:
    pose = people_at(*pelvis)
    inside = [
        p for p, at in enumerate(pelvis) if all(a <= x <= b for a, x, b in zip(*[BOX[0], at, BOX[1]], strict=True))
    ]
    assert admitted(pose, *BOX, most=0).tolist() == inside
    assert admitted(pose, (), (), most=0).tolist() == list(range(len(pelvis)))
    infinite = (-np.inf, -np.inf, -np.inf), (np.inf, np.inf, np.inf)
    assert admitted(pose, *infinite, most=0).tolist() == list(range(len(pelvis)))


def test_without_a_pelvis_the_mean_of_the_known_joints_places_a_person() -> None:
    pose = people_at((0, 0, 1), (0, 0, 1))
    xyz = pose.xyz.copy()
    xyz[0, H36M_17.index("Pelvis")] = np.nan
    xyz[0, H36M_17.index("Nose")] = (1.6, 0, 1)
    xyz[1] = np.nan
    pose = replace(pose, xyz=xyz)
    assert places(pose)[0] == pytest.approx([0.1, 0, 1])
    assert np.isnan(places(pose)[1]).all()
    assert admitted(pose, *BOX, most=0).tolist() == [0]


def test_of_too_many_those_known_longest_stay_and_the_lost_give_way() -> None:
    at = [(0, 0, 1)] * 4
    pose = people_at(*at, ids=("2", "10", "3", "9"))
    assert admitted(pose, (), (), most=2).tolist() == [0, 2]  # by number, not by spelling: 10 came last
    lost = people_at(*at, ids=("2", "10", "3", "9"), lost=(0,))
    assert admitted(lost, (), (), most=3).tolist() == [1, 2, 3]
    assert len(admitted(pose, (), (), most=4)) == 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"workspace_min": [0.0, 1.0]}, "'workspace_min' is .*expected three numbers x, y, z"),
        ({"workspace_max": [0.0, 1.0, float("nan")]}, "'workspace_max' is .*expected three numbers"),
        ({"workspace_min": ["a", "b", "c"]}, "expected three numbers"),
        ({"workspace_min": [0.0, 1.0, 0.0], "workspace_max": [1.0, 1.0, 1.0]}, "y of the first must be less"),
        ({"max_people": -1}, "expected 0 to 1000"),
    ],
)
def test_a_box_that_is_none_is_refused(given: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        from_mapping(EstimatorOptions, given)


RIG = h36m_rig()
T0 = 5_000_000_000


def run(options: EstimatorOptions, times: np.ndarray, crossing: bool = True) -> list[Estimate]:
    """One person who stays at the stage's middle, and one who walks into it from 2 m away and out again."""
    estimator, rng, results = PoseEstimator(RIG, options=options), np.random.default_rng(3), []
    for t in times:
        people = np.stack([walker((0.0, 0.8), (0.0, 0.0), t), walker((-1.6, -0.6), (1.0, 0.0), t)])
        stamp_ns = T0 + round(t * 1e9)
        results.append(
            estimator.estimate_from_keypoints({c.name: seen(c, people, rng, stamp_ns=stamp_ns) for c in RIG.cameras})
        )
    return results


def test_a_person_outside_the_workspace_is_omitted_and_keeps_the_id() -> None:
    times = np.arange(0, 3.2, 0.1)
    options = EstimatorOptions(refine="none", workspace_min=(-0.5, -3.0, 0.0), workspace_max=(0.5, 3.0, 2.0))
    for t, result in zip(times, run(options, times), strict=True):
        x = -1.6 + t
        if abs(abs(x) - 0.5) < 0.1:
            continue  # too near to the border for 4 px of noise
        inside = abs(x) < 0.5
        assert len(result.pose) == (2 if inside else 1), t
        assert result.left_out == (0 if inside else 1)
        known = set(result.pose.ids)
        assert all(set(names) <= known | {""} for names in result.ids.values())
        assert all(("" in names) != inside for names in result.ids.values())
        if inside:
            assert known == {"1", "2"}


def test_at_most_so_many_are_given_out_and_the_first_stays_throughout() -> None:
    results = run(EstimatorOptions(refine="none", max_people=1), np.arange(0, 2, 0.1))
    assert {result.pose.ids for result in results} == {("1",)}
