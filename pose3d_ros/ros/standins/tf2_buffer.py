"""tf2_ros's Buffer over pytransform3d: transforms by child frame, interpolated at the stamp, kept for 10 s.

Unlike tf2's it forgets frames of which nothing came for as long: a frame for each person who ever was there would fill
the memory.
"""

from __future__ import annotations

import bisect
import threading
import time as wall
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from pytransform3d.rotations import quaternion_slerp
from pytransform3d.transformations import concat, invert_transform, transform_from_pq
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.time import Time
from scipy.spatial.transform import Rotation

Floats = NDArray[np.float64]

CACHE_S = 10.0  # tf2::BUFFER_CORE_DEFAULT_CACHE_TIME
# tf2 rejects a quaternion whose squared length is further than this from 1 (buffer_core.cpp).
QUATERNION_TOLERANCE = 10e-3
POLL_S = 0.005
# One for all, or each would have a throttle of its own.
LOGGER = get_logger("tf2_buffer")


class TransformException(Exception):  # noqa: N818 (tf2's names)
    """Base class of the exceptions of a lookup."""


class LookupException(TransformException):
    """A frame is unknown."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms connects them."""


class ExtrapolationException(TransformException):
    """The time is outside what was received."""


@dataclass
class _Frame:
    """A child frame's pose in its parent: pq is (7,) x y z in m, then w x y z (pytransform3d's order)."""

    parent: str
    static: bool
    stamps_ns: list[int] = field(default_factory=list)
    pqs: list[Floats] = field(default_factory=list)
    fixed: Floats | None = None  # (4, 4), of a static transform

    def add(self, stamp_ns: int, pq: Floats, cache_ns: int) -> None:
        """Insert a sample in order of time; drop samples older than the cache, including itself."""
        if self.static:
            self.fixed = np.asarray(transform_from_pq(pq))
            return
        at = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if at < len(self.stamps_ns) and self.stamps_ns[at] == stamp_ns:
            self.pqs[at] = pq
        else:
            self.stamps_ns.insert(at, stamp_ns)
            self.pqs.insert(at, pq)
        old = bisect.bisect_left(self.stamps_ns, self.stamps_ns[-1] - cache_ns)
        del self.stamps_ns[:old], self.pqs[:old]

    def at(self, stamp_ns: int) -> Floats:
        """parent_from_child (4, 4) at a time: linear between two positions, slerp between two rotations."""
        if self.fixed is not None:
            return self.fixed
        after = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if after < len(self.stamps_ns) and self.stamps_ns[after] == stamp_ns:
            return np.asarray(transform_from_pq(self.pqs[after]))
        if after == 0 or after == len(self.stamps_ns):
            side, edge = ("past", self.stamps_ns[0]) if after == 0 else ("future", self.stamps_ns[-1])
            raise ExtrapolationException(
                f"Lookup would require extrapolation into the {side}.  Requested time {_seconds(stamp_ns)} but the "
                f"{'earliest' if after == 0 else 'latest'} data is at time {_seconds(edge)}"
            )
        start, end = self.stamps_ns[after - 1], self.stamps_ns[after]
        part = (stamp_ns - start) / (end - start)
        first, second = self.pqs[after - 1], self.pqs[after]
        rotation = quaternion_slerp(first[3:], second[3:], part, shortest_path=True)
        return np.asarray(transform_from_pq(np.hstack([(1 - part) * first[:3] + part * second[:3], rotation])))


