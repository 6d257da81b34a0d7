"""Ids last through crossings, gaps and jumps in time; what is not seen is predicted with growing doubt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from synthetic_people import walker

from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.tracking import Tracker
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, JointSource, PersonState

T0 = 5_000_000_000_000
RNG = np.random.default_rng(0)


def stamp(t_s: float) -> int:
    return T0 + round(t_s * 1e9)


def observe(people: Sequence[Floats], *, noise_m: float = 0.015, views: int = 4, score: float = 0.7) -> Observed3D:
    """What triangulation would give of people [(17, 3) m]; HeadTop is never seen."""
    xyz = np.stack(people) if len(people) else np.zeros((0, 17, 3))
    xyz = xyz + RNG.normal(0.0, noise_m, xyz.shape)
    xyz[:, 10] = np.nan
    shape = xyz.shape[:2]
    seen = np.isfinite(xyz).all(-1)
    return Observed3D(
        xyz=xyz,
        covariance=np.where(seen[..., None, None], noise_m**2 * np.eye(3), np.nan),
        score=np.where(seen, score, 0.0),
        n_views=np.where(seen, views, 0).astype(np.uint8),
        reprojection_px=np.where(seen, 3.0, np.nan).reshape(shape),
    )


def test_ids_are_kept_when_people_cross_in_shuffled_order() -> None:
    tracker = Tracker(H36M_17)
    for k in range(120):
        t_s = k / 30
        people = [walker((-2, 0.2), (1, 0), t_s), walker((2, -0.2), (-1, 0), t_s), walker((0, 2), (0, -0.3), t_s)]
        order = RNG.permutation(3)
        pose, ids = tracker.update(observe([people[i] for i in order]), stamp(t_s))
        if k == 0:
            first = dict(zip(order.tolist(), ids, strict=True))
        assert [first[i] for i in order.tolist()] == list(ids), k
    assert sorted(pose.ids) == ["1", "2", "3"]


def test_a_person_of_two_views_gets_an_id_in_the_second_set_and_of_three_at_once() -> None:
    tracker = Tracker(H36M_17)
    still = walker((0, 0), (0, 0), 0)
    assert tracker.update(observe([still], views=2), stamp(0.0))[1] == ("",)
    assert tracker.update(observe([still], views=2), stamp(0.1))[1] == ("1",)
    assert Tracker(H36M_17).update(observe([still], views=3), stamp(0.0))[1] == ("1",)


@pytest.mark.parametrize("weakness", ["score", "joints", "flicker"])
def test_false_people_get_no_id(weakness: str) -> None:
    tracker = Tracker(H36M_17)
    for k in range(30):
        weak = observe([walker((0, 0), (0, 0), 0)], views=2, score=0.2 if weakness == "score" else 0.7)
        if weakness == "joints":
            weak.xyz[0, 7:] = np.nan
        if weakness == "flicker" and k % 3:
            weak = observe([])
        pose, ids = tracker.update(weak, stamp(k / 10))
        assert len(pose) == 0, k
        assert set(ids) <= {""}


def test_a_missed_person_is_occluded_then_lost_then_gone_and_the_id_never_comes_again() -> None:
    tracker = Tracker(H36M_17, lost_after_s=0.5, max_age_s=1.0)
    for k in range(10):
        tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(k / 10))
    states = {}
    for k in range(10, 22):
        pose, _ = tracker.update(observe([]), stamp(k / 10))
        states[k - 9] = int(pose.state[0]) if len(pose) else None
        if len(pose):
            assert pose.age_s[0] == pytest.approx((k - 9) / 10)
    assert states == {
        **dict.fromkeys(range(1, 5), PersonState.OCCLUDED),
        **dict.fromkeys(range(5, 10), PersonState.LOST),
        **dict.fromkeys(range(10, 13), None),
    }
    assert tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(2.2))[1] == ("2",)


def test_a_hidden_walker_is_predicted_on_the_way_with_growing_doubt() -> None:
    tracker = Tracker(H36M_17)
    for k in range(30):
        tracker.update(observe([walker((-2, 0), (1, 0), k / 30)]), stamp(k / 30))
    spreads, scores, errors = [], [], []
    for k in range(30, 39):
        pose, _ = tracker.update(observe([]), stamp(k / 30))
        assert (pose.source[0, :10] == JointSource.PREDICTED).all()
        assert pose.source[0, 10] == JointSource.ABSENT
        spreads.append(np.trace(pose.covariance[0, 0]))
        scores.append(pose.score[0, 0])
        errors.append(np.linalg.norm(pose.xyz[0, 0] - walker((-2, 0), (1, 0), k / 30)[0]))
    assert (np.diff(spreads) > 0).all()
    assert (np.diff(scores) < 0).all()
    assert scores[0] < 0.7
    assert max(errors) < 0.15  # standing still would be 0.3 m off
    again, ids = tracker.update(observe([walker((-2, 0), (1, 0), 39 / 30)]), stamp(39 / 30))
    assert ids == ("1",)
    assert again.state[0] == PersonState.VISIBLE
    assert again.age_s[0] == 0


def test_a_hidden_joint_of_a_visible_person_is_predicted_and_marked() -> None:
    tracker = Tracker(H36M_17)
    for k in range(20):
        seen = observe([walker((0, 0), (0.5, 0), k / 30)])
        if k >= 15:
            seen.xyz[0, 16] = np.nan
        pose, _ = tracker.update(seen, stamp(k / 30))
    assert pose.source[0, 16] == JointSource.PREDICTED
    assert pose.n_views[0, 16] == 0
    assert np.isnan(pose.reprojection_px[0, 16])
    assert 0 < pose.score[0, 16] < 0.7
    assert np.linalg.norm(pose.xyz[0, 16] - walker((0, 0), (0.5, 0), 19 / 30)[16]) < 0.1
    assert pose.source[0, 15] == JointSource.TRIANGULATED
    assert np.isnan(pose.xyz[0, 10]).all()
    assert pose.score[0, 10] == 0


def test_a_persons_first_velocity_is_unknown_and_not_zero() -> None:
    tracker = Tracker(H36M_17)
    first, _ = tracker.update(observe([walker((0, 0), (1, 0), 0)]), stamp(0))
    second, _ = tracker.update(observe([walker((0, 0), (1, 0), 0.1)]), stamp(0.1))
    assert np.isnan(first.velocity).all()
    known = np.isfinite(second.xyz).all(-1)
    assert known.sum() == 16
    assert (np.isfinite(second.velocity).all(-1) == known).all()


def test_velocity_follows_the_walk() -> None:
    tracker = Tracker(H36M_17)
    speeds = []
    for k in range(90):
        pose, _ = tracker.update(observe([walker((-2, 0), (1.2, 0.5), k / 30)]), stamp(k / 30))
        if k > 20:
            speeds.append(pose.velocity[0, 0])
    assert np.abs(np.mean(speeds, axis=0) - (1.2, 0.5, 0)).max() < 0.1  # the velocity's decay costs 6 %
    assert np.std(speeds, axis=0).max() < 0.3


def test_observed_joints_are_given_as_observed() -> None:
    tracker = Tracker(H36M_17)
    for k in range(5):
        seen = observe([walker((0, 0), (1, 0), k / 30)])
        pose, _ = tracker.update(seen, stamp(k / 30))
    np.testing.assert_array_equal(pose.xyz[0], seen.xyz[0])


def test_two_copies_of_one_person_are_one() -> None:
    tracker = Tracker(H36M_17)
    for k in range(20):
        body = walker((0, 0), (0.5, 0), k / 30)
        weaker = observe([body, body + np.array([0.1, 0.1, 0.0])], score=0.7)
        weaker.score[0] *= 0.6
        pose, ids = tracker.update(weaker, stamp(k / 30))
        assert ids == ("", "1")
    assert pose.ids == ("1",)


def test_people_side_by_side_are_two() -> None:
    tracker = Tracker(H36M_17)
    for k in range(20):
        pose, _ = tracker.update(
            observe([walker((0, 0), (1, 0), k / 30), walker((0, 0.5), (1, 0), k / 30)]), stamp(k / 30)
        )
    assert pose.ids == ("1", "2")


def test_a_clock_set_back_keeps_the_id_and_forgets_the_motion() -> None:
    tracker = Tracker(H36M_17)
    for loop in range(3):
        for k in range(30):
            pose, ids = tracker.update(observe([walker((-0.3, 0), (0.6, 0), k / 30)]), stamp(k / 30))
            assert ids == ("1",), (loop, k)
            if k == 0 and loop:
                assert np.isnan(pose.velocity[0]).all()


@pytest.mark.parametrize("back_s", [0.3, 2.0])
def test_a_clock_set_back_puts_no_person_where_they_were_at_another_time(back_s: float) -> None:
    """Before, who was not found at once after a loop stood at the loop's end, OCCLUDED under the new stamp."""
    tracker = Tracker(H36M_17)
    for k in range(90):
        pose, _ = tracker.update(observe([walker((0, 0), (0.6, 0), k / 30)]), stamp(k / 30))
    assert pose.ids == ("1",)
    again_s = 89 / 30 - back_s
    assert len(tracker.predicted(stamp(again_s))) == len(tracker.expected(stamp(again_s))[0]) == 0
    hidden, _ = tracker.update(observe([]), stamp(again_s))
    assert hidden.ids == tracker.states()[0] == tracker.expected(stamp(again_s))[0] == ()
    assert len(tracker.predicted(stamp(again_s))) == 0
    partly = walker((0, 0), (0.6, 0), again_s + 1 / 30)
    partly[16] = np.nan
    for k in (1, 2):
        pose, _ = tracker.update(observe([partly]), stamp(again_s + k / 30))
    # 0.18 m away they are the same person, 1.2 m away another one; nowhere is a place or joint of before.
    assert pose.ids == (("1",) if back_s < 1 else ("2",))
    assert np.nanmax(np.abs(pose.xyz[0] - partly)) < 0.1
    assert np.isfinite(pose.xyz[0]).all(-1).sum() == 15
    assert pose.source[0, 16] == JointSource.ABSENT


