"""How old people are when a message leaves, and what that makes of them: occluded, lost, absent, by the clock alone.

The tracker ages people from frame set to frame set; this ages them from the capture of the images to publication,
between frame sets and after the last one. No ROS and no clock in here: the caller gives the time. NumPy, float64.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.track import without_joints
from pose3d_ros.kernels.constants import INITIAL_SPEED, SCORE_HALF_LIFE_S
from pose3d_ros.structures import PERSON_ARRAYS, Floats, JointSource, PersonState, Pose3D, unchecked

# ROS time that stands still for so long (a paused simulation, a bag that ended) is followed by real time: a subscriber
# who holds the last message learns that it is old.
STANDSTILL_S = 1.0
# How often look() is called; what would come due before the next call is done in this one, so that limits are kept.
TICK_S = 0.05
# A pose of a new frame set is made into a message and sent after it was judged, and takes so long to its reader: the
# sample person's takes 2 ms on two busy cores, its way to another process 1 ms (docs/benchmarks.md) to 6 ms (p95).
DELIVERY_S = 0.01
# A measured velocity holds for so long: in motion capture limbs forget theirs in 0.3 s (kalman.py), turning hands in
# 0.2 s (prediction.py). Until then a joint leaves the line of its velocity the slower, the shorter ago it was seen.
VELOCITY_HOLDS_S = 0.2
PREDICTED = np.uint8(JointSource.PREDICTED)


@dataclass(frozen=True)
class Limits:
    """Seconds since a person was last seen, from which on the person is OCCLUDED, LOST, and no longer there."""

    occluded_s: float = 0.2
    lost_s: float = 0.5
    max_age_s: float = 1.0


class NodeTime:
    """Seconds that never go back: ROS time, and real time where ROS time has stood still for STANDSTILL_S.

    A clock that is set back, a bag that starts again and the first message on /clock take no time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._s = 0.0
        self._ros_ns: int | None = None
        self._moved_s = self._steady_s = 0.0  # steady time of the last move of ROS time, and of the last call

    def __call__(self, ros_ns: int, steady_s: float) -> float:
        """The time, from the node's clock (0 before /clock came) and a clock that is never set."""
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


def captured_s(now_s: float, now_ns: int, stamp_ns: int) -> float:
    """When an image was captured, in NodeTime's seconds; now_s and now_ns are the NodeTime and ROS time of its arrival.

    A stamp ahead of the clock counts as now: the clocks differ, and the image was not captured after it came.
    """
    return now_s - max(now_ns - stamp_ns, 0) * 1e-9


class Watchdog:
    """Judges every pose as it is to go out, and ages the last one while no new one does.

    All times are NodeTime's. Not thread-safe.
    """

    def __init__(self) -> None:
        self._pose: Pose3D | None = None
        self._captured_s = 0.0
        self._told: tuple[tuple[str, int], ...] = ()  # ids and states as they were last published

    def saw(self, pose: Pose3D, captured_s: float, now_s: float, limits: Limits) -> Pose3D:
        """Take in a pose of images captured at captured_s, and return it as it is to go out now.

        A person who is not VISIBLE becomes LOST, or goes, as would be due before the next look().
        """
        self._pose, self._captured_s = pose, min(captured_s, now_s)
        if now_s - self._captured_s + DELIVERY_S >= limits.max_age_s:
            self._pose = None  # nothing of it is left to be aged
        found = aged(pose, now_s - self._captured_s, limits, _ahead_s(pose))
        self._told = _standing(found)
        return found

    def changed(self, pose: Pose3D, captured_s: float, now_s: float, limits: Limits) -> bool:
        """Whether saw() would now give other people or states than it did."""
        kept, state = _judged(pose, now_s - min(captured_s, now_s), limits, _ahead_s(pose))
        return self._told != tuple((pose.ids[p], int(state[p])) for p in kept)

    def overdue(self, now_s: float, limits: Limits) -> bool:
        """Whether the last pose is too old to say that no person is there, only that none can be seen."""
        return now_s - self._captured_s + DELIVERY_S >= limits.occluded_s

    def look(self, now_s: float, limits: Limits, in_work_s: float | None = None) -> Pose3D | None:
        """What is to be published because time went by, or None; once all is old enough an empty pose, once.

        Until a person's state changes, or the last image is occluded_s old, nothing is. A newer frame set that has been
        in work for in_work_s brings newer poses, if that is below occluded_s: until then, for OCCLUDED alone no message
        goes out, or people would change between VISIBLE and OCCLUDED with every frame set of a node that takes 0.15 s.
        Call it every TICK_S.
        """
        if self._pose is None:
            return None
        soon_s = now_s - self._captured_s + TICK_S
        if soon_s < limits.occluded_s and (self._pose.state == PersonState.VISIBLE).all():
            return None  # and stays so until then
        found = aged(self._pose, now_s - self._captured_s, limits)
        if soon_s < limits.occluded_s and _standing(found) == self._told:
            return None
        if in_work_s is not None and in_work_s < limits.occluded_s and self._no_worse_than_occluded(found):
            return None
        self._told = _standing(found)
        if soon_s >= limits.max_age_s:
            self._pose = None
        return found

    def _no_worse_than_occluded(self, found: Pose3D) -> bool:
        """Whether nothing has changed since the last message but that VISIBLE people are OCCLUDED."""
        was = dict(self._told)
        return set(was) == set(found.ids) and all(
            state in (was[person], PersonState.OCCLUDED)
            for person, state in zip(found.ids, found.state.tolist(), strict=True)
        )

    def end(self) -> Pose3D | None:
        """An empty pose where the last one that went out was not: nothing will follow it."""
        last, self._pose = self._pose, None
        return None if last is None else _chosen(last, np.zeros(0, dtype=np.intp))


