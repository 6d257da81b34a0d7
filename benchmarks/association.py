"""Time to associate the 2D people of several views.

People on a 4 m x 4 m floor, cameras in a ring around them, 4 px of noise an axis; CPU time on one thread. The target
is 2 ms for four people in five views, and growth no worse than with the square of the cameras.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import interleaved
from pose3d_ros.commands.train import natural, positive
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.geometry.association import associate
from pose3d_ros.geometry.projection import project
from pose3d_ros.plots.sweep_plot import write_sweep_plot
from pose3d_ros.simulation.simulated_rigs import look_at
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D

Ints = NDArray[np.integer[Any]]
# Cameras, people. (5, 4) is the target's.
FULL = ((2, 4, 5, 8, 12, 16), (1, 2, 4, 10, 20))
QUICK = ((2, 5), (1, 4))
TARGET_MS = 2.0  # four people in five views
NOISE_PX = 4.0
RING_M, RING_HEIGHT_M, FOCAL_PX = 5.5, 2.2, 900.0
FLOOR_M, APART_M = 4.0, 0.5  # people stand at least so far apart
# A standing adult, feet on the floor, in the order of H36M_17: (17, 3) m, made up.
STANDING = np.array(
    [
        (0.00, 0.00, 0.94), (0.00, -0.13, 0.93), (0.03, -0.14, 0.50), (-0.02, -0.14, 0.09),
        (0.00, 0.13, 0.93), (0.03, 0.14, 0.50), (-0.02, 0.14, 0.09), (0.01, 0.00, 1.18),
        (0.00, 0.00, 1.42), (0.09, 0.00, 1.55), (0.02, 0.00, 1.73), (0.00, 0.18, 1.41),
        (-0.02, 0.23, 1.13), (0.08, 0.22, 0.90), (0.00, -0.18, 1.41), (-0.02, -0.23, 1.13), (0.08, -0.22, 0.90),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Times:
    """Seconds by (cameras, people), and how many people were grouped correctly."""

    seconds: Mapping[tuple[int, int], float]
    correct: Mapping[tuple[int, int], int]


def ring(cameras: int) -> tuple[Camera, ...]:
    """Cameras around the floor's middle, all facing it; the first two of many are not opposite each other."""
    K = [[FOCAL_PX, 0.0, 640.0], [0.0, FOCAL_PX, 360.0], [0.0, 0.0, 1.0]]
    # Two cameras are 2 pi / 2.6 apart: opposite cameras face along their baseline.
    angles = 2 * np.pi * np.arange(cameras) / max(cameras, 2.6)
    places = np.stack([RING_M * np.cos(angles), RING_M * np.sin(angles), np.full(cameras, RING_HEIGHT_M)], axis=1)
    return tuple(
        Camera(f"ring{i}", (1280, 720), K, cam_from_world=look_at(place, (0.0, 0.0, 1.0)))  # type: ignore[arg-type]
        for i, place in enumerate(places)
    )


def crowd(people: int, rng: np.random.Generator) -> Floats:
    """(people, 17, 3) m: of different stature, facing anywhere, at least APART_M apart."""
    spots: list[Floats] = []
    while len(spots) < people:
        spot = rng.uniform(-FLOOR_M / 2, FLOOR_M / 2, 2)
        if all(np.hypot(*(spot - other)) >= APART_M for other in spots):
            spots.append(spot)
    bodies = []
    for spot in spots:
        c, s = np.cos(heading := rng.uniform(-np.pi, np.pi)), np.sin(heading)
        turned = STANDING * rng.uniform(0.9, 1.1) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        bodies.append(turned + np.append(spot, 0.0) + rng.normal(0, 0.03, STANDING.shape))
    return np.stack(bodies)


def seen(cameras: tuple[Camera, ...], people: Floats, rng: np.random.Generator) -> tuple[list[Keypoints2D], Ints]:
    """Every camera's keypoints in a random order, and the numbers of their people, (V, P)."""
    who = np.stack([rng.permutation(len(people)) for _ in cameras])
    keypoints = []
    for camera, order in zip(cameras, who, strict=True):
        xy = project(camera, people[order])
        xy = xy + rng.normal(0, NOISE_PX, xy.shape)
        keypoints.append(Keypoints2D(xy, np.full(xy.shape[:2], 0.8), H36M_17))
    return keypoints, who


