"""How late one camera's stamps are relative to another's, estimated from people who walk.

A camera whose stamps are late by o shows a joint where it was o earlier: its keypoint misses the other views by the
joint's velocity in the image times o. clock_regression.py estimates o from that.

Offsets are relative to the first camera. Each estimate is a Gauss-Newton step at the offsets so far. A keypoint is
weighted by the square of its score. Standard errors are those of whole seconds, because a detector's errors are
correlated in time. NumPy, float64. Axes: T times, V views, J joints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pose3d_ros.geometry.calibration import same_calibration
from pose3d_ros.geometry.projection import undistort
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Floats, Keypoints2D
from pose3d_ros.synchronisation.clock_regression import (
    COMPARED_HZ,
    KERNEL_S,
    SPEED_KERNEL_S,
    Samples,
    compare,
    join,
    local_lines,
    regress,
)

# How long keypoints are kept, and the period of the estimates.
WINDOW_S, EVERY_S = 20.0, 1.0
# The largest rounding of stamps of a steady rate.
ROUNDED_NS = 1_000_000
# Seconds of walking with several steps of each leg.
ENOUGH_S = 4.0
# Factors on the blocks' standard error, with three cameras or more and with two: of offsets with a standard error of
# 5 ms hardly one is then wrong by 8 (python -m benchmarks clock_offsets).
WIDENED, WIDENED_OF_TWO = 2.0, 3.0
# Limits of the standard error for use and for a report. An offset is reported if it exceeds LATE_REPORTED_S by two
# standard errors: 5 ms is the common jitter of cameras without a trigger, and moves a hand of 1 m/s by 5 mm.
STD_USED_S, STD_REPORTED_S, LATE_REPORTED_S = 0.005, 0.01, 0.008
# The largest offset estimated: half a period at 10 Hz.
MAX_OFFSET_S = 0.1
# Joints that a detector measures; the others are means of these, or missing.
DERIVED = ("Pelvis", "Spine", "Thorax", "HeadTop")
MEASURED = tuple(j for j, name in enumerate(H36M_17.joint_names) if name not in DERIVED)
# Lower bound of a keypoint's score in the weights: an uncertain joint may be the only one.
MIN_SCORE = 0.02


@dataclass(frozen=True)
class CameraOffset:
    """How late a camera's stamps are relative to the first camera's."""

    late_s: float
    std_s: float


@dataclass(frozen=True)
class ClockEstimate:
    """The estimated offsets of the cameras' clocks; why gives the reason while there are none."""

    offsets: Mapping[str, CameraOffset] = field(default_factory=dict)
    walked_s: float = 0.0
    why: str = ""

    @property
    def usable_s(self) -> dict[str, float]:
        """How late each camera is, s, if all offsets are accurate enough for use; else nothing."""
        if not self.offsets or max(one.std_s for one in self.offsets.values()) > STD_USED_S:
            return {}
        return {name: one.late_s for name, one in self.offsets.items()}

    @property
    def severe(self) -> bool:
        """False: poses are only slightly off."""
        return False

    def faults(self) -> list[str]:
        """The cameras whose clocks differ from the first one's, with the fix."""
        first = next(iter(self.offsets), "")
        return [
            f"the stamps of camera {name!r} are {1e3 * abs(one.late_s):.0f} ms {'late' if one.late_s > 0 else 'early'} "
            f"(+- {2e3 * one.std_s:.0f} ms) compared with those of {first!r}: trigger the cameras together or "
            "synchronise their clocks, or set compensate_offsets"
            for name, one in self.offsets.items()
            if one.std_s <= STD_REPORTED_S and abs(one.late_s) - 2.0 * one.std_s > LATE_REPORTED_S
        ]

    def facts(self) -> dict[str, str]:
        """Key values: offsets in ms by camera with their standard errors, or why there are none."""
        offsets = {
            f"clock_offset_ms/{name}": f"{1e3 * one.late_s:.1f} +- {1e3 * one.std_s:.1f}"
            for name, one in self.offsets.items()
        }
        return {**offsets, "clock_offset": self.why or f"from {self.walked_s:.0f} s of walking"}


