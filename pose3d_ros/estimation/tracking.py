"""People through time: who is who, who is hidden, who is gone.

The tracker knows no clock but the stamps it is given. What is done to every joint is in kernels/tracking.py. float64.
Axes: G people observed now, T tracks, J joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros import kernels
from pose3d_ros.estimation import kalman
from pose3d_ros.estimation.track import Observed3D, Track, no_pose
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, JointSource, PersonState, Pose3D, Skeleton, unchecked, unknown_body

# While unseen, a person may have walked off in any direction: fast walking, m/s.
SEARCH_SPEED = 1.5
# The stamp of what was never observed, far from the ends of the range: stamps are subtracted from each other.
NEVER_NS = np.iinfo(np.int64).min // 2


@dataclass(frozen=True)
class Limits:
    """Who is who, by how poses are measured."""

    match_m: float  # mean joint distance within which a person is the one predicted
    duplicate_m: float  # people whose joints are nearer to each other on average are one person
    init_joints: int  # 3D joints a new person must have


TRIANGULATED = Limits(0.6, 0.25, 8)
# Sample footage, 60, 10 and 5 images/s, two networks: by kalman.distance, which counts depth for little, people move
# 0.06 to 0.17 m (p95) between two images, and different people are 0.40 m apart or more. Plain distance separates them
# less: 0.2 to 0.4 m, and 0.8 m. The lifter gives all joints or none.
LIFTED = Limits(0.4, 0.1, 1)
# Mean joint score of a new person, of whom more than one observation is asked for. By choice.
INIT_SCORE = 0.4


class Tracker:
    """Gives people ids that last, and carries them over short gaps.

    A person who is missed is OCCLUDED at once, LOST after lost_after_s, forgotten after max_age_s since last seen. An
    id is given after min_hits observations (at once where a joint is seen by three cameras or more) of enough joints,
    with a mean score of INIT_SCORE unless min_hits is 1; ids are "1", "2", ... and never come again. Observations are
    matched to predictions within limits.match_m (mean joint distance, widened while unseen; kalman.distance where
    joints were lifted from one view, for their depth leaps). With a jump_distance_m, for cut or looped footage, a new
    person that near and within lost_after_s of where another vanished is taken for that person; without, an id is
    never given to another person.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        limits: Limits = TRIANGULATED,
        *,
        lost_after_s: float = 0.5,
        max_age_s: float = 1.0,
        jump_distance_m: float = 0.0,
        min_hits: int = 2,
    ) -> None:
        self._skeleton = skeleton
        self._lost_ns, self._gone_ns = round(lost_after_s * 1e9), round(max_age_s * 1e9)
        self._limits, self._jump_m, self._min_hits = limits, jump_distance_m, min_hits
        self._made_with = frozenset({*vars(self), "_made_with"})
        self._tracks: list[Track] = []
        self._last_number = 0
        self._stamp_ns: int | None = None

    def reset(self) -> None:
        """Forget all people; ids go on from where they were."""
        self._tracks, self._stamp_ns = [], None

    def state_dict(self) -> dict[str, Any]:
        """Every person known, the last id and the last stamp."""
        return state_of(self, self._made_with)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state; its limits may have been others."""
        load_state(self, state, self._made_with)

    def predicted(self, stamp_ns: int) -> Floats:
        """Joints (T, J, 3) m expected at a stamp of people triangulated within lost_after_s; unknown ones are NaN."""
        # Who was lifted from one view is expected at a wrong depth, where other cameras would not see them.
        known = [t for t in self._tracks if self._is_recent(t) and not t.before_jump and not t.depth_noise.any()]
        return self._places([] if self._goes_back(stamp_ns) else known, stamp_ns)

    def expected(self, stamp_ns: int) -> tuple[tuple[str, ...], Floats]:
        """Ids of all known people, and their joints (T, J, 3) m expected at a stamp; unknown ones are NaN."""
        known = [] if self._goes_back(stamp_ns) else self._known()
        return tuple(str(track.number) for track in known), self._places(known, stamp_ns)

    def states(self) -> tuple[tuple[str, ...], kalman.PointStates, Floats]:
        """Ids of all people, their joints' states (P, J) at the last stamp, their Track.calibration_covariance."""
        known, size = self._known(), self._skeleton.size
        if not known:
            return (), kalman.PointStates(np.zeros((0, size, 6)), np.zeros((0, size, 6, 6))), np.zeros((0, size, 3, 3))
        calibration_covariance = np.array([track.calibration_covariance for track in known])
        return tuple(str(track.number) for track in known), _states_of(known), calibration_covariance

    def _places(self, tracks: Sequence[Track], stamp_ns: int) -> Floats:
        if not tracks:
            return np.zeros((0, self._skeleton.size, 3))
        return kalman.predict(_states_of(tracks), self._elapsed_s(stamp_ns)).position

    def update(self, observed: Observed3D, stamp_ns: int, frame_id: str = "world") -> tuple[Pose3D, tuple[str, ...]]:
        """Take in the people observed at a stamp; returns all known people and the id of each observed one.

        An observed person's id is "" while there is too little evidence. After a stamp before the last one (a clock
        set back, a loop) people are known by where they were, and are in no pose until they are observed again.
        """
        self._move_to(stamp_ns)
        kept = np.flatnonzero(~self._duplicates(observed))
        for track in self._tracks:
            track.observed = -1
        unmatched = set(kept.tolist())
        pairs = self._match(observed, kept)
        if pairs:
            self._observe([track for track, _ in pairs], observed, [row for _, row in pairs], stamp_ns)
            unmatched -= {row for _, row in pairs}
        self._tracks += [self._begin(observed, row, stamp_ns) for row in sorted(unmatched)]
        self._forget_doubtful()
        self._give_ids(observed)
        ids = [""] * len(observed)
        for track in self._tracks:
            if track.observed >= 0 and track.number:
                ids[track.observed] = str(track.number)
        return self._pose(observed, stamp_ns, frame_id), tuple(ids)

    def _elapsed_s(self, stamp_ns: int) -> float:
        return 0.0 if self._stamp_ns is None else max(stamp_ns - self._stamp_ns, 0) * 1e-9

    def _known(self) -> list[Track]:
        """The tracks that have an id, and a place at this time."""
        return [track for track in self._tracks if track.number and not track.before_jump]

    def _goes_back(self, stamp_ns: int) -> bool:
        return self._stamp_ns is not None and stamp_ns < self._stamp_ns

    def _move_to(self, stamp_ns: int) -> None:
        """Predict every track to a stamp; when time runs backwards, keep who was where, to know them again."""
        if self._stamp_ns is not None and self._goes_back(stamp_ns):
            back = self._stamp_ns - stamp_ns
            for track in self._tracks:
                track.states = kalman.at_rest(track.states)
                track.begun_ns -= back
                track.seen_ns -= back
                track.joint_seen_ns = np.full_like(track.joint_seen_ns, NEVER_NS)
                track.before_jump = True
        if self._tracks:
            _set_states(self._tracks, kalman.predict(_states_of(self._tracks), self._elapsed_s(stamp_ns)))
        self._stamp_ns = stamp_ns
        # Before matching: no person takes up the id of one who is gone.
        self._tracks = [track for track in self._tracks if stamp_ns - track.seen_ns < self._gone_ns]

    def _duplicates(self, observed: Observed3D) -> NDArray[np.bool_]:
        """Observed people (G,) who are a weaker copy of another one."""
        copy = np.zeros(len(observed), dtype=bool)
        distance = _distances(observed.xyz, observed.xyz)
        np.fill_diagonal(distance, np.inf)
        if not (distance < self._limits.duplicate_m).any():
            return copy
        strength = observed.score.sum(-1) * observed.n_views.max(-1, initial=0)
        order = np.argsort(-strength, kind="stable")
        for place, row in enumerate(order):
            stronger = [other for other in order[:place] if not copy[other]]
            copy[row] = bool((distance[row, stronger] < self._limits.duplicate_m).any())
        return copy

    def _match(self, observed: Observed3D, rows: NDArray[np.intp]) -> list[tuple[Track, int]]:
        """Pairs of track and observation by the Hungarian method; people with an id choose first."""
        pairs: list[tuple[Track, int]] = []
        free = rows
        for tracks in ([t for t in self._tracks if t.number], [t for t in self._tracks if not t.number]):
            if not tracks or not len(free):
                continue
            noise = np.array([t.depth_noise for t in tracks]), observed.depth_noise[free]
            distance = _distances(np.array([t.states.position for t in tracks]), observed.xyz[free], *noise)
            unseen_s = np.array([(self._stamp_ns or 0) - t.seen_ns for t in tracks]) * 1e-9
            gate = self._limits.match_m + SEARCH_SPEED * unseen_s[:, None]
            # Costs are relative to the gate: a pair outside costs more than any set of inside ones.
            cost = np.where(distance < gate, distance / gate, 1e3)
            chosen = [(a, b) for a, b in zip(*linear_sum_assignment(cost), strict=True) if cost[a, b] < 1e3]
            pairs += [(tracks[a], int(free[b])) for a, b in chosen]
            if len(chosen) == len(free):
                break
            free = np.delete(free, [b for _, b in chosen])
        return pairs

    def _observe(self, tracks: Sequence[Track], observed: Observed3D, rows: list[int], stamp_ns: int) -> None:
        """Take in who was observed: row of observed by track."""
        states = _states_of(tracks)
        joint_seen_ns = np.array([track.joint_seen_ns for track in tracks])
        joint_score = np.array([track.joint_score for track in tracks])
        calibration_covariance, depth_noise = (
            np.array([track.calibration_covariance for track in tracks]),
            observed.depth_noise[rows],
        )
        ignored_joints = kernels.tracking.observe(
            *(states.mean, states.covariance, joint_seen_ns, joint_score, calibration_covariance),
            np.array([track.before_jump for track in tracks]),
            np.array([track.seen_ns for track in tracks], dtype=np.int64),
            *(observed.xyz[rows], observed.covariance[rows], observed.score[rows], depth_noise),
            *(observed.calibration_covariance[rows], observed.guessed[rows], stamp_ns, self._gone_ns),
        )
        _set_states(tracks, states)
        for k, (track, row) in enumerate(zip(tracks, rows, strict=True)):
            track.before_jump, track.ignored_joints, track.depth_noise = False, ignored_joints[k], depth_noise[k]
            track.joint_seen_ns, track.joint_score, track.calibration_covariance = (
                joint_seen_ns[k],
                joint_score[k],
                calibration_covariance[k],
            )
            track.seen_ns, track.observed = stamp_ns, row
            track.hits += 1

    def _begin(self, observed: Observed3D, row: int, stamp_ns: int) -> Track:
        seen = np.isfinite(observed.xyz[row]).all(-1)
        return Track(
            states=kalman.start(observed.xyz[row], observed.covariance[row]),
            joint_seen_ns=np.where(seen, stamp_ns, NEVER_NS),
            joint_score=observed.score[row].copy(),
            depth_noise=observed.depth_noise[row],
            calibration_covariance=observed.calibration_covariance[row],
            begun_ns=stamp_ns,
            seen_ns=stamp_ns,
            observed=row,
        )

    def _forget_doubtful(self) -> None:
        """Forget candidates who were never sure, or turned out to be copies of others."""
        alive: list[Track] = []
        for track in sorted(self._tracks, key=lambda t: t.number or np.inf):
            if track.observed < 0:
                track.misses += 1
            # A candidate lives while it is seen more often than missed.
            unsure = not track.number and track.misses >= track.hits
            # A hidden person may be passed by; only a newcomer is ever a copy.
            places = [] if track.number else [other.states.position for other in alive if not other.before_jump]
            copied = (
                places and _distances(track.states.position[None], np.array(places)).min() < self._limits.duplicate_m
            )
            if not (unsure or copied):
                alive.append(track)
        self._tracks = alive

    def _give_ids(self, observed: Observed3D) -> None:
        """Name the newcomers of whom there is evidence enough."""
        for track in self._tracks:
            row = track.observed
            if track.number or row < 0:
                continue
            sure = self._min_hits == 1 or observed.mean_score[row] >= INIT_SCORE
            strong = observed.joints[row] >= self._limits.init_joints and sure
            needed = 1 if observed.n_views[row].max(initial=0) >= 3 else self._min_hits
            if strong and track.hits >= needed:
                track.number = self._number_for(track)
        self._tracks = [track for track in self._tracks if track.number >= 0]

    def _number_for(self, newcomer: Track) -> int:
        """The number of the nearest person who is just missing, when near enough; else a new one.

        A person who vanishes where another appears has jumped: footage was cut or looped, or frames
        were lost. The missing track is struck out.
        """
        hidden = [
            t
            for t in self._tracks
            if t.number > 0 and t.observed < 0 and t.seen_ns < newcomer.begun_ns and self._is_recent(t)
        ]
        if hidden:
            apart = _distances(newcomer.states.position[None], np.stack([t.states.position for t in hidden]))[0]
            nearest = hidden[int(np.argmin(apart))]
            if apart.min() < self._jump_m:
                number, nearest.number = nearest.number, -1
                return number
        self._last_number += 1
        return self._last_number

    def _is_recent(self, track: Track) -> bool:
        return self._stamp_ns is not None and self._stamp_ns - track.seen_ns <= self._lost_ns

    def _pose(self, observed: Observed3D, stamp_ns: int, frame_id: str) -> Pose3D:
        known = self._known()
        if not known:
            return no_pose(self._skeleton, stamp_ns, frame_id)
        states, size = _states_of(known), self._skeleton.size
        # What passed nothing over may have no joints there.
        ignored_joints = np.array([np.broadcast_to(track.ignored_joints, size) for track in known])
        rows = np.array([track.observed for track in known])
        xyz, velocity, covariance, score, n_views, px, source = kernels.tracking.rows(
            *(states.mean, states.covariance, np.array([track.joint_seen_ns for track in known])),
            np.array([track.joint_score for track in known]),
            np.array([track.calibration_covariance for track in known]),
            *(ignored_joints, rows, observed.xyz, observed.covariance, observed.score, observed.n_views),
            *(observed.reprojection_px, observed.source, observed.calibration_covariance, stamp_ns, self._gone_ns),
            JointSource.PREDICTED.value,
        )
        age_ns = stamp_ns - np.array([track.seen_ns for track in known])
        hidden = np.where(age_ns >= self._lost_ns, PersonState.LOST, PersonState.OCCLUDED)
        return unchecked(
            Pose3D,
            xyz=xyz,
            velocity=velocity,
            covariance=covariance,
            score=score,
            n_views=n_views,
            reprojection_px=px,
            source=source,
            ids=tuple(str(track.number) for track in known),
            state=np.where(rows >= 0, PersonState.VISIBLE, hidden).astype(np.uint8),
            age_s=age_ns * 1e-9,
            skeleton=self._skeleton,
            frame_id=frame_id,
            stamp_ns=stamp_ns,
            **unknown_body(len(known), size),
        )


def _states_of(tracks: Sequence[Track]) -> kalman.PointStates:
    """Copies of all states, (T, J)."""
    mean, covariance = np.array([t.states.mean for t in tracks]), np.array([t.states.covariance for t in tracks])
    return kalman.PointStates(mean, covariance)


def _set_states(tracks: Sequence[Track], states: kalman.PointStates) -> None:
    for k, track in enumerate(tracks):
        track.states = kalman.PointStates(states.mean[k], states.covariance[k])


def _distances(a: Floats, b: Floats, noise_a: Floats | None = None, noise_b: Floats | None = None) -> Floats:
    """Mean joint distance (A, B) m over the joints that both have; inf where they share too few.

    With covariances (A, J, 3, 3) and (B, J, 3, 3) m^2 it is kalman.distance, by their sums.
    """
    none = np.empty((0, 0, 3, 3))
    found: Floats = kernels.tracking.apart(
        kernels.plain(a), b, none if noise_a is None else noise_a, none if noise_b is None else noise_b
    )
    return found
