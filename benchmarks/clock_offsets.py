"""Accuracy of the cameras' clock offsets estimated from a walking person, and false alarms.

A person walks to and fro in view of Human3.6M's cameras (held out) and of rooms (2 and 3), with the default detector's
errors replayed, calibrations wrong by 0.1 to 0.3 degrees and 2 to 5 mm, and stamps late by up to 50 ms. On the footage
(1.7 s of walking, OpenPose's published keypoints) one camera is delayed by whole frames, so the change of the estimate
is known exactly.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product

import numpy as np
from tqdm import tqdm

from benchmarks.scene import PERSON
from pose3d_ros.commands.train import natural, positive
from pose3d_ros.errors import FootageError
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.tables import Table
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.footage_keypoints import keypoint_sample
from pose3d_ros.recordings.keypoint_files import open_keypoints
from pose3d_ros.simulation.detector_noise import training_noise
from pose3d_ros.simulation.noise_models import GaussianNoise, crop_scale
from pose3d_ros.simulation.simulated_rigs import miscalibrated, simulated_rig
from pose3d_ros.simulation.views import to_coco, to_h36m
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D
from pose3d_ros.synchronisation.clock_offsets import ClockEstimate, ClockOffsets

SECONDS, LONG_S, MOST_MS, REACH_M, STRIDE_M = 10.5, 20.5, 50.0, 1.5, 1.4
# How far joints swing forward and back with the stride, m: legs and arms in opposition.
SWING = np.zeros(17)
SWING[[2, 3, 5, 6, 12, 13, 15, 16]] = (0.15, 0.30, -0.15, -0.30, 0.10, 0.20, -0.10, -0.20)
# An offset with a larger error does harm if compensate_offsets uses it.
WRONG_MS = 8.0
# Keypoint errors: the default detector's, or independent ones.
REPLAYED, INDEPENDENT_PX = "the detector's", 4.0
INDEPENDENT = f"independent, {INDEPENDENT_PX:.0f} px"
ROWS = [
    *(("h36m", fps, speed, SECONDS, REPLAYED) for fps in (30.0, 15.0) for speed in (0.6, 1.0)),
    ("h36m", 30.0, 0.6, LONG_S, REPLAYED),
    *((family, 30.0, 1.0, SECONDS, REPLAYED) for family in ("room3", "room2")),
    *((family, fps, 0.5, SECONDS, INDEPENDENT) for family, fps in (("h36m", 30.0), ("h36m", 15.0), ("room3", 30.0))),
]


def errors(trials: int, seed: int) -> Table:
    """RMS error and estimated standard error, and the share of offsets with a standard error below 3 ms."""
    rows = []
    for family, fps, speed, seconds, noise in tqdm(ROWS, desc="offsets", leave=False):
        error_ms, std_ms = [], []
        for trial in range(trials):
            late_ms, cameras, found = _trial(family, fps, speed, MOST_MS, trial, seed, noise=noise, seconds=seconds)
            for camera, late in zip(cameras[1:], late_ms[1:] - late_ms[0], strict=True):
                error_ms.append(1e3 * found.offsets[camera.name].late_s - late)
                std_ms.append(1e3 * found.offsets[camera.name].std_s)
        wrong, std = np.abs(error_ms), np.array(std_ms)
        sure = std <= 3.0
        rows.append(
            (family, len(cameras), fps, speed, round(seconds), noise, _rms(wrong), _rms(std),
             float((wrong < 2 * std).mean() * 100), float(sure.mean() * 100), _rms(wrong[sure]))
        )  # fmt: skip
    columns = ("rig", "cameras", "fps", "m/s", "s", "errors", "error, ms RMS", "estimated std, ms", "within 2 std, %",
               "std <= 3 ms, %", "their error, ms RMS")  # fmt: skip
    note = f"After so many seconds (s) of walking; offsets of up to {MOST_MS:.0f} ms either way."
    return Table("offsets", "errors of clock offsets", columns, rows, note)


def alarms(trials: int, seed: int) -> Table:
    """How many cameras were reported, by the offset of one camera's stamps."""
    rows = []
    for family, late in product(("h36m", "room3", "room2"), (0.0, 5.0, 20.0, 50.0)):
        named = others = wrong = 0
        for trial in tqdm(range(trials), desc=f"{family}, {late:.0f} ms", leave=False):
            late_ms, cameras, found = _trial(family, 30.0, 1.0, 0.0, trial, seed + 1, one_ms=late)
            reported = [name for name in found.offsets if any(f"camera {name!r}" in words for words in found.faults())]
            named += cameras[1].name in reported
            others += any(name != cameras[1].name for name in reported)
            true_ms = {camera.name: one - late_ms[0] for camera, one in zip(cameras, late_ms, strict=True)}
            wrong += any(abs(1e3 * one - true_ms[name]) > WRONG_MS for name, one in found.usable_s.items())
        rows.append((family, len(cameras), late, trials, named, others, wrong))
    columns = (
        "rig",
        "cameras",
        "late, ms",
        "trials",
        "reported",
        "another reported",
        f"used with an error > {WRONG_MS:.0f} ms",
    )
    return Table("alarms", "how often /diagnostics reports a camera", columns, rows)


