"""Parameters of every node that puts several cameras' frames together."""

from __future__ import annotations

from dataclasses import dataclass

from pose3d_ros.options import check, option

# Images of one exposure come one after the other: two of 640x480 px came 3 to 12 ms apart on two busy cores. Half the
# period of a 30 Hz camera.
ARRIVAL_TOLERANCE_S = 0.016


@dataclass(frozen=True)
class SyncOptions:
    """Which frames of several cameras make a frame set."""

    # Half the period of a 50 Hz camera: an image can then fit one set only.
    stamp_tolerance_s: float = option(
        0.010,
        "stamps of one frame set differ by at most this; with stamps: arrival 0.016 at least",
        unit="s",
        low=0.0,
        high=1.0,
        read_only=True,
    )
    sync_timeout_s: float = option(
        0.050, "wait this long (ROS time) for a camera that is late", unit="s", low=0.0, high=5.0, read_only=True
    )

    def __post_init__(self) -> None:
        check(self)

    def tolerance_s(self, stamps: str) -> float:
        """How far apart the stamps of one frame set may be, given the input option stamps."""
        return max(self.stamp_tolerance_s, ARRIVAL_TOLERANCE_S) if stamps == "arrival" else self.stamp_tolerance_s
