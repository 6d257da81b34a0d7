"""message_filters' Subscriber and time synchronizers over rclpy.

Same constructors and registerCallback as the original. Unlike it, no lock is held while a callback runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node

NS_PER_S = 1_000_000_000


class SimpleFilter:
    """Passes messages to the registered callbacks."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:  # noqa: N802 (the original's name)
        """Call cb with the output and then args from now on."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:  # noqa: N802 (the original's name)
        """Pass msg to every callback."""
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter: Subscriber(node, message type, topic, qos_profile=...)."""

    def __init__(self, node: Node, msg_type: Any, topic: str, *, qos_profile: Any = 10, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        self.sub = node.create_subscription(msg_type, topic, self.signalMessage, qos_profile=qos_profile, **kwargs)

    def getTopic(self) -> str:  # noqa: N802 (the original's name)
        """The topic, as passed to the constructor."""
        return self.topic


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message of every filter once all have the same stamp."""

    def __init__(self, fs: Sequence[Any], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.queues: list[dict[int, Any]] = [{} for _ in fs]  # stamp in ns -> message
        self.lock = threading.Lock()
        self.input_connections = [one.registerCallback(self.add, n) for n, one in enumerate(fs)]

    def add(self, msg: Any, which: int) -> None:
        """Add a message of filter number which."""
        stamp = stamp_ns(msg)
        with self.lock:
            queue = self.queues[which]
            queue[stamp] = msg
            while len(queue) > self.queue_size:
                # The first to come, not the one of the oldest stamp: after a jump back in time, as when a bag
                # starts again, the original keeps the old run's messages and drops every new one.
                del queue[next(iter(queue))]
            match = self.match(stamp, which)
            found = None if match is None else [q.pop(s) for q, s in zip(self.queues, match, strict=True)]
        if found is not None:
            self.signalMessage(*found)

    def match(self, stamp: int, which: int) -> list[int] | None:
        """Stamps of the messages, one a queue, that the new one completes."""
        return [stamp] * len(self.queues) if all(stamp in queue for queue in self.queues) else None


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """The same for stamps that differ by less than slop seconds."""

    def __init__(self, fs: Sequence[Any], queue_size: int, slop: float) -> None:
        super().__init__(fs, queue_size)
        self.slop_ns = round(slop * NS_PER_S)

    def match(self, stamp: int, which: int) -> list[int] | None:
        """The nearest stamp of every queue, if all of them lie within the slop of each other."""
        if not all(self.queues) or stamp not in self.queues[which]:
            return None
        nearest = [min(queue, key=lambda other: abs(other - stamp)) for queue in self.queues]
        return nearest if max(nearest) - min(nearest) < self.slop_ns else None


def stamp_ns(msg: Any) -> int:
    """The header's stamp in ns."""
    return int(msg.header.stamp.sec) * NS_PER_S + int(msg.header.stamp.nanosec)
