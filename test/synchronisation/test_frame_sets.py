"""Frames are grouped by stamp under every fault a network and a driver can make; time is injected."""

from __future__ import annotations

import pytest

from pose3d_ros.errors import InputError
from pose3d_ros.synchronisation.frame_sets import MAX_WAITING, FrameSetGrouper, PayloadSet

MS = 1_000_000
T0 = 1_000_000_000_000


def grouper(**options: float) -> FrameSetGrouper[str]:
    return FrameSetGrouper(("a", "b", "c"), **{"tolerance_s": 0.010, "wait_s": 0.050, "silent_s": 1.0, **options})


def add(one: FrameSetGrouper[str], camera: str, stamp_ms: float, now_ms: float) -> PayloadSet[str] | None:
    """Add a payload that says whose it is and when."""
    return one.add(camera, f"{camera}{stamp_ms:g}", T0 + round(stamp_ms * MS), round(now_ms * MS))


def stamps_ms(done: PayloadSet[str] | None) -> dict[str, float]:
    assert done is not None
    return {camera: (stamp - T0) / MS for camera, stamp in done.stamps_ns.items()}


def test_set_is_released_with_its_last_camera() -> None:
    one = grouper()
    assert add(one, "a", 0, 0) is None
    assert add(one, "b", 3, 1) is None
    done = add(one, "c", 7, 2)
    assert stamps_ms(done) == {"a": 0, "b": 3, "c": 7}
    assert done is not None
    assert dict(done.payloads) == {"a": "a0", "b": "b3", "c": "c7"}
    assert (done.stamp_ns, done.spread_ns) == (T0 + 7 * MS, 7 * MS)


def test_stamps_further_apart_than_the_tolerance_are_not_joined() -> None:
    one = grouper()
    add(one, "a", 0, 0)
    add(one, "b", 0, 0)
    assert add(one, "c", 11, 1) is None
    add(one, "a", 11, 11)
    assert stamps_ms(add(one, "b", 11, 11)) == {"a": 11, "b": 11, "c": 11}
    assert one.dropped == 2


def test_missing_camera_is_waited_for_and_then_left_out() -> None:
    one = grouper()
    add(one, "a", 0, 0)
    add(one, "b", 0, 5)
    assert one.due_ns() == 50 * MS
    assert one.poll(49 * MS) is None
    assert stamps_ms(one.poll(50 * MS)) == {"a": 0, "b": 0}
    assert one.due_ns() is None


def test_set_below_the_minimum_of_cameras_is_never_released() -> None:
    one = grouper(min_cameras=2)
    add(one, "a", 0, 0)
    assert one.due_ns() is None
    assert one.poll(500 * MS) is None


def test_only_camera_left_is_released_alone_and_without_a_wait_when_the_others_are_silent() -> None:
    one = grouper(min_cameras=2, alone_s=0.5)
    for camera in "abc":
        add(one, camera, 0, 0)
    alone = []
    for now_ms in range(1, 1500):
        done = add(one, "a", now_ms, now_ms) if now_ms % 33 == 0 else one.poll(now_ms * MS)
        if done is not None:
            alone.append((now_ms, stamps_ms(done)["a"]))
    assert alone[0] == (500, 429)  # 462 and 495 wait on
    waits = {now_ms - stamp_ms for now_ms, stamp_ms in alone[1:] if now_ms < 1000}
    assert waits == {50}
    assert {now_ms - stamp_ms for now_ms, stamp_ms in alone if now_ms > 1050} == {0}


def test_timer_need_not_run_for_a_camera_whose_others_have_just_spoken() -> None:
    one = grouper(min_cameras=2, alone_s=0.5)
    for camera in "abc":
        add(one, camera, 0, 0)
    add(one, "a", 33, 33)
    assert one.due_ns() is None
    add(one, "a", 520, 520)
    assert one.due_ns() is not None


