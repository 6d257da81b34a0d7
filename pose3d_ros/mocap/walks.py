"""One person who walks about for as long as wanted and stops to reach, sit, crouch and gesture (NumPy, float64).

The person steers to one place after another, as a unicycle does: forward at a pace, turning towards the place, slower
while it is not ahead, and away from other people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import atan2, cos, hypot, pi, sin

import numpy as np
from scipy.interpolate import CubicSpline

from pose3d_ros.errors import InputError
from pose3d_ros.mocap.actions import ACTIONS, LEAD_S, LEGS_PER_S, TICK_S, Track, eased, stepping
from pose3d_ros.mocap.stick_figure import Person, Plan, lowered, posed
from pose3d_ros.structures import Floats

FPS = 30.0  # of a walk's own moments; a cubic spline between them is within a millimetre of the formulas
ARRIVED_M, SLOW_M = 0.25, 0.5
TURN_PER_RAD, MOST_TURN, TURN_CHANGE = 2.0, 1.5, 4.0  # 1/s, rad/s, rad/s2
SPEED_CHANGE = 1.0  # m/s2
STRAIGHT = 40  # power of the cosine with which people slow down who turn in place
PATIENCE_S = 8.0  # for a place that is not reached, as another person stands there
# People keep away from each other as soon as they are nearer than this, m.
NEAR_M = 1.6
# What people do where they stop, how often they stop, and how long; they slow down first and rise at the end.
STOPS = ("sitting down and standing up", "reaching and stooping", "crouching", "standing with gestures")
STOP_SHARE, STOP_S, SETTLE_S, BLEND_S = 0.35, (4.0, 7.0), 0.8, 1.0

Places = Callable[[int], tuple[float, float]]  # the place (x, y) m to which a person goes n-th, n = 0, 1, ...


@dataclass(frozen=True, eq=False)
class Walk:
    """A person in motion, at any time from t_s[0] to t_s[-1]."""

    t_s: Floats  # (N,) s
    xyz: Floats  # (N, 17, 3) m of h36m_17, z up, floor z = 0
    stature_m: float

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.t_s, self.xyz)

    def at(self, times_s: Floats) -> Floats:
        """Joints (T, 17, 3) m; raises InputError for a time outside of the walk."""
        times = np.asarray(times_s, dtype=np.float64)
        if times.size and not (self.t_s[0] <= times.min() and times.max() <= self.t_s[-1]):
            first, last = self.t_s[[0, -1]]
            raise InputError(
                f"a walk lasts from {first:.3f} to {last:.3f} s, not {times.min():.3f} to {times.max():.3f}"
            )
        xyz: Floats = self._spline(times)
        return xyz


def moments(begin_s: float, end_s: float) -> Floats:
    """Times (N,) s of a walk that holds both."""
    count = int(np.ceil((end_s - begin_s) * FPS)) + 1
    return begin_s + np.arange(count) / FPS


def walk(
    person: Person,
    t_s: Floats,
    rng: np.random.Generator,
    places: Places,
    *,
    others: Sequence[Walk] = (),
    stops: bool = True,
    straight: bool = False,
) -> Walk:
    """A person who goes from place to place during the times t_s (N,), evenly spaced, in the world of the places.

    The person gives way to others, stops to do something, and with straight turns in place before every way.
    """
    own = t_s - t_s[0]
    track, halts = _track(person, float(own[-1]), rng, places, [_ticks(one, t_s) for one in others], stops, straight)
    plan = stepping(person, own, rng, track)
    for begin, end in halts:
        plan = _with_stop(person, plan, own, begin, end, rng)
    return Walk(t_s, posed(person, plan), person.stature)


def standing(person: Person, t_s: Floats, rng: np.random.Generator, place: tuple[float, float]) -> Walk:
    """A person who stands in one place and faces one way, arms hanging; bodies sway."""
    fine = _fine(float(t_s[-1] - t_s[0]))
    still = np.zeros_like(fine)
    track = Track(fine, place[0] + still, place[1] + still, rng.uniform(-pi, pi) + still, still, still)
    return Walk(t_s, posed(person, stepping(person, t_s - t_s[0], rng, track)), person.stature)


def _fine(seconds: float) -> Floats:
    return np.asarray(np.arange(-LEAD_S, seconds + LEAD_S + TICK_S, TICK_S), dtype=np.float64)


def _ticks(other: Walk, t_s: Floats) -> Floats:
    """Where another person is at every tick, (N, 2) m; before and after the walk as at its ends."""
    times = np.clip(t_s[0] + _fine(float(t_s[-1] - t_s[0])), other.t_s[0], other.t_s[-1])
    return np.stack([np.interp(times, other.t_s, other.xyz[:, 0, axis]) for axis in (0, 1)], axis=-1)


def _track(
    person: Person,
    seconds: float,
    rng: np.random.Generator,
    places: Places,
    others: Sequence[Floats],
    stops: bool,
    straight: bool,
) -> tuple[Track, list[tuple[float, float]]]:
    """The way from place to place, and from when to when the person stands on it to do something."""
    fine = _fine(seconds)
    rows = np.empty((len(fine), 5))
    halts: list[tuple[float, float]] = []
    (x, y), number = places(0), 1
    aim = places(number)
    heading = atan2(aim[1] - y, aim[0] - x)
    speed = turn = 0.0
    pace = person.leg * rng.uniform(*LEGS_PER_S)
    halted_until, give_up = -np.inf, fine[0] + PATIENCE_S
    near = [other.tolist() for other in others]
    for tick, t in enumerate(fine.tolist()):
        away = hypot(aim[0] - x, aim[1] - y)
        if t >= halted_until and (away < ARRIVED_M or t > give_up):
            # A stop needs its time, and the walk does not end amid it.
            length = rng.uniform(*STOP_S)
            if stops and rng.random() < STOP_SHARE and 0.0 < t < seconds - length:
                halts.append((t, t + length))
                halted_until = t + length
            number += 1
            aim, give_up = places(number), max(t, halted_until) + PATIENCE_S
            pace = person.leg * rng.uniform(*LEGS_PER_S)
        wanted_speed = wanted_turn = 0.0
        if t >= halted_until:
            away = max(hypot(aim[0] - x, aim[1] - y), 1e-9)
            way_x, way_y = (aim[0] - x) / away, (aim[1] - y) / away
            for other in near:
                off_x, off_y = x - other[tick][0], y - other[tick][1]
                apart = max(hypot(off_x, off_y), 1e-9)
                push = 2.5 * max(NEAR_M - apart, 0.0) / NEAR_M
                way_x, way_y = way_x + push * off_x / apart, way_y + push * off_y / apart
            off = (atan2(way_y, way_x) - heading + pi) % (2.0 * pi) - pi
            wanted_turn = min(max(TURN_PER_RAD * off, -MOST_TURN), MOST_TURN)
            wanted_speed = pace * max(cos(off), 0.0) ** (STRAIGHT if straight else 1) * min(away / SLOW_M, 1.0)
        speed += min(max(wanted_speed - speed, -SPEED_CHANGE * TICK_S), SPEED_CHANGE * TICK_S)
        turn += min(max(wanted_turn - turn, -TURN_CHANGE * TICK_S), TURN_CHANGE * TICK_S)
        heading += turn * TICK_S
        x, y = x + speed * cos(heading) * TICK_S, y + speed * sin(heading) * TICK_S
        rows[tick] = x, y, heading, speed, turn
    return Track(fine, *rows.T), halts


def _with_stop(person: Person, plan: Plan, t: Floats, begin: float, end: float, rng: np.random.Generator) -> Plan:
    """The plan with an action while the person stands; the feet stay where their steps put them."""
    during = np.flatnonzero((t >= begin + SETTLE_S) & (t <= end))
    name = STOPS[rng.integers(len(STOPS))]
    action = ACTIONS[name](person, t[during] - t[during[0]], rng)
    since, left = t[during] - t[during[0]], t[during[-1]] - t[during]
    share = eased(np.minimum(since, left) / BLEND_S)[:, None]
    # The action's pelvis is about its own origin, heading along x.
    frame = plan.world_from_pelvis[during]
    pelvis = plan.pelvis[during] + np.einsum("tab,tb->ta", frame, action.pelvis * (1.0, 1.0, 0.0))
    pelvis[:, 2] = action.pelvis[:, 2]
    moved, trunk, arms = plan.pelvis.copy(), plan.trunk.copy(), plan.arms.copy()
    moved[during] += share * (pelvis - moved[during])
    moved[during] = lowered(person, moved[during], frame, plan.ankles[during])
    trunk[during] += share * (action.trunk - trunk[during])
    arms[during] += share[:, None] * (action.arms - arms[during])
    return replace(plan, pelvis=moved, trunk=trunk, arms=arms)
