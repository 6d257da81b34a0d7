"""What a controller holds when people or cameras go: state, age and absence in time, with injected time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from synthetic_people import walker
from whole_chain import Chain, Message, one_person

from pose3d_ros.estimation.staleness import STANDSTILL_S, Limits, NodeTime
from pose3d_ros.structures import Floats, JointSource, PersonState

LIMITS = Limits()


def states_by_age(heard: Sequence[Message], since_s: float) -> list[tuple[float, int | None]]:
    """(seconds since then, the first person's state or None) of every message."""
    return [(m.at_s - since_s, int(m.pose.state[0]) if len(m.pose) else None) for m in heard]


def check_contract(heard: Sequence[Message], since_s: float) -> None:
    """At every moment, what a controller holds is at least as careful as the limits ask for."""
    held = states_by_age(heard, since_s)
    for limit_s, allowed in (
        (LIMITS.occluded_s, {PersonState.OCCLUDED, PersonState.LOST, None}),
        (LIMITS.lost_s, {PersonState.LOST, None}),
        (LIMITS.max_age_s, {None}),
    ):
        at_limit = [state for age_s, state in held if age_s <= limit_s + 1e-6]
        assert at_limit[-1] in allowed, (limit_s, held)


@pytest.mark.parametrize("latency_s", [0.0, 0.03, 0.15])
def test_fault_all_cameras_stop(latency_s: float) -> None:
    """Fault: all cameras stop and return.
    Sees: people become OCCLUDED, LOST, and vanish within 1 s, in messages without camera_names whose stamp stays the
    last image's; then one empty message; ERROR "no poses for ...: no image on ..." within 0.5 s.
    Recovers: by itself with the next images.
    """
    chain = Chain(one_person, latency_s=latency_s)
    chain.run(0.5)
    chain.living.clear()
    silent = [chain.heard[-1], *chain.run(3.0)]
    check_contract(silent, chain.last_image_s)
    last = max(n for n, m in enumerate(chain.heard) if m.made_of_images)
    aged = [m.pose for m in chain.heard[last + 1 :]]
    assert {pose.stamp_ns for pose in aged} == {chain.heard[last].pose.stamp_ns}
    people = [pose for pose in aged if len(pose)]
    spread = [np.trace(pose.covariance[0, 0]) for pose in people]
    assert (np.diff(spread) > 0).all()
    assert (np.diff([pose.age_s[0] for pose in people]) > 0).all()
    assert {int(s) for pose in people for s in pose.source[0]} <= {JointSource.PREDICTED, JointSource.ABSENT}
    assert [len(pose) for pose in aged].count(0) == 1
    assert len(aged[-1]) == 0
    assert chain.run(1.0) == []  # a node that sees nothing says nothing more here
    chain.living.update(chain.names)
    assert any(m.made_of_images and PersonState.VISIBLE in m.pose.state for m in chain.run(0.5))
    assert chain.held().ids == ("2",)


def test_fault_all_cameras_stop_while_nobody_is_there() -> None:
    """Fault: all cameras stop while no person is in view.
    Sees: messages without camera_names within 0.2 s: an empty list then no longer means that no person is there.
    Recovers: by itself with the next images.
    """
    chain = Chain(lambda t_s: [])
    assert all(m.made_of_images and len(m.pose) == 0 for m in chain.run(0.5))
    chain.living.clear()
    silent = chain.run(1.5)
    first = next(m for m in silent if not m.made_of_images)
    assert first.at_s <= 0.5 + LIMITS.occluded_s
    assert silent[-1].at_s <= 0.5 + LIMITS.max_age_s
    chain.living.update(chain.names)
    assert all(m.made_of_images for m in chain.run(0.5))


def test_fault_images_stop_for_a_moment() -> None:
    """Fault: no image comes for 0.3 s.
    Sees: OCCLUDED with a growing age, under the same id.
    Recovers: by itself, VISIBLE with the next frame set.
    """
    chain = Chain(one_person)
    chain.run(0.5)
    chain.living.clear()
    chain.run(0.3)
    assert chain.held().state[0] == PersonState.OCCLUDED
    chain.living.update(chain.names)
    chain.run(0.2)
    assert chain.held().state[0] == PersonState.VISIBLE
    assert chain.held().ids == ("1",)
    assert chain.held().age_s[0] == pytest.approx(chain.latency_s, abs=0.011)


def test_fault_one_camera_stops_and_returns() -> None:
    """Fault: one camera of four stops and returns.
    Sees: WARN "no image on /... for 1.2 s"; people stay VISIBLE from the other three, under the same id.
    Recovers: by itself with the next image.
    """
    chain = Chain(one_person)
    chain.run(0.5)
    chain.living.discard(chain.names[0])
    chain.run(1.0)
    without = chain.heard[-10:]
    assert all(m.pose.state[0] == PersonState.VISIBLE and m.pose.n_views[0].max() == 3 for m in without)
    chain.living.add(chain.names[0])
    chain.run(0.3)
    assert chain.held().n_views[0].max() == 4
    assert {m.pose.ids for m in chain.heard} == {("1",)}


def test_fault_person_occluded_for_a_moment() -> None:
    """Fault: no camera sees a person for 0.3 s, behind a pillar.
    Sees: OCCLUDED, PREDICTED joints with growing covariance and age.
    Recovers: by itself, VISIBLE under the same id.
    """
    chain = Chain(one_person)
    chain.run(0.5)
    chain.visible = lambda camera, person: False
    hidden = chain.run(0.3)[2:]
    assert all(m.pose.state[0] == PersonState.OCCLUDED for m in hidden)
    assert (np.diff([np.trace(m.pose.covariance[0, 0]) for m in hidden]) > 0).all()
    assert (np.diff([m.pose.age_s[0] for m in hidden]) > 0).all()
    off = np.linalg.norm(hidden[-1].pose.xyz[0, 0] - one_person(hidden[-1].at_s)[0][0])
    assert off < 0.15
    chain.visible = lambda camera, person: True
    chain.run(0.2)
    assert (chain.held().ids, int(chain.held().state[0])) == (("1",), PersonState.VISIBLE)


def test_fault_leaving_and_returning() -> None:
    """Fault: a person leaves for longer than max_age_s and returns.
    Sees: OCCLUDED <= 0.2 s, LOST <= 0.5 s, gone <= 1 s after last seen.
    Recovers: by itself, under a new id: an id is never given again.
    """
    chain = Chain(one_person)
    chain.run(0.5)
    chain.visible = lambda camera, person: False
    last_s = chain.last_image_s
    check_contract([chain.heard[-1], *chain.run(1.5)], last_s)
    assert len(chain.held()) == 0
    chain.visible = lambda camera, person: True
    chain.run(0.3)
    assert chain.held().ids == ("2",)


def test_fault_lost_between_two_frame_sets() -> None:
    """Fault: a person was not seen for a while already when all cameras stop.
    Sees: LOST and gone at the limits, counted from when the person was last seen and not from the last image.
    Recovers: by itself with the next images.
    """
    chain = Chain(one_person)
    chain.run(0.5)
    chain.visible = lambda camera, person: False
    last_s = chain.last_image_s
    seen = chain.heard[-1]
    heard = chain.run(0.42)
    chain.living.clear()
    check_contract([seen, *heard, *chain.run(1.5)], last_s)


def test_fault_ten_people_crossing() -> None:
    """Fault: ten people, five from each side, walk through each other.
    Sees: ten people, at most some OCCLUDED for a moment.
    Recovers: by itself; no id goes to another person.
    """
    lanes = np.linspace(-1.6, 1.6, 5)

    def people(t_s: float) -> list[Floats]:
        return [walker((-0.9 * side, y + 0.2 * side), (1.0 * side, 0.0), t_s) for side in (-1, 1) for y in lanes]

    chain = Chain(people)
    chain.run(0.3)
    first = owners(chain.held(), people(chain.heard[-1].at_s - chain.latency_s))
    assert len(first) == 10
    chain.run(1.3)
    last = owners(chain.held(), people(chain.heard[-1].at_s - chain.latency_s))
    assert last == first


def owners(pose: object, people: Sequence[Floats]) -> dict[str, int]:
    """Who has which id, by place."""
    roots = np.stack([one[0] for one in people])
    nearest = {one: np.linalg.norm(roots - pose.xyz[p, 0], axis=-1) for p, one in enumerate(pose.ids)}  # type: ignore[attr-defined]
    assert all(apart.min() < 0.2 for apart in nearest.values())
    return {one: int(apart.argmin()) for one, apart in nearest.items()}


def test_fault_clock_stops() -> None:
    """Fault: /clock stops (a paused simulation, a bag at its end) or is set back.
    Sees: after 1 s real time counts on, so people become OCCLUDED, LOST and vanish.
    Recovers: by itself when the clock goes on.
    """
    time = NodeTime()
    assert time(0, 10.0) == 0.0
    assert time(5_000_000_000, 10.1) == 0.0  # the first /clock takes no time
    assert time(5_500_000_000, 10.2) == pytest.approx(0.5)  # a simulation may be fast
    assert time(5_500_000_000, 10.2 + STANDSTILL_S) == pytest.approx(0.5)
    assert time(5_500_000_000, 10.7 + STANDSTILL_S) == pytest.approx(1.0)
    assert time(5_500_000_000, 10.9 + STANDSTILL_S) == pytest.approx(1.2)
    assert time(5_600_000_000, 11.0 + STANDSTILL_S) == pytest.approx(1.3)
    assert time(1_000_000_000, 11.1 + STANDSTILL_S) == pytest.approx(1.3)
    assert time(1_100_000_000, 11.2 + STANDSTILL_S) == pytest.approx(1.4)


def test_fault_inference_hangs() -> None:
    """Fault: one frame set is in work for ever while images come.
    Sees: the people of the last pose become OCCLUDED, LOST and vanish, counted from the capture of its images.
    Recovers: by itself when poses go out again.
    """
    chain = Chain(one_person)
    chain.run(0.5)
    chain.latency_s = 5.0
    last_s = chain.last_image_s
    check_contract([chain.heard[-1], *chain.run(2.0)], last_s)