def footage() -> list[Table]:
    """Change of the estimate if one camera is delayed by whole frames; nothing without the footage."""
    try:
        sample = keypoint_sample()
    except FootageError as error:
        print(f"without footage: {error}")
        return []
    files = {name: open_keypoints(folder) for name, folder in sample.folders.items()}
    rows = []
    for delayed in ("cam02", "cam03"):
        base = 0.0
        for frames in (0, 1, 2, 3, -1, -2, -3):
            estimator = PoseEstimator(sample.rig, None, EstimatorOptions(refine="none", monocular_fallback="never"))
            offsets, found = ClockOffsets(enough_s=1.0), ClockEstimate()
            for n in range(3, 97):
                stamp_ns = 10**18 + round(n * 1e9 / sample.fps)
                seen = {}
                for name, file in files.items():
                    people = file.people(n - frames if name == delayed else n)
                    assert people is not None  # the sample has all 100 frames
                    seen[name] = Keypoints2D(people[..., :2], people[..., 2], file.skeleton, stamp_ns)
                estimate = estimator.estimate_from_keypoints(seen)
                found = offsets.update(sample.rig.cameras, estimate.keypoints, estimate.ids)
            late_ms, std_ms = (1e3 * x for x in (found.offsets[delayed].late_s, found.offsets[delayed].std_s))
            base = late_ms if frames == 0 else base
            true = 1e3 * frames / sample.fps
            rows.append((delayed, frames, true, late_ms - base, late_ms - base - true, std_ms))
    columns = ("camera", "frames late", "true, ms", "change, ms", "error, ms", "estimated std, ms")
    note = (
        "Relative to the estimate without a delay. 1.6 s of one person's walk, less than the 4 s that a node requires."
    )
    return [Table("footage", "one camera of the sample delayed by whole frames", columns, rows, note)]


def _trial(
    family: str,
    fps: float,
    speed: float,
    most_ms: float,
    trial: int,
    seed: int,
    one_ms: float = 0.0,
    noise: str = REPLAYED,
    seconds: float = SECONDS,
) -> tuple[Floats, Sequence[Camera], ClockEstimate]:
    rng = np.random.default_rng([seed, trial])
    cameras = simulated_rig(family, trial, held_out=True).rig.cameras
    late_ms = rng.uniform(-most_ms, most_ms, len(cameras))
    late_ms[1] += one_ms
    at_s = np.arange(int(seconds * fps)) / fps
    px = np.stack(
        [project(c, to_coco(_walk(speed, at_s - 1e-3 * one))) for c, one in zip(cameras, late_ms, strict=True)]
    )
    errors = training_noise(family) if noise == REPLAYED else GaussianNoise(INDEPENDENT_PX)
    xy, score = to_h36m(*errors(px[:, None], crop_scale(px[:, None]), 1.0 / fps, rng))
    believed = miscalibrated(cameras, rng)
    offsets, found = ClockOffsets(), ClockEstimate()
    for n, t in enumerate(at_s):
        stamp_ns = 10**18 + round(t * 1e9)
        seen = {c.name: Keypoints2D(xy[v, :, n], score[v, :, n], H36M_17, stamp_ns) for v, c in enumerate(cameras)}
        found = offsets.update(believed, seen, {c.name: ("1",) for c in cameras})
    return late_ms, cameras, found


def _walk(speed: float, at_s: Floats) -> Floats:
    """Joints (T, 17, 3) m of a person who walks to and fro along a line through the middle."""
    gone = speed * at_s
    lap, along = np.divmod(gone, 2.0 * REACH_M)
    sign = np.where(lap % 2 == 0, 1.0, -1.0)[:, None]
    body = np.repeat(PERSON[None], len(at_s), axis=0)
    body[..., 0] += SWING * np.sin(2.0 * np.pi * gone / STRIDE_M)[:, None]
    body[..., :2] *= sign[..., None]
    turned = np.array(((0.8, 0.6), (-0.6, 0.8)))
    body[..., 0] += sign * (along - REACH_M)[:, None]
    body[..., :2] = body[..., :2] @ turned
    return np.asarray(body, dtype=np.float64)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else float("nan")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The size of the benchmark."""
    parser.add_argument("--trials", type=positive, default=8, metavar="N", help="rigs and noises of each row")
    parser.add_argument("--seed", type=natural, default=0, help="of rigs, offsets and noise")


def measure(args: argparse.Namespace) -> list[Table]:
    """Errors over rigs, rates and speeds; alarms of cameras 0, 5 and 20 ms apart; the footage, if present."""

    trials = 1 if args.quick else args.trials
    tables = [errors(trials, args.seed), alarms(trials, args.seed)]
    return [*tables, *footage()]
