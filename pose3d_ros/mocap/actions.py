"""What made-up people do: each action plans a stick figure for the times t (T,) s, from 0 on (NumPy, float64).

Ranges without a source were chosen by eye on drawn figures: they cover poses of daily life, and imitate no person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from pose3d_ros.mocap.load import ANKLE_HEIGHT_M
from pose3d_ros.mocap.stick_figure import SIDES, Person, Plan, lowered, rotation
from pose3d_ros.structures import Floats

# Seats of chairs are about 0.45 m high, and so are hips on them.
SEAT_M = (0.42, 0.50)
# People walk at about 1.3 m/s (Bohannon 1997), which is 1.55 legs/s, with strides of about 1.1 s. An ankle moves during
# half a stride, as it rises before the toes leave the floor, and lands DUE of a stride before the body is above it.
STRIDE_S, LEGS_PER_S, MOVING, DUE = (1.0, 1.2), (0.5, 1.55), 0.5, 0.22
TICK_S, LEAD_S = 0.01, 2.0  # of the tracks that are summed up: they begin earlier and end later than their people
LYING_M = 0.13  # a lying person's pelvis
# Flexion, abduction, swivel (rad) and reach of an arm: see Plan.
HANGING = (0.08, 0.12, 0.3, 0.985)
FORWARD = (1.5, 0.1, 0.4, 0.93)
ON_THIGH = (0.75, -0.05, 0.5, 0.85)
GESTURES = (
    HANGING,
    (0.35, 2.2, -1.2, 0.75),  # waving
    (0.15, 2.9, -0.6, 0.95),  # overhead
    (0.1, 1.5, -0.6, 0.97),  # to the side
    FORWARD,
    (-0.1, 0.2, 1.2, 0.72),  # on the hip
)
CROSSED = (0.59, -0.83, 1.3, 0.64)
LYING_ARMS = ((3.0, -0.5, 1.5, 0.8), (0.1, 0.5, 1.5, 0.9))


@dataclass(frozen=True, eq=False)
class Track:
    """A way along the floor, tick by tick, LEAD_S longer at both ends than a person walks on it; all are (N,)."""

    t: Floats  # s
    x: Floats  # m
    y: Floats  # m
    heading: Floats  # rad, without jumps
    speed: Floats  # m/s
    turn: Floats  # rad/s


def eased(share: Floats) -> Floats:
    """From 0 to 1 as share does, and 0 or 1 outside, without a jump of speed."""
    share = np.clip(share, 0.0, 1.0)
    return np.asarray(share**2 * (3.0 - 2.0 * share))


def _visits(t: Floats, rng: np.random.Generator, place: Callable[[int], ArrayLike], least_s: float) -> Floats:
    """Controls (T, n) that start at place(0), rest a moment and go to place(1), each way in least_s or a bit more."""
    places = np.array([place(n) for n in range(int((t[-1] - t[0]) / least_s) + 2)])
    moves = least_s * rng.uniform(1.0, 1.4, len(places) - 1)
    begins = t[0] + np.cumsum(moves + rng.uniform(0.2, 0.8, len(moves))) - moves
    controls = np.tile(places[0], (len(t), 1))
    for begin, move_s, step in zip(begins, moves, np.diff(places, axis=0), strict=True):
        controls += eased((t - begin) / move_s)[:, None] * step
    return controls


def _sway(t: Floats, rng: np.random.Generator, *sizes: float) -> Floats:
    """Slow movements (T, n) within these sizes, as no person stands still."""
    hz, start = rng.uniform(0.1, 0.5, (3, len(sizes))), rng.random((3, len(sizes)))
    return np.asarray(np.array(sizes) * np.sin(2.0 * np.pi * (t[:, None, None] * hz + start)).mean(axis=1))


def _trunk(t: Floats, rng: np.random.Generator, twist: Floats, pitch: Floats) -> Floats:
    """Angles (T, 5) of a Plan; people look around and a little down."""
    angles = _sway(t, rng, 0.08, 0.06, 0.08, 0.8, 0.35)
    angles[:, 0] += twist
    angles[:, 1] += pitch
    angles[:, 4] += 0.1
    return angles


def _arms(rng: np.random.Generator, left: ArrayLike, right: ArrayLike) -> Floats:
    """Controls (8,) of two arms, never twice the same."""
    return np.asarray(np.concatenate([left, right]) + rng.normal(0.0, (0.06, 0.06, 0.1, 0.005) * 2))


def _upright(person: Person, rng: np.random.Generator) -> Floats:
    """Controls (12,) of _planted for a person who stands with hanging arms."""
    return np.array((0.0, person.height, 0.0, 0.05, *_arms(rng, HANGING, HANGING)))


def _planted(person: Person, t: Floats, rng: np.random.Generator, controls: Floats) -> Plan:
    """Feet on one place; controls (T, 12): pelvis forward and up m, twist and pitch rad, left and right arm."""
    ankles = np.full((len(t), 2, 3), ANKLE_HEIGHT_M)
    for side, left in SIDES:
        ankles[:, side, :2] = rng.uniform(-0.06, 0.06), left * person.hips * rng.uniform(0.8, 1.5)
    pelvis = np.stack([controls[:, 0], 0.0 * t, controls[:, 1]], axis=-1)
    pelvis[:, :2] += _sway(t, rng, 0.03, 0.03)
    straight = rotation("z", 0.0 * t)
    arms = controls[:, 4:].reshape(-1, 2, 4) + _sway(t, rng, *(0.06, 0.06, 0.1, 0.01) * 2).reshape(-1, 2, 4)
    trunk = _trunk(t, rng, controls[:, 2], controls[:, 3])
    return Plan(lowered(person, pelvis, straight, ankles), straight, trunk, ankles, arms)


def _sitting(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """On a chair and up again, by turns; bent forward between the two, where the hips are behind the feet."""
    seat, first = rng.uniform(*SEAT_M), rng.integers(3)
    back = rng.uniform(0.85, 1.0) * np.sqrt(person.thigh**2 - (person.knee - seat) ** 2)

    def place(n: int) -> ArrayLike:
        if (n + first) % 3 == 0:
            return _upright(person, rng)
        hands = GESTURES[rng.integers(len(GESTURES))] if rng.random() < 0.3 else ON_THIGH
        return (-back, seat, rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.35), *_arms(rng, ON_THIGH, hands))

    controls = _visits(t, rng, place, 1.1)
    down = (person.height - controls[:, 1]) / (person.height - seat)
    controls[:, 3] += 2.8 * down * (1.0 - down)
    return _planted(person, t, rng, controls)


def _reaching(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """Hands to places of all heights; for low ones the person stoops."""

    def place(n: int) -> ArrayLike:
        if n % 3 == 0:
            return _upright(person, rng)
        if rng.random() < 0.5:
            pitch, reach, hands_m = rng.uniform(1.1, 1.5), 0.93, rng.uniform(0.06, 0.4)
            height = hands_m + reach * person.arm - person.trunk * np.cos(pitch)
            height = np.clip(height, 0.5 * person.height, 0.95 * person.height)
            low = (rng.uniform(0.0, 0.3), 0.05, 0.4, reach)
            return (-0.2, height, rng.uniform(-0.2, 0.2), pitch, *_arms(rng, low, low))
        # Above the shoulder an abduction below 0 leads outward.
        overhead = rng.random() < 0.5
        flexion = rng.uniform(1.8, 2.9) if overhead else rng.uniform(0.7, 1.6)
        abduction = rng.uniform(-0.4, 0.1) if overhead else rng.uniform(-0.3, 0.8)
        hand = (flexion, abduction, rng.uniform(0.2, 0.7), rng.uniform(0.8, 0.99))
        other = (hand, HANGING)[rng.integers(2)]
        pair = (hand, other) if rng.random() < 0.5 else (other, hand)
        return (0.0, person.height, rng.uniform(-0.5, 0.5), rng.uniform(0.0, 0.4), *_arms(rng, *pair))

    return _planted(person, t, rng, _visits(t, rng, place, 1.0))


def _crouching(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """Down on bent knees and up again, by turns."""

    def place(n: int) -> ArrayLike:
        if n % 2 == 0:
            return _upright(person, rng)
        hands = (FORWARD, ON_THIGH)[rng.integers(2)]
        back, height = rng.uniform(0.05, 0.15), person.height * rng.uniform(0.42, 0.7)
        return (-back, height, rng.uniform(-0.3, 0.3), rng.uniform(0.3, 0.8), *_arms(rng, hands, hands))

    return _planted(person, t, rng, _visits(t, rng, place, 1.0))


def _gesturing(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """Arms in all usual places; a raised one waves."""

    def place(n: int) -> ArrayLike:
        one, two = (GESTURES[number] for number in rng.integers(len(GESTURES), size=2))
        kind = rng.random()
        pair = (CROSSED, CROSSED) if kind < 0.2 else (one, one) if kind < 0.5 else (one, two)
        return (0.0, person.height, rng.uniform(-0.3, 0.3), rng.uniform(-0.05, 0.15), *_arms(rng, *pair))

    controls = _visits(t, rng, place, 1.1)
    wave = 0.25 * np.sin(2.0 * np.pi * rng.uniform(1.0, 1.8) * t)
    for abduction in (5, 9):
        controls[:, abduction] += wave * eased(controls[:, abduction] - 1.0)
    return _planted(person, t, rng, controls)


def _walking(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """Along a path that curves, with changing speed."""
    return _stepping(person, t, rng, lambda _: (person.leg * rng.uniform(*LEGS_PER_S), rng.uniform(-0.6, 0.6)))


def _turning(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """In place, by small steps, to one side and perhaps back."""
    return _stepping(person, t, rng, lambda _: (0.0, rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.4)))


def _stepping(person: Person, t: Floats, rng: np.random.Generator, pace: Callable[[int], ArrayLike]) -> Plan:
    """Steps along the path of pace's speeds m/s and turns rad/s."""
    fine = np.arange(-LEAD_S, t[-1] + LEAD_S, TICK_S)
    speed, turn = _visits(fine, rng, pace, 1.5).T
    heading = np.cumsum(turn) * TICK_S
    x, y = np.cumsum([speed * np.cos(heading), speed * np.sin(heading)], axis=1) * TICK_S
    return stepping(person, t, rng, Track(fine, x, y, heading, speed, turn))


