"""What was learnt with rigs that are not in use now: a camera that comes back to its place brings it back.

A camera may be missing for a moment: a late transform, a driver that starts again. The rig without it is another one,
whose residuals say something else; but when the camera is back where it was, it is the rig of before, and a camera that
was knocked meanwhile must not become the new normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pose3d_ros.geometry.calibration import same_calibration
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Rig

# Rigs that are remembered, the last used ones: all cameras, and each of a few subsets. By choice.
KEPT = 8

States = Mapping[str, dict[str, Any]]  # of the parts that depend on the rig, by name


class EarlierRigs:
    """States of parts, one for each calibration that they were used with."""

    def __init__(self) -> None:
        self._kept: list[tuple[tuple[Camera, ...], dict[str, Any]]] = []  # the oldest first

    def reset(self) -> None:
        """People come and go; what is known of cameras stays."""

    def state_dict(self) -> dict[str, Any]:
        """All that are kept."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def keep(self, rig: Rig, states: States) -> None:
        """Keep the states of a rig that goes out of use; their objects must not change any more."""
        self._kept = [*self._kept, (rig.cameras, dict(states))][-KEPT:]

    def take(self, rig: Rig) -> States:
        """The states of a rig that is as one before, which they are taken from; nothing for a new one."""
        for number in reversed(range(len(self._kept))):
            if same_calibration(self._kept[number][0], rig.cameras):
                return self._kept.pop(number)[1]
        return {}
