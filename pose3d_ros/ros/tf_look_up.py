"""Transforms out of TF as matrices, with errors that name both frames and the fix."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.time import Time

from pose3d_ros.rigs.placement import LookUp, missing_transform
from pose3d_ros.ros.conversions import matrix_from_transform
from pose3d_ros.ros.distribution import ExtrapolationException, TransformException
from pose3d_ros.ros.qos_fit import refused
from pose3d_ros.structures import Floats

POLL_S = 0.005
# What stands still is looked up so often only, and so often it is tried whether it does.
KEPT_S, TRIED_S = 0.1, 1.0
# Only transforms that hold always reach this far: 2038.
FAR = Time(nanoseconds=(2**31 - 1) * 10**9)


def tf_look_up(buffer: Any, wait_s: float, stopped: threading.Event, unheard: Callable[[], str] = lambda: "") -> LookUp:
    """A look-up in a tf2 buffer for a thread that does not spin the node.

    A transform that is only late (a moving camera's comes after its image) is waited for up to wait_s of
    wall time: tf2_ros's own timeout runs on the node's clock, which may stand still in simulation. unheard says whose
    transforms do not reach the buffer. What static transforms alone say holds for KEPT_S: looking up takes 0.1 ms,
    which a rig of many cameras would pay in every frame set.
    """
    kept: dict[tuple[str, str], tuple[float, Floats | None]] = {}  # until when (monotonic s); None of what moves

    def look_up(target: str, source: str, stamp_ns: int) -> Floats:
        now_s, pair = time.monotonic(), (target, source)
        until_s, still = kept.get(pair, (0.0, None))
        if still is not None and now_s < until_s:
            return still
        found = looked_up(target, source, stamp_ns)
        if now_s >= until_s:
            stands = buffer.can_transform(target, source, FAR)
            kept[pair] = (now_s + KEPT_S, found) if stands else (now_s + TRIED_S, None)
        return found

    def looked_up(target: str, source: str, stamp_ns: int) -> Floats:
        give_up = time.monotonic() + wait_s
        while True:
            try:
                return matrix_from_transform(buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns)))
            except ExtrapolationException as error:
                if time.monotonic() > give_up or stopped.wait(POLL_S):
                    raise missing_transform(target, source, str(error), unheard()) from error
            except TransformException as error:
                raise missing_transform(target, source, str(error), unheard()) from error

    return look_up


def unheard_by(listener: Any, node: Any) -> str:
    """Whose transforms a TransformListener cannot hear because their QoS does not fit, in words; empty for none."""
    found = {one.topic_name: refused(node, one) for one in (listener.tf_sub, listener.tf_static_sub)}
    return "; ".join(f"{topic} of {words}" for topic, words in found.items() if words)
