"""What becomes of the stamps of one camera's images on their way into a node; no message goes over DDS."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rclpy.context import Context
from rclpy.node import Node

from pose3d_ros.msg import Keypoints2DArray
from pose3d_ros.ros import conversions
from pose3d_ros.ros.camera_inputs import CameraInput, Frame, camera_facts, keypoint_stream, missing_inputs
from pose3d_ros.ros.options import InputOptions, SyncOptions
from pose3d_ros.structures import Camera

NOW_NS = 1_790_000_000 * 10**9
CAMERA = Camera("left", (8, 6), np.array([[8.0, 0, 3.5], [0, 8.0, 2.5], [0, 0, 1]]))


@pytest.fixture(scope="module")
def node(context: Context) -> Iterator[Node]:
    one = Node("inputs", context=context)
    yield one
    one.destroy_node()


class Inputs:
    """A camera or two before a node whose clock is set by hand."""

    def __init__(
        self, node: Node, monkeypatch: pytest.MonkeyPatch, *names: str, keypoints: bool = False, **options: Any
    ):
        self.now_ns, self.taken, self._pixel = NOW_NS, [], 0  # type: ignore[var-annotated]
        clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now_ns))
        monkeypatch.setattr(node, "get_clock", lambda: clock)
        self.options = InputOptions(**options)
        self.inputs = [
            CameraInput(
                node, name, self.options, info_needed=True, now_s=lambda: (self.now_ns - NOW_NS) * 1e-9,
                take=lambda name, frame: self.taken.append(frame), stream=keypoint_stream(name) if keypoints else None,
            )
            for name in names or ("left",)
        ]  # fmt: skip

    def comes(self, *stamps_ns: int, after_s: float = 0.033) -> None:
        """One message of each camera, with its camera_info, as message_filters hands them on."""
        self.now_ns += round(after_s * 1e9) if self.now_ns else 0
        for one, stamp_ns in zip(self.inputs, stamps_ns, strict=True):
            self._pixel += 1
            image = conversions.image_to_msg(np.full((6, 8, 3), 0, np.uint8), stamp_ns, "left_optical")
            image.data = bytes(np.arange(144, dtype=np.uint8) + self._pixel)
            self.sends(one, image)

    def sends(self, one: CameraInput, message: Any) -> None:
        info = conversions.camera_info_to_msg(CAMERA, conversions.stamp_to_ns(message.header.stamp), "left_optical")
        one._on_info(info)
        one._on_image(message)
        one._on_pair(message, info)

    def words(self) -> str:
        return "; ".join(missing_inputs(self.inputs, 9.0, 9.0))

    def frames(self) -> list[Frame]:
        return list(self.taken)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


@pytest.mark.parametrize(
    ("late_s", "words"),
    [
        (3600.0, "images on /left/image_raw are stamped 3600.0 s old when they come: play bags with --clock and "),
        (26 * 3600.0, "images on /left/image_raw are stamped 26.0 hours old when they come: "),
        (1.2, "images on /left/image_raw are stamped 1.2 s old when they come: "),
        (-3600.0, "images on /left/image_raw are stamped 3600.0 s in the future: "),
        (-1.2, "images on /left/image_raw are stamped 1.2 s in the future: "),
    ],
)
def test_fault_stamps_outside_the_window(
    node: Node, monkeypatch: pytest.MonkeyPatch, late_s: float, words: str
) -> None:
    """Fault: images are stamped an hour, a day or 1.2 s before or after the node's clock.
    Sees: they are not used; "images on /left/image_raw are stamped 3600.0 s old when they come: play bags with --clock
    and use_sim_time: true, synchronise clocks (chrony, PTP), or set stamps: arrival".
    Recovers: by itself with right stamps.
    Kind: K1
    Before: VISIBLE people of an hour ago, and no diagnostic.
    """
    one = Inputs(node, monkeypatch)
    for _ in range(3):
        one.comes(one.now_ns + ns(0.033 - late_s))
    assert not one.frames()
    assert words in one.words()
    for part in ("--clock", "use_sim_time: true", "chrony, PTP", "stamps: arrival"):
        assert part in one.words()
    assert len(one.words()) <= 200
    one.comes(one.now_ns)
    assert len(one.frames()) == 1
    kind = "old" if late_s > 0 else "future"
    assert f"3 {kind}" in camera_facts(one.inputs, one.options)["stamps/left"]


def test_fault_cameras_stamp_with_time_since_boot(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: both cameras' drivers stamp with the time since their machine started.
    Sees: no image is used; one line "cameras stamp with time since boot (or simulation time): images on
    /left/image_raw, /right/image_raw are stamped 5231.0 s: ..., or set stamps: arrival".
    Recovers: with right stamps, or with stamps: arrival.
    Kind: K1
    Before: VISIBLE people, stamped 56 years ago, and no diagnostic.
    """
    one = Inputs(node, monkeypatch, "left", "right")
    for n in range(3):
        one.comes(ns(5231.0 + 0.033 * n), ns(5231.0 + 0.033 * n))
    assert not one.frames()
    assert one.words().count("time since boot") == 1
    assert "images on /left/image_raw, /right/image_raw are stamped 5231.1 s" in one.words()
    assert "stamps: arrival" in one.words()


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.4, 0.95, -0.02, -0.5])
def test_stamps_within_the_window_are_used_and_count_from_the_capture(
    node: Node, monkeypatch: pytest.MonkeyPatch, late_s: float
) -> None:
    one = Inputs(node, monkeypatch)
    one.comes(NOW_NS + ns(0.033 - late_s))
    (frame,) = one.frames()
    assert frame.stamp_ns == NOW_NS + ns(0.033 - late_s)
    assert frame.captured_s == pytest.approx(0.033 - max(late_s, 0.0))
    assert one.words() == ""


