"""The floor, learnt from feet that stand, and which feet stand on it (NumPy, float64).

An ankle stands while it keeps to one place under a straight leg, with the trunk above it and the other ankle not far
below: a person who sits, lies or hangs gives no evidence. Places on the floor are kept, one a cell, and the plane of
ankles is fitted to them. The floor lies below it by the height of an ankle. Axes: P people, the two feet (left, right).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np

from pose3d_ros.geometry.floor_plane import fit_floor, tilt_axes
from pose3d_ros.monitoring.foot_contact import standing_probability
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.state import load_state, state_of
from pose3d_ros.structures import Floats, Floor, JointSource, PersonState, Pose3D, unchecked

# An ankle lies 0.039 of stature above the sole (Winter, Biomechanics and Motor Control of Human Movement; mean stature
# of adults 1.70 m), and soles are about 2 cm thick. The std holds statures, shoes, and detectors' idea of an ankle.
ANKLE_HEIGHT_M, ANKLE_HEIGHT_STD_M = 0.039 * 1.70 + 0.02, 0.02
# By so much (std) the ankles of standing people differ in height: those of one person (heels about to lift), and people
# (statures from 1.5 to 1.9 m: 4 mm; bare feet or shoes).
SPREAD_M, PERSON_STD_M = 0.015, 0.015
# An ankle that is within KEPT_TO_M (std) of where it stood for so long, slower than STILL_M_S, stands. In a stride the
# foot is flat for a third of 1.1 s (Winter). Longer stances are judged in parts. How sure the speed must be.
MIN_STANCE_S, MAX_STANCE_S, KEPT_TO_M = 0.2, 0.4, 0.015
STILL_M_S, SPEED_STD_M_S = 0.1, 0.15
# A leg is straight if hip to ankle is so much of thigh and shank: the knee bends by 52 degrees then, in stance by 20
# (Winter), on a chair by 90.
STRAIGHT = 0.9
TRUNK_OVER_LEG = 0.7  # cosine: trunk and leg are within 45 degrees
STEP_M = 0.1  # by which the other ankle may be lower
CELL_M, MOST_PLACES = 0.25, 64
# The world's z is up within 3 degrees where a frame has z up (REP-103); a person's own axis is within 9.
UP_STD_RAD, BODY_STD_RAD = 0.05, 0.15
SAME_UP = 0.87  # cosine of 30 degrees between z and people's axes
WALKED_M = 1.0  # without a world's axis people must have walked so far: no lying person does
MIN_PLACES = 2
SPEED_OVER_S = (0.09, 0.35)  # speed is measured over at least and at most so long
MAX_GAP_S = 0.3
_LEFT_RIGHT = ("L", "R")
_HIPS, _KNEES, _ANKLES = ([H36M_17.index(f"{side}{name}") for side in _LEFT_RIGHT] for name in ("Hip", "Knee", "Ankle"))
_PELVIS, _THORAX = H36M_17.index("Pelvis"), H36M_17.index("Thorax")


class FloorContact:
    """Adds the floor and the contact of feet to poses; remembers ankles by person, and places where they stood."""

    def __init__(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        """Forget the floor too: these are other cameras."""
        self._places: list[
            Floats
        ] = []  # (17,): ankle m, covariance m^2, unit vector to the neck, numbers of the person and the foot
        self._ankles: Floor | None = None  # the plane of standing people's ankles
        self.reset()

    def reset(self) -> None:
        """Forget all people; the floor stays."""
        self._paths: dict[str, list[Floats]] = {}  # by person and foot: (16,) time s, ankle, covariance, to the neck
        self._stands: dict[str, Floats] = {}  # (5,) since when the ankle is where it is, s; rows since; their sum, m
        self._stamp_ns = 0

    def state_dict(self) -> dict[str, Any]:
        """Ankles and places."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another one's state."""
        load_state(self, state)

    def __call__(self, pose: Pose3D) -> Pose3D:
        """The h36m_17 pose with the floor as it is known now, and foot_contact of the ankles that are seen."""
        if pose.stamp_ns < self._stamp_ns:  # a bag starts again
            self.reset()
        self._stamp_ns = pose.stamp_ns
        self._follow(pose)
        if self._ankles is None:
            return pose
        contact = self._contact(pose, self._ankles)
        return unchecked(Pose3D, **{**vars(pose), "floor": _lowered(self._ankles), "foot_contact": contact})

    def _follow(self, pose: Pose3D) -> None:
        """Add the ankles of a pose to their paths, and places where one stood to the floor."""
        now_s, learnt, paths = pose.stamp_ns * 1e-9, False, {}
        spread, source = pose.covariance[:, _ANKLES], pose.source[:, _ANKLES]
        measured = (source != JointSource.ABSENT) & (source != JointSource.PREDICTED)
        seen = measured & np.isfinite(spread).all((-1, -2)) & (pose.state == PersonState.VISIBLE)[:, None]
        parts = (np.full((len(pose), 2, 1), now_s), pose.xyz[:, _ANKLES], spread.reshape(-1, 2, 9), _necks(pose.xyz))
        rows = np.concatenate(parts, axis=-1)
        for p, foot in np.argwhere(seen).tolist():
            key = f"{pose.ids[p]}/{_LEFT_RIGHT[foot]}"
            path = self._paths.get(key, [])
            if path and now_s - path[-1][0] > MAX_GAP_S:
                path = []
            learnt |= self._extend(key, path, rows[p, foot])
            paths[key] = path
        self._paths = paths
        self._stands = {key: stand for key, stand in self._stands.items() if key in paths}
        if learnt:
            self._ankles = self._fitted(pose.frame_id)

    def _extend(self, key: str, path: list[Floats], row: Floats) -> bool:
        """Append to an ankle's path; True where a stance of it ended that is evidence of the floor."""
        now_s, learnt = row[0], False
        stand = self._stands[key] if path else np.array([now_s, 0.0, 0.0, 0.0, 0.0])
        if stand[1]:
            away = row[1:4] - stand[2:] / stand[1]
            spread = row[4:13].reshape(3, 3) + KEPT_TO_M**2 * np.eye(3)
            moved = away @ np.linalg.solve(spread, away) > 9.0  # three standard deviations
            if moved or now_s - stand[0] >= MAX_STANCE_S:
                learnt = self._learn(key, np.array([one for one in path if one[0] >= stand[0]]))
                stand = np.array([now_s, 0.0, 0.0, 0.0, 0.0])
        self._stands[key] = stand + np.array([0.0, 1.0, *row[1:4]])
        path.append(row)
        while path[0][0] < min(stand[0], now_s - SPEED_OVER_S[1]):
            path.pop(0)
        return learnt

    def _learn(self, key: str, stood: Floats) -> bool:
        """Keep the place (M, 16) where an ankle stood; False if it did not stand still, or not under a person."""
        stood = stood[np.isfinite(stood).all(axis=1)]
        if not len(stood) or stood[-1, 0] - stood[0, 0] < MIN_STANCE_S:
            return False
        time_s = stood[:, 0] - stood[:, 0].mean()
        moment = float((time_s**2).sum())
        mean = stood.mean(axis=0)
        covariance = mean[4:13].reshape(3, 3)
        speed_std = np.sqrt(np.trace(covariance) / 3 / moment)
        speed = np.linalg.norm(time_s @ stood[:, 1:4]) / moment
        if speed_std > SPEED_STD_M_S or speed > STILL_M_S + 2 * speed_std:
            return False
        neck = mean[13:] / np.linalg.norm(mean[13:])
        middle = np.median(stood[:, 1:4], axis=0)  # the last rows may be of the foot that lifts already
        # Noise averages out over a stance, calibration errors do not: the covariance stays that of one frame.
        person, _, foot = key.rpartition("/")
        place = np.array([*middle, *mean[4:13], *neck, crc32(person.encode()), _LEFT_RIGHT.index(foot)])
        others = [one for one in self._places if (_cell(one) != _cell(place)).any()]
        self._places = [*others, place][-MOST_PLACES:]
        return True

    def _fitted(self, frame_id: str) -> Floor | None:
        """The plane of ankles; None where the places do not show one."""
        places = np.array(self._places)
        up, std = np.array([0.0, 0.0, 1.0]), UP_STD_RAD
        along = places[:, 14] > SAME_UP  # who lies or bends says nothing
        if frame_id.endswith("_optical") or along.mean() < 0.5:
            up, std = np.median(places[:, 12:15], axis=0), BODY_STD_RAD
            up /= np.linalg.norm(up)
            along = places[:, 12:15] @ up > SAME_UP
            e1, e2 = tilt_axes(up)
            walked = np.ptp(places[along][:, :3] @ np.column_stack([e1, e2]), axis=0) if along.any() else np.zeros(2)
            if walked.max() < WALKED_M:
                return None
        used = places[along]
        if len(used) < MIN_PLACES:
            return None
        plane, covariance, count = fit_floor(
            used[:, :3], used[:, 3:12].reshape(-1, 3, 3), up, std, SPREAD_M, used[:, 15], PERSON_STD_M
        )
        return Floor(plane, covariance) if count >= max(MIN_PLACES, len(used) / 2) else None

    def _contact(self, pose: Pose3D, ankles: Floor) -> Floats:
        """Probability (P, 2) that each foot stands; NaN where its ankle is not seen."""
        contact = np.full((len(pose), 2), np.nan)
        keys = [(p, f, f"{one}/{side}") for p, one in enumerate(pose.ids) for f, side in enumerate(_LEFT_RIGHT)]
        feet = [(p, f, self._paths[key]) for p, f, key in keys if key in self._paths]
        if feet:
            now = np.array([path[-1] for _, _, path in feet])
            before = np.array([_earlier(path) for _, _, path in feet])
            (xyz, covariance), (xyz_before, covariance_before) = (
                (rows[:, 1:4], rows[:, 4:13].reshape(-1, 3, 3)) for rows in (now, before)
            )
            over_s = now[:, 0] - before[:, 0]
            contact[[p for p, _, _ in feet], [f for _, f, _ in feet]] = standing_probability(
                xyz, covariance, xyz_before, covariance_before, over_s, ankles
            )
        return contact


