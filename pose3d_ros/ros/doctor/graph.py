"""The ROS graph as facts: topics with their endpoints, and nodes' parameters; from a node that publishes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from pose3d_ros.ros.doctor.facts import IMAGES, Endpoint, Topic
from pose3d_ros.ros.doctor.machine import has_profiles, on_this_machine
from pose3d_ros.ros.qos_fit import qos_of

# Every node has them, and they say nothing about poses.
EVERYBODYS = ("/rosout", "/parameter_events")


class Onlooker(Node):
    """A node that is on the graph and publishes nothing: no log, no parameter events, no services for parameters."""

    def __init__(self, name: str, context: Context) -> None:
        super().__init__(
            name, context=context, enable_rosout=False, start_parameter_services=False, use_global_arguments=False
        )

    def create_publisher(self, *_: Any, **__: Any) -> Any:
        """None: rclpy then leaves out its parameter events."""
        return None

    def others(self) -> list[str]:
        """Names, with namespace, of all other nodes that are not hidden."""
        found = self.get_node_names_and_namespaces()
        return [full_name(name, space) for name, space in found if not name.startswith("_")]

    def ask_parameters(self, node: str, names: Sequence[str]) -> Asked:
        """Ask a node for its parameters."""
        return Asked(self, node, names)


class Asked:
    """A question for parameters that is under way; one by one, as one that is not declared ends the answer."""

    def __init__(self, onlooker: Node, node: str, names: Sequence[str]) -> None:
        self._names = names
        self._client: Any = onlooker.create_client(GetParameters, f"{node}/get_parameters")
        self._answers: dict[str, Any] = {}

    def done(self) -> bool:
        """Whether all answers are there; asks as soon as the node can be asked."""
        if not self._answers and self._client.service_is_ready():
            self._answers = {name: self._client.call_async(GetParameters.Request(names=[name])) for name in self._names}
        return bool(self._answers) and all(one.done() for one in self._answers.values())

    def answer(self) -> dict[str, object]:
        """The parameters that the node has and told."""
        found: dict[str, object] = {}
        for name, future in self._answers.items():
            if future.done() and future.result() is not None and future.result().values:
                value = parameter_value_to_python(future.result().values[0])
                found[name] = list(value) if isinstance(value, (list, tuple)) else value
        return {name: value for name, value in found.items() if value is not None}


def topics_of(node: Node) -> dict[str, Topic]:
    """Every topic with who is on it, but for hidden nodes and what every node has."""
    own_gid = own_gid_of(node)
    found = {}
    for name, _ in node.get_topic_names_and_types():
        if name in EVERYBODYS:
            continue
        senders = [_endpoint(one, own_gid) for one in node.get_publishers_info_by_topic(name) if _counts(one)]
        listeners = [_endpoint(one, own_gid) for one in node.get_subscriptions_info_by_topic(name) if _counts(one)]
        found[name] = Topic(tuple(senders), tuple(listeners))
    return found


def senders_on(node: Node, topics: Iterable[str]) -> dict[bytes, str]:
    """GID of every publisher on these topics -> its node."""
    return {
        bytes(one.endpoint_gid): full_name(one.node_name, one.node_namespace)
        for topic in topics
        for one in node.get_publishers_info_by_topic(topic)
    }


def own_gid_of(node: Node) -> Sequence[int]:
    """The GID of one of the node's own subscriptions."""
    for subscription in node.subscriptions:
        for one in node.get_subscriptions_info_by_topic(subscription.topic_name):
            if one.node_name == node.get_name():
                return one.endpoint_gid
    return ()


def full_name(name: str, namespace: str) -> str:
    """/namespace/name."""
    return f"{namespace.rstrip('/')}/{name}"


def _counts(one: Any) -> bool:
    return not one.node_name.startswith("_")


def _endpoint(one: Any, own_gid: Sequence[int]) -> Endpoint:
    said = str(getattr(one, "topic_type_hash", "INVALID"))
    return Endpoint(
        node=full_name(one.node_name, one.node_namespace),
        kind=one.topic_type,
        kind_hash="" if said == "INVALID" else said,
        qos=qos_of(one.qos_profile),
        profiles=has_profiles(one.endpoint_gid, own_gid) if one.topic_type in IMAGES and own_gid else None,
        here=on_this_machine(one.endpoint_gid, own_gid),
    )
