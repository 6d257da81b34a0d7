"""The ROS graph as facts: topics with their endpoints, and nodes' parameters; from a node that publishes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

from pose3d_ros.ros.doctor.facts import IMAGES, Endpoint, Topic
from pose3d_ros.ros.doctor.machine import has_profiles, on_this_machine
from pose3d_ros.ros.qos_fit import qos_of

# Every node has these topics.
COMMON_TOPICS = ("/rosout", "/parameter_events")


class PassiveNode(Node):
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
        names = self.get_node_names_and_namespaces()
        return [full_name(name, space) for name, space in names if not name.startswith("_")]

    def request_parameters(self, node: str, names: Sequence[str]) -> ParameterRequest:
        """Request a node's parameters."""
        return ParameterRequest(self, node, names)


class ParameterRequest:
    """A pending request for parameters: it lists the declared ones, then gets those of the given names.

    An undeclared name makes the whole request fail, so the list comes first.
    """

    def __init__(self, client: Node, node: str, names: Sequence[str]) -> None:
        self._wanted = names
        self._list: Any = client.create_client(ListParameters, f"{node}/list_parameters")
        self._get: Any = client.create_client(GetParameters, f"{node}/get_parameters")
        self._listed: Any = None
        self._got: Any = None
        self._names: list[str] = []

    def done(self) -> bool:
        """Whether the answer has arrived; sends each request as soon as its service is ready."""
        if self._listed is None and self._list.service_is_ready() and self._get.service_is_ready():
            self._listed = self._list.call_async(ListParameters.Request())
        if self._got is None and self._listed is not None and self._listed.done() and self._listed.result() is not None:
            declared = set(self._listed.result().result.names)
            self._names = [name for name in self._wanted if name in declared]
            self._got = self._get.call_async(GetParameters.Request(names=self._names))
        return self._got is not None and bool(self._got.done())

    def answer(self) -> dict[str, object]:
        """The values of the declared parameters; empty while there is no answer."""
        if not self.done() or self._got.result() is None:
            return {}
        parameters: dict[str, object] = {}
        for name, message in zip(self._names, self._got.result().values, strict=False):
            value = parameter_value_to_python(message)
            parameters[name] = list(value) if isinstance(value, (list, tuple)) else value
        return {name: value for name, value in parameters.items() if value is not None}


def topics_of(node: Node) -> dict[str, Topic]:
    """Every topic with its endpoints, except those of hidden nodes and COMMON_TOPICS."""
    own_gid = own_gid_of(node)
    topics = {}
    for name, _ in node.get_topic_names_and_types():
        if name in COMMON_TOPICS:
            continue
        senders = [_endpoint(one, own_gid) for one in node.get_publishers_info_by_topic(name) if _counts(one)]
        listeners = [_endpoint(one, own_gid) for one in node.get_subscriptions_info_by_topic(name) if _counts(one)]
        topics[name] = Topic(tuple(senders), tuple(listeners))
    return topics


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
    type_hash = str(getattr(one, "topic_type_hash", "INVALID"))
    return Endpoint(
        node=full_name(one.node_name, one.node_namespace),
        kind=one.topic_type,
        kind_hash="" if type_hash == "INVALID" else type_hash,
        qos=qos_of(one.qos_profile),
        profiles=has_profiles(one.endpoint_gid, own_gid) if one.topic_type in IMAGES and own_gid else None,
        here=on_this_machine(one.endpoint_gid, own_gid),
    )
