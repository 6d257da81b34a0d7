"""Separates this package's nodes from those of others that publish the same message types. ROS-free."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pose3d_ros.ros.doctor.facts import DIAGNOSTICS, KEYPOINTS, POSES, Topic

TRANSITIONS = "lifecycle_msgs/msg/TransitionEvent"
# A parameter that every node of this package declares and others hardly do.
PACKAGE_PARAMETER = "tf_timeout_s"


def candidate_nodes(topics: Mapping[str, Topic], reported: Mapping[str, str], nodes: Collection[str]) -> dict[str, str]:
    """Nodes that may be this package's, with the message type they publish.

    These are the nodes of the graph (nodes) that report it in /diagnostics (reported; a bag may play those of absent
    nodes), and managed nodes that publish diagnostics and keypoints or poses.
    """
    kinds: dict[str, set[str]] = {}
    for name, topic in topics.items():
        for one in topic.publishers:
            if one.kind != TRANSITIONS or name == f"{one.node}/transition_event":
                kinds.setdefault(one.node, set()).add(one.kind)
    managed = {
        node: POSES if POSES in published else KEYPOINTS
        for node, published in kinds.items()
        if {DIAGNOSTICS, TRANSITIONS} <= published and published & {POSES, KEYPOINTS}
    }
    return dict(sorted({**managed, **{node: kind for node, kind in reported.items() if node in nodes}}.items()))


def is_package_node(node: str, reported: Collection[str], parameters: Mapping[str, Any]) -> bool:
    """Whether a candidate is this package's, by diagnostics or parameters; assumed where it answers no request."""
    return node in reported or not parameters or PACKAGE_PARAMETER in parameters
