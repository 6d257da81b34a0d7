"""Passing faults of two cameras, and when the node reports them (`python -m benchmarks runtime`).

The cameras are those of benchmarks/ros_cameras.py. A trial waits for a healthy graph, starts a fault, ends it once it
is reported, and waits for a healthy graph again. It records the times of the first messages of each kind;
benchmarks/runtime.py evaluates them.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from benchmarks.ros_cameras import Alter, BenchCameras, before_the_node, spin_until
from benchmarks.scene import RATE_HZ
from pose3d_ros.msg import HumanPose3D, HumanPose3DArray
from pose3d_ros.ros.conversions.stamps import stamp_from_ns, stamp_to_ns

# The graph must be healthy for so long before a fault starts, so that the report is about this fault.
WELL_S = 1.0
# The shortest fault, and the longest without a report.
FAULT_S, LONGEST_FAULT_S = 1.5, 8.0
# Timeout for a healthy graph, at first and again.
PATIENCE_S = 30.0
BOTH, SECOND = (0, 1), (1,)
STOP = "both cameras stop"
VISIBLE, OCCLUDED, LOST = HumanPose3D.STATE_VISIBLE, HumanPose3D.STATE_OCCLUDED, HumanPose3D.STATE_LOST


def _altered(cameras: tuple[int, ...], change: Callable[[Image, CameraInfo], tuple[Image, CameraInfo] | None]) -> Alter:
    """Changes the messages of these cameras."""
    return lambda camera, image, info: change(image, info) if camera in cameras else (image, info)


def _copied(message: Any, **fields: Any) -> Any:
    """A message with other fields; the rest is shared with the first."""
    other = copy.copy(message)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _stamped(message: Any, stamp_ns: int) -> Any:
    return _copied(message, header=Header(frame_id=message.header.frame_id, stamp=stamp_from_ns(stamp_ns)))


def _both_stamped(stamp_ns: Callable[[int], int]) -> Callable[[Image, CameraInfo], tuple[Image, CameraInfo]]:
    def change(image: Image, info: CameraInfo) -> tuple[Image, CameraInfo]:
        now_ns = stamp_ns(stamp_to_ns(image.header.stamp))
        return _stamped(image, now_ns), _stamped(info, now_ns)

    return change


def _hung() -> Alter:
    """The second camera's first image, again and again under new stamps."""
    first: list[Image] = []

    def change(image: Image, info: CameraInfo) -> tuple[Image, CameraInfo]:
        if not first:
            first.append(image)
        return _copied(first[0], header=image.header), info

    return _altered(SECOND, change)


# Fault -> (words of its report in /diagnostics, a factory of the change to messages, called for each trial).
FAULTS: dict[str, tuple[str, Callable[[], Alter]]] = {
    STOP: ("no image on", lambda: _altered(BOTH, lambda image, info: None)),
    "one camera stops": ("no image on", lambda: _altered(SECOND, lambda image, info: None)),
    "one camera hangs": ("repeat the previous pixels", _hung),
    "images of one are cut": (
        "was cut on its way",
        lambda: _altered(SECOND, lambda image, info: (_copied(image, data=bytes(100)), info)),
    ),
    "images of one come as depth": (
        "has encoding",
        lambda: _altered(SECOND, lambda image, info: (_copied(image, encoding="32FC1"), info)),
    ),
    "K of one is zero": (
        "is not calibrated",
        lambda: _altered(SECOND, lambda image, info: (image, _copied(info, k=[0.0] * 9))),
    ),
    "size in camera_info of one is wrong": (
        "its calibration is for",
        lambda: _altered(SECOND, lambda image, info: (image, _copied(info, width=320, height=240))),
    ),
    "stamps of one are zero": ("have the stamp 0.000", lambda: _altered(SECOND, _both_stamped(lambda stamp_ns: 0))),
    "one is stamped 10 s ahead": (
        "in the future",
        lambda: _altered(SECOND, _both_stamped(lambda stamp_ns: time.time_ns() + 10 * 10**9)),
    ),
    "time goes back by 0.5 s (a clock that is set)": (
        "time went back",
        lambda: _altered(BOTH, _both_stamped(lambda stamp_ns: stamp_ns - 5 * 10**8)),
    ),
}