def test_a_jump_at_the_seam_of_a_loop_keeps_the_id_and_makes_no_velocity() -> None:
    # Stamps go on while the footage starts again: the person is 0.45 m away within one set.
    tracker = Tracker(H36M_17)
    for k in range(300):
        pose, ids = tracker.update(observe([walker((-0.2, 0), (0.45, 0), k % 60 / 60)]), stamp(k / 60))
        assert ids == ("1",), k
        if k % 60 == 0:
            assert np.isnan(pose.velocity[0]).all(), k
        else:
            assert np.linalg.norm(pose.velocity[0, 0]) < 1.5, k


@pytest.mark.parametrize("views", [2, 4])
@pytest.mark.parametrize("missed", [0, 5])
def test_a_jump_at_a_cut_keeps_the_id_next_to_a_bystander(views: int, missed: int) -> None:
    # The walker leaps 1 m back at the cut, and the detector needs some sets to find the new place.
    tracker = Tracker(H36M_17, jump_distance_m=1.5)
    aside = walker((3, 3), (0, 0), 0)
    for k in range(180):
        people = [aside, walker((-0.5, 0), (1.0, 0), k % 60 / 60)]
        if k >= 60 and k % 60 < missed:
            people = people[:1]
        pose, _ = tracker.update(observe(people, views=views), stamp(k / 60))
        assert set(pose.ids) == ({"1", "2"} if k or views > 2 else set()), k
    assert (pose.state == PersonState.VISIBLE).all()


