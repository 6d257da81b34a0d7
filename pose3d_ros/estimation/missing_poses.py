"""Why people in the views of two cameras or more have no pose: a reason for each of them, counted.

Every 2D person gets exactly one reason, so that no one vanishes unexplained. NumPy, float64.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.observation import gathered, joint_score
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.estimation.tracking import INIT_SCORE, TRIANGULATED
from pose3d_ros.estimation.views import usable_people, without_weak_joints
from pose3d_ros.geometry.association import BONE_LENGTH_RANGE_M, associate
from pose3d_ros.geometry.calibration import MIN_BASELINE_M
from pose3d_ros.geometry.pair_fits import PairFits, pair_fits
from pose3d_ros.geometry.triangulation import HUBER_DELTA, Rejection, triangulate
from pose3d_ros.monitoring.person_scale import leg_lengths
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Keypoints2D

# A lack of poses is reported after so long, and its reasons are counted over so long.
WINDOW_S = 2.0
# People must be in two views in this share of the window's frame sets: false detections come and go.
OFTEN = 0.5
# Association measures bones with noise and foreshortened: near its limits a bone may be the reason already.
SIZE_MARGIN = 1.4
# Impossible sizes are detected by legs that are this sure, as a share of their length: a stereo head's are not
# any surer.
ROUGHLY = 0.5
# 2D people of each view that are explained.
MOST = 6
# While there is no pose a frame set is explained so often, s: more say nothing new, and cost a millisecond each.
SAMPLE_S = 0.25


class Reason(Enum):
    """Why a 2D person has no pose; the value is its name in /diagnostics."""

    WEAK = "weak_2d"
    FEW_JOINTS = "few_joints"
    FEW_VIEWS = "few_views"
    ASSOCIATION = "association"
    REPROJECTION = "reprojection"
    BEHIND = "behind"
    SIZE = "size"
    RANK = "rank"
    UNCERTAIN = "uncertain"
    SCORE = "score"
    UNSTEADY = "unsteady"


# What each means, and what fixes it.
WORDS = {
    Reason.WEAK: ("are weak in 2D", "lower min_person_score, or give more light"),
    Reason.FEW_JOINTS: ("share too few joints", "let two cameras see whole bodies"),
    Reason.FEW_VIEWS: ("are in fewer views than min_views", "lower min_views, or add cameras"),
    Reason.ASSOCIATION: (
        "have rays that miss each other's", "calibrate, and synchronise; do the cameras see the same people?"
    ),
    Reason.REPROJECTION: ("fit one camera and contradict the others", "calibrate the camera that does not fit"),
    Reason.BEHIND: (
        "meet behind the cameras", "are two image topics or transforms exchanged, or is one inverted?"
    ),
    Reason.SIZE: ("would be of impossible size", "are the cameras' places in m, and K and P of these images?"),
    Reason.RANK: ("have no depth", "set the cameras apart: they stand at one place, or on one line with the people"),
    Reason.UNCERTAIN: ("are less certain than max_std_m", "raise it, or set the cameras further apart"),
    Reason.SCORE: ("score low", "give more light, or lower min_hits to 1"),
    Reason.UNSTEADY: ("jump from set to set", "are the images synchronised?"),
}  # fmt: skip
_OF_REJECTION = {
    Rejection.FEW_VIEWS: Reason.FEW_JOINTS,
    Rejection.RANK: Reason.RANK,
    Rejection.CHEIRALITY: Reason.BEHIND,
    Rejection.UNCERTAIN: Reason.UNCERTAIN,
}


@dataclass(frozen=True)
class Explained:
    """The 2D people of one frame set by reason; empty unless two views or more have people."""

    reasons: Mapping[Reason, int] = field(default_factory=dict)
    cameras: tuple[str, ...] = ()  # those that see people
    legs_m: tuple[float, ...] = ()  # lengths of legs where people of impossible size would stand


def views_with_people(keypoints: Mapping[str, Keypoints2D], options: EstimatorOptions) -> tuple[str, ...]:
    """Cameras whose people are to be taken seriously: by these options, or by the default ones."""
    default = EstimatorOptions()
    return tuple(n for n, k in keypoints.items() if len(usable_people(k, options)) or len(usable_people(k, default)))


def explain(cameras: Sequence[Camera], keypoints: Mapping[str, Keypoints2D], options: EstimatorOptions) -> Explained:
    """A reason for every 2D person (h36m_17, by camera) of a frame set that gave no pose; MOST of each view."""
    seeing = views_with_people(keypoints, options)
    if len(seeing) < 2:
        return Explained()
    cameras = [camera for camera in cameras if camera.name in seeing]
    reasons: Counter[Reason] = Counter()
    people = []
    for camera in cameras:
        whole = _surest(keypoints[camera.name])
        usable = usable_people(whole, options)
        people.append(without_weak_joints(whole.select(usable), options))
        reasons[Reason.WEAK] += len(whole) - len(usable)
    groups = associate(cameras, people, limit_mrad=options.association_limit_mrad)
    views = (groups >= 0).sum(-1)
    alone, legs = _alone(cameras, people, groups[views == 1], options)
    reasons.update(alone)
    reasons[Reason.FEW_VIEWS] += int(views[(views > 1) & (views < options.min_views)].sum())
    shared = groups[(views > 1) & (views >= options.min_views)]
    for reason, count in zip(_together(cameras, people, shared, options), (shared >= 0).sum(-1).tolist(), strict=True):
        reasons[reason] += count
    return Explained({r: n for r, n in reasons.items() if n}, tuple(c.name for c in cameras), tuple(legs))


def _surest(people: Keypoints2D) -> Keypoints2D:
    """Those with the highest scores: a crowd would cost seconds, and says nothing that a few do not."""
    order = np.argsort(-people.score.sum(-1), kind="stable")[:MOST]
    return people.select(np.sort(order))


def _alone(
    cameras: Sequence[Camera], people: Sequence[Keypoints2D], groups: NDArray[np.intp], options: EstimatorOptions
) -> tuple[list[Reason], list[float]]:
    """Why people were matched with no other view's: by the one who comes nearest; lengths of legs of wrong size."""
    singles = {(int(v), int(group[v])) for group in groups for v in np.flatnonzero(group >= 0)}
    nearest = {one: (np.inf, Reason.FEW_JOINTS) for one in singles}
    legs: list[float] = []
    for a, b in combinations(range(len(cameras)), 2):
        if not any(view in (a, b) for view, _ in singles) or not (len(people[a]) and len(people[b])):
            continue
        if np.linalg.norm(cameras[a].centre - cameras[b].centre) < MIN_BASELINE_M:
            for one in singles:
                if one[0] in (a, b) and not np.isfinite(nearest[one][0]):
                    nearest[one] = (np.inf, Reason.RANK)
            continue
        fits = pair_fits(cameras[a], people[a], cameras[b], people[b])
        for p, q in np.argwhere(np.isfinite(fits.miss_rad)).tolist():
            miss = float(fits.miss_rad[p, q])
            better = [one for one in ((a, p), (b, q)) if one in singles and miss < nearest[one][0]]
            if better:
                # Who fits a second view alone has no third one to contradict.
                fitting = Reason.REPROJECTION if len(people) > 2 else Reason.ASSOCIATION
                reason = _unfit(fits, p, q, options) or fitting
                nearest.update(dict.fromkeys(better, (miss, reason)))
        sized = [(p, q) for p, q in np.argwhere(fits.shared > 0).tolist() if _unfit(fits, p, q, options) == Reason.SIZE]
        for p, q in sized[:MOST]:
            if any(nearest.get(one, (0.0, None)) == (fits.miss_rad[p, q], Reason.SIZE) for one in ((a, p), (b, q))):
                legs += _legs([cameras[a], cameras[b]], [people[a].select([p]), people[b].select([q])])
    return [reason for _, reason in nearest.values()], legs


