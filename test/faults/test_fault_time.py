"""Stamps that lie, images that repeat, cameras that lag: sets, words and counts, with injected time."""

from __future__ import annotations

import numpy as np
import pytest

from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper, PayloadSet
from pose3d_ros.synchronisation.stamp_checks import (
    MIN_EVENTS,
    REPORTED_S,
    UNUSABLE,
    StampChecks,
    StampFault,
    pixel_digest,
    rate_words,
)
from pose3d_ros.synchronisation.stamp_window import off_clock_words
from pose3d_ros.synchronisation.time_jumps import JUMP_STAMPS

MS = 1_000_000
T0 = 1_700_000_000 * 10**9
PERIOD = 33_333_333
TOPIC = "/left/image_raw"


class Camera:
    """Images of one camera that go through the checks as the node has them: stamp, ROS time, running seconds."""

    def __init__(self) -> None:
        self.checks, self.at_s = StampChecks(), 0.0

    def sees(self, stamp_ns: int, digest: int | None = None, now_ns: int | None = None) -> StampFault | None:
        self.at_s += 0.033
        return self.checks.check(stamp_ns, stamp_ns if now_ns is None else now_ns, self.at_s, digest)

    def words(self, after_s: float = 0.0) -> str:
        return "; ".join(self.checks.words(TOPIC, "images", self.at_s + after_s))


def grouped(frames: list[tuple[str, int, int]], cameras: str = "ab", **options: float) -> list[PayloadSet[int]]:
    """The sets made of (camera, stamp, arrival) in ns; polled each ms in between."""
    one: FrameSetGrouper[int] = FrameSetGrouper(tuple(cameras), **{"min_cameras": 2, **options})  # type: ignore[arg-type]
    found: list[PayloadSet[int] | None] = []
    for camera, stamp_ns, now_ns in frames:
        due_ns = one.due_ns()
        if due_ns is not None and due_ns <= now_ns:
            found.append(one.poll(due_ns))
        found.append(one.add(camera, stamp_ns, stamp_ns, now_ns))
    return [done for done in found if done is not None]


@pytest.mark.parametrize("back_s", [0.3, 0.5, 0.9, 1.5, 3600.0])
@pytest.mark.parametrize("sim_time", [False, True])
def test_fault_bag_loop(back_s: float, sim_time: bool) -> None:
    """Fault: a bag restarts, or the clock is set back, by a third of a second or by hours.
    Sees: WARN "time went back by ... s on /left/image_raw"; sets go on after six images of each camera at most.
    Recovers: by itself.
    """
    back = round(back_s * 1e9)
    stamps = [T0 + n * PERIOD for n in range(60)] + [T0 + n * PERIOD - back for n in range(60, 120)]
    frames = [(camera, s, s if sim_time else T0 + n * PERIOD) for n, s in enumerate(stamps) for camera in "ab"]
    sets = [done.stamp_ns for done in grouped(frames)]
    assert sets[:60] == stamps[:60]
    assert sets[-1] == stamps[-1]
    missed = len(stamps) - len(sets)
    assert missed <= JUMP_STAMPS  # not as many as lie between: 27 at 0.9 s
    one = Camera()
    faults = [one.sees(stamp) for stamp in stamps]
    assert faults.count(StampFault.BACK) == 1
    assert faults[60 + JUMP_STAMPS :] == [None] * (60 - JUMP_STAMPS)
    assert one.checks.counts[StampFault.BACK] == 1
    reported = Camera()
    for stamp in stamps[: 60 + JUMP_STAMPS]:
        reported.sees(stamp)
    assert f"time went back by {back_s - 0.033:.1f} s on {TOPIC} (a bag restarted" in reported.words()
    assert "after a newer one" not in reported.words()
    assert "time went back" not in reported.words(REPORTED_S + 0.1)


def test_fault_bag_loop_begins_with_the_image_it_ended_with() -> None:
    """Fault: a bag begins again, and its first image shows the same as its last.
    Sees: WARN "time went back by ... s on /left/image_raw"; the image that repeats is not used, those after it are.
    Recovers: by itself.
    Kind: K1
    Before: that time went back was not reported.
    """
    one = Camera()
    for n in range(60):
        one.sees(T0 + n * PERIOD, digest=n)
    assert one.sees(T0, digest=59) is StampFault.REPEATED
    assert "time went back by 2.0 s on /left/image_raw" in one.words()
    assert one.sees(T0 + PERIOD, digest=1) is None


