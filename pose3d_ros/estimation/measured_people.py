"""The people of one frame set between measurement and tracking, and how long their stages took.

Axes: V views, G groups of 2D people.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.background import MultiViewObservation
from pose3d_ros.estimation.body_window import BodyFrame
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.estimation.views import Views


class Stopwatch:
    """Milliseconds by stage, from lap to lap."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The time since the last lap was this stage's."""
        now = time.perf_counter()
        self.laps_ms[stage] = self.laps_ms.get(stage, 0.0) + (now - self._since) * 1e3
        self._since = now


@dataclass(frozen=True, eq=False)
class MeasuredPeople:
    """The people of one frame set, before they are tracked."""

    observed: Observed3D  # G people
    groups: NDArray[np.intp]  # (G, V) index of each in the usable 2D people of each view, or -1
    stage_ms: Mapping[str, float]
    single_view: int  # people whom one camera only saw
    all_groups: NDArray[np.intp] | None = None  # (G', V) with those of one view; None where people were lifted
    not_refined: Mapping[str, int] = field(default_factory=dict)  # joints by the gate that refused them
    swapped: NDArray[np.bool_] | None = None  # (V, G, 2) legs and arms whose left and right were swapped
    frames: Sequence[BodyFrame] = ()  # of each of those observed, where bones and motion are used

    def swapped_in(self, views: Views) -> tuple[str, ...]:
        """The cameras in which left and right were swapped."""
        if self.swapped is None:
            return ()
        return tuple(camera.name for camera, one in zip(views.cameras, self.swapped, strict=True) if one.any())

    def together(self, views: Views, ids: tuple[str, ...], tracked: tuple[str, ...]) -> MultiViewObservation | None:
        """What was seen in two cameras or more, with the ids of these and of all tracked people; None if lifted."""
        if self.all_groups is None:
            return None
        return MultiViewObservation(
            views.cameras, views.people, self.all_groups, self.groups, self.observed, ids, tracked
        )
