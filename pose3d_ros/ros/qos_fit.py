"""Whether a publisher's and a subscription's QoS fit, and the words where they do not (DDS's requested-offered rules).

ROS-free: the node asks it of its own subscriptions, `pose3d doctor` of all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What DDS takes for "none" is about 2^63 ns or 2^31 s.
NO_DEADLINE_S = 1e9


@dataclass(frozen=True)
class Qos:
    """What decides whether two ends hear each other; the defaults are ROS's."""

    reliable: bool = True
    latched: bool = False  # durability transient local
    deadline_s: float = float("inf")
    manual_liveliness: bool = False


def qos_of(profile: Any) -> Qos:
    """Of an rclpy QoSProfile."""
    deadline_s = profile.deadline.nanoseconds * 1e-9
    return Qos(
        reliable=profile.reliability.name == "RELIABLE",
        latched=profile.durability.name == "TRANSIENT_LOCAL",
        deadline_s=deadline_s if 0 < deadline_s < NO_DEADLINE_S else float("inf"),
        manual_liveliness=profile.liveliness.name == "MANUAL_BY_TOPIC",
    )


def qos_problem(sender: Qos, listener: Qos) -> tuple[str, str] | None:
    """What is offered and asked for, and the fix, where the two do not fit."""
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
            "subscribe without a deadline and use the stamps and /diagnostics instead",
        )
    if listener.manual_liveliness and not sender.manual_liveliness:
        return (
            "the subscription asks for liveliness manual by topic, the publisher offers automatic",
            "subscribe with automatic liveliness",
        )
    return None


def refused(node: Any, subscription: Any) -> str:
    """Publishers of a subscription's topic that it cannot hear, in words; empty where it can hear all."""
    asked = qos_of(subscription.qos_profile)
    publishers = node.get_publishers_info_by_topic(subscription.topic_name)
    problems = ((one.node_name, qos_problem(qos_of(one.qos_profile), asked)) for one in publishers)
    return "; ".join(dict.fromkeys(f"{name}: {problem[0]}: {problem[1]}" for name, problem in problems if problem))
