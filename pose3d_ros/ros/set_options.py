"""Parameters of every node that puts several cameras' frames together."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.options import check, option


@dataclass(frozen=True)
class SetOptions:
    """Which frames of several cameras make a frame set."""

    # Half the period of a 50 Hz camera: an image can then fit one set only.
    stamp_tolerance: float = option(
        0.010, "capture stamps of one frame set differ by at most this", unit="s", low=0.0, high=1.0, read_only=True
    )
    set_wait: float = option(
        0.050, "wait this long (ROS time) for a camera that is late", unit="s", low=0.0, high=5.0, read_only=True
    )

    def __post_init__(self) -> None:
        check(self)