def _unfit(fits: PairFits, p: int, q: int, options: EstimatorOptions) -> Reason | None:
    """Why two views of a person do not fit each other; None where they do."""
    low, high = BONE_LENGTH_RANGE_M
    if not fits.miss_rad[p, q] <= 1e-3 * options.association_limit_mrad:
        return Reason.ASSOCIATION
    if fits.in_front[p, q] < 0.5:
        return Reason.BEHIND
    return None if SIZE_MARGIN * low <= fits.bone_m[p, q] <= high / SIZE_MARGIN else Reason.SIZE


def _legs(cameras: Sequence[Camera], people: Sequence[Keypoints2D]) -> list[float]:
    """Lengths (m of the rig) of the legs of one person in two views."""
    seen = gathered(people, np.zeros((1, 2), dtype=np.intp))
    found = triangulate(cameras, seen.xy, seen.score if seen.covariance is None else None, seen.covariance,
                        max_std_m=np.inf)  # fmt: skip
    lengths: list[float] = leg_lengths(found.xyz, found.covariance, ROUGHLY).tolist()
    return lengths


def _together(
    cameras: Sequence[Camera], people: Sequence[Keypoints2D], groups: NDArray[np.intp], options: EstimatorOptions
) -> list[Reason]:
    """Why people whom cameras agree on have no pose, one reason a group."""
    if not len(groups):
        return []
    seen = gathered(people, groups)
    found = triangulate(
        cameras, seen.xy, seen.score if seen.covariance is None else None, seen.covariance,
        delta=HUBER_DELTA, max_std_m=options.max_std_m,
    )  # fmt: skip
    rejection = np.where(
        (found.rejection == 0) & (found.n_views < options.min_views), Rejection.FEW_VIEWS, found.rejection
    )
    score = np.where(rejection == 0, joint_score(seen.score), 0.0)
    reasons = []
    for row, refused in enumerate(rejection):
        placed = int((refused == 0).sum())
        counts = Counter(refused[(refused > 0) & (seen.score[:, row] > 0).any(axis=0)].tolist())
        if placed < TRIANGULATED.init_joints:
            # Joints that no camera sees say nothing: with no other reason the body is cut off.
            reasons.append(_OF_REJECTION[Rejection(counts.most_common(1)[0][0])] if counts else Reason.FEW_JOINTS)
        elif score[row].sum() / placed < INIT_SCORE:
            reasons.append(Reason.SCORE)
        else:
            reasons.append(Reason.UNSTEADY)
    return reasons