class Heard:
    """First and last time of each kind of message since begin(), s of time.monotonic(); absent without one.

    Of /diagnostics: ok, not_ok (anything else), named (the cause). Of /human_pose_3d: pose (of both cameras), visible
    (a person is, from any camera), occluded, lost, gone.
    """

    def __init__(self, cameras: BenchCameras) -> None:
        self.first_pose_s: float | None = None  # ever
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self._cause: str | None = None
        cameras.create_subscription(HumanPose3DArray, "human_pose_3d", self._pose, 100)
        cameras.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosis, 100)

    def begin(self, cause: str | None = None) -> None:
        """Drop all times; cause is the text of the fault's report, None without a fault."""
        self._cause, self.first, self.last = cause, {}, {}

    def _note(self, what: str) -> None:
        now_s = time.monotonic()
        self.first.setdefault(what, now_s)
        self.last[what] = now_s

    def _pose(self, message: HumanPose3DArray) -> None:
        states = [one.state for one in message.people]
        if VISIBLE in states and len(message.camera_names) == len(BOTH):
            self.first_pose_s = self.first_pose_s or time.monotonic()
            self._note("pose")
        if VISIBLE in states:
            self._note("visible")
        if states and VISIBLE not in states:
            self._note("lost" if LOST in states else "occluded")
        if not states:
            self._note("gone")

    def _diagnosis(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if not status.name.endswith("human_pose_3d"):
                continue
            if status.level == status.OK:
                self._note("ok")
                continue
            self._note("not_ok")
            if self._cause is not None and self._cause in status.message:
                self._note("named")


class Trials:
    """Publishes sets at RATE_HZ and runs one trial after another."""

    def __init__(self, cameras: BenchCameras, executor: SingleThreadedExecutor) -> None:
        self._cameras, self._executor, self.heard = cameras, executor, Heard(cameras)
        self._number, self._due_s = 0, time.monotonic()

    def _step(self, alter: Alter | None = None) -> None:
        spin_until(self._executor, self._due_s)
        self._cameras.publish(self._number, alter)
        self._number += 1
        # A delayed process does not catch up by a burst.
        self._due_s = max(self._due_s + 1.0 / RATE_HZ, time.monotonic())

    def _until(self, reached: Callable[[], bool], patience_s: float, alter: Alter | None = None) -> bool:
        give_up = time.monotonic() + patience_s
        while not (done := reached()) and time.monotonic() < give_up:
            self._step(alter)
        return done

    def well(self) -> bool:
        """Wait until no fault is reported and both cameras give poses; False on timeout."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            self.heard.begin()
            if not self._until(lambda: {"pose", "ok"} <= self.heard.first.keys(), give_up - time.monotonic()):
                return False
            self.heard.begin()
            self._until(lambda: "not_ok" in self.heard.first, WELL_S)
            if "not_ok" not in self.heard.first:
                return True
        return False

    def run(self, cause: str, alter: Alter, *, all_stop: bool) -> dict[str, Any]:
        """One trial: seconds from the fault's start, and again_* from its end; None without a message.

        all_stop: the fault ends only when no person is published any more.
        """
        awaited = {"named", "gone"} if all_stop else {"named"}
        last_well_s = time.monotonic()
        self.heard.begin(cause)
        begin_s = self._due_s
        self._until(
            lambda: awaited <= self.heard.first.keys() and time.monotonic() - begin_s >= FAULT_S, LONGEST_FAULT_S, alter
        )
        during, visible_s = self.heard.first, self.heard.last.get("visible", last_well_s)
        self.heard.begin(cause)
        end_s = self._due_s
        self._until(lambda: {"pose", "ok"} <= self.heard.first.keys(), PATIENCE_S)
        after = self.heard.first
        found: dict[str, Any] = {
            name: during[name] - begin_s if name in during else None
            for name in ("not_ok", "named", "occluded", "lost", "gone")
        }
        found |= {f"again_{name}": after[name] - end_s if name in after else None for name in ("pose", "ok")}
        return found | {"visible": visible_s - begin_s}


def main() -> int:
    """Arguments: trials of each fault, number of faults, output file."""
    repeats, count, report = int(sys.argv.pop(1)), int(sys.argv.pop(1)), Path(sys.argv.pop(1))
    if (ready := before_the_node()) is None:
        return 1
    trials = Trials(*ready)
    found: list[dict[str, Any]] = []
    for number, name in product(range(repeats), list(FAULTS)[:count]):
        cause, make = FAULTS[name]
        well = trials.well()
        times = trials.run(cause, make(), all_stop=name == STOP) if well else {}
        found.append({"fault": name, "well": well, **times})
        print(f"trial {number + 1} of {repeats}: {found[-1]}", flush=True)
        if not well:  # a machine that is too busy for one trial is so for the next
            break
    report.write_text(json.dumps({"trials": found, "first_pose_s": trials.heard.first_pose_s}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