def test_fault_clock_of_one_camera_set_back() -> None:
    """Fault: the clock of one camera of three is set back by half a second; the others go on.
    Sees: WARN "time went back by ... s" with that camera's topic; sets of the other two go on.
    Recovers: when its clock is right again.
    """
    frames = []
    for n in range(120):
        now = T0 + n * PERIOD
        frames += [("a", now, now), ("b", now, now), ("c", now - (500 * MS if 40 <= n < 80 else 0), now)]
    sets = grouped(frames, "abc")
    wrong = [done for done in sets if T0 + 42 * PERIOD < done.stamp_ns < T0 + 78 * PERIOD]
    assert len(wrong) >= 17
    assert {tuple(sorted(done.payloads)) for done in wrong} == {("a", "b")}
    assert sorted(sets[-1].payloads) == ["a", "b", "c"]
    one: FrameSetGrouper[int] = FrameSetGrouper(tuple("abc"), min_cameras=2)
    for camera, stamp_ns, now_ns in frames:
        one.add(camera, stamp_ns, stamp_ns, now_ns)
    assert one.jumps == 0  # one camera's clock is not the time


def test_fault_stamps_zero() -> None:
    """Fault: a driver stamps nothing.
    Sees: "... images on /left/image_raw have the stamp 0.000 s and are not used", with the fix.
    Recovers: by itself with the first stamped image.
    """
    one = Camera()
    for n in range(5):
        assert one.sees(0, now_ns=T0 + n) is StampFault.ZERO
    assert StampFault.ZERO in UNUSABLE
    assert f"5 images on {TOPIC} have the stamp 0.000 s and are not used: make the driver stamp" in one.words()
    assert one.sees(T0) is None
    assert one.words(REPORTED_S + 0.1) == ""
    assert "5 zero" in one.checks.facts()


def test_fault_stamps_in_the_future() -> None:
    """Fault: a machine's clock is ten seconds ahead, or images of a bag's last round come after it restarted.
    Sees: "images on /left/image_raw are stamped 10.0 s in the future: ... synchronise clocks (chrony, PTP), ...".
    Recovers: by itself when the clocks agree; no pose that looks fresh for ten seconds was published.
    """
    one = Camera()
    for n in range(MIN_EVENTS):
        assert one.checks.off_clock(one.at_s) is None
        assert one.sees(T0 + 10 * 10**9 + n, now_ns=T0 + n) is StampFault.FUTURE
    assert StampFault.FUTURE in UNUSABLE
    off_clock = one.checks.off_clock(one.at_s)
    assert off_clock is not None
    what, fix = off_clock_words(f"images on {TOPIC}", *off_clock)
    assert what == "images on /left/image_raw are stamped 10.0 s in the future"
    assert "synchronise clocks (chrony, PTP)" in fix
    # It left no trace: what comes with right stamps is no jump back.
    assert one.sees(T0 + PERIOD) is None
    # Half a second is what /clock may lag in a simulation; before /clock came there is no time to compare with.
    assert one.sees(T0 + 500 * MS, now_ns=T0) is None
    assert one.sees(T0 + 600 * MS, now_ns=0) is None


def test_fault_stamps_duplicated() -> None:
    """Fault: images come twice, or several under one stamp.
    Sees: WARN "... images on /left/image_raw repeat an earlier stamp, and only the first is used".
    Recovers: by itself.
    """
    one = Camera()
    for n in range(MIN_EVENTS):
        assert one.words() == ""
        assert one.sees(T0 + n * PERIOD) is None
        assert one.sees(T0 + n * PERIOD) is StampFault.DUPLICATE
    assert StampFault.DUPLICATE in UNUSABLE
    assert "3 images on /left/image_raw repeat an earlier stamp" in one.words()
    frames = [(camera, T0 + n * PERIOD, T0 + n * PERIOD + k) for n in range(30) for k in (0, 1) for camera in "ab"]
    assert [done.stamp_ns for done in grouped(frames)] == [T0 + n * PERIOD for n in range(30)]


