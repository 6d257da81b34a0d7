"""Faults of the graph: missing nodes and topics, types and QoS that do not match, duplicate publishers."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator

from pose3d_ros.ros.doctor.facts import IMAGES, INFO, KEYPOINTS, POSES, TRANSFORMS, Endpoint, Facts, Finding, NodeFacts
from pose3d_ros.ros.doctor.placement_faults import tf_missing
from pose3d_ros.ros.options import OutputOptions
from pose3d_ros.ros.qos_fit import qos_problem

OURS = "pose3d_ros/msg/"
ERROR = 2  # of diagnostic_msgs/DiagnosticStatus


def ros_missing(facts: Facts) -> Iterator[Finding]:
    """ROS cannot be used by this Python."""
    if facts.machine.ros_missing:
        yield Finding(
            "this machine", facts.machine.ros_missing, "fix that, then run pose3d doctor in the same terminal"
        )


def node_not_running(facts: Facts) -> Iterator[Finding]:
    """No node of this package is on the graph."""
    if facts.nodes or facts.machine.ros_missing:
        return
    where = f"the graph of ROS domain {facts.domain}" + (f" under {facts.namespace}" if facts.namespace else "")
    others = f"other nodes ({len(facts.other_nodes)}): {', '.join(facts.other_nodes[:5])}"
    publishers = sorted({one.node for topic in facts.topics.values() for one in topic.publishers if one.kind == POSES})
    elsewhere = "".join(f"; this machine runs {one}" for one in facts.machine.elsewhere)
    yield Finding(
        where,
        f"no pose3d_ros node is running; {others if facts.other_nodes else 'no other node either'}{elsewhere}"
        + (f"; {', '.join(publishers)} publishes {POSES}" if publishers else ""),
        "start it: ros2 launch pose3d_ros stereo.launch.py; if it runs, set this terminal's ROS_DOMAIN_ID, "
        "RMW_IMPLEMENTATION, ROS_AUTOMATIC_DISCOVERY_RANGE and ROS_SECURITY_* to the node's"
        + (", or omit --namespace" if facts.namespace else ""),
        fault=not publishers,  # poses arrive from a bag or from another package's node
    )


def node_inactive(facts: Facts) -> Iterator[Finding]:
    """A managed node waits for its manager; a note, no fault."""
    for node in facts.nodes:
        if not node.active and node.level is not None and node.level < ERROR:
            yield Finding(node.name, node.message, "activate it, or let its launch file or manager do so", fault=False)


def node_silent(facts: Facts) -> Iterator[Finding]:
    """A node of this package is on the graph but reports nothing."""
    for node in facts.nodes:
        if node.level is None:
            yield Finding(
                node.name,
                f"it is on the graph, but sent nothing on /diagnostics in {facts.watched_s:.0f} s",
                "check its terminal: it may be starting, busy, stuck or ending; restart it if it is silent for 20 s",
            )


def topic_unpublished(facts: Facts) -> Iterator[Finding]:
    """A node subscribes to a topic that nothing publishes."""
    published = [name for name, topic in facts.topics.items() if topic.publishers]
    for node in facts.nodes:
        for name in _inputs(node, facts):
            if facts.topic(name).publishers:
                continue
            kind = facts.topic(name).subscriptions[0].kind
            same = [one for one in published if any(pub.kind == kind for pub in facts.topic(one).publishers)]
            near = difflib.get_close_matches(name, same, n=3, cutoff=0.4) or same[:3]
            hint = (
                f"start the driver, or remap to {', '.join(near)}, or rename the cameras to match"
                if near
                else f"start its publisher; no topic has the type {kind}"
            )
            yield Finding(name, f"{node.name} subscribes to it, but nothing publishes it", hint)


def _inputs(node: NodeFacts, facts: Facts) -> list[str]:
    """The camera topics a node subscribes to and needs."""
    kinds = (*IMAGES, KEYPOINTS, *([INFO] if node.calibrated_by_info else []))
    return [
        name
        for name, topic in sorted(facts.topics.items())
        if any(one.node == node.name and one.kind in kinds for one in topic.subscriptions)
    ]


def wrong_type(facts: Facts) -> Iterator[Finding]:
    """Publisher and subscriber of a topic have different types."""
    for name, sender, listener in _connections(facts):
        if sender.kind != listener.kind:
            yield Finding(
                name,
                f"{sender.node} publishes {sender.kind}, {listener.node} expects {listener.kind}: no message arrives",
                "correct the topic name (image_topic, camera_info_topic), or set image_transport: compressed if the "
                "images are compressed",
            )


def _connections(facts: Facts) -> Iterator[tuple[str, Endpoint, Endpoint]]:
    """Pairs of publisher and subscription of a topic, where one of the two is a node of this package."""
    ours = facts.node_names()
    for name, topic in facts.topics.items():
        for listener in topic.subscriptions:
            for sender in topic.publishers:
                if {sender.node, listener.node} & ours:
                    yield name, sender, listener


def definitions_differ(facts: Facts) -> Iterator[Finding]:
    """Two versions of one message definition are on the graph."""
    own_topics = {name for name, _, _ in _connections(facts)}
    for name, topic in facts.topics.items():
        if name not in own_topics:
            continue
        by_hash: dict[tuple[str, str], set[str]] = defaultdict(set)
        for one in (*topic.publishers, *topic.subscriptions):
            if one.kind_hash:
                by_hash[one.kind, one.kind_hash].add(one.node)
        for kind in {kind for kind, _ in by_hash}:
            sides = [", ".join(sorted(nodes)) for (of, _), nodes in sorted(by_hash.items()) if of == kind]
            if len(sides) > 1:
                package = "pose3d_ros" if kind.startswith(OURS) else "one version of that package"
                yield Finding(
                    name,
                    f"two definitions of {kind} are in use, so messages are lost or wrong: "
                    f"{' on one side, '.join(sides)} on the other",
                    f"build {package} on every machine, source it in every terminal and restart both sides",
                )


def qos_mismatch(facts: Facts) -> Iterator[Finding]:
    """Publisher and subscriber of a topic have incompatible QoS."""
    unplaced = {finding.subject for finding in tf_missing(facts)}
    for name, sender, listener in _connections(facts):
        if sender.kind == listener.kind and (why := qos_problem(sender.qos, listener.qos)):
            # TF has many publishers: one that the node does not receive matters only if a transform is missing.
            matters = sender.kind != TRANSFORMS or listener.node not in facts.node_names() or bool(unplaced)
            yield Finding(name, f"{sender.node} -> {listener.node}: {why[0]}: no message arrives", why[1], matters)


def two_publishers(facts: Facts) -> Iterator[Finding]:
    """A topic that needs one publisher has several."""
    for name, topic in sorted(facts.topics.items()):
        senders = sorted({one.node for one in topic.publishers})
        named_twice = len(senders) == 1 and len(topic.publishers) > 1
        if any(one.kind == POSES and one.node in facts.node_names() for one in topic.publishers) and (
            len(senders) > 1 or named_twice
        ):
            yield _two_publishers(name, len(topic.publishers), senders)
    for node, camera in facts.all_cameras():
        senders = sorted({one.node for one in facts.topic(camera.topic).publishers})
        # One of two may be a standby driver that sends nothing.
        if camera.topic and len(senders) > 1 and len(camera.senders or senders) > 1:
            yield _two_publishers(camera.topic, len(senders), list(camera.senders) or senders)
        senders = sorted({one.node for one in facts.topic(camera.info_topic).publishers})
        # Equal camera_info from several publishers are no fault.
        if len(senders) > 1 and camera.calibrations > 1 and (node is None or node.calibrated_by_info):
            yield _two_publishers(camera.info_topic, len(senders), senders)


def _two_publishers(topic: str, n: int, senders: list[str]) -> Finding:
    return Finding(
        topic,
        f"it has {n} publishers ({', '.join(senders)}), expected 1: their messages mix",
        "stop one of them (a second launch?), or give each its own namespace",
    )


def people_collide(facts: Facts) -> Iterator[Finding]:
    """Two nodes publish the same frames of people on one TF topic."""
    fix = "give each node its own frame_prefix, namespace or /tf (remap /tf:=tf)"
    reported: set[tuple[str, ...]] = set()
    for frame, nodes in sorted(facts.people_frames.items()):
        if len(nodes) > 1 and nodes not in reported:
            reported.add(nodes)
            yield Finding(
                frame, f"{len(nodes)} nodes publish this frame ({', '.join(nodes)}): it jumps between them", fix
            )
    by_frames: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in facts.nodes:
        if node.kind == "detector" or node.parameters.get("publish_tf") is not True:
            continue
        for topic, ends in facts.topics.items():
            if any(one.node == node.name and one.kind == TRANSFORMS for one in ends.publishers):
                by_frames[topic, _prefix(node)].append(node.name)
    for (topic, prefix), names in by_frames.items():
        if len(names) > 1 and not any(set(names) <= set(one) for one in reported):
            yield Finding(
                topic,
                f"{', '.join(names)} publish people's frames under equal names ({prefix}human_<id>), which then jump",
                fix,
            )


def _prefix(node: NodeFacts) -> str:
    """The prefix of a node's people frames in TF."""
    options = OutputOptions(frame_prefix=str(node.parameters.get("frame_prefix", "auto")))
    return options.prefix_in(node.name.rpartition("/")[0])