def stepping(person: Person, t: Floats, rng: np.random.Generator, track: Track) -> Plan:
    """Steps along a track; each foot stands where the track is at mid-stance."""
    fine = track.t
    stride_s, start, apart = rng.uniform(*STRIDE_S), rng.random(), person.hips * rng.uniform(0.6, 1.1)
    speed, turn = np.interp(t, fine, track.speed), np.interp(t, fine, track.turn)

    def at(time: Floats) -> Floats:
        return np.stack([np.interp(time, fine, row) for row in (track.x, track.y, track.heading)], axis=-1)

    lift = 0.13 * np.tanh(2.0 * speed + 0.5 * np.abs(turn))
    ankles = np.empty((len(t), 2, 3))
    for side, left in SIDES:
        strides = t / stride_s + start + side / 2.0
        whole = np.floor(strides)
        prints = []
        for number in (whole - 1.0, whole):
            x, y, yaw = at((number + MOVING + DUE - start - side / 2.0) * stride_s).T
            prints.append(np.stack([x - left * apart * np.sin(yaw), y + left * apart * np.cos(yaw)], axis=-1))
        share = eased((strides - whole) / MOVING)[:, None]
        ankles[:, side, :2] = prints[0] + share * (prints[1] - prints[0])
        # The heel rises in the last tenth of a stride before its foot moves, most of all soon after.
        rise = np.clip((strides + 0.1) % 1.0 / (MOVING + 0.1), 0.0, 1.0)
        ankles[:, side, 2] = ANKLE_HEIGHT_M + lift * np.sin(np.pi * rise**0.75) ** 2
    x, y, yaw = at(t).T
    # The left foot lands, the pelvis turns with it and the trunk and arms against it.
    swing = np.cos(2.0 * np.pi * (t / stride_s + start - MOVING)) * speed / (LEGS_PER_S[1] * person.leg)
    # Over the foot that stands, and highest there.
    above = 2.0 * np.pi * (t / stride_s + start - MOVING - DUE)
    aside, height = 0.02 * np.cos(above), 0.98 * person.height + 0.012 * np.cos(2.0 * above)
    pelvis = np.stack([x - aside * np.sin(yaw), y + aside * np.cos(yaw), height], axis=-1)
    frame = rotation("z", yaw - 0.08 * swing)
    arms = np.array((0.1, 0.14, 0.35, 0.97)) + _sway(t, rng, *(0.1, 0.06, 0.1, 0.02) * 2).reshape(-1, 2, 4)
    arms[..., 0] += 0.45 * swing[:, None] * (-1.0, 1.0)
    trunk = _trunk(t, rng, 0.16 * swing, 0.05 + 0.05 * speed)
    return Plan(lowered(person, pelvis, frame, ankles), frame, trunk, ankles, arms)


