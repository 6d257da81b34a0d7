"""Why poses are old when they leave: which part of their way takes how many ms, and what to change. ROS-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FASTER = "use a faster machine, or fewer cameras and people"
# Part of the way -> what to change where it takes the most.
FIXES = {
    "detect": "use a faster detector, a GPU, or fewer or smaller images",
    "decode": "send fewer or smaller images",
    "refine": "set refine: none, or use a faster machine",
    "before arrival": "synchronise clocks (chrony, PTP), or send fewer or smaller images",
    "waiting": "let all cameras send at one rate, or use a faster machine",
    "detection elsewhere": "use a faster detector or a GPU on the cameras' machines",
}


@dataclass(frozen=True)
class Way:
    """How long the poses of a frame set were under way, medians over some sets, ms.

    stage_ms is the node's own work, less than latency_ms by what was waited for; detected_here: else that is in it.
    """

    age_ms: float  # capture of the images to publication
    latency_ms: float  # arrival of the images to publication
    stage_ms: Mapping[str, float]
    detected_here: bool = True

    def longest(self) -> tuple[str, float]:
        """The part that takes the most, and its ms."""
        stages = {name: ms for name, ms in self.stage_ms.items() if name != "publish"}  # begins when the latency ends
        rest = "waiting" if self.detected_here else "detection elsewhere"
        parts = {
            **stages,
            "before arrival": self.age_ms - self.latency_ms,
            rest: self.latency_ms - sum(stages.values()),
        }
        return max(parts.items(), key=lambda part: part[1])


def lateness(way: Way, limit_ms: float, taken: int, skipped: int) -> str:
    """One sentence: how old poses are when they leave, what takes how long, what to change.

    limit_ms is the age from which on people are no longer VISIBLE; of taken + skipped frame sets newer ones replaced
    those skipped.
    """
    part, ms = way.longest()
    age = f"poses are {way.age_ms:.0f} ms old when they leave"
    if way.age_ms >= limit_ms:
        age += f", expected below {limit_ms:.0f}"
    cause = f"{part} takes {ms:.0f} ms: {FIXES.get(part, FASTER)}"
    if part == "before arrival":
        return f"{age}: images come {ms:.0f} ms after their stamps: {FIXES[part]}"
    share = f"it takes the newest {taken} of {taken + skipped} frame sets, and " if skipped else ""
    return f"this machine is slower than the cameras: {share}{age}: {cause}"
