"""Triangulation compared with an SVD per joint, a batched SVD, OpenCV and scipy: time, and error vs. Cramer-Rao bound.

Human3.6M's published cameras of S9, lenses taken out so that all solve the same; 17 joints a frame anywhere on the
stage; 4 px of noise an axis; for the robust part 5 % of the keypoints are up to 50 px off as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks import triangulators
from benchmarks.timing import Name, interleaved
from pose3d_ros import kernels
from pose3d_ros.commands.train import natural, positive
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.geometry.projection import project
from pose3d_ros.geometry.triangulation import linear_points, triangulate, triangulate_linear
from pose3d_ros.simulation.simulated_rigs import h36m_rig
from pose3d_ros.structures import Camera, Floats

JOINTS, SIGMA_PX, HUBER_DELTA = 17, 4.0, 2.0
OUTLIERS, REACH_PX = 0.05, 50.0
LOOP = "SVD, a loop over joints"
SCIPY = "scipy least_squares, 2-point Jacobian"
AT_LEAST_S = 0.02  # a repeat of something fast is a mean over so long


@dataclass(frozen=True, eq=False)
class Scene:
    """Joints and what pinhole cameras see of them."""

    cameras: tuple[Camera, ...]
    P: Floats  # (V, 3, 4) px, K [R | t]
    xyz: Floats  # (N, 3) m, world
    px: Floats  # (V, N, 2)


def scene(views: int, frames: int, seed: int, *, outliers: float = 0.0) -> Scene:
    """Frames of 17 joints anywhere in the middle 2 m x 2 m of S9's stage, 0.1 to 1.8 m high."""
    rng = np.random.default_rng([seed, views])
    cameras = tuple(camera.rectified() for camera in h36m_rig("S9").rig.cameras[:views])
    N = frames * JOINTS
    xyz = np.column_stack([rng.uniform(-1, 1, (N, 2)), rng.uniform(0.1, 1.8, N)])
    px = np.stack([project(camera, xyz) for camera in cameras])
    px += rng.normal(0, SIGMA_PX, px.shape)
    wild = rng.random(px.shape[:-1]) < outliers
    px[wild] += rng.uniform(-REACH_PX, REACH_PX, (int(wild.sum()), 2))
    return Scene(cameras, np.stack([camera.K @ camera.cam_from_world[:3] for camera in cameras]), xyz, px)


def prepare_compiled() -> None:
    """Load the compiled code, so that no table times it, and print how long that takes."""
    started = time.process_time()
    kernels.load()
    print(f"numba and our compiled code were ready after {time.process_time() - started:.1f} s", flush=True)


def linear(views: int, frames: int, repeats: int, seed: int) -> Table:
    """Points alone first, as the others give them; then ours with covariance, reprojection error and judgement."""
    many, one = scene(views, frames, seed), scene(views, 1, seed)
    methods = _linear_methods(views)
    large = _medians({name: partial(run, many) for name, run in methods.items()}, repeats, f"{views} views")
    small = _medians({name: partial(run, one) for name, run in methods.items()}, repeats, "one frame")
    bound = triangulators.cramer_rao_m(many.P, many.xyz, SIGMA_PX)
    rows: list[list[Cell]] = []
    for name, run in methods.items():
        rmse = float(np.sqrt(((run(many) - many.xyz) ** 2).sum(axis=-1).mean()))
        ratios = (large[LOOP] / large[name], small[LOOP] / small[name])
        rows.append([name, 1e3 * small[name], ratios[1], 1e3 * large[name], ratios[0], 1e3 * rmse, rmse / bound])
    return Table(
        f"linear{views}",
        f"linear triangulation, {views} views, {JOINTS} joints a frame",
        ("method", "1 frame, ms", "loop / it", f"{frames} frames, ms", "loop / it (many)", "RMSE, mm", "RMSE / bound"),
        rows,
        note=f"CPU time, median of {repeats}; the Cramer-Rao bound is {1e3 * bound:.2f} mm.",
        decimals=3,
    )


def _linear_methods(views: int) -> dict[str, Callable[[Scene], Floats]]:
    methods: dict[str, Callable[[Scene], Floats]] = {
        LOOP: lambda s: triangulators.svd_loop(s.P, s.px),
        "SVD, batched": lambda s: triangulators.svd_batched(s.P, s.px),
    }
    if views == 2:
        methods["cv2.triangulatePoints"] = lambda s: triangulators.opencv(s.P, s.px)
    methods["ours: linear_points"] = lambda s: linear_points(s.cameras, s.px)
    methods["ours: triangulate_linear, with covariance"] = lambda s: (
        triangulate_linear(s.cameras, s.px, max_std_m=np.inf).xyz
    )
    return methods