def _falling(person: Person, t: Floats, rng: np.random.Generator) -> Plan:
    """A fall to the front, back or side, some time on the floor, and perhaps up again."""
    quarter = rng.integers(4)
    front, aside = float(quarter == 0), float(quarter % 2)
    # Hips reach the floor after about 0.7 s (Hsiao and Robinovitch 1998). Here they take longer, as those of people who
    # catch themselves, so that no wrist is faster than 6 m/s. The taller, the longer, as of pendulums.
    begin, fall_s, rises = rng.uniform(0.3, 1.0), rng.uniform(1.4, 1.9) * np.sqrt(person.leg), rng.random() < 0.5
    up = begin + fall_s + rng.uniform(1.5, 2.5)
    down = eased((t - begin) / fall_s) - rises * eased((t - up) / 2.5)
    plan = _planted(person, t, rng, np.tile(_upright(person, rng), (len(t), 1)))
    # The pelvis goes along a curve of three points: over knees that meet the floor when falling forward, else it sits
    # down first. Away m and up m.
    middle = np.array([(0.35 + 0.17 * front) * person.leg, 0.45 + 0.1 * front])
    end = np.array([(0.5 + 0.46 * front) * person.leg, LYING_M + 0.8 * person.hips * aside])
    off = down[:, None]
    away, height = ((1 - off) ** 2 * (0.0, person.height) + 2 * off * (1 - off) * middle + off**2 * end).T
    towards = np.full(len(t), quarter * np.pi / 2.0 + rng.uniform(-0.15, 0.15))
    pelvis = plan.pelvis + np.stack([away * np.cos(towards), away * np.sin(towards), 0.0 * t], axis=-1)
    pelvis[:, 2] = np.minimum(height, plan.pelvis[:, 2])
    frame = rotation("z", towards) @ rotation("y", 1.5 * eased((down - 0.2) / 0.8)) @ rotation("z", -towards)
    # Legs are drawn up now and then, but not those of a person on the belly: knees would go through the floor.
    legs = person.leg * (0.95 + 0.04 * front - 0.3 * (1 - front) * eased(_visits(t, rng, lambda _: rng.random(2), 1.2)))
    settled = eased((down - 0.35) / 0.65)[:, None]
    ankles, arms, trunk = plan.ankles.copy(), plan.arms.copy(), plan.trunk.copy()
    for side, left in SIDES:
        below = np.stack([0.0 * t, np.full(len(t), 0.8 * left * person.hips), -legs[:, side]], axis=-1)
        foot = pelvis + np.einsum("tab,tb->ta", frame, below)
        foot[:, 2] = np.maximum(foot[:, 2], 0.75 * ANKLE_HEIGHT_M)
        ankles[:, side] += settled * (foot - ankles[:, side])
        # Along the floor: in front of a person on the side, else up past the head or down past the hips.
        rest = (1.5, 0.0, 0.0, 0.8) if aside else LYING_ARMS[rng.integers(2)]
        arms[:, side] += off * np.subtract(rest, HANGING)
    # On the belly the head lies on a cheek.
    trunk[:, 3] += down * front * rng.choice((-1.0, 1.0))
    trunk[:, 4] -= down * front * 0.3
    return replace(plan, pelvis=pelvis, world_from_pelvis=frame, ankles=ankles, arms=arms, trunk=trunk)


ACTIONS: dict[str, Callable[[Person, Floats, np.random.Generator], Plan]] = {
    "walking": _walking,
    "turning on the spot": _turning,
    "sitting down and standing up": _sitting,
    "reaching and stooping": _reaching,
    "crouching": _crouching,
    "falling and lying": _falling,
    "standing with gestures": _gesturing,
}