def test_a_newcomer_far_from_a_missing_person_or_much_later_gets_a_new_id() -> None:
    for place, pause_s in (((2.5, 0), 0.1), ((1.0, 0), 0.7)):
        tracker = Tracker(H36M_17, jump_distance_m=1.5)
        tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(0))
        tracker.update(observe([]), stamp(pause_s / 2))
        # At 0.7 s the search for the lost reaches 0.6 + 1.5 * 0.7 m; stay outside it.
        place = (place[0] + 1.5 * pause_s, 0)
        assert tracker.update(observe([walker(place, (0, 0), 0)]), stamp(pause_s))[1] == ("2",)


@pytest.mark.parametrize(("jump_distance_m", "number"), [(0.0, "2"), (1.5, "1")])
def test_a_newcomer_next_to_a_person_just_hidden_gets_that_id_by_option_only(jump_distance_m, number) -> None:
    tracker = Tracker(H36M_17, jump_distance_m=jump_distance_m)
    tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(0))
    tracker.update(observe([]), stamp(0.1))
    assert tracker.update(observe([walker((1.3, 0), (0, 0), 0)]), stamp(0.2))[1] == (number,)


def test_a_person_present_before_another_goes_missing_does_not_take_the_id() -> None:
    # The second one is seen too poorly for an id until the first is hidden.
    tracker = Tracker(H36M_17, jump_distance_m=1.5)
    first, second = walker((0, 0), (0, 0), 0), walker((1, 0), (0, 0), 0)
    poor = second.copy()
    poor[6:] = np.nan
    for k in range(5):
        tracker.update(observe([first, poor]), stamp(k / 30))
    for k in range(5, 10):
        pose, ids = tracker.update(observe([second]), stamp(k / 30))
    assert ids == ("2",)
    assert pose.ids == ("1", "2")
    assert pose.state.tolist() == [PersonState.OCCLUDED, PersonState.VISIBLE]


def test_after_a_long_silence_people_are_new() -> None:
    tracker = Tracker(H36M_17)
    tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(0))
    assert tracker.update(observe([walker((1, 1), (0, 0), 0)]), stamp(60))[1] == ("2",)


def test_predictions_for_association_leave_out_the_lost() -> None:
    tracker = Tracker(H36M_17)
    assert tracker.predicted(stamp(0)).shape == (0, 17, 3)
    tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(0))
    assert tracker.predicted(stamp(0.1)).shape == (1, 17, 3)
    tracker.update(observe([]), stamp(0.7))
    assert tracker.predicted(stamp(0.8)).shape == (0, 17, 3)


def test_reset_forgets_people_but_not_the_numbers_given() -> None:
    tracker = Tracker(H36M_17)
    tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(0))
    tracker.reset()
    assert tracker.update(observe([walker((0, 0), (0, 0), 0)]), stamp(0.1))[1] == ("2",)
