"""Faults of the graph: who is not there, who does not understand whom."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator

from pose3d_ros.ros.doctor.facts import KEYPOINTS, POSES, Endpoint, Facts, Finding

OURS = "pose3d_ros/msg/"


def ros_missing(facts: Facts) -> Iterator[Finding]:
    """ROS cannot be used by this Python."""
    if facts.machine.ros_missing:
        yield Finding("this machine", facts.machine.ros_missing, "then run pose3d doctor again in the same terminal")


def node_not_running(facts: Facts) -> Iterator[Finding]:
    """No node of ours is on the graph."""
    if facts.nodes or facts.machine.ros_missing:
        return
    where = f"the graph of ROS domain {facts.domain}" + (f" under {facts.namespace}" if facts.namespace else "")
    others = f"other nodes ({len(facts.other_nodes)}): {', '.join(facts.other_nodes[:5])}"
    yield Finding(
        where,
        f"no node of pose3d_ros is there; {others if facts.other_nodes else 'nobody else is either'}",
        "start it: ros2 launch pose3d_ros stereo.launch.py; where it runs, give this terminal the same ROS_DOMAIN_ID, "
        "RMW_IMPLEMENTATION, ROS_AUTOMATIC_DISCOVERY_RANGE and ROS_SECURITY_* as the node's"
        + (", or leave out --namespace" if facts.namespace else ""),
    )


def node_silent(facts: Facts) -> Iterator[Finding]:
    """A node of ours is on the graph and tells nothing."""
    for node in facts.nodes:
        if node.level is None:
            yield Finding(
                node.name,
                f"it is on the graph, but said nothing on /diagnostics in {facts.watched_s:.0f} s: it hangs, is "
                "starting, or has just ended",
                "look at its terminal; a start that takes longer than 20 s, or a hang: end it and start it again",
            )


def topic_unpublished(facts: Facts) -> Iterator[Finding]:
    """A node waits for a topic that nobody publishes."""
    published = [name for name, topic in facts.topics.items() if topic.publishers]
    for node in facts.nodes:
        for name in _inputs(node.name, facts):
            if facts.topic(name).publishers:
                continue
            kind = facts.topic(name).subscriptions[0].kind
            same = [one for one in published if any(pub.kind == kind for pub in facts.topic(one).publishers)]
            near = difflib.get_close_matches(name, same, n=3, cutoff=0.4) or same[:3]
            hint = (
                f"published are {', '.join(near)}: remap, or name the cameras so" if near else "nothing of its kind is"
            )
            yield Finding(
                name,
                f"{node.name} waits for it, and nobody publishes it",
                f"start the driver; {hint}" if near else f"start what publishes it ({kind}); {hint}",
            )


def _inputs(node: str, facts: Facts) -> list[str]:
    """The camera topics that a node subscribes to."""
    kinds = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo", KEYPOINTS)
    return [
        name
        for name, topic in sorted(facts.topics.items())
        if any(one.node == node and one.kind in kinds for one in topic.subscriptions)
    ]


def wrong_type(facts: Facts) -> Iterator[Finding]:
    """Publisher and subscriber of a topic have different types."""
    for name, topic in facts.topics.items():
        for listener in topic.subscriptions:
            for sender in topic.publishers:
                if sender.kind != listener.kind:
                    yield Finding(
                        name,
                        f"{sender.node} publishes {sender.kind}, {listener.node} takes {listener.kind}: none arrive",
                        "name the right topic (image_topic, camera_info_topic), or set image_transport: compressed "
                        "where the images are",
                    )


def definitions_differ(facts: Facts) -> Iterator[Finding]:
    """Two versions of one message definition are on the graph."""
    for name, topic in facts.topics.items():
        by_hash: dict[tuple[str, str], set[str]] = defaultdict(set)
        for one in (*topic.publishers, *topic.subscriptions):
            if one.kind_hash:
                by_hash[one.kind, one.kind_hash].add(one.node)
        for kind in {kind for kind, _ in by_hash}:
            sides = [", ".join(sorted(nodes)) for (of, _), nodes in sorted(by_hash.items()) if of == kind]
            if len(sides) > 1:
                ours = " pose3d_ros everywhere" if kind.startswith(OURS) else " one version of that package everywhere"
                yield Finding(
                    name,
                    f"two definitions of {kind} are in use, so what arrives is nothing or nonsense: "
                    f"{' on one side, '.join(sides)} on the other",
                    f"build{ours}, source it in every terminal, start both sides again",
                )


def qos_mismatch(facts: Facts) -> Iterator[Finding]:
    """Publisher and subscriber of a topic refuse each other's QoS."""
    for name, topic in facts.topics.items():
        for listener in topic.subscriptions:
            for sender in topic.publishers:
                if sender.kind == listener.kind and (why := qos_problem(sender, listener)):
                    yield Finding(name, f"{sender.node} -> {listener.node}: {why[0]}: nothing arrives", why[1])


def qos_problem(sender: Endpoint, listener: Endpoint) -> tuple[str, str] | None:
    """What is offered and asked for, and the mend, where the two do not fit (DDS's requested-offered rules)."""
    if listener.reliable and not sender.reliable:
        return (
            "it is published best effort, the subscription asks for reliable",
            "subscribe best effort (qos_profile_sensor_data), or let the publisher be reliable",
        )
    if listener.latched and not sender.latched:
        return (
            "it is published volatile, the subscription asks for transient local",
            "subscribe volatile, or let the publisher be transient local",
        )
    if sender.deadline_s > listener.deadline_s:
        offered = "none" if sender.deadline_s == float("inf") else f"{sender.deadline_s:g} s"
        return (
            f"the subscription asks for a deadline of {listener.deadline_s:g} s, the publisher offers {offered}",
            "subscribe without a deadline and look at the stamps and /diagnostics instead",
        )
    if listener.manual_liveliness and not sender.manual_liveliness:
        return (
            "the subscription asks for liveliness manual by topic, the publisher offers automatic",
            "subscribe with automatic liveliness",
        )
    return None


def two_publishers(facts: Facts) -> Iterator[Finding]:
    """Two publishers where one belongs."""
    watched = {topic for _, camera in facts.cameras_seen() for topic in (camera.image_topic, camera.info_topic)}
    for name, topic in facts.topics.items():
        # A camera_info that is latched beside the driver's own is one publisher of the same node.
        senders = sorted({one.node for one in topic.publishers})
        one_node = name in watched or any(one.kind == POSES for one in topic.publishers)
        named_twice = len(senders) == 1 and len(topic.publishers) > 1 and senders[0] in [n.name for n in facts.nodes]
        if one_node and (len(senders) > 1 or named_twice):
            yield Finding(
                name,
                f"{len(topic.publishers)} publish it ({', '.join(senders)}), and their messages mix",
                "end one of them (a second launch?), or give each a namespace of its own",
            )