def aged(pose: Pose3D, elapsed_s: float, limits: Limits, ahead_s: float | Floats = TICK_S) -> Pose3D:
    """The pose as one has to think of it elapsed_s after its stamp, with nothing seen since; its stamp stays.

    Joints stay where they were at the stamp, and their covariance grows to hold where they may be by now. States are
    those of ahead_s later, a number or (P,). Joints of people who are no longer VISIBLE are PREDICTED.
    """
    older = grown(pose, elapsed_s)
    kept, state = _judged(pose, elapsed_s, limits, ahead_s)
    hidden = (state != PersonState.VISIBLE)[:, None]
    if hidden.any():
        older = _with(
            older,
            score=pose.score * np.where(hidden, 0.5 ** (elapsed_s / SCORE_HALF_LIFE_S), 1.0),
            source=np.where(hidden & (pose.source != JointSource.ABSENT), PREDICTED, pose.source),
            n_views=np.where(hidden, np.uint8(0), pose.n_views),
            reprojection_px=np.where(hidden, np.nan, pose.reprojection_px),
        )
    return _chosen(_with(older, state=state), kept)


def _ahead_s(pose: Pose3D) -> Floats:
    """How long after a message its reader takes the states for true (P,): those of VISIBLE people until it comes."""
    return np.where(pose.state == PersonState.VISIBLE, DELIVERY_S, TICK_S)


def _judged(
    pose: Pose3D, elapsed_s: float, limits: Limits, ahead_s: float | Floats
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Who is still there, and all states (P,), elapsed_s after the pose's stamp and ahead_s later."""
    soon_s = pose.age_s + elapsed_s + ahead_s
    lost = (soon_s >= limits.lost_s) | (pose.state == PersonState.LOST)
    hidden = lost | (soon_s >= limits.occluded_s) | (pose.state != PersonState.VISIBLE)
    state = np.where(lost, PersonState.LOST, np.where(hidden, PersonState.OCCLUDED, PersonState.VISIBLE))
    return np.flatnonzero(soon_s < limits.max_age_s), state.astype(np.uint8)


def grown(pose: Pose3D, elapsed_s: float) -> Pose3D:
    """The pose with ages and covariances of elapsed_s later.

    A joint may have gone on at its velocity, and left that line: at INITIAL_SPEED where its velocity is not known or
    is older than VELOCITY_HOLDS_S, before that in proportion to the time.
    """
    travelled = np.nan_to_num(pose.velocity) * elapsed_s  # (P, J, 3) m
    known = np.isfinite(pose.velocity).all(-1)  # (P, J)
    left_m = INITIAL_SPEED * elapsed_s * np.where(known, min(elapsed_s / VELOCITY_HOLDS_S, 1.0), 1.0)
    growth = travelled[..., :, None] * travelled[..., None, :] + (left_m**2)[..., None, None] * np.eye(3)
    return _with(pose, age_s=pose.age_s + elapsed_s, covariance=pose.covariance + growth)


def predicted_now(ahead: Pose3D, judged: Pose3D, horizon_s: float, elapsed_s: float) -> Pose3D:
    """A prediction horizon_s after the pose's stamp, as it is to go out with judged, elapsed_s after that stamp.

    Whom judged has as LOST or no more is left out, states are judged's; ages are those of publication, or of the
    prediction's own stamp where that comes later.
    """
    rows = {person: p for p, person in enumerate(judged.ids) if judged.state[p] != PersonState.LOST}
    kept = np.array([p for p, person in enumerate(ahead.ids) if person in rows], dtype=np.intp)
    now = _chosen(grown(ahead, max(elapsed_s - horizon_s, 0.0)), kept)
    return _with(now, state=judged.state[[rows[person] for person in now.ids]])


def keypoints_now(keypoints: Pose3D, judged: Pose3D, elapsed_s: float) -> Pose3D:
    """Joints triangulated at the pose's stamp, as they are to go out with judged, elapsed_s after that stamp.

    People, states and ages are judged's. Nothing is predicted: who is not VISIBLE by now has no joint.
    """
    older, absent = grown(keypoints, elapsed_s), without_joints(judged, keypoints.skeleton)
    rows = [(p, keypoints.ids.index(one)) for p, one in enumerate(judged.ids) if judged.state[p] == PersonState.VISIBLE]
    if not rows:
        return absent
    to, taken = np.array(rows).T
    fields = {name: getattr(absent, name).copy() for name in PERSON_ARRAYS if name not in ("state", "age_s")}
    for name, numbers in fields.items():
        numbers[to] = getattr(older, name)[taken]
    return _with(absent, **fields)


def _chosen(pose: Pose3D, people: NDArray[np.intp]) -> Pose3D:
    return pose if len(people) == len(pose) else pose.select(people)


def _with(pose: Pose3D, **changes: Any) -> Pose3D:
    """dataclasses.replace without the checks, which take longer than all of the rest."""
    return unchecked(Pose3D, **{**vars(pose), **changes})


def _standing(pose: Pose3D) -> tuple[tuple[str, int], ...]:
    return tuple(zip(pose.ids, pose.state.tolist(), strict=True))
