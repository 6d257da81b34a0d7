"""The frame sets of an active node's cameras: inputs, grouping by stamp, and the wait for late cameras.

It belongs to the executor's thread, which only takes messages and groups them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from pose3d_ros.ros.camera_inputs import CameraInput, Frame, Stream, camera_facts, missing_inputs
from pose3d_ros.ros.node_report import NodeReport
from pose3d_ros.ros.options import InputOptions, SyncOptions
from pose3d_ros.synchronisation.frame_sets import FrameSetGrouper, PayloadSet

# A fraction of the wait for late cameras: how late its end may be noticed when nothing arrives.
POLL_S = 0.02
# Where ROS time stands still (a paused simulation), an incomplete set is released after so long of real time.
STANDSTILL_S = 1.0
# After so long without a look this process itself stood still, and images may lie unread: rclpy's executor calls timers
# before subscriptions.
STALL_S = 5 * POLL_S


class CameraSets:
    """Hands over each frame set that is complete, or whose late cameras were waited for, until close().

    streams are what the cameras send, by camera; now_ns is the time in which late cameras are waited for; alone_s: when
    one camera of several is alone.
    """

    def __init__(
        self,
        node: Node,
        streams: dict[str, Stream],
        options: InputOptions,
        sync: SyncOptions,
        report: NodeReport,
        hand_over: Callable[[PayloadSet[Frame]], None],
        now_ns: Callable[[Frame | None], int],
        *,
        info_needed: bool,
        min_cameras: int = 1,
        alone_s: float = math.inf,
    ) -> None:
        self._options, self._report, self._hand_over, self._now_ns = options, report, hand_over, now_ns
        self._arrived_s = self._polled_s = 0.0
        self._put_off_ns = -1
        self._closed = False
        self._grouper: FrameSetGrouper[Frame] = FrameSetGrouper(
            tuple(streams),
            tolerance_s=sync.tolerance_s(options.stamps),
            wait_s=sync.sync_timeout_s,
            silent_s=options.silent_after_s,
            min_cameras=min_cameras,
            alone_s=alone_s,
        )
        with ExitStack() as begun:
            self.inputs: dict[str, CameraInput] = {}
            for name, stream in streams.items():
                self.inputs[name] = CameraInput(
                    node, name, options, info_needed=info_needed, now_s=report.now_s, take=self._take, stream=stream
                )
                begun.callback(self.inputs[name].close)
            self._waiting = node.create_timer(POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
            begun.callback(node.destroy_timer, self._waiting)
            self._waiting.cancel()
            self._begun = begun.pop_all()

    def close(self) -> None:
        """Take nothing more."""
        self._closed = True
        self._begun.close()

    def set_alone(self, alone_s: float) -> None:
        """Another time after which one camera of several is alone."""
        self._grouper.set_alone(alone_s)

    @property
    def topics(self) -> Sequence[str]:
        """The topics that are waited for."""
        return [topic for one in self.inputs.values() for topic in one.waited_for]

    def missing(self) -> list[str]:
        """Which inputs do not come or look wrong, in words."""
        return missing_inputs(self.inputs.values(), self._options.silent_after_s, self._options.stale_after_s)

    def facts(self) -> dict[str, str]:
        """Key values for /diagnostics."""
        return {
            "cameras": ", ".join(self.inputs),
            "images/not_grouped": str(self._grouper.dropped),
            "time_jumps": str(self._grouper.jumps),
            **camera_facts(self.inputs.values(), self._options),
        }

    def _take(self, camera: str, frame: Frame) -> None:
        """One image came."""
        self._report.record.heard(self._report.now_s())
        self._arrived_s = time.monotonic()
        self._release(self._grouper.add(camera, frame, frame.stamp_ns, self._now_ns(frame)))
        # The timer runs only while a set waits: each turn of rclpy's executor costs a fraction of a millisecond.
        if self._waiting.is_canceled() and self._grouper.due_ns() is not None:
            self._polled_s = self._arrived_s
            self._waiting.reset()

    def _poll(self) -> None:
        """Release a set whose wait is over though nothing arrives."""
        if self._closed:
            return  # an executor called a timer that is destroyed by now
        due_ns = self._grouper.due_ns()
        if due_ns is None:
            self._waiting.cancel()
            return
        now_s = time.monotonic()
        stalled, self._polled_s = now_s - self._polled_s > STALL_S, now_s
        if stalled and due_ns != self._put_off_ns:
            self._put_off_ns = due_ns  # once a set: what came meanwhile is taken first
            return
        now_ns = self._now_ns(None)
        if now_s - self._arrived_s > STANDSTILL_S:
            now_ns = max(now_ns, due_ns)
        self._release(self._grouper.poll(now_ns))

    def _release(self, ready: PayloadSet[Frame] | None) -> None:
        if ready is not None:
            self._hand_over(ready)