def test_the_window_is_a_parameter_and_off_before_the_clock_is_known(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = Inputs(node, monkeypatch, stamp_window_s=5.0)
    wide.comes(NOW_NS - ns(4.0))
    assert len(wide.frames()) == 1
    simulated = Inputs(node, monkeypatch)
    simulated.now_ns = 0  # use_sim_time, and no /clock yet
    for n in range(4):
        simulated.comes(ns(12.0 + 0.1 * n))
    assert len(simulated.frames()) == 4
    assert simulated.words() == ""
    simulated.now_ns = ns(12.4)  # a simulation's clock began at its start too: no boot is meant
    simulated.comes(ns(12.41))
    assert len(simulated.frames()) == 5


def test_a_bag_that_loops_reports_nothing_of_the_few_images_that_overtake_its_clock(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Inputs(node, monkeypatch)
    begin_ns = one.now_ns
    for _ in range(100):
        one.comes(one.now_ns + ns(0.033))
    one.comes(begin_ns, after_s=0.0)  # before the /clock message of its time
    one.now_ns = begin_ns
    one.comes(begin_ns + ns(0.033))
    assert "old when they come" not in one.words()
    assert "time went back" in one.words()


@pytest.mark.parametrize("stamp_ns", [0, ns(5231.0), NOW_NS - ns(3600.0), NOW_NS + ns(3600.0)])
def test_stamps_arrival_uses_the_time_when_images_came(
    node: Node, monkeypatch: pytest.MonkeyPatch, stamp_ns: int
) -> None:
    one = Inputs(node, monkeypatch, "left", "right", stamps="arrival")
    for n in range(4):
        one.comes(stamp_ns + n, stamp_ns + n)
    left, right = one.frames()[-2:]
    assert left.stamp_ns == right.stamp_ns == one.now_ns
    assert left.captured_s == pytest.approx(0.132)
    assert conversions.stamp_to_ns(left.info.header.stamp) == stamp_ns + 3  # paired by what the driver stamps
    assert len(one.frames()) == 8
    assert one.words() == ""
    assert camera_facts(one.inputs, one.options)["stamps"].startswith("arrival: poses carry the time when images came")


def test_stamps_arrival_at_a_clock_that_moves_in_steps(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Inputs(node, monkeypatch, stamps="arrival")
    for n in range(6):
        one.comes(ns(5231.0 + n), after_s=0.1 if n % 3 == 0 else 0.0)
    stamps = [frame.stamp_ns for frame in one.frames()]
    assert len(stamps) == len(set(stamps)) == 6
    assert stamps == sorted(stamps)
    one.now_ns = 0
    one.comes(ns(5300.0))
    assert len(one.frames()) == 6  # there is no time that it could have come at


def keypoints(stamp_ns: int, took_s: float) -> Keypoints2DArray:
    message = Keypoints2DArray(processing_latency=took_s)
    message.header.stamp = conversions.stamp_from_ns(stamp_ns)
    return message


def test_keypoints_age_from_their_images_capture_and_detection_elsewhere_is_no_wrong_clock(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Inputs(node, monkeypatch, keypoints=True)
    one.sends(one.inputs[0], keypoints(NOW_NS - ns(2.5), 2.4))
    (frame,) = one.frames()
    assert frame.captured_s == pytest.approx(-2.5)
    one.sends(one.inputs[0], keypoints(NOW_NS - ns(0.1), 9.0))  # a latency that cannot be makes nothing wrong
    assert len(one.frames()) == 2
    late = Inputs(node, monkeypatch, keypoints=True)
    for n in range(3):
        late.sends(late.inputs[0], keypoints(NOW_NS - ns(3600.0) + n, 0.1))
    assert not late.frames()
    assert "stamped 3599.9 s old when they come" in late.words()
    arrival = Inputs(node, monkeypatch, keypoints=True, stamps="arrival")
    arrival.sends(arrival.inputs[0], keypoints(ns(5231.0), 0.4))
    assert arrival.frames()[0].stamp_ns == NOW_NS - ns(0.4)
    assert arrival.frames()[0].captured_s == pytest.approx(-0.4)


def test_sets_of_arrival_times_tolerate_images_that_come_one_after_the_other() -> None:
    at_30_hz_s = 1 / 30
    assert SyncOptions().tolerance_s("capture") < SyncOptions().tolerance_s("arrival") < at_30_hz_s / 2
    assert SyncOptions(stamp_tolerance_s=0.05).tolerance_s("arrival") == 0.05