class MissingPoses:
    """Watches for people in two views or more without any pose; time is that of the stamps, in s."""

    def __init__(self) -> None:
        # Stamp, cameras that see people, and the reasons by name.
        self._samples: deque[tuple[float, tuple[str, ...], dict[str, int]]] = deque()

    def reset(self) -> None:
        """Begin afresh."""
        self._samples = deque()

    def state_dict(self) -> dict[str, Any]:
        """What was gathered."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def due(self, now_s: float) -> bool:
        """Whether a frame set without a pose is to be explained now."""
        if self._samples and now_s < self._samples[-1][0]:  # a bag begins afresh
            self.reset()
        return not self._samples or now_s - self._samples[-1][0] >= SAMPLE_S - 1e-6

    def placed(self) -> None:
        """A person has a pose."""
        self.reset()

    def add(self, now_s: float, explained: Explained) -> None:
        """A frame set without a pose, and why."""
        self._samples.append((now_s, explained.cameras, {r.value: n for r, n in explained.reasons.items()}))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - WINDOW_S + 1e-6:
            self._samples.popleft()

    @property
    def counts(self) -> dict[str, int]:
        """2D people without a pose by reason, over the last WINDOW_S."""
        total: Counter[str] = Counter()
        for _, _, reasons in self._samples:
            total.update(reasons)
        return dict(total)

    @property
    def fault(self) -> str:
        """What is wrong, with the most frequent reason's fix; empty while nothing is."""
        samples = self._samples
        if len(samples) < 2 or samples[-1][0] - samples[0][0] < WINDOW_S - 1e-6:
            return ""
        with_people = [cameras for _, cameras, _ in samples if cameras]
        if len(with_people) < OFTEN * len(samples):
            return ""
        cameras = ", ".join(sorted(set().union(*with_people)))
        return f"people are in view of {cameras[:60]}, none has a pose: {reasons_in_words(self.counts)}"


def reasons_in_words(counts: Mapping[str, int]) -> str:
    """Counted reasons by name, the most frequent first and with its fix."""
    ordered = sorted(((n, Reason(name)) for name, n in counts.items() if n), key=lambda one: -one[0])
    if not ordered:
        return ""
    total = sum(n for n, _ in ordered)
    (most, first), *others = ordered[:3]
    more = "".join(f", {n} {WORDS[reason][0]}" for n, reason in others)
    return f"{most} of {total} 2D people {WORDS[first][0]}{more}: {WORDS[first][1]}"