@dataclass(eq=False)
class PersonTrack:
    """One person's keypoints in one camera, newest last: stamps, weights, and (J, 2) px or, of older ones, ideal."""

    stamps_ns: deque[int] = field(default_factory=deque)
    weight: deque[Floats] = field(default_factory=deque)  # (J,)
    px: deque[Floats] = field(default_factory=deque)
    ideal: deque[Floats] = field(default_factory=deque)

    def all_ideal(self, camera: Camera) -> Floats:
        """Ideal coordinates (S, J, 2); undistorts those added since the last call together."""
        if self.px:
            self.ideal.extend(undistort(camera, np.stack(self.px)))
            self.px.clear()
        return np.stack(self.ideal)

    def forget(self, before_ns: int) -> None:
        """Drop older keypoints."""
        while self.stamps_ns and self.stamps_ns[0] < before_ns:
            self.stamps_ns.popleft()
            self.weight.popleft()
            (self.ideal or self.px).popleft()


@dataclass(eq=False)
class UnderWay:
    """An estimate in progress: plain data, so that a checkpoint can hold it."""

    now_ns: int  # the newest stamp it uses
    passes: int  # left, including this one
    people: list[str]  # of this pass, in order
    samples: list[Samples] = field(default_factory=list)  # of this pass
    number: int = 0  # of the current person
    at_s: Floats | None = None  # (T,) that person's times relative to now_ns; None before the first step
    lines: list[tuple[Floats, Floats]] = field(default_factory=list)  # (T, J, 2) positions and speeds, by camera


