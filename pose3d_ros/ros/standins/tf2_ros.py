"""tf2_ros's listener and broadcasters over rclpy; the buffer is in tf2_buffer.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from pose3d_ros.ros.standins.tf2_buffer import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    LookupException,
    TransformException,
)

__all__ = [
    "Buffer",
    "ConnectivityException",
    "ExtrapolationException",
    "LookupException",
    "StaticTransformBroadcaster",
    "TransformBroadcaster",
    "TransformException",
    "TransformListener",
]


def dynamic_qos() -> QoSProfile:
    """The QoS of tf2_ros on /tf."""
    return QoSProfile(depth=100, durability=DurabilityPolicy.VOLATILE, history=HistoryPolicy.KEEP_LAST)


def static_qos_of(depth: int) -> QoSProfile:
    """The QoS of tf2_ros on /tf_static: late subscribers receive it too."""
    return QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_LAST)


class TransformListener:
    """Adds the transforms of /tf and /tf_static to a buffer while the node spins."""

    def __init__(self, buffer: Buffer, node: Node, *, qos: Any = None, static_qos: Any = None) -> None:
        self.buffer = buffer
        self.node = node
        # Of its own group, so that a callback may wait for a transform under a multi-threaded executor.
        group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, "/tf", self.callback, qos or dynamic_qos(), callback_group=group
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage, "/tf_static", self.static_callback, static_qos or static_qos_of(100), callback_group=group
        )

    def callback(self, data: TFMessage) -> None:
        """Add a message of /tf."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, "default_authority")

    def static_callback(self, data: TFMessage) -> None:
        """Add a message of /tf_static."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, "default_authority")

    def unregister(self) -> None:
        """Destroy the subscriptions."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)


class TransformBroadcaster:
    """Publishes transforms on /tf."""

    def __init__(self, node: Node, qos: Any = None) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf", qos or dynamic_qos())

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:  # noqa: N802
        """Publish one transform or several in one message."""
        self.pub_tf.publish(TFMessage(transforms=_as_list(transform)))


class StaticTransformBroadcaster:
    """Publishes on /tf_static the last transform of each child frame that it received."""

    def __init__(self, node: Node, qos: Any = None) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos or static_qos_of(1))
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:  # noqa: N802
        """Add one transform or several and publish all: with depth 1 the last message must be complete."""
        self._sent.update({one.child_frame_id: one for one in _as_list(transform)})
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))


def _as_list(transform: TransformStamped | Iterable[TransformStamped]) -> list[TransformStamped]:
    """One or several as a list."""
    return [transform] if isinstance(transform, TransformStamped) else list(transform)