class Buffer:
    """The transforms of all frames; thread-safe."""

    def __init__(
        self,
        cache_time: Duration | None = None,
        node: Any = None,
        *,
        now_s: Callable[[], float] = wall.monotonic,
    ) -> None:
        self._cache_ns = round(CACHE_S * 1e9) if cache_time is None else int(cache_time.nanoseconds)
        self._frames: dict[str, _Frame] = {}
        self._parents: Counter[str] = Counter()  # how many frames have each as their parent
        # When each frame that moves last came, the one silent for longest first: people come and go.
        self._came_s: dict[str, float] = {}
        self._now_s, self._ignored = now_s, 0
        self._lock = threading.Lock()
        if node is not None:
            # Transforms of a bag's or a simulation's second run must not be older than the cache.
            back = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True)
            self._jump = node.get_clock().create_jump_callback(back, post_callback=lambda _: self.clear())

    def clear(self) -> None:
        """Drop dynamic transforms; static ones stay, as in tf2, because they are not sent again."""
        with self._lock:
            for child in list(self._came_s):
                self._forget(child)

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that is valid at its stamp."""
        self._set(transform, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that is always valid."""
        self._set(transform, static=True)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """target_from_source at a time (0: the newest that all know), waiting up to timeout.

        Raises LookupException, ConnectivityException or ExtrapolationException.
        """
        matrix, stamp_ns = self._wait_for(target_frame, source_frame, time, timeout)
        return _as_message(matrix, target_frame, source_frame, stamp_ns)

    def can_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None) -> bool:
        """Whether lookup_transform would give a transform, waiting up to timeout."""
        try:
            self._wait_for(target_frame, source_frame, time, timeout)
        except TransformException:
            return False
        return True

    def all_frames(self) -> dict[str, str]:
        """Parent by child of all frames."""
        with self._lock:
            return {child: frame.parent for child, frame in self._frames.items()}

    def _wait_for(self, target: str, source: str, time: Time, timeout: Duration | None) -> tuple[Floats, int]:
        """The result of _look_up, or its exception once the timeout is over."""
        give_up = wall.monotonic() + (0.0 if timeout is None else timeout.nanoseconds / 1e9)
        while True:
            try:
                return self._look_up(_bare(target), _bare(source), int(time.nanoseconds))
            except TransformException:
                if wall.monotonic() >= give_up:
                    raise
            wall.sleep(POLL_S)

    def _set(self, transform: TransformStamped, static: bool) -> None:
        child, parent = _bare(transform.child_frame_id), _bare(transform.header.frame_id)
        t, q = transform.transform.translation, transform.transform.rotation
        pq = np.array([t.x, t.y, t.z, q.w, q.x, q.y, q.z])
        if not child or not parent or child == parent:
            why = "its frames must be two different ones"
        elif not np.isfinite(pq).all():
            why = "it holds numbers that are not finite"
        elif abs(float(pq[3:] @ pq[3:]) - 1.0) > QUATERNION_TOLERANCE:
            why = f"its quaternion has length {np.linalg.norm(pq[3:]):g}, expected 1"
        else:
            stamp_ns = int(Time.from_msg(transform.header.stamp).nanoseconds)
            with self._lock:
                frame = self._frames.get(child)
                if frame is None or frame.static != static or frame.parent != parent:
                    self._forget(child)
                    frame = self._frames[child] = _Frame(parent, static)
                    self._parents[parent] += 1
                frame.add(stamp_ns, pq, self._cache_ns)
                if not static:
                    self._forget_silent(child)
            return
        self._ignored += 1
        LOGGER.error(
            f"TF of {child[:40]!r} in {parent[:40]!r} ignored: {why} ({self._ignored} ignored so far)",
            throttle_duration_sec=5.0,
            skip_first=False,
        )

    def _forget_silent(self, came: str) -> None:
        """Record the arrival of a frame; drop frames without an arrival for the length of the cache."""
        now_s = self._now_s()
        self._came_s.pop(came, None)
        self._came_s[came] = now_s
        while now_s - self._came_s[oldest := next(iter(self._came_s))] > self._cache_ns * 1e-9:
            self._forget(oldest)

    def _forget(self, child: str) -> None:
        self._came_s.pop(child, None)
        if (frame := self._frames.pop(child, None)) is not None:
            self._parents[frame.parent] -= 1
            if not self._parents[frame.parent]:
                del self._parents[frame.parent]

    def _look_up(self, target: str, source: str, stamp_ns: int) -> tuple[Floats, int]:
        """target_from_source (4, 4) and the time in ns it holds at."""
        with self._lock:
            for argument, name in (("target_frame", target), ("source_frame", source)):
                if name not in self._frames and name not in self._parents:
                    raise LookupException(f'"{name}" passed to lookupTransform argument {argument} does not exist. ')
            upward, downward = self._to_root(source), self._to_root(target)
            if upward[-1] != downward[-1]:
                raise ConnectivityException(
                    f"Could not find a connection between '{target}' and '{source}' because they are not part of the "
                    "same tree. Tf has two or more unconnected trees."
                )
            while len(upward) > 1 and len(downward) > 1 and upward[-2] == downward[-2]:
                del upward[-1], downward[-1]
            moving = [f for c in (*upward[:-1], *downward[:-1]) if not (f := self._frames[c]).static]
            if stamp_ns == 0 and moving:
                stamp_ns = min(frame.stamps_ns[-1] for frame in moving)
            root_from_source, root_from_target = (self._chain(chain, stamp_ns) for chain in (upward, downward))
        target_from_root = invert_transform(root_from_target, check=False)
        return np.asarray(concat(root_from_source, target_from_root, check=False)), stamp_ns

    def _to_root(self, name: str) -> list[str]:
        """The frame and its ancestors; a loop raises ConnectivityException."""
        chain = [name]
        while chain[-1] in self._frames:
            parent = self._frames[chain[-1]].parent
            if parent in chain:
                raise ConnectivityException(f"The tf tree is invalid because it contains a loop: {chain}")
            chain.append(parent)
        return chain

    def _chain(self, chain: list[str], stamp_ns: int) -> Floats:
        """ancestor_from_frame (4, 4) over a chain of children up to the ancestor."""
        matrix: Floats = np.eye(4)
        for child in chain[:-1]:
            # concat(A2B, B2C) is A2C, pytransform3d's name for C_from_A.
            # What came in was checked then; checking each product again would take 0.1 ms.
            matrix = np.asarray(concat(matrix, self._frames[child].at(stamp_ns), check=False))
        return matrix


def _bare(frame_id: str) -> str:
    """A frame id without the leading slash of tf1."""
    return frame_id.removeprefix("/")


def _seconds(stamp_ns: int) -> str:
    """A time as tf2 writes it."""
    return f"{stamp_ns / 1e9:.6f}"


def _as_message(matrix: Floats, target: str, source: str, stamp_ns: int) -> TransformStamped:
    """target_from_source as a message."""
    msg = TransformStamped(child_frame_id=source)
    msg.header.stamp = Time(nanoseconds=stamp_ns).to_msg()
    msg.header.frame_id = target
    x, y, z = matrix[:3, 3].tolist()
    # pytransform3d's would check the matrix again, for 0.1 ms.
    qx, qy, qz, qw = Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist()
    translation, rotation = msg.transform.translation, msg.transform.rotation
    translation.x, translation.y, translation.z = x, y, z
    rotation.w, rotation.x, rotation.y, rotation.z = qw, qx, qy, qz
    return msg
