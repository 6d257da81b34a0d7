"""Long recordings of people who walk about before a rig, each camera with its own clock (NumPy, float64).

Common time is offset_s + (1 + 1e-6 drift_ppm) times a camera's own time, which begins at 0 with its first image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.geometry.projection import project
from pose3d_ros.mocap.chains import chained
from pose3d_ros.mocap.motion import Motion
from pose3d_ros.mocap.stick_figure import drawn_person
from pose3d_ros.mocap.walks import Walk, moments, standing, walk
from pose3d_ros.simulation.noise_models import DETECTED, Noise, crop_scale
from pose3d_ros.simulation.simulated_rigs import Floor, SimulatedRig
from pose3d_ros.simulation.views import outside, to_coco
from pose3d_ros.structures import Camera, Floats

# As many women as men, mean and std (Gordon et al., 1988 Anthropometric Survey of U.S. Army Personnel): a scale taken
# from the population errs as it does for people that one meets.
STATURES_M = ((1.629, 0.064), (1.756, 0.067))
MANNERS = ("walking", "line", "standing")
# Who walks through a whole space goes farther than where a rig's people are trained to stand, and farther still where
# there are more of them; two pelvises stay APART_M from each other.
WIDER, FOR_MORE, APART_M, TRIES = 1.5, 0.35, 0.65, 100
# A model of noise draws for stretches of this length: one that replays a short recording does not repeat it throughout.
STRETCH_S = 2.0
# A detector finds a person of whom it finds this share of the 13 joints from nose to ankles.
FOUND = 0.5


@dataclass(frozen=True)
class Clocks:
    """By camera; a camera that is not named has no offset and no drift."""

    offset_s: Mapping[str, float] = field(default_factory=dict)
    drift_ppm: Mapping[str, float] = field(default_factory=dict)

    def common_s(self, camera: str, own_s: Floats) -> Floats:
        """Common times of a camera's own."""
        common: Floats = self.offset_s.get(camera, 0.0) + (1.0 + 1e-6 * self.drift_ppm.get(camera, 0.0)) * own_s
        return common


@dataclass(frozen=True, eq=False)
class Film:
    """What a detector finds of P people in the T images of one camera; person by person, who is who is known."""

    camera: Camera
    stamps_ns: NDArray[np.int64]  # (T,) of the camera's own clock
    true_px: (
        Floats  # (T, P, 17, 2) COCO-17 without error, NaN where motion has no such joint or it is behind the camera
    )
    xy: Floats  # (T, P, 17, 2) px, NaN where missed
    score: Floats  # (T, P, 17), 0 where missed
    px_per_crop_px: Floats  # (T, P)

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T, P) which people are detected."""
        return np.asarray((self.score[..., DETECTED] > 0).mean(axis=-1) >= FOUND)


def walkers(
    floor: Floor,
    t_s: Floats,
    rng: np.random.Generator,
    *,
    people: int = 1,
    manner: str = "walking",
    motion: Motion | None = None,
) -> tuple[Walk, ...]:
    """People on a floor during the times t_s (N,) of walks.moments, apart from each other.

    manner: "walking" about, to and fro on one straight "line", or "standing". With motion its subjects move instead,
    clip by clip. Raises InputError for another manner, and where people find no room.
    """
    if manner not in MANNERS:
        raise InputError(f"people cannot be {manner!r}: use one of {', '.join(MANNERS)}")
    if floor.half_angle_rad == np.pi:
        floor = replace(floor, far_m=floor.far_m * WIDER * (1.0 + FOR_MORE * (people - 1)))
    found: list[Walk] = []
    for _ in range(TRIES):
        if len(found) == people:
            return tuple(found)
        one = _walker(floor, t_s, rng, manner, motion, found)
        near = [np.linalg.norm(one.xyz[:, 0, :2] - other.xyz[:, 0, :2], axis=-1).min() for other in found]
        if min(near, default=np.inf) >= APART_M:
            found.append(one)
    raise InputError(f"{people} people found no room in {TRIES} tries: ask for fewer people or a shorter walk")


def _walker(
    floor: Floor, t_s: Floats, rng: np.random.Generator, manner: str, motion: Motion | None, others: list[Walk]
) -> Walk:
    def draw() -> tuple[float, float]:
        x, y = floor.draw(1, rng)[0].tolist()
        return x, y

    if motion is not None and manner == "walking":
        return chained(motion, t_s, rng, draw)
    stature = float(rng.normal(*STATURES_M[rng.integers(len(STATURES_M))]))
    person = drawn_person(rng, (stature, stature))
    if manner == "standing":
        return standing(person, t_s, rng, draw())
    if manner == "line":
        ends = sorted((draw(), draw()) for _ in range(8))  # the longest of a few
        one, other = max(ends, key=lambda pair: float(np.hypot(pair[0][0] - pair[1][0], pair[0][1] - pair[1][1])))
        return walk(person, t_s, rng, lambda n: (one, other)[n % 2], others=others, stops=False, straight=True)
    return walk(person, t_s, rng, lambda _: draw(), others=others)


def span(one: SimulatedRig, seconds: float, clocks: Clocks) -> Floats:
    """Times (N,) of a walk during which all cameras film for so many seconds of their own clocks."""
    ends = np.array([clocks.common_s(name, np.array([0.0, seconds])) for name in one.rig.names])
    return moments(float(ends.min()), float(ends.max()))


def filmed(
    camera: Camera,
    people: tuple[Walk, ...],
    seconds: float,
    fps: float,
    noise: Noise,
    rng: np.random.Generator,
    clocks: Clocks = Clocks(),
) -> Film:
    """What a detector with this noise finds of people in one camera's images; joints outside of them are missed."""
    stamps = np.round(1e9 * np.arange(int(seconds * fps)) / fps).astype(np.int64)
    times = clocks.common_s(camera.name, np.asarray(1e-9 * stamps, dtype=np.float64))
    true = np.stack([project(camera, to_coco(one.at(times))) for one in people])  # (P, T, 17, 2)
    scale = crop_scale(true)
    xy, score = np.empty_like(true), np.empty(true.shape[:-1])
    for person in range(len(people)):
        xy[person], score[person] = _detected(true[person], scale[person], fps, noise, rng)
    missed = outside(true[:, None], (camera,) * len(people))[:, 0] | (score <= 0)
    xy, score = np.where(missed[..., None], np.nan, xy), np.where(missed, 0.0, score)
    by_time = [np.swapaxes(array, 0, 1) for array in (true, xy, score, scale)]
    return Film(camera, stamps, *by_time)


def _detected(
    true_px: Floats, scale: Floats, fps: float, noise: Noise, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Keypoints (T, 17, 2) px and scores (T, 17), stretch by stretch."""
    count, length = len(true_px), max(round(STRETCH_S * fps), 1)
    stretches = -(-count // length)
    fill = np.minimum(np.arange(stretches * length), count - 1).reshape(1, stretches, length)  # one view
    xy, score = noise(true_px[fill], scale[fill], 1.0 / fps, rng)
    return xy.reshape(-1, *true_px.shape[1:])[:count], score.reshape(-1, true_px.shape[1])[:count]
