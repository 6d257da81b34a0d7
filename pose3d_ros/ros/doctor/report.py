"""What `pose3d doctor` prints, and what it writes as JSON."""

from __future__ import annotations

import textwrap
from typing import Any

from pose3d_ros.ros.doctor.facts import Facts, Finding

# Of the JSON file: raised when a key changes its meaning or goes.
SCHEMA = 1
WIDTH = 110


def healthy(found: list[tuple[str, Finding]]) -> bool:
    """Whether nothing is to be mended; what is only to know does not count."""
    return not any(finding.fault for _, finding in found)


def printed(facts: Facts, found: list[tuple[str, Finding]]) -> str:
    """The report in plain words."""
    lines = [f"watched {facts.watched_s:.0f} s on ROS domain {facts.domain}: {_who(facts)}"]
    if healthy(found):
        lines.append("healthy: nothing to mend")
    for number, (name, finding) in enumerate(found, 1):
        kind = "" if finding.fault else " (to know, no fault)"
        lines += ["", f"{number}. {finding.subject} [{name}]{kind}"]
        lines += textwrap.wrap(finding.says, WIDTH, initial_indent="   ", subsequent_indent="   ", **_WHOLE)
        lines += textwrap.wrap(f"Mend: {finding.mend}", WIDTH, initial_indent="   ", subsequent_indent="   ", **_WHOLE)
    return "\n".join(lines)


# A topic or a command is copied: no line ends within a word.
_WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def as_json(facts: Facts, found: list[tuple[str, Finding]], version: str) -> dict[str, Any]:
    """The report for programs; docs/doctor.md says what every key means."""
    return {
        "schema": SCHEMA,
        "version": version,
        "healthy": healthy(found),
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
                "says": finding.says,
                "mend": finding.mend,
            }
            for name, finding in found
        ],
    }


def _who(facts: Facts) -> str:
    """Nodes of ours with their cameras, or whatever else there is."""
    if not facts.nodes:
        return f"no node of ours, {len(facts.other_nodes)} others, {len(facts.cameras)} cameras"
    return "; ".join(
        f"{node.name} ({node.kind}" + "".join(f", {camera.name}" for camera in node.cameras) + ")"
        for node in facts.nodes
    )