def test_fault_stamps_reordered() -> None:
    """Fault: the network lets images overtake each other.
    Sees: WARN "... images on /left/image_raw arrived after a newer one"; sets keep the order of time.
    Recovers: by itself; no jump of time is seen in it.
    """
    one, order = Camera(), [n + (1 if n % 4 == 0 else -1 if n % 4 == 1 else 0) for n in range(60)]
    faults = [one.sees(T0 + n * PERIOD, now_ns=T0 + k * PERIOD) for k, n in enumerate(order)]
    assert faults.count(StampFault.REORDERED) == 15
    assert set(faults) == {None, StampFault.REORDERED}
    assert StampFault.REORDERED not in UNUSABLE
    assert "15 images on /left/image_raw arrived after a newer one" in one.words()
    frames = [(c, T0 + n * PERIOD, T0 + k * PERIOD) for k, n in enumerate(order) for c in "ab"]
    sets = [done.stamp_ns for done in grouped(frames)]
    assert sets == sorted(sets)
    assert len(sets) >= 44


def test_fault_repeated_frames() -> None:
    """Fault: a camera hangs, and its driver sends the last image again under new stamps.
    Sees: "... images on /left/image_raw repeat the previous pixels under a new stamp and are not used".
    Recovers: by itself with the first new image.
    """
    rng, one = np.random.default_rng(3), Camera()
    scene = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    # What tells two images of a resting scene apart is the sensor's noise, here one grey value.
    still = [pixel_digest((scene ^ rng.integers(0, 2, scene.shape, dtype=np.uint8)).tobytes()) for _ in range(20)]
    assert len(set(still)) == 20
    for n, digest in enumerate(still):
        assert one.sees(T0 + n * PERIOD, digest) is None
    for n in range(20, 25):
        assert one.sees(T0 + n * PERIOD, still[-1]) is StampFault.REPEATED
    assert StampFault.REPEATED in UNUSABLE
    assert "5 images on /left/image_raw repeat the previous pixels under a new stamp" in one.words()
    assert one.sees(T0 + 25 * PERIOD, still[0]) is None
    # A covered lens or a black image says nothing of the driver.
    assert pixel_digest(np.full(640 * 480 * 3, 7, np.uint8)) is None


def test_fault_30_vs_15_fps() -> None:
    """Fault: one camera sends 30 images a second, the other 15.
    Sees: WARN "cameras have different rates (left 30 Hz, right 15 Hz), and the slowest limits poses"; 15 sets a second.
    Recovers: when the drivers have one rate.
    """
    left, right, frames = Camera(), Camera(), []
    for n in range(240):
        now = T0 + n * PERIOD
        left.sees(now)
        frames.append(("a", now, now))
        if n % 2 == 0:
            right.sees(now)
            frames.append(("b", now, now))
    sets = grouped(frames)
    assert [done.stamp_ns for done in sets] == [T0 + n * PERIOD for n in range(0, 240, 2)]
    rates = {"left": left.checks.rate_hz, "right": right.checks.rate_hz}
    assert rate_words(rates) == [
        "cameras have different rates (left 30 Hz, right 15 Hz), and the slowest limits poses: set their drivers to "
        "one rate"
    ]
    assert left.words() == right.words() == ""  # nothing is lost
    assert rate_words({"left": 30.0, "right": 29.0}) == rate_words({"left": 30.0, "right": 0.0}) == []


def test_fault_20_percent_loss() -> None:
    """Fault: one image in five gets lost on its way.
    Sees: WARN "20% of the images on /left/image_raw are lost (gaps in their stamps)"; sets of those that came.
    Recovers: by itself.
    """
    rng, one, frames = np.random.default_rng(5), Camera(), []
    came = rng.random((300, 3)) > 0.2
    for n in range(300):
        now = T0 + n * PERIOD
        frames += [(camera, now, now) for camera, here in zip("abc", came[n], strict=True) if here]
        if came[n, 0]:
            one.sees(now)
    assert one.checks.lost == pytest.approx(1 - came[-150:, 0].mean(), abs=0.02)
    assert "of the images on /left/image_raw are lost (gaps in their stamps)" in one.words()
    sets = grouped(frames, "abc")
    assert len(sets) >= 0.5 * (came.sum(axis=1) >= 2).sum()
    assert all(done.spread_ns == 0 and len(done.payloads) >= 2 for done in sets)
    for n in range(300, 421):
        one.sees(T0 + n * PERIOD)
    assert one.words() == ""
    # A camera that stopped and returned has lost nothing: that is reported as "no image for".
    for n in range(521, 600):
        one.sees(T0 + n * PERIOD)
    assert one.words() == ""
