"""Why people in the views of two cameras or more have no pose: a reason for each of them, counted.

Every 2D person gets exactly one reason, so that no one vanishes unexplained. NumPy, float64.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.multiview_options import MultiViewOptions
from pose3d_ros.estimation.observation import gathered, joint_score
from pose3d_ros.estimation.people_2d import usable_people, without_weak_joints
from pose3d_ros.estimation.person_scale import leg_lengths
from pose3d_ros.geometry.association import BONE_LENGTH_RANGE_M, associate
from pose3d_ros.geometry.pair_fits import pair_fits
from pose3d_ros.geometry.triangulation import Rejection, triangulate
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Camera, Keypoints2D

# A lack of poses is reported after so long, and its reasons are counted over so long.
WINDOW_S = 2.0
# People must be in two views in this share of the window's frame sets: false detections come and go.
OFTEN = 0.5
# Association measures bones with noise and foreshortened: near its limits a bone may be the reason already.
SIZE_MARGIN = 1.4
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
    Reason.WEAK: ("are weak in 2D", "lower min_person_score or min_person_joints, or give more light"),
    Reason.FEW_JOINTS: ("share too few joints", "let two cameras see whole bodies, or lower birth_joints"),
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
    Reason.SCORE: ("score less than birth_score", "lower it, or give more light"),
    Reason.UNSTEADY: ("jump from set to set", "raise match_distance_m; are the images synchronised?"),
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


def views_with_people(keypoints: Mapping[str, Keypoints2D], options: MultiViewOptions) -> tuple[str, ...]:
    """Cameras whose people are to be taken seriously: by these options, or by the default ones."""
    default = MultiViewOptions()
    return tuple(n for n, k in keypoints.items() if len(usable_people(k, options)) or len(usable_people(k, default)))


def explain(cameras: Sequence[Camera], keypoints: Mapping[str, Keypoints2D], options: MultiViewOptions) -> Explained:
    """A reason for every 2D person (h36m_17, by camera) of a frame set that gave no pose."""
    seeing = views_with_people(keypoints, options)
    if len(seeing) < 2:
        return Explained()
    cameras = [camera for camera in cameras if camera.name in seeing]
    reasons: Counter[Reason] = Counter()
    people = []
    for camera in cameras:
        whole = keypoints[camera.name]
        usable = usable_people(whole, options)
        people.append(without_weak_joints(whole.select(usable), options))
        reasons[Reason.WEAK] += len(whole) - len(usable)
    groups = associate(cameras, people, limit_mrad=options.association_limit_mrad)
    views = (groups >= 0).sum(-1)
    legs: list[float] = []
    for group in groups[views == 1]:
        view = int(np.flatnonzero(group >= 0)[0])
        reason, found = _alone(cameras, people, view, int(group[view]), options)
        reasons[reason] += 1
        legs += found
    reasons[Reason.FEW_VIEWS] += int(views[(views > 1) & (views < options.min_views)].sum())
    shared = groups[(views > 1) & (views >= options.min_views)]
    for reason, count in zip(_together(cameras, people, shared, options), (shared >= 0).sum(-1).tolist(), strict=True):
        reasons[reason] += count
    return Explained({r: n for r, n in reasons.items() if n}, tuple(c.name for c in cameras), tuple(legs))


def _alone(
    cameras: Sequence[Camera], people: Sequence[Keypoints2D], view: int, person: int, options: MultiViewOptions
) -> tuple[Reason, list[float]]:
    """Why a person was matched with no other view's: by the one who comes nearest; lengths of legs of wrong size."""
    best: tuple[float, Reason, list[float]] = (np.inf, Reason.FEW_JOINTS, [])
    one = people[view].select([person])
    for other, camera in enumerate(cameras):
        if other == view or not len(people[other]):
            continue
        if np.linalg.norm(camera.centre - cameras[view].centre) < 1e-3:
            if not np.isfinite(best[0]):
                best = (np.inf, Reason.RANK, [])
            continue
        fits = pair_fits(cameras[view], one, camera, people[other])
        for q in np.flatnonzero(np.isfinite(fits.miss_rad[0])):
            miss, bone = float(fits.miss_rad[0, q]), float(fits.bone_m[0, q])
            if miss >= best[0]:
                continue
            legs: list[float] = []
            # Who fits a second view alone has no third one to contradict.
            reason = Reason.REPROJECTION if len(people) > 2 else Reason.ASSOCIATION
            if miss > 1e-3 * options.association_limit_mrad:
                reason = Reason.ASSOCIATION
            elif fits.in_front[0, q] < 0.5:
                reason = Reason.BEHIND
            elif not SIZE_MARGIN * BONE_LENGTH_RANGE_M[0] <= bone <= BONE_LENGTH_RANGE_M[1] / SIZE_MARGIN:
                reason = Reason.SIZE
                legs = [] if other < view else _legs([cameras[view], camera], [one, people[other].select([int(q)])])
            best = (miss, reason, legs)
    return best[1], best[2]


def _legs(cameras: Sequence[Camera], people: Sequence[Keypoints2D]) -> list[float]:
    """Lengths (m of the rig) of the legs of one person in two views."""
    seen = gathered(people, np.zeros((1, 2), dtype=np.intp))
    found = triangulate(cameras, seen.xy, seen.score if seen.covariance is None else None, seen.covariance,
                        max_std_m=np.inf)  # fmt: skip
    lengths: list[float] = leg_lengths(found.xyz, found.covariance).tolist()
    return lengths


def _together(
    cameras: Sequence[Camera], people: Sequence[Keypoints2D], groups: NDArray[np.intp], options: MultiViewOptions
) -> list[Reason]:
    """Why people whom cameras agree on have no pose, one reason a group."""
    if not len(groups):
        return []
    seen = gathered(people, groups)
    found = triangulate(
        cameras, seen.xy, seen.score if seen.covariance is None else None, seen.covariance,
        delta=options.huber_delta, max_std_m=options.max_std_m,
    )  # fmt: skip
    rejection = np.where(
        (found.rejection == 0) & (found.n_views < options.min_views), Rejection.FEW_VIEWS, found.rejection
    )
    score = np.where(rejection == 0, joint_score(seen.score), 0.0)
    reasons = []
    for row, refused in enumerate(rejection):
        placed = int((refused == 0).sum())
        counts = Counter(refused[(refused > 0) & (seen.score[:, row] > 0).any(axis=0)].tolist())
        if placed < options.birth_joints:
            # Joints that no camera sees say nothing: with no other reason the body is cut off.
            reasons.append(_OF_REJECTION[Rejection(counts.most_common(1)[0][0])] if counts else Reason.FEW_JOINTS)
        elif score[row].sum() / placed < options.birth_score:
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
        with_people = [cameras for _, cameras, _ in samples if len(cameras) > 1]
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
