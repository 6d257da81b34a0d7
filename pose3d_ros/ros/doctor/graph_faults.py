"""Faults of the graph: who is not there, who does not understand whom."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator

from pose3d_ros.ros.doctor.facts import IMAGES, INFO, KEYPOINTS, POSES, TRANSFORMS, Endpoint, Facts, Finding, NodeSeen
from pose3d_ros.ros.doctor.placement_faults import tf_missing
from pose3d_ros.ros.options import OutputOptions
from pose3d_ros.ros.qos_fit import qos_problem

OURS = "pose3d_ros/msg/"
ERROR = 2  # of diagnostic_msgs/DiagnosticStatus


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
    makers = sorted({one.node for topic in facts.topics.values() for one in topic.publishers if one.kind == POSES})
    elsewhere = "".join(f"; on this machine runs {one}" for one in facts.machine.elsewhere)
    yield Finding(
        where,
        f"no node of pose3d_ros is there; {others if facts.other_nodes else 'no other node is either'}{elsewhere}"
        + (f"; {', '.join(makers)} publishes {POSES}" if makers else ""),
        "start it: ros2 launch pose3d_ros stereo.launch.py; where it runs, give this terminal the same ROS_DOMAIN_ID, "
        "RMW_IMPLEMENTATION, ROS_AUTOMATIC_DISCOVERY_RANGE and ROS_SECURITY_* as the node's"
        + (", or leave out --namespace" if facts.namespace else ""),
        fault=not makers,  # a recording that is played, or another's node: poses come
    )


def node_inactive(facts: Facts) -> Iterator[Finding]:
    """A managed node that waits for its manager; to know only."""
    for node in facts.nodes:
        if not node.active and node.level is not None and node.level < ERROR:
            yield Finding(node.name, node.message, "as it says; a launch file or a manager may do it", fault=False)


def node_silent(facts: Facts) -> Iterator[Finding]:
    """A node of ours is on the graph and reports nothing."""
    for node in facts.nodes:
        if node.level is None:
            yield Finding(
                node.name,
                f"it is on the graph, but nothing of it came on /diagnostics in {facts.watched_s:.0f} s",
                "look at its terminal: it may be starting, busy, stuck or ending; where 20 s do not help, end it and "
                "start it again",
            )


def topic_unpublished(facts: Facts) -> Iterator[Finding]:
    """A node waits for a topic that nothing publishes."""
    published = [name for name, topic in facts.topics.items() if topic.publishers]
    for node in facts.nodes:
        for name in _inputs(node, facts):
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
                f"{node.name} waits for it, and nothing publishes it",
                f"start the driver; {hint}" if near else f"start what publishes it ({kind}); {hint}",
            )


def _inputs(node: NodeSeen, facts: Facts) -> list[str]:
    """The topics of cameras that a node subscribes to and needs."""
    kinds = (*IMAGES, KEYPOINTS, *([INFO] if node.calibrated_by_info else []))
    return [
        name
        for name, topic in sorted(facts.topics.items())
        if any(one.node == node.name and one.kind in kinds for one in topic.subscriptions)
    ]


def wrong_type(facts: Facts) -> Iterator[Finding]:
    """Publisher and subscriber of a topic have different types."""
    for name, sender, listener in _ends(facts):
        if sender.kind != listener.kind:
            yield Finding(
                name,
                f"{sender.node} publishes {sender.kind}, {listener.node} takes {listener.kind}: none arrive",
                "name the right topic (image_topic, camera_info_topic), or set image_transport: compressed where the "
                "images are",
            )


def _ends(facts: Facts) -> Iterator[tuple[str, Endpoint, Endpoint]]:
    """Every publisher with every subscription of a topic of which one is ours: how others get on is theirs to judge."""
    ours = facts.node_names()
    for name, topic in facts.topics.items():
        for listener in topic.subscriptions:
            for sender in topic.publishers:
                if {sender.node, listener.node} & ours:
                    yield name, sender, listener


def definitions_differ(facts: Facts) -> Iterator[Finding]:
    """Two versions of one message definition are on the graph."""
    ours_at = {name for name, _, _ in _ends(facts)}
    for name, topic in facts.topics.items():
        if name not in ours_at:
            continue
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
    unplaced = {finding.subject for finding in tf_missing(facts)}
    for name, sender, listener in _ends(facts):
        if sender.kind == listener.kind and (why := qos_problem(sender.qos, listener.qos)):
            # TF has many publishers: one that the node cannot hear matters where a transform is missing.
            matters = sender.kind != TRANSFORMS or listener.node not in facts.node_names() or bool(unplaced)
            yield Finding(name, f"{sender.node} -> {listener.node}: {why[0]}: nothing arrives", why[1], fault=matters)


def two_publishers(facts: Facts) -> Iterator[Finding]:
    """Two publishers where one belongs."""
    for name, topic in sorted(facts.topics.items()):
        senders = sorted({one.node for one in topic.publishers})
        named_twice = len(senders) == 1 and len(topic.publishers) > 1
        if any(one.kind == POSES and one.node in facts.node_names() for one in topic.publishers) and (
            len(senders) > 1 or named_twice
        ):
            yield _mixed(name, len(topic.publishers), senders)
    for node, camera in facts.cameras_seen():
        senders = sorted({one.node for one in facts.topic(camera.topic).publishers})
        # One of two may be a stand-by that sends nothing.
        if camera.topic and len(senders) > 1 and len(camera.senders or senders) > 1:
            yield _mixed(camera.topic, len(senders), list(camera.senders) or senders)
        senders = sorted({one.node for one in facts.topic(camera.info_topic).publishers})
        # A camera_info that is latched next to the driver's own is as good as one, and so are two that say the same.
        if len(senders) > 1 and camera.calibrations > 1 and (node is None or node.calibrated_by_info):
            yield _mixed(camera.info_topic, len(senders), senders)


def _mixed(topic: str, n: int, senders: list[str]) -> Finding:
    return Finding(
        topic,
        f"{n} publish it ({', '.join(senders)}), and their messages mix",
        "end one of them (a second launch?), or give each a namespace of its own",
    )


def people_collide(facts: Facts) -> Iterator[Finding]:
    """Two nodes publish the same frames of people on one TF topic."""
    mend = "give each node a frame_prefix of its own, a namespace, or a /tf of its own (remap /tf:=tf)"
    told: set[tuple[str, ...]] = set()
    for frame, nodes in sorted(facts.people_frames.items()):
        if len(nodes) > 1 and nodes not in told:
            told.add(nodes)
            yield Finding(
                frame, f"{len(nodes)} nodes publish this frame ({', '.join(nodes)}): it jumps between them", mend
            )
    by_frames: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in facts.nodes:
        if node.kind == "detector" or node.parameters.get("publish_tf") is not True:
            continue
        for topic, ends in facts.topics.items():
            if any(one.node == node.name and one.kind == TRANSFORMS for one in ends.publishers):
                by_frames[topic, _prefix(node)].append(node.name)
    for (topic, prefix), names in by_frames.items():
        if len(names) > 1 and not any(set(names) <= set(one) for one in told):
            yield Finding(
                topic,
                f"{', '.join(names)} give people's frames the same names ({prefix}human_<id>), which then jump",
                mend,
            )


def _prefix(node: NodeSeen) -> str:
    """What stands before the names of a node's people in TF."""
    asked = OutputOptions(frame_prefix=str(node.parameters.get("frame_prefix", "auto")))
    return asked.prefix_in(node.name.rpartition("/")[0])
