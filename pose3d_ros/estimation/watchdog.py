"""What becomes of the last poses when no new ones come: people are hidden, lost, gone, by the clock alone.

The tracker ages people from frame set to frame set; this does it between them and after the last one. No ROS and no
clock in here: the caller says what time it is. NumPy, float64.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.admission import ROWS
from pose3d_ros.estimation.kalman import INITIAL_SPEED
from pose3d_ros.estimation.track import SCORE_HALF_LIFE_S
from pose3d_ros.structures import JointSource, PersonState, Pose3D

# ROS time that stands still for so long (a paused simulation, a bag that ended) is followed by real time: whoever
# holds the last message learns that it is old.
STANDSTILL_S = 1.0
# How often look() is called; what would come due before the next call is done in this one, so that limits are kept.
TICK_S = 0.05
# Frames between arrival and pose: as many as a node can hold.
MOST_ARRIVALS = 256


@dataclass(frozen=True)
class Limits:
    """Seconds since a person was last seen, from which on the person is OCCLUDED, LOST, and no longer there."""

    occluded_s: float = 0.2
    lost_s: float = 0.5
    gone_s: float = 1.0


class NodeTime:
    """Seconds that never go back: ROS time, and real time where ROS time has stood still for STANDSTILL_S.

    A clock that is set back, a bag that begins anew and the first message on /clock take no time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._s = 0.0
        self._ros_ns: int | None = None
        self._moved_s = self._steady_s = 0.0  # steady time of the last move of ROS time, and of the last call

    def __call__(self, ros_ns: int, steady_s: float) -> float:
        """The time, from the node's clock (0 before /clock came) and a clock that nobody sets."""
        with self._lock:
            if ros_ns != self._ros_ns:
                if self._ros_ns:
                    self._s += max(ros_ns - self._ros_ns, 0) * 1e-9
                self._ros_ns, self._moved_s = ros_ns, steady_s
            else:
                counted_s = max(self._steady_s, self._moved_s + STANDSTILL_S)
                self._s += max(steady_s - counted_s, 0.0)
            self._steady_s = max(self._steady_s, steady_s)
            return self._s


class Watchdog:
    """Knows the last pose that went out, and ages it while no new one does.

    A person's age runs from the arrival of the newest image of the last set that showed them: the node cannot know how
    long an image was under way before, for cameras have clocks of their own. Not thread-safe.
    """

    def __init__(self) -> None:
        self._arrived: dict[int, float] = {}  # capture stamp -> when that image came
        self._pose: Pose3D | None = None
        self._seen_s = 0.0
        self._told: tuple[tuple[str, int], ...] = ()  # ids and states as they were last published

    def heard(self, stamp_ns: int, now_s: float) -> None:
        """An image that can be used came."""
        self._arrived.pop(stamp_ns, None)
        self._arrived[stamp_ns] = now_s
        while len(self._arrived) > MOST_ARRIVALS:
            del self._arrived[next(iter(self._arrived))]

    def saw(self, pose: Pose3D, now_s: float, limits: Limits) -> Pose3D:
        """Take in a pose made of images, and return it as it is to go out now.

        Whoever is not VISIBLE in it becomes LOST, or goes, as would be due before the next look().
        """
        self._seen_s = min(self._arrival(pose.stamp_ns, now_s), now_s)
        soon_s = pose.age_s + now_s - self._seen_s + TICK_S
        hidden = pose.state != PersonState.VISIBLE
        lost = hidden & ((soon_s >= limits.lost_s) | (pose.state == PersonState.LOST))
        if hidden.any():
            pose = replace(pose, state=np.where(lost, PersonState.LOST, pose.state))
            pose = _chosen(pose, np.flatnonzero(~(hidden & (soon_s >= limits.gone_s))))
        self._pose = pose
        self._told = _standing(self._pose)
        return self._pose

    def _arrival(self, stamp_ns: int, now_s: float) -> float:
        """When the image of this stamp came, or of the nearest: a pose may lie between its images."""
        if stamp_ns in self._arrived:
            return self._arrived[stamp_ns]
        nearest = min(self._arrived, key=lambda one: abs(one - stamp_ns), default=None)
        return now_s if nearest is None else self._arrived[nearest]

    def look(self, now_s: float, limits: Limits) -> Pose3D | None:
        """What is to be published because time went by, or None; once all is old enough an empty pose, once.

        Until somebody's state changes, or the last image is occluded_s old, nothing is. Call it every TICK_S.
        """
        if self._pose is None:
            return None
        soon_s = now_s - self._seen_s + TICK_S
        if soon_s < limits.occluded_s and (self._pose.state == PersonState.VISIBLE).all():
            return None  # and stays so until then
        found = aged(self._pose, now_s - self._seen_s, limits)
        if soon_s < limits.occluded_s and _standing(found) == self._told:
            return None
        self._told = _standing(found)
        if soon_s >= limits.gone_s:
            self._pose = None
        return found

    def end(self) -> Pose3D | None:
        """An empty pose where the last one that went out was not: nothing will follow it."""
        last, self._pose = self._pose, None
        return None if last is None else _chosen(last, np.zeros(0, dtype=np.intp))


def aged(pose: Pose3D, elapsed_s: float, limits: Limits) -> Pose3D:
    """The pose as one has to think of it elapsed_s later, with nothing seen since; its stamp stays.

    Joints stay where they were at the stamp and become PREDICTED; their covariance grows to hold where they may be by
    now, at the speed that they had and INITIAL_SPEED in any direction. States are those of TICK_S later.
    """
    age_s = pose.age_s + elapsed_s
    soon_s = age_s + TICK_S
    kept = np.flatnonzero(soon_s < limits.gone_s)
    lost = (soon_s >= limits.lost_s) | (pose.state == PersonState.LOST)
    hidden = (soon_s >= limits.occluded_s) | (pose.state != PersonState.VISIBLE)
    state = np.where(lost, PersonState.LOST, np.where(hidden, PersonState.OCCLUDED, PersonState.VISIBLE))
    travelled = np.nan_to_num(pose.velocity) * elapsed_s
    grown = travelled[..., :, None] * travelled[..., None, :] + (INITIAL_SPEED * elapsed_s) ** 2 * np.eye(3)
    older = replace(
        pose,
        age_s=age_s,
        state=state,
        covariance=pose.covariance + grown,
        score=pose.score * 0.5 ** (elapsed_s / SCORE_HALF_LIFE_S),
        source=np.where(pose.source == JointSource.ABSENT, pose.source, JointSource.PREDICTED),
        n_views=np.zeros_like(pose.n_views),
        reprojection_px=np.full_like(pose.reprojection_px, np.nan),
    )
    return _chosen(older, kept)


def _chosen(pose: Pose3D, people: NDArray[np.intp]) -> Pose3D:
    return replace(pose, ids=tuple(pose.ids[p] for p in people), **{name: getattr(pose, name)[people] for name in ROWS})


def _standing(pose: Pose3D) -> tuple[tuple[str, int], ...]:
    return tuple(zip(pose.ids, pose.state.tolist(), strict=True))
