"""The whole estimator, from keypoints to poses, and what learning costs after them: CPU time on one thread.

People who walk to and fro before a ring of cameras, 3 px of noise, some joints missed, some wrong. The target is 2 ms
for four people in five views.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.association import crowd, ring
from pose3d_ros import kernels
from pose3d_ros.commands.train import natural
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Keypoints2D, Rig

# Cameras, people. (5, 4) is the target's, (2, 1) what a stereo head sees.
SCENES = ((2, 1), (5, 4))
TARGET_MS = 2.0  # four people in five views
RATE_HZ, WARM_SETS = 30.0, 20
NOISE_PX, OUTLIER_PX = 3.0, 30.0
LENS = (-0.24, 0.10, 0.0005, -0.0003, -0.02)  # a wide machine-vision lens
# Shares of 2D people and of joints that a detector misses, of joints that it places wrongly.
PEOPLE_MISSED, JOINTS_MISSED, OUTLIERS = 0.05, 0.08, 0.03
SPEED, REACH_S = 0.4, 2.0  # m/s to and fro, turning so often


def walked(cameras: int, people: int, sets: int, seed: int) -> tuple[Rig, list[dict[str, Keypoints2D]]]:
    """A ring of cameras, and what a noisy detector sees in it of people who walk to and fro."""
    rng = np.random.default_rng([seed, cameras, people])
    rig = Rig(tuple(replace(camera, distortion=np.array(LENS)) for camera in ring(cameras)))
    start = crowd(people, rng)
    angle = rng.uniform(-np.pi, np.pi, people)
    velocity = SPEED * np.stack([np.cos(angle), np.sin(angle), np.zeros(people)], axis=-1)
    found = []
    for n in range(sets):
        phase = n / RATE_HZ % (2 * REACH_S)
        xyz = start + (min(phase, 2 * REACH_S - phase) - REACH_S / 2) * velocity[:, None]
        stamp_ns = 10**18 + round(n * 1e9 / RATE_HZ)
        views = {}
        for camera in rig.cameras:
            order = rng.permutation(people)[rng.random(people) >= PEOPLE_MISSED]
            xy = project(camera, xyz[order]) + rng.normal(0, NOISE_PX, (len(order), H36M_17.size, 2))
            xy += np.where(rng.random(xy.shape[:2]) < OUTLIERS, OUTLIER_PX, 0.0)[..., None] * rng.normal(size=xy.shape)
            score = np.where(rng.random(xy.shape[:2]) < JOINTS_MISSED, 0.0, rng.uniform(0.4, 1.0, xy.shape[:2]))
            xy[score == 0] = np.nan
            covariance = np.tile(NOISE_PX**2 * np.eye(2), (*xy.shape[:2], 1, 1))
            views[camera.name] = Keypoints2D(xy, score, H36M_17, stamp_ns, covariance=covariance)
        found.append(views)
    return rig, found


def measured(rig: Rig, sets: Sequence[Mapping[str, Keypoints2D]]) -> dict[str, list[float]]:
    """CPU ms of every set but the first WARM_SETS: of its poses, and of learning from it."""
    estimator = PoseEstimator(rig, None, EstimatorOptions(refine="none", monocular_fallback="never"))
    times: dict[str, list[float]] = {"poses": [], "learning": []}
    for views in sets:
        begun = time.process_time()
        estimator.estimate_from_keypoints(views)
        posed = time.process_time()
        estimator.update_background()
        times["poses"].append(1e3 * (posed - begun))
        times["learning"].append(1e3 * (time.process_time() - posed))
    return {name: values[WARM_SETS:] for name, values in times.items()}


def table(sets: int, seed: int) -> Table:
    """CPU time of a frame set, without detection and networks."""
    kernels.load()
    rows: list[list[Cell]] = []
    for cameras, people in SCENES:
        for name, ms in measured(*walked(cameras, people, sets + WARM_SETS, seed)).items():
            rows.append(
                [f"{cameras} cameras, {people} people", name, *np.percentile(ms, (50, 95)).tolist(), float(np.mean(ms))]
            )
    columns = ("scene", "of", "median", "p95", "mean")
    note = f"Target: {TARGET_MS:g} ms for the poses of 4 people in 5 views. refine: none; 30 sets a second."
    return Table("estimator", "the whole estimator, ms of CPU time a frame set", columns, rows, note, decimals=2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is drawn."""
    parser.add_argument("--seed", type=natural, default=0, help="of people and noise")


def measure(args: argparse.Namespace) -> list[Table]:
    """Times of the poses and of learning."""
    return [table(20 if args.quick else 300, args.seed)]
