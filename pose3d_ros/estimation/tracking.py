"""People through time: who is who, who is hidden, who is gone.

The tracker knows no clock but the stamps it is given. NumPy, float64.
Axes: G people observed now, T tracks, J joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose3d_ros.estimation import kalman
from pose3d_ros.estimation.track import Observed3D, Track, no_pose
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, Pose3D, Skeleton

# While unseen, a person may have walked off in any direction: fast walking, m/s.
SEARCH_SPEED = 1.5
# Two people are compared over at least this many joints.
MIN_SHARED_JOINTS = 4
# The stamp of what was never observed, far from the ends of the range: stamps are subtracted from each other.
NEVER_NS = np.iinfo(np.int64).min // 2


class Tracker:
    """Gives people ids that last, and carries them over short gaps.

    A person who is missed is OCCLUDED at once, LOST after lost_after_s, forgotten after gone_after_s since
    last seen. An id is given after birth_sets observations (at once where a joint is seen by three cameras
    or more) of at least birth_joints joints with mean score birth_score; ids are "1", "2", ... and never
    come again. Observations are matched to predictions within match_distance_m (mean joint distance, widened while
    unseen; kalman.distance where joints were lifted from one view, for their depth leaps); people nearer to each
    other than duplicate_distance_m are one. With a jump_distance_m, for cut or looped footage, who first appears that
    near and within lost_after_s of somebody's vanishing is taken for that person; without, an id is never given to
    anybody else.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        *,
        lost_after_s: float = 0.5,
        gone_after_s: float = 1.0,
        match_distance_m: float = 0.6,
        duplicate_distance_m: float = 0.25,
        jump_distance_m: float = 0.0,
        birth_sets: int = 2,
        birth_joints: int = 8,
        birth_score: float = 0.4,
    ) -> None:
        self._skeleton = skeleton
        self._lost_ns, self._gone_ns = round(lost_after_s * 1e9), round(gone_after_s * 1e9)
        self._match_m, self._duplicate_m, self._jump_m = match_distance_m, duplicate_distance_m, jump_distance_m
        self._birth_sets, self._birth_joints, self._birth_score = birth_sets, birth_joints, birth_score
        self._made_with = frozenset({*vars(self), "_made_with"})
        self._tracks: list[Track] = []
        self._last_number = 0
        self._stamp_ns: int | None = None

    def reset(self) -> None:
        """Forget everybody; ids go on from where they were."""
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
        """Ids of everybody known, and their joints (T, J, 3) m expected at a stamp; unknown ones are NaN."""
        known = [] if self._goes_back(stamp_ns) else self._known()
        return tuple(str(track.number) for track in known), self._places(known, stamp_ns)

    def states(self) -> tuple[tuple[str, ...], kalman.PointStates, Floats]:
        """Ids of everybody known, their joints' states (P, J) at the last stamp, and their Track.lasting."""
        known, size = self._known(), self._skeleton.size
        mean = np.array([track.states.mean for track in known]).reshape(-1, size, 6)
        covariance = np.array([track.states.covariance for track in known]).reshape(-1, size, 6, 6)
        lasting = np.array([track.lasting for track in known]).reshape(-1, size, 3, 3)
        return tuple(str(track.number) for track in known), kalman.PointStates(mean, covariance), lasting

    def _places(self, tracks: Sequence[Track], stamp_ns: int) -> Floats:
        dt_s = self._elapsed_s(stamp_ns)
        places = [kalman.predict(track.states, dt_s).position for track in tracks]
        return np.stack(places) if places else np.zeros((0, self._skeleton.size, 3))

    def update(self, observed: Observed3D, stamp_ns: int, frame_id: str = "world") -> tuple[Pose3D, tuple[str, ...]]:
        """Take in the people observed at a stamp; returns everybody known and the id of each observed one.

        An observed person's id is "" while there is too little evidence. After a stamp before the last one (a clock
        set back, a loop) people are known by where they were, and are in no pose until they are observed again.
        """
        self._move_to(stamp_ns)
        kept = np.flatnonzero(~self._duplicates(observed))
        for track in self._tracks:
            track.observed = -1
        unmatched = set(kept.tolist())
        for track, row in self._match(observed, kept):
            self._observe(track, observed, row, stamp_ns)
            unmatched.discard(row)
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
        """Everybody who has an id, and a place at this time."""
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
        dt_s = self._elapsed_s(stamp_ns)
        for track in self._tracks:
            track.states = kalman.predict(track.states, dt_s)
        self._stamp_ns = stamp_ns
        # Before matching: nobody takes up the id of one who is gone.
        self._tracks = [track for track in self._tracks if stamp_ns - track.seen_ns < self._gone_ns]

    def _duplicates(self, observed: Observed3D) -> NDArray[np.bool_]:
        """Observed people (G,) who are a weaker copy of another one."""
        strength = observed.score.sum(-1) * observed.n_views.max(-1, initial=0)
        order = np.argsort(-strength, kind="stable")
        distance = _distances(observed.xyz, observed.xyz)
        copy = np.zeros(len(observed), dtype=bool)
        for place, row in enumerate(order):
            stronger = [other for other in order[:place] if not copy[other]]
            copy[row] = bool((distance[row, stronger] < self._duplicate_m).any())
        return copy

    def _match(self, observed: Observed3D, rows: NDArray[np.intp]) -> list[tuple[Track, int]]:
        """Pairs of track and observation by the Hungarian method; people with an id choose first."""
        pairs: list[tuple[Track, int]] = []
        free = rows
        for tracks in ([t for t in self._tracks if t.number], [t for t in self._tracks if not t.number]):
            if not tracks or not len(free):
                continue
            expected = np.stack([t.states.position for t in tracks])
            noise = np.stack([t.depth_noise for t in tracks])[:, None] + observed.depth_noise[free]
            distance = _distances(expected, observed.xyz[free], noise)
            unseen_s = np.array([(self._stamp_ns or 0) - t.seen_ns for t in tracks]) * 1e-9
            gate = self._match_m + SEARCH_SPEED * unseen_s[:, None]
            # Costs are relative to the gate: whoever lies outside costs more than any set of inside ones.
            cost = np.where(distance < gate, distance / gate, 1e3)
            chosen = [(a, b) for a, b in zip(*linear_sum_assignment(cost), strict=True) if cost[a, b] < 1e3]
            pairs += [(tracks[a], int(free[b])) for a, b in chosen]
            free = np.delete(free, [b for _, b in chosen])
        return pairs

    def _observe(self, track: Track, observed: Observed3D, row: int, stamp_ns: int) -> None:
        track.passed_over = self._surer(track, observed, row, stamp_ns)
        xyz, covariance = np.where(track.passed_over[:, None], np.nan, observed.xyz[row]), observed.covariance[row]
        seen, guessed = np.isfinite(xyz).all(-1), observed.guessed[row]
        measured = np.where(guessed[:, None], np.nan, xyz)
        dt_s = (stamp_ns - track.seen_ns) * 1e-9
        if track.before_jump or kalman.jumped(track.states.position, measured, dt_s, observed.depth_noise[row]):
            track.before_jump = False
            track.states = kalman.start(xyz, covariance)
        else:
            # Guesses of one body err alike from frame to frame: a filter would take them for ever surer.
            corrected = kalman.update(track.states, measured, covariance)
            track.states = kalman.restarted(corrected, seen & guessed, xyz, covariance)
        track.depth_noise = observed.depth_noise[row]
        track.lasting = np.where(seen[:, None, None], observed.lasting[row], track.lasting)
        track.joint_seen_ns = np.where(seen, stamp_ns, track.joint_seen_ns)
        track.joint_score = np.where(seen, observed.score[row], track.joint_score)
        track.seen_ns, track.observed = stamp_ns, row
        track.hits += 1

    def _surer(self, track: Track, observed: Observed3D, row: int, stamp_ns: int) -> NDArray[np.bool_]:
        """Joints (J,) that a network guesses though the track still knows them better."""
        known = np.isfinite(track.states.position).all(-1) & (stamp_ns - track.joint_seen_ns < self._gone_ns)
        own, other = (
            np.trace(c, axis1=-2, axis2=-1) for c in (track.states.position_covariance, observed.covariance[row])
        )
        return np.asarray(observed.guessed[row] & known & (own < other))

    def _begin(self, observed: Observed3D, row: int, stamp_ns: int) -> Track:
        seen = np.isfinite(observed.xyz[row]).all(-1)
        return Track(
            states=kalman.start(observed.xyz[row], observed.covariance[row]),
            joint_seen_ns=np.where(seen, stamp_ns, NEVER_NS),
            joint_score=observed.score[row].copy(),
            depth_noise=observed.depth_noise[row],
            lasting=observed.lasting[row],
            begun_ns=stamp_ns,
            seen_ns=stamp_ns,
            observed=row,
        )

    def _forget_doubtful(self) -> None:
        """Forget candidates who were never sure, or turned out to be somebody else's copy."""
        alive: list[Track] = []
        for track in sorted(self._tracks, key=lambda t: t.number or np.inf):
            if track.observed < 0:
                track.misses += 1
            # A candidate lives while it is seen more often than missed.
            unsure = not track.number and track.misses >= track.hits
            places = [other.states.position for other in alive if not other.before_jump]
            near = places and _distances(track.states.position[None], np.stack(places)).min() < self._duplicate_m
            # A hidden person may be passed by; only a newcomer is ever a copy.
            copied = near and not track.number
            if not (unsure or copied):
                alive.append(track)
        self._tracks = alive

    def _give_ids(self, observed: Observed3D) -> None:
        """Name the newcomers of whom there is evidence enough."""
        for track in self._tracks:
            row = track.observed
            if track.number or row < 0:
                continue
            strong = observed.joints[row] >= self._birth_joints and observed.mean_score[row] >= self._birth_score
            needed = 1 if observed.n_views[row].max(initial=0) >= 3 else self._birth_sets
            if strong and track.hits >= needed:
                track.number = self._number_for(track)
        self._tracks = [track for track in self._tracks if track.number >= 0]

    def _number_for(self, newcomer: Track) -> int:
        """The number of the nearest person who is just missing, when near enough; else a new one.

        Somebody who vanishes where somebody else appears has jumped: footage was cut or looped, or frames
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
        people = [track.rows(observed, stamp_ns, self._lost_ns, self._gone_ns) for track in known]
        empty = no_pose(self._skeleton, stamp_ns, frame_id)
        if not people:
            return empty
        fields: dict[str, Any] = {name: np.stack([person[name] for person in people]) for name in people[0]}
        return replace(empty, ids=tuple(str(t.number) for t in known), **fields)


def _distances(a: Floats, b: Floats, covariance: Floats | None = None) -> Floats:
    """Mean joint distance (A, B) m over the joints that both have; inf where they share too few.

    With covariances (A or 1, B, J, 3, 3) m^2 of both together it is kalman.distance.
    """
    offset = a[:, None] - b[None]
    apart = np.linalg.norm(offset, axis=-1) if covariance is None else kalman.distance(offset, covariance)  # (A, B, J)
    shared = np.isfinite(apart)
    count = shared.sum(-1)
    mean = np.where(shared, apart, 0.0).sum(-1) / np.maximum(count, 1)
    return np.asarray(np.where(count >= MIN_SHARED_JOINTS, mean, np.inf))