def test_late_or_unsynchronised_camera_releases_no_single_images() -> None:
    one = grouper(min_cameras=2, alone_s=0.5)
    for k in range(60):
        assert add(one, "a", 33 * k, 33 * k) is None
        assert add(one, "b", 33 * k + 16, 33 * k + 16) is None
        assert one.poll((33 * k + 30) * MS) is None


def test_every_camera_is_waited_for_at_the_start() -> None:
    one = grouper(min_cameras=2, alone_s=0.5)
    released = [now_ms for now_ms in range(0, 700, 33) if add(one, "a", now_ms, now_ms) is not None]
    assert min(released) >= 500


def test_sets_come_whole_again_when_a_camera_returns() -> None:
    one = grouper(min_cameras=2, alone_s=0.5)
    add(one, "a", 0, 0)
    for now_ms in range(33, 1700, 33):
        add(one, "a", now_ms, now_ms)
    assert add(one, "a", 1700, 1700) is not None
    assert stamps_ms(add(one, "a", 1733, 1733)) == {"a": 1733}
    assert add(one, "b", 1733, 1734) is None  # too late for it
    assert add(one, "a", 1766, 1766) is None
    assert stamps_ms(add(one, "b", 1766, 1767)) == {"a": 1766, "b": 1766}


def test_silent_camera_is_not_waited_for_until_it_sends_again() -> None:
    one = grouper()
    for k in range(40):  # c speaks until 330 ms
        for camera in "abc" if k <= 10 else "ab":
            done = add(one, camera, 33 * k, 33 * k)
        # c is missed at once after 1 s: no waiting from then on
        assert (done is not None) == (k <= 10 or 33 * k >= 330 + 1000), k
        one.poll(33 * k * MS + 32 * MS)
        one.poll(33 * k * MS + 50 * MS) if k > 10 else None
    assert one.silent(1300 * MS + 100 * MS) == ("c",)
    add(one, "a", 1400, 1400)
    add(one, "c", 1400, 1400)
    assert one.silent(1400 * MS) == ()
    assert stamps_ms(add(one, "b", 1400, 1401)) == {"a": 1400, "b": 1400, "c": 1400}
    add(one, "a", 1433, 1433)
    assert add(one, "b", 1433, 1434) is None  # c is waited for again


def test_camera_that_never_starts_is_dropped() -> None:
    one = grouper()
    for k in range(40):
        add(one, "a", 33 * k, 33 * k)
        done = add(one, "b", 33 * k, 33 * k)
        assert (done is not None) == (33 * k >= 1000)


def test_newest_complete_set_wins_and_older_ones_are_dropped() -> None:
    one = grouper()
    add(one, "a", 0, 0)
    add(one, "b", 0, 0)
    for camera in "ab":
        add(one, camera, 33, 33)
    assert stamps_ms(add(one, "c", 33, 34)) == {"a": 33, "b": 33, "c": 33}
    assert one.dropped == 2
    assert add(one, "c", 0, 35) is None  # late for a set that is past
    assert one.dropped == 3
    assert one.poll(1000 * MS) is None


def test_payload_too_late_for_a_released_set_is_dropped() -> None:
    one = grouper()
    add(one, "a", 0, 0)
    add(one, "b", 0, 0)
    assert one.poll(50 * MS) is not None
    assert add(one, "c", 4, 60) is None  # stamped after the set, but of its time
    assert one.dropped == 1
    assert one.poll(500 * MS) is None


def test_camera_that_runs_ahead_builds_no_backlog() -> None:
    one = grouper(min_cameras=2, wait_s=10.0, silent_s=10.0)
    for k in range(100):
        add(one, "a", 33 * k, 33 * k)
    assert one.dropped == 100 - MAX_WAITING
    add(one, "b", 33 * 99, 3300)
    assert stamps_ms(add(one, "c", 33 * 99, 3300)) == {"a": 3267, "b": 3267, "c": 3267}
    assert one.dropped == 99


