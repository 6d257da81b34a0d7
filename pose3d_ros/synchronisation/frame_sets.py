"""Groups images of several cameras by their stamps, in any order of arrival.

No ROS and no clock in here: the caller passes the time. The payload may be anything, so a node holds messages undecoded
until their set is complete.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pose3d_ros.errors import InputError
from pose3d_ros.synchronisation.time_jumps import TIME_JUMP_NS, Timeline

Payload = TypeVar("Payload")

# Incomplete sets kept; beyond it the oldest is dropped. At 60 Hz this covers 0.13 s of camera skew.
MAX_WAITING = 8


@dataclass(frozen=True, eq=False)
class PayloadSet(Generic[Payload]):
    """One payload per camera, of about the same time; a missing camera is an absent key."""

    payloads: Mapping[str, Payload]
    stamps_ns: Mapping[str, int]

    @property
    def stamp_ns(self) -> int:
        """Capture time of the newest member."""
        return max(self.stamps_ns.values())

    @property
    def spread_ns(self) -> int:
        """Newest minus oldest capture time."""
        return max(self.stamps_ns.values()) - min(self.stamps_ns.values())


@dataclass(eq=False)
class _Waiting(Generic[Payload]):
    since_ns: int
    payloads: dict[str, Payload] = field(default_factory=dict)
    stamps_ns: dict[str, int] = field(default_factory=dict)

    def fits(self, stamp_ns: int, tolerance_ns: int) -> bool:
        stamps = (*self.stamps_ns.values(), stamp_ns)
        return max(stamps) - min(stamps) <= tolerance_ns


class FrameSetGrouper(Generic[Payload]):
    """Groups payloads whose stamps differ by at most tolerance_s, and waits at most wait_s for missing cameras.

    A set is released as soon as it has every live camera, or at the end of its wait with min_cameras or more. With
    alone_s, images of a single camera are released too once no other has sent for so long: at the end of their wait, or
    at once when the others are silent. Released sets have increasing stamps: payloads older than the last released set,
    or too late for it, are dropped, so there is never a backlog. A camera that was silent for silent_s is not waited
    for until it sends again. Time has jumped if a stamp is more than 1 s behind its camera's newest, or a new camera or
    every live one is more than 1 s behind the last released set, or every live one went back by less (time_jumps.py):
    grouping starts again. A camera whose clock is always behind is always late and does not disturb the others.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        *,
        tolerance_s: float = 0.010,
        wait_s: float = 0.050,
        silent_s: float = 1.0,
        min_cameras: int = 1,
        alone_s: float = math.inf,
    ) -> None:
        if len(set(cameras)) != len(cameras) or not cameras:
            raise InputError(f"grouping needs cameras with different names, got {list(cameras)}")
        self._cameras = tuple(cameras)
        self._tolerance_ns, self._wait_ns = round(tolerance_s * 1e9), round(wait_s * 1e9)
        self._silent_ns, self._min_cameras = round(silent_s * 1e9), min_cameras
        # A silent camera is not waited for, so no camera waits alone for longer than that.
        self.set_alone(alone_s)
        self._heard_ns: dict[str, int] = {}
        self._first_now_ns: int | None = None
        self._now_ns = 0
        self._times: dict[str, Timeline] = {}
        self._released: PayloadSet[Payload] | None = None
        self._waiting: list[_Waiting[Payload]] = []
        self.dropped = 0  # payloads that were late, duplicates, or in dropped sets
        self.jumps = 0  # how often time went back

    def reset(self) -> None:
        """Drop incomplete sets and all stamps; keep which cameras are live."""
        self._times, self._released = {}, None
        self.dropped += sum(len(one.payloads) for one in self._waiting)
        self._waiting = []

    def add(self, camera: str, payload: Payload, stamp_ns: int, now_ns: int) -> PayloadSet[Payload] | None:
        """Add one payload; returns the newest set that is ready, or None.

        stamp_ns is the capture time, now_ns a clock that increases unless it is set back. Raises InputError for an
        unknown camera.
        """
        if camera not in self._cameras:
            raise InputError(f"no camera {camera!r} in this grouping: it has {', '.join(self._cameras)}")
        # After a clock is set back (a restarted simulation), cameras that died before would count as live until then.
        self._heard_ns = {name: min(heard_ns, now_ns) for name, heard_ns in self._heard_ns.items()}
        self._first_now_ns = now_ns if self._first_now_ns is None else min(self._first_now_ns, now_ns)
        self._heard_ns[camera] = now_ns
        released_ns = stamp_ns if self._released is None else self._released.stamp_ns
        is_new = camera not in self._times
        back_ns = self._times.setdefault(camera, Timeline()).add(stamp_ns)
        behind_ns = released_ns - max(self._newest_ns(name) for name in {camera, *self._live(now_ns)})
        late_ns = released_ns - stamp_ns if is_new else back_ns
        if max(late_ns, behind_ns) > TIME_JUMP_NS or (back_ns and behind_ns > 0):
            self.reset()
            self.jumps += 1
            self._times[camera] = Timeline()
            self._times[camera].add(stamp_ns)
        if self._is_late(camera, stamp_ns):
            self.dropped += 1
        else:
            self._insert(camera, payload, stamp_ns, now_ns)
        return self.poll(now_ns)

    def poll(self, now_ns: int) -> PayloadSet[Payload] | None:
        """The newest set that is ready by now, or None; call it at due_ns() without arrivals."""
        self._now_ns = now_ns
        for one in self._waiting:
            one.since_ns = min(one.since_ns, now_ns)  # as above, where the clock was set back
        live = self._live(now_ns)
        ready = [
            one
            for one in self._waiting
            if self._is_enough(one, now_ns) and (live <= one.payloads.keys() or now_ns - one.since_ns >= self._wait_ns)
        ]
        if not ready:
            return None
        newest = max(ready, key=lambda one: max(one.stamps_ns.values()))
        done = PayloadSet(newest.payloads, newest.stamps_ns)
        later = [one for one in self._waiting if min(one.stamps_ns.values()) > done.stamp_ns]
        self.dropped += sum(len(one.payloads) for one in self._waiting if one is not newest and one not in later)
        self._waiting, self._released = later, done
        return done

    def set_alone(self, alone_s: float) -> None:
        """Use another alone_s from now on."""
        self._alone_ns = round(min(alone_s * 1e9, self._silent_ns)) if math.isfinite(alone_s) else None

    def due_ns(self) -> int | None:
        """When poll will release a set without further arrivals; None if no set can be released."""
        starts = [one.since_ns for one in self._waiting if self._is_enough(one, self._now_ns)]
        return min(starts) + self._wait_ns if starts else None

    def silent(self, now_ns: int) -> tuple[str, ...]:
        """Cameras that are not waited for, because they have sent nothing for silent_s."""
        live = self._live(now_ns)
        return tuple(camera for camera in self._cameras if camera not in live)

    def _live(self, now_ns: int) -> set[str]:
        # Every camera counts as live until silent_s after the start.
        start = now_ns if self._first_now_ns is None else self._first_now_ns
        return {name for name in self._cameras if now_ns - self._heard_ns.get(name, start) < self._silent_ns}

    def _newest_ns(self, camera: str) -> int:
        """A camera's newest stamp since the last time jump; the smallest integer if it has none."""
        newest_ns = self._times[camera].newest_ns if camera in self._times else None
        return -(2**63) if newest_ns is None else newest_ns

    def _is_enough(self, one: _Waiting[Payload], now_ns: int) -> bool:
        """Whether a set has enough cameras, or the only one that has sent recently."""
        if len(one.payloads) >= self._min_cameras:
            return True
        if self._alone_ns is None:
            return False
        others = [now_ns - heard_ns for name, heard_ns in self._heard_ns.items() if name not in one.payloads]
        # Every camera counts as live until silent_s after the start.
        since_ns = now_ns - (now_ns if self._first_now_ns is None else self._first_now_ns)
        return min([since_ns, *others]) >= self._alone_ns

    def _is_late(self, camera: str, stamp_ns: int) -> bool:
        """Whether a payload is older than the last released set, or would have belonged to it."""
        if self._released is None:
            return False
        stamps = self._released.stamps_ns
        if camera in stamps:
            return stamp_ns <= stamps[camera]
        return stamp_ns <= self._released.stamp_ns or stamp_ns - min(stamps.values()) <= self._tolerance_ns

    def _insert(self, camera: str, payload: Payload, stamp_ns: int, now_ns: int) -> None:
        """Insert into the nearest incomplete set that it fits, else into a new one."""
        fitting = [one for one in self._waiting if one.fits(stamp_ns, self._tolerance_ns)]
        if any(one.stamps_ns.get(camera) == stamp_ns for one in fitting):
            self.dropped += 1
            return
        free = [one for one in fitting if camera not in one.payloads]
        if free:
            nearest = min(free, key=lambda one: abs(max(one.stamps_ns.values()) - stamp_ns))
        else:
            nearest = _Waiting(since_ns=now_ns)
            self._waiting.append(nearest)
        nearest.payloads[camera] = payload
        nearest.stamps_ns[camera] = stamp_ns
        while len(self._waiting) > MAX_WAITING:
            self.dropped += len(self._waiting.pop(0).payloads)