def _earlier(path: list[Floats]) -> Floats:
    """The newest row of an ankle's path that is SPEED_OVER_S old; NaN where there is none."""
    for row in reversed(path):
        if (over_s := path[-1][0] - row[0]) >= SPEED_OVER_S[0]:
            return row if over_s <= SPEED_OVER_S[1] else np.full(16, np.nan)
    return np.full(16, np.nan)


def _cell(place: Floats) -> Floats:
    """Which cell of space a place (17,) is in, and which foot: the two feet of a standing person are two places."""
    return np.array([*np.floor(place[:3] / CELL_M), place[16]])


def _necks(xyz: Floats) -> Floats:
    """Vectors (P, 2, 3) m from ankles to the necks of bodies (P, 17, 3) m; NaN where one does not stand on it."""
    hip, knee, ankle = xyz[:, _HIPS], xyz[:, _KNEES], xyz[:, _ANKLES]
    leg, trunk, neck = hip - ankle, xyz[:, None, _THORAX] - xyz[:, None, _PELVIS], xyz[:, None, _THORAX] - ankle
    lengths = [np.sqrt((part**2).sum(-1)) for part in (leg, hip - knee, knee - ankle, trunk, neck)]
    straight = lengths[0] > STRAIGHT * (lengths[1] + lengths[2])
    over = (leg * trunk).sum(-1) > TRUNK_OVER_LEG * lengths[0] * lengths[3]
    higher = ((ankle - ankle[:, ::-1]) * neck).sum(-1) > STEP_M * lengths[4]  # than the other one
    return np.where((straight & over & ~higher)[..., None], neck, np.nan)


def _lowered(ankles: Floor) -> Floor:
    """The floor below the plane of ankles."""
    covariance = ankles.covariance.copy()
    covariance[2, 2] += ANKLE_HEIGHT_STD_M**2
    return Floor(ankles.plane + np.array([0.0, 0.0, 0.0, ANKLE_HEIGHT_M]), covariance)