def test_duplicates_are_dropped() -> None:
    one = grouper()
    add(one, "a", 0, 0)
    add(one, "a", 0, 1)
    add(one, "b", 0, 1)
    assert stamps_ms(add(one, "c", 0, 2)) == {"a": 0, "b": 0, "c": 0}
    assert add(one, "a", 0, 3) is None
    assert one.dropped == 2
    assert one.poll(1000 * MS) is None


def test_reordered_frames_of_one_camera_find_their_sets() -> None:
    one = grouper()
    add(one, "a", 0, 0)
    add(one, "c", 0, 0)
    add(one, "b", 33, 5)  # overtook b0
    assert stamps_ms(add(one, "b", 0, 6)) == {"a": 0, "b": 0, "c": 0}
    add(one, "c", 33, 33)
    assert stamps_ms(add(one, "a", 33, 33)) == {"a": 33, "b": 33, "c": 33}
    assert one.dropped == 0


def test_stamp_back_by_more_than_a_second_starts_afresh() -> None:
    one = grouper()
    for camera in "abc":
        add(one, camera, 5000, 0)
    add(one, "a", 5033, 33)
    for camera in "ab":
        assert add(one, camera, 0, 66) is None
    assert stamps_ms(add(one, "c", 0, 66)) == {"a": 0, "b": 0, "c": 0}


def test_stray_stamp_in_the_future_does_not_stop_the_others() -> None:
    one = grouper()
    add(one, "a", 1e6, 0)
    assert one.poll(60 * MS) is not None
    for camera in "bc":
        add(one, camera, 33, 70)
    assert stamps_ms(add(one, "a", 33, 71)) == {"a": 33, "b": 33, "c": 33}


def test_unknown_camera_and_equal_names_are_rejected() -> None:
    with pytest.raises(InputError, match="no camera 'd' in this grouping: it has a, b, c"):
        add(grouper(), "d", 0, 0)
    with pytest.raises(InputError, match="different names"):
        FrameSetGrouper(("a", "a"))


@pytest.mark.parametrize("behind_ms", [500, 2000])
def test_camera_whose_clock_is_behind_does_not_disturb_the_others(behind_ms: int) -> None:
    one, found = grouper(min_cameras=2), []
    for k in range(60):
        now = 33 * k
        for camera, late in (("a", 0), ("b", behind_ms), ("c", 0)):
            done = add(one, camera, 10_000 + now - late, now)
            found += [] if done is None else [set(done.payloads)]
        done = one.poll((now + 32) * MS)
        found += [] if done is None else [set(done.payloads)]
    assert found.count({"a", "c"}) >= 55


def test_silent_camera_with_a_clock_ahead_delays_no_other() -> None:
    one = grouper()
    for camera in "abc":
        add(one, camera, 0, 0)
    add(one, "b", 60_000, 33)
    assert one.poll(83 * MS) is not None  # alone, and a minute ahead
    for k in range(3, 60):
        add(one, "a", 33 * k, 33 * k)
        done = add(one, "c", 33 * k, 33 * k)
    assert stamps_ms(done) == {"a": 33 * 59, "c": 33 * 59}


def test_camera_that_died_before_the_clock_was_set_back_delays_no_other() -> None:
    """As when a simulation restarts, or a bag loops."""
    one = grouper(min_cameras=2, alone_s=0.5)
    for k in range(30):
        for camera in "abc":
            add(one, camera, 100_000 + 33 * k, 100_000 + 33 * k)
    together, alone = [], []
    for k in range(60):
        add(one, "a", 33 * k, 33 * k)
        done = add(one, "b", 33 * k, 33 * k)
        together += [] if done is None else [set(done.payloads)]
    for k in range(60, 120):
        done = add(one, "a", 33 * k, 33 * k)
        alone += [] if done is None else [set(done.payloads)]
    assert together.count({"a", "b"}) >= 28  # without a wait from 1 s on
    assert alone.count({"a"}) >= 28
    assert one.silent(33 * 119 * MS) == ("b", "c")
