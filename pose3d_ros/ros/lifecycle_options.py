"""Parameters of every node that has states."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.options import check, option


@dataclass(frozen=True)
class LifecycleOptions:
    """Who moves the node from state to state."""

    autostart: bool = option(
        True,
        "true: the node configures and activates itself; false: it waits for somebody to, as nav2_lifecycle_manager or "
        "`ros2 lifecycle set`",
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)
