"""Faults of a node and its machine: its own report, time, GPU, packages, no person in view."""

from __future__ import annotations

from collections.abc import Iterator

from pose3d_ros.ros.doctor.facts import Facts, Finding

# Below this share of bad diagnostics the node's fault is passing: a note.
OFTEN = 0.5


def sim_time(facts: Facts) -> Iterator[Finding]:
    """The node and the system use different clocks."""
    senders = facts.topic("/clock").publishers
    for node in facts.nodes:
        if node.sim_time and not facts.clock_ticks:
            why = f"{senders[0].node} publishes it but sent nothing" if senders else "nothing publishes it"
            yield Finding(
                node.name,
                f"use_sim_time is true, but no /clock arrived ({why}): its time stands still",
                "publish /clock (ros2 bag play --clock, or an unpaused simulation), or set use_sim_time: false",
            )
        elif node.sim_time and facts.clock_ticks > 1 and facts.clock_moved_s <= 0:
            yield Finding(
                node.name,
                f"use_sim_time is true, but {facts.clock_ticks} messages on /clock have the same time: it stands still",
                "resume the bag or simulation that publishes /clock: it is paused or has ended",
            )
        elif node.sim_time is False and any(facts.by_clock(camera) for camera in node.cameras):
            yield Finding(
                node.name,
                f"{senders[0].node if senders else 'a node'} publishes /clock and the images' stamps follow it, but "
                "this node's use_sim_time is false",
                "start it with use_sim_time: true, as all nodes of the system",
            )


def gpu_unused(facts: Facts) -> Iterator[Finding]:
    """The networks run on the CPU of a machine with a GPU."""
    for node in facts.nodes:
        selected = str(node.parameters.get("device", "auto")) == "cpu"
        if (
            facts.machine.gpus
            and node.here is not False
            and not selected
            and node.values.get("device", "").startswith("cpu")
            and node.values.get("input") != "keypoints"
        ):
            yield Finding(
                node.name,
                f"its networks run on the CPU, but this machine has {', '.join(facts.machine.gpus)}",
                "run python -c 'import torch; print(torch.__version__, torch.cuda.is_available())' in the node's "
                "environment: for +cpu install PyTorch's CUDA build, for False fix the driver; then set device: auto",
            )


def package_broken(facts: Facts) -> Iterator[Finding]:
    """A package of the ROS distribution is installed but broken: mostly cv_bridge built for another NumPy."""
    for warning in facts.machine.broken_packages:
        message, _, fix = warning.partition(". To ")
        yield Finding(
            message.split(" ", 1)[0],
            message,
            (fix.partition(", ")[2] or "install it again")
            + "; cv_bridge of apt is built for NumPy 1: pip install 'numpy<2' to use it",
        )


def no_person(facts: Facts) -> Iterator[Finding]:
    """The node runs but detects no person; a fault only if a person is expected."""
    for node in facts.nodes:
        if node.max_people != 0 or node.kind == "detector" or node.level == 2 or not node.active:
            continue
        rejected = {
            key.partition("/")[2]: int(count) - int(node.before.get(key, "0"))
            for key, count in node.values.items()
            if key.startswith("joints_rejected/")
        }
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items() if count)
        left_out = int(node.values.get("people_left_out", "0"))
        yield Finding(
            node.name,
            f"it runs, but published no person in {facts.watched_s:.0f} s"
            + (f"; rejected joints: {reasons}" if reasons else "")
            + (f"; {left_out} tracked people are outside the workspace or over max_people" if left_out else ""),
            "if a person is there: check that two images show the whole person, lit, within the workspace limits, and "
            "that camera names match their topics (overlay in RViz)",
            fault=facts.expect_person or bool(left_out),
        )


def node_report(facts: Facts) -> Iterator[Finding]:
    """The node reports a fault in /diagnostics."""
    for node in facts.nodes:
        if node.level and (node.active or node.level > 1):
            last = node.values.get("last_cause", "none")
            more = f" (last cause: {last})" if last != "none" and last not in node.message else ""
            often = node.bad_share >= OFTEN
            share = "" if often else f" ({node.bad_share:.0%} of its diagnostics, else OK)"
            yield Finding(
                node.name,
                f"it reports{share}: {node.message}{more}",
                "follow its message; docs/ros_interface.md explains every key of /diagnostics",
                fault=often,
            )