class ClockOffsets:
    """Estimates the cameras' offsets from people who walk, over a sliding window.

    Update it with every frame set, then read `estimate`. An estimate takes tens of milliseconds, so it is computed in
    parts, one with each frame set, and is ready some sets later. It starts again if cameras are added or removed, or
    move relative to each other.
    """

    def __init__(self, enough_s: float = ENOUGH_S) -> None:
        """enough_s: seconds of walking, of all people together, required for an estimate."""
        self._enough_s = enough_s
        self.reset()

    def state_dict(self) -> dict[str, Any]:
        """The keypoints kept, the offsets, and the estimate in progress."""
        return state_of(self, ("_enough_s",))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from another one's state."""
        load_state(self, state, ("_enough_s",))

    def begin_again(self) -> None:
        """Drop everything: the cameras have changed."""
        self.reset()

    def reset(self) -> None:
        """Drop everything."""
        self._cameras: tuple[Camera, ...] = ()
        self._tracks: dict[str, dict[str, PersonTrack]] = {}  # person -> camera
        self._late_s: dict[str, float] = {}
        self._stamp_ns: int | None = None
        self._estimated_ns: int | None = None
        self._under_way: UnderWay | None = None
        self.estimate = ClockEstimate(why="no person has walked yet")

    def update(
        self,
        cameras: Sequence[Camera],
        keypoints: Mapping[str, Keypoints2D],
        ids: Mapping[str, Sequence[str]],
    ) -> ClockEstimate:
        """Add one frame set: 2D people by camera, each with its id ("" for none); returns the current estimate."""
        stamp_ns = max((k.stamp_ns for k in keypoints.values()), default=0)
        if (self._stamp_ns is not None and stamp_ns < self._stamp_ns) or not same_calibration(self._cameras, cameras):
            self.reset()
        if not self._cameras:
            self._cameras = tuple(cameras)
        self._stamp_ns = stamp_ns
        for camera in cameras:
            if camera.name in keypoints:
                self._keep(camera, keypoints[camera.name], ids.get(camera.name, ()))
        self._forget(stamp_ns - round(WINDOW_S * 1e9))
        if self._estimated_ns is None:
            self._estimated_ns = stamp_ns
        if self._under_way is None and stamp_ns - self._estimated_ns >= EVERY_S * 1e9 - ROUNDED_NS:
            self._estimated_ns = stamp_ns
            passes = 1 if self._late_s else 2  # the first step starts far from the answer
            self._under_way = UnderWay(stamp_ns, passes, list(self._tracks))
        if self._under_way is not None:
            self._do_part(self._under_way)  # one a frame set
        return self.estimate

    def _keep(self, camera: Camera, people: Keypoints2D, ids: Sequence[str]) -> None:
        for person, joints, score in zip(ids, people.xy, people.score, strict=False):
            if person:
                track = self._tracks.setdefault(person, {}).setdefault(camera.name, PersonTrack())
                if not track.stamps_ns or people.stamp_ns > track.stamps_ns[-1]:
                    track.stamps_ns.append(people.stamp_ns)
                    track.weight.append(np.maximum(score[list(MEASURED)], MIN_SCORE) ** 2)
                    track.px.append(joints[list(MEASURED)])

    def _forget(self, before_ns: int) -> None:
        for person in list(self._tracks):
            for name, track in list(self._tracks[person].items()):
                track.forget(before_ns)
                if not track.stamps_ns:
                    del self._tracks[person][name]
            if not self._tracks[person]:
                del self._tracks[person]

    def _do_part(self, todo: UnderWay) -> None:
        """Process one camera of one person, or one person's comparison, or a step; the last step ends the estimate."""
        while todo.number < len(todo.people):
            tracks = self._tracks.get(todo.people[todo.number], {})
            if todo.at_s is None:
                begun_ns = [track.stamps_ns[0] for track in tracks.values() if track.stamps_ns]
                # Keypoints up to now_ns may have been dropped by now.
                if len(begun_ns) < 2 or (start_ns := min(begun_ns)) > todo.now_ns:
                    todo.number += 1
                    continue
                begin = np.ceil((start_ns - todo.now_ns) * 1e-9 * COMPARED_HZ)
                todo.at_s = np.arange(begin, 1) / COMPARED_HZ
            if len(todo.lines) < len(self._cameras):
                todo.lines.append(self._lines(self._cameras[len(todo.lines)], tracks, todo.at_s, todo.now_ns))
                return
            if (samples := self._compared(todo.at_s, todo.lines, todo.number)) is not None:
                todo.samples.append(samples)
            todo.number, todo.at_s, todo.lines = todo.number + 1, None, []
            return
        self.estimate = self._stepped(todo.samples)
        last = todo.passes == 1
        self._under_way = None if last else UnderWay(todo.now_ns, todo.passes - 1, list(self._tracks))

    def _stepped(self, samples: Sequence[Samples]) -> ClockEstimate:
        walked_s = sum(len(np.unique(one.block)) for one in samples) * 1.0
        if walked_s < self._enough_s:
            why = f"people walked for {walked_s:.0f} s of the last {WINDOW_S:.0f}, {self._enough_s:.0f} are required"
            return replace(self.estimate, walked_s=walked_s, why=why)
        step, std = regress(join(samples), len(self._cameras))
        names = [camera.name for camera in self._cameras]
        widened = WIDENED if len(names) > 2 else WIDENED_OF_TWO
        for name, moved_s in zip(names[1:], step, strict=True):
            self._late_s[name] = float(np.clip(self._late_s.get(name, 0.0) + moved_s, -MAX_OFFSET_S, MAX_OFFSET_S))
        offsets = {
            name: CameraOffset(self._late_s[name], widened * float(s)) for name, s in zip(names[1:], std, strict=True)
        }
        return ClockEstimate({names[0]: CameraOffset(0.0, 0.0), **offsets}, walked_s)

    def _lines(
        self, camera: Camera, tracks: Mapping[str, PersonTrack], at_s: Floats, now_ns: int
    ) -> tuple[Floats, Floats]:
        """Positions and velocities (T, J, 2) of a person's joints in a camera at common times, by current offsets."""
        track = tracks.get(camera.name)
        if track is None or not track.stamps_ns:
            nowhere = np.full((len(at_s), len(MEASURED), 2), np.nan)
            return nowhere, nowhere
        stamps_s = 1e-9 * (np.array(track.stamps_ns, dtype=np.int64) - now_ns).astype(np.float64)
        shifted_s, xy = at_s + self._late_s.get(camera.name, 0.0), track.all_ideal(camera)
        weight = np.stack(track.weight)
        position = local_lines(shifted_s, stamps_s, xy, weight, KERNEL_S)[0]
        return position, local_lines(shifted_s, stamps_s, xy, weight, SPEED_KERNEL_S)[1]

    def _compared(self, at_s: Floats, lines: Sequence[tuple[Floats, Floats]], number: int) -> Samples | None:
        """One person's joints at common times while walking; None if the person does not walk."""
        position, speed = (np.stack(one, axis=2) for one in zip(*lines, strict=True))  # (T, J, V, 2)
        visible = np.isfinite(position).all(-1) & np.isfinite(speed).all(-1)
        both = visible.sum(-1) >= 2
        seconds = np.broadcast_to(np.floor(at_s)[:, None], both.shape)
        return compare(self._cameras, position, speed, visible & both[..., None], seconds, number)
