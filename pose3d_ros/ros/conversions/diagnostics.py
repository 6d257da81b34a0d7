"""Statuses and messages of /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from pose3d_ros.ros.conversions.stamps import header
from pose3d_ros.ros.diagnostics import Level


@dataclass(frozen=True)
class Status:
    """One status of /diagnostics: name, level, message, and values by key."""

    name: str
    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)
    hardware_id: str = ""


def diagnostics_to_msg(statuses: Sequence[Status], stamp_ns: int) -> DiagnosticArray:
    """One message for all statuses; floats have six digits."""
    return DiagnosticArray(header=header(stamp_ns, ""), status=[_status(one) for one in statuses])


def _status(status: Status) -> DiagnosticStatus:
    """One status as a message."""
    return DiagnosticStatus(
        level=bytes([status.level]),  # the message has it as a byte
        name=status.name,
        message=status.message,
        hardware_id=status.hardware_id,
        values=[KeyValue(key=key, value=_text(value)) for key, value in status.values.items()],
    )


def _text(value: object) -> str:
    """A value as a person reads it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
