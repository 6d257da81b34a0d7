"""The report of `pose3d doctor`, as text and as JSON."""

from __future__ import annotations

import textwrap
from typing import Any

from pose3d_ros.ros.doctor.facts import Facts, Finding

# Of the JSON file: raised when a key changes its meaning or is removed.
SCHEMA = 1
WIDTH = 110


def healthy(findings: list[tuple[str, Finding]]) -> bool:
    """Whether there is no fault; notes do not count."""
    return not any(finding.fault for _, finding in findings)


def printed(facts: Facts, findings: list[tuple[str, Finding]]) -> str:
    """The report as text."""
    lines = [f"watched {facts.watched_s:.0f} s on ROS domain {facts.domain}: {_nodes(facts)}"]
    if healthy(findings):
        lines.append("healthy: nothing to fix")
    for number, (name, finding) in enumerate(findings, 1):
        kind = "" if finding.fault else " (note, no fault)"
        lines += ["", f"{number}. {finding.subject} [{name}]{kind}"]
        lines += textwrap.wrap(finding.message, WIDTH, initial_indent="   ", subsequent_indent="   ", **_WHOLE)
        lines += textwrap.wrap(f"Fix: {finding.fix}", WIDTH, initial_indent="   ", subsequent_indent="   ", **_WHOLE)
    return "\n".join(lines)


# Topics and commands stay whole, so that they can be copied.
_WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def as_json(facts: Facts, findings: list[tuple[str, Finding]], version: str) -> dict[str, Any]:
    """The report for programs; docs/doctor.md describes every key."""
    return {
        "schema": SCHEMA,
        "version": version,
        "healthy": healthy(findings),
        "watched_s": facts.watched_s,
        "domain": facts.domain,
        "namespace": facts.namespace,
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "level": node.level,
                "message": node.message,
                "cameras": {camera.name: camera.image_topic for camera in node.cameras},
            }
            for node in facts.nodes
        ],
        "findings": [
            {
                "name": name,
                "fault": finding.fault,
                "subject": finding.subject,
                "message": finding.message,
                "fix": finding.fix,
            }
            for name, finding in findings
        ],
    }


def _nodes(facts: Facts) -> str:
    """This package's nodes with their cameras; without one, the counts of other nodes and cameras."""
    if not facts.nodes:
        return f"no pose3d_ros node, {len(facts.other_nodes)} other nodes, {len(facts.cameras)} cameras"
    return "; ".join(
        f"{node.name} ({node.kind}" + "".join(f", {camera.name}" for camera in node.cameras) + ")"
        for node in facts.nodes
    )
