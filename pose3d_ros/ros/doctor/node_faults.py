"""Faults of a node and its machine: what it says itself, time, GPU, packages, nobody in sight."""

from __future__ import annotations

from collections.abc import Iterator

from pose3d_ros.ros.doctor.facts import Facts, Finding

# A node that is not well in less than half of what it says had a hiccup: told, but nothing to mend.
OFTEN = 0.5


def sim_time(facts: Facts) -> Iterator[Finding]:
    """The node's time and the system's are not of one clock."""
    senders = facts.topic("/clock").publishers
    for node in facts.nodes:
        if node.sim_time and not facts.clock_ticks:
            who = f"{senders[0].node} publishes it and sent nothing" if senders else "nothing publishes it"
            yield Finding(
                node.name,
                f"use_sim_time is true, and no /clock came ({who}): its time stands still",
                "let what plays or simulates run (not paused) and publish /clock (ros2 bag play --clock), or set "
                "use_sim_time: false",
            )
        elif node.sim_time and facts.clock_ticks > 1 and facts.clock_moved_s <= 0:
            yield Finding(
                node.name,
                f"use_sim_time is true, and {facts.clock_ticks} messages on /clock name one time: it stands still",
                "let what publishes /clock go on: it may be paused, or at its end",
            )
        elif node.sim_time is False and any(facts.by_clock(camera) for camera in node.cameras):
            yield Finding(
                node.name,
                f"{senders[0].node if senders else 'a node'} publishes /clock, the images' stamps are of its time, and "
                "this node's use_sim_time is false",
                "start it with use_sim_time: true (all nodes of one system alike)",
            )


def gpu_unused(facts: Facts) -> Iterator[Finding]:
    """A GPU is there, and the networks run on the CPU."""
    for node in facts.nodes:
        asked_for = str(node.parameters.get("device", "auto")) == "cpu"
        if (
            facts.machine.gpus
            and node.here is not False
            and not asked_for
            and node.values.get("device", "").startswith("cpu")
            and node.values.get("input") != "keypoints"
        ):
            yield Finding(
                node.name,
                f"its networks run on the CPU, and this machine has {', '.join(facts.machine.gpus)}",
                "python -c 'import torch; print(torch.__version__, torch.cuda.is_available())' in the node's "
                "environment: for +cpu install PyTorch's CUDA build, for False fix the driver; then device: auto",
            )


def package_broken(facts: Facts) -> Iterator[Finding]:
    """A package of the ROS distribution is there and does not work: cv_bridge built for another NumPy, mostly."""
    for warning in facts.machine.broken_packages:
        says, _, mend = warning.partition(". To mend it, ")
        yield Finding(
            says.split(" ", 1)[0],
            says,
            (mend or "install it again")
            + "; cv_bridge of apt is built for NumPy 1: pip install 'numpy<2' where it is to be used",
        )


def no_person(facts: Facts) -> Iterator[Finding]:
    """The node runs and saw nobody; a fault only where somebody is to be there."""
    for node in facts.nodes:
        if node.max_people != 0 or node.kind == "detector" or node.level == 2 or not node.active:
            continue
        rejected = {
            key.partition("/")[2]: int(count) - int(node.before.get(key, "0"))
            for key, count in node.values.items()
            if key.startswith("joints_rejected/")
        }
        told = ", ".join(f"{count} {reason}" for reason, count in rejected.items() if count)
        left_out = int(node.values.get("people_left_out", "0"))
        away = f"; {left_out} known, but outside the workspace or too many" if left_out else ""
        yield Finding(
            node.name,
            f"it runs, and saw nobody in {facts.watched_s:.0f} s"
            + (f"; joints were seen and refused: {told}" if told else "")
            + away,
            "if somebody stands there: is the person whole in two images, lit, within the workspace limits? Do the "
            "camera names belong to the right topics (the overlay in RViz)?",
            fault=facts.expect_person or bool(left_out),
        )


def node_says(facts: Facts) -> Iterator[Finding]:
    """What the node itself reports in /diagnostics: it may know more than can be seen from outside."""
    for node in facts.nodes:
        if node.level and (node.active or node.level > 1):
            last = node.values.get("last_cause", "none")
            more = f" (last cause: {last})" if last != "none" and last not in node.message else ""
            often = node.bad_share >= OFTEN
            share = "" if often else f" (in {node.bad_share:.0%} of what it said, else it is well)"
            yield Finding(
                node.name,
                f"its own diagnostics{share}: {node.message}{more}",
                "as it says; the meaning of every key: docs/ros_interface.md",
                fault=often,
            )
