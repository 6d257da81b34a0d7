"""Which nodes of a graph are this package's: other makers publish and take its messages too. ROS-free."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pose3d_ros.ros.doctor.facts import DIAGNOSTICS, KEYPOINTS, POSES, Topic

TRANSITIONS = "lifecycle_msgs/msg/TransitionEvent"
# A parameter of every node of ours, and hardly of another's.
OURS_ALONE = "tf_timeout_s"


def may_be_ours(topics: Mapping[str, Topic], said: Mapping[str, str], there: Collection[str]) -> dict[str, str]:
    """Nodes with what they give: those that report it in /diagnostics, and those that publish what ours do.

    said has the first kind, of which those count that are there: a bag may play the diagnostics of another day. Ours
    are managed nodes that publish keypoints or poses and diagnostics.
    """
    kinds: dict[str, set[str]] = {}
    for name, topic in topics.items():
        for one in topic.publishers:
            if one.kind != TRANSITIONS or name == f"{one.node}/transition_event":
                kinds.setdefault(one.node, set()).add(one.kind)
    found = {
        node: POSES if POSES in published else KEYPOINTS
        for node, published in kinds.items()
        if {DIAGNOSTICS, TRANSITIONS} <= published and published & {POSES, KEYPOINTS}
    }
    return dict(sorted({**found, **{node: kind for node, kind in said.items() if node in there}}.items()))


def is_ours(node: str, said: Collection[str], parameters: Mapping[str, Any]) -> bool:
    """Whether such a node is: by its diagnostics, by its parameters, or, as it answers nothing, for want of better."""
    return node in said or not parameters or OURS_ALONE in parameters
