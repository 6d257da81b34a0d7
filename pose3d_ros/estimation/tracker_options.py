"""The tracker that a user's options ask for, with several cameras or one."""

from __future__ import annotations

from typing import Protocol

from pose3d_ros.estimation.tracking import Tracker
from pose3d_ros.skeletons import H36M_17


class TrackerOptions(Protocol):
    """What both estimators' options say of following people."""

    @property
    def lost_after_s(self) -> float: ...
    @property
    def max_age_s(self) -> float: ...
    @property
    def match_distance_m(self) -> float: ...
    @property
    def duplicate_distance_m(self) -> float: ...
    @property
    def jump_distance_m(self) -> float: ...
    @property
    def min_hits(self) -> int: ...
    @property
    def init_score(self) -> float: ...


def tracker_of(options: TrackerOptions, init_joints: int, before: Tracker | None = None) -> Tracker:
    """A tracker by these options; it goes on with the people of `before`."""
    tracker = Tracker(
        H36M_17,
        lost_after_s=options.lost_after_s,
        max_age_s=options.max_age_s,
        match_distance_m=options.match_distance_m,
        duplicate_distance_m=options.duplicate_distance_m,
        jump_distance_m=options.jump_distance_m,
        min_hits=options.min_hits,
        init_joints=init_joints,
        init_score=options.init_score,
    )
    if before is not None:
        tracker.load_state_dict(before.state_dict())
    return tracker