def robust(views: int, frames: int, repeats: int, seed: int) -> Table:
    """One live frame: Huber's sum minimised over all its joints; ours with covariance and judgement."""
    methods: dict[str, Callable[[Scene], Floats]] = {
        SCIPY: lambda s: _scipy(s, analytic=False),
        "scipy least_squares, our sparse Jacobian": lambda s: _scipy(s, analytic=True),
        "ours: triangulate, with covariance": _robust,
    }
    scenes = [scene(views, 1, seed + number, outliers=OUTLIERS) for number in range(frames)]
    timed = {(name, i): partial(run, one) for i, one in enumerate(scenes) for name, run in methods.items()}
    seconds = _medians(timed, repeats, f"live, {views} views")
    found = {name: [run(one) for one in scenes] for name, run in methods.items()}
    sums = {name: [_huber(one, xyz) for one, xyz in zip(scenes, found[name], strict=True)] for name in methods}
    bound = np.sqrt(np.mean([triangulators.cramer_rao_m(one.P, one.xyz, SIGMA_PX) ** 2 for one in scenes]))
    rows: list[list[Cell]] = []
    for name in methods:
        each = [seconds[name, i] for i in range(frames)]
        ratio = median(seconds[SCIPY, i] / seconds[name, i] for i in range(frames))
        excess = max(ours / scipys - 1.0 for ours, scipys in zip(sums[name], sums[SCIPY], strict=True))
        miss = [((xyz - one.xyz) ** 2).sum(axis=-1).mean() for one, xyz in zip(scenes, found[name], strict=True)]
        rmse = float(np.sqrt(np.mean(miss)))
        rows.append([name, 1e3 * median(each), ratio, f"{excess:+.1e}", 1e3 * rmse, rmse / bound])
    return Table(
        f"live{views}",
        f"robust triangulation of one frame, {views} views, {JOINTS} joints, {OUTLIERS:.0%} outliers",
        ("method", "ms", "scipy / it", "objective above scipy's, at most", "RMSE, mm", "RMSE / bound without outliers"),
        rows,
        note=f"CPU time, medians over {frames} frames and {repeats} repeats. All start from the linear solution; only "
        "ours make it themselves, and give covariance, reprojection error and judgement as well.",
        decimals=3,
    )


def _robust(one: Scene) -> Floats:
    return triangulate(one.cameras, one.px, sigma_px=SIGMA_PX, delta=HUBER_DELTA, max_std_m=np.inf).xyz


def _scipy(one: Scene, *, analytic: bool) -> Floats:
    start = linear_points(one.cameras, one.px)
    return triangulators.scipy_huber(one.P, one.px, start, SIGMA_PX, HUBER_DELTA, analytic=analytic)


def _huber(one: Scene, xyz: Floats) -> float:
    return triangulators.huber_sum(one.P, one.px, xyz, SIGMA_PX, HUBER_DELTA)


def _medians(functions: Mapping[Name, Callable[[], Any]], repeats: int, progress: str) -> dict[Name, float]:
    """Median seconds of a call."""
    seconds = interleaved(functions, repeats=repeats, at_least_s=AT_LEAST_S, progress=progress)
    return {name: float(np.median(values)) for name, values in seconds.items()}


VIEWS = (2, 4)
LIVE_FRAMES = 8  # different frames of the robust part: how long a solver takes depends on the outliers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The size of the benchmark."""
    parser.add_argument("--frames", type=positive, default=10_000, metavar="N", help="of the large batch")
    parser.add_argument("--repeats", type=positive, default=3, metavar="N", help="of every measurement, in turn")
    parser.add_argument("--seed", type=natural, default=0, help="of joints and noise")


def measure(args: argparse.Namespace) -> list[Table]:
    """Linear triangulation of 1 and --frames frames, and robust triangulation of live frames; 2 and 4 views."""
    import cv2

    cv2.setNumThreads(1)
    prepare_compiled()
    frames, live_frames, repeats = (20, 1, 1) if args.quick else (args.frames, LIVE_FRAMES, args.repeats)
    return [
        *(linear(views, frames, repeats, args.seed) for views in VIEWS),
        *(robust(views, live_frames, repeats, args.seed) for views in VIEWS),
    ]