def measured(cameras: tuple[int, ...], people: tuple[int, ...], *, repeats: int, seed: int) -> Times:
    """Time associate for every number of cameras and people."""
    calls, correct = {}, {}
    for V in cameras:
        for P in people:
            rng = np.random.default_rng([seed, V, P])
            rig = ring(V)
            keypoints, who = seen(rig, crowd(P, rng), rng)
            calls[V, P] = partial(associate, rig, keypoints)
            correct[V, P] = whole_groups(associate(rig, keypoints), who)
    seconds = interleaved(calls, repeats=repeats, at_least_s=0.02, progress="cameras and people")
    return Times({at: float(np.median(values)) for at, values in seconds.items()}, correct)


def whole_groups(groups: Ints, who: Ints) -> int:
    """How many groups have the same person in every view."""
    whole = groups[(groups >= 0).all(axis=1)]
    names = np.take_along_axis(who.T, whole, axis=0)  # (G, V)
    return int((names == names[:, :1]).all(axis=1).sum())


def exponent(counts: tuple[int, ...], seconds: list[float]) -> float:
    """p of seconds ~ counts^p, fitted to the logarithms of the larger half, where fixed costs matter least."""
    half = min(len(counts) // 2, len(counts) - 2)
    return float(np.polyfit(np.log(counts[half:]), np.log(seconds[half:]), 1)[0])


def tables(times: Times) -> list[Table]:
    """ms for every number of cameras and people, and how they grow."""
    cameras, people = _axes(times)
    rows: list[list[Cell]] = [[V, *(1e3 * times.seconds[V, P] for P in people)] for V in cameras]
    rows.append(["grows with cameras^", *(exponent(cameras, [times.seconds[V, P] for V in cameras]) for P in people)])
    one = times.seconds[5, 4] * 1e3
    right, total = sum(times.correct.values()), sum(P for _, P in times.correct)
    note = (
        f"4 people in 5 views: {one:.2f} ms, target {TARGET_MS:g} ms. "
        f"Exponents are fitted to the larger half of the rows. Grouped just right: {right} of {total} people."
    )
    across = Table(
        "cameras",
        "association, ms of CPU time, by cameras (rows) and people (columns)",
        ("cameras", *(f"{P} people" if P > 1 else "1 person" for P in people)),
        [[str(row[0]), *row[1:]] for row in rows],
        note=note,
        decimals=2,
    )
    growth: list[list[Cell]] = [
        [
            str(V),
            exponent(people, [times.seconds[V, P] for P in people]),
            f"{times.correct[V, max(people)]} of {max(people)}",
        ]
        for V in cameras
    ]
    columns = ("cameras", "grows with people^", f"of {max(people)} people, right")
    return [across, Table("people", "growth with people", columns, growth, decimals=2)]


def plot(times: Times, path: Path) -> None:
    """Time over cameras, one curve per number of people, and a square law."""
    cameras, people = _axes(times)
    x: Floats = np.array(cameras, dtype=np.float64)
    series = {
        f"{P} people" if P > 1 else "1 person": (x, np.array([1e3 * times.seconds[V, P] for V in cameras]))
        for P in people
    }
    last = series[next(reversed(series))][1][-1]
    series["square law"] = (x, last * (x / x[-1]) ** 2)
    write_sweep_plot(
        series,
        path,
        title="Association: CPU time over cameras, one thread",
        x_label="cameras",
        y_label="ms",
        both_log=True,
    )


def _axes(times: Times) -> tuple[tuple[int, ...], tuple[int, ...]]:
    cameras, people = ({at[axis] for at in times.seconds} for axis in (0, 1))
    return tuple(sorted(cameras)), tuple(sorted(people))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The size of the benchmark, and the plot."""
    parser.add_argument("--repeats", type=positive, default=7, metavar="N", help="of every measurement, in turn")
    parser.add_argument("--seed", type=natural, default=0, help="of people and noise")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the growth there (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """Times over cameras and people, and the exponents fitted to them."""
    counts = QUICK if args.quick else FULL
    times = measured(*counts, repeats=2 if args.quick else args.repeats, seed=args.seed)
    if args.plot:
        plot(times, args.plot)
        print(f"{args.plot} shows the growth")
    return tables(times)
