"""Hours of frame sets in compressed time: memory, threads and descriptors must not grow.

Two people walk before two cameras at 10 Hz; one of them comes and goes every minute, cameras miss people, and one
camera fails for ten seconds every ten minutes. Keypoints stand for images, and stamps are injected, so an hour takes
minutes. Each set goes through the estimator as the node has it (association, triangulation, refinement, tracking,
smoothing, clock and calibration checks), through the node's own record, and, where ROS is there, into every message
that it would publish, serialised. Counted once a minute of that time: resident memory, threads, open descriptors. The
target: less than 2 MB/h after the first tenth, and no more or fewer threads and descriptors from then on.

With --visitors, people come in pairs for three frame sets and never again: each has an id, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.structures import Floats, Keypoints2D, Rig

RATE_HZ, SETS_A_SAMPLE = 10, 600
T0_NS = 1_700_000_000 * 10**9
# The warm-up in which caches fill and networks load; it contains every repeated event of the scene.
WARM_UP_SHARE = 0.1
TARGET_MB_AN_HOUR = 2.0
# One page of memory allocated late gives a short run a steep slope.
LEAST_H = 0.25
# The second person is present for 35 s of every minute; the right camera fails for 10 s of every 10 minutes.
COMES_S, GOES_S, ROUND_S = 5.0, 40.0, 60.0
FAILS_AT_S, FAILS_FOR_S, FAILS_EVERY_S = 50.0, 10.0, 600.0
MISSED_SHARE = 0.03
# A pair of visitors stays for so many sets, and the next one comes once the tracker has dropped them (1 s).
VISIT_SETS, PAUSE_S = 3, 1.2
TARGET_KB_A_PERSON = 1.0
# With few people the slope of memory shows what is still being loaded.
LEAST_VISITORS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The duration and the plot."""
    parser.add_argument("--hours", type=float, default=1.0, help="of frame sets at 10 Hz: 36,000 an hour")
    parser.add_argument(
        "--visitors",
        type=int,
        default=0,
        metavar="N",
        help="instead: so many people who come and go, and kB per person",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw memory, threads and descriptors (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """One row."""
    from pose3d_ros.evaluation.tables import Table

    if args.visitors:
        return [visitors_table(args.visitors)]
    hours, every = (args.hours, SETS_A_SAMPLE) if not args.quick else (0.003, 10)
    samples, people, cpu_ms, description = soak(scene, round(hours * 3600 * RATE_HZ), every)
    samples = samples[:, 1:]
    at_h, rss_mb, threads, descriptors = samples.T
    first = int(np.flatnonzero(at_h >= WARM_UP_SHARE * at_h[-1])[0])
    slope, target = judged(samples[first:])
    if args.plot:
        from benchmarks.soak_plot import write_soak_plot

        title = f"{round(at_h[-1] * 3600 * RATE_HZ)} frame sets, {people} people: {slope:+.2f} MB/h after warm-up"
        write_soak_plot(at_h, rss_mb, threads, descriptors, WARM_UP_SHARE * at_h[-1], title, args.plot)
    columns = (
        "hours", "frame sets", "people", "MB after warm-up", "MB at the end", "MB/h", "threads", "threads at the end",
        "descriptors", "descriptors at the end", "CPU ms a set", "target",
    )  # fmt: skip
    row = (
        float(at_h[-1]), round(at_h[-1] * 3600 * RATE_HZ), people, float(rss_mb[first]), float(rss_mb[-1]), slope,
        int(threads[first]), int(threads[-1]), int(descriptors[first]), int(descriptors[-1]), cpu_ms,
        target,
    )  # fmt: skip
    note = (
        f"MB/h: slope of a line through the samples after warm-up (the first tenth). People: ids given. {description}"
    )
    return [Table("soak", "resources over time", columns, [row], note, decimals=2)]


def judged(samples: Floats) -> tuple[float, str]:
    """MB/h, and whether the target is met, of samples (N, 4) after warm-up: hours, MB, threads, descriptors."""
    at_h, rss_mb, threads, descriptors = samples.T
    slope = float(np.polyfit(at_h, rss_mb, 1)[0])
    if at_h[-1] < LEAST_H:
        return slope, f"not judged below {LEAST_H:g} h"
    level = all(len(set(counted)) == 1 for counted in (threads, descriptors))
    return slope, "held" if slope < TARGET_MB_AN_HOUR and level else "missed"


def visitors_table(visitors: int) -> Table:
    """One row: memory per person who came and went."""
    from pose3d_ros.evaluation.tables import Table

    sets = max(visitors // 2, 1) * VISIT_SETS
    samples, people, cpu_ms, description = soak(scene_of_visitors, sets, max(sets // 100, 1))
    kb, target = judged_by_person(samples[:, 0], samples[:, 2])
    columns = ("people", "frame sets", "MB at the start", "MB at the end", "kB per person", "CPU ms per set", "target")
    row = (people, sets, float(samples[0, 2]), float(samples[-1, 2]), kb, cpu_ms, target)
    note = (
        f"kB per person: slope of a line through resident memory over the people after the first tenth. {description}"
    )
    return Table("visitors", "memory per person who came and went", columns, [row], note, decimals=2)


def judged_by_person(people: Floats, rss_mb: Floats) -> tuple[float, str]:
    """kB per person, and whether the target is met, of people so far (N,) and resident memory (N,) MB."""
    late = people >= WARM_UP_SHARE * people[-1]
    kb = float(1e3 * np.polyfit(people[late], rss_mb[late], 1)[0]) if late.sum() > 1 else float("nan")
    if people[-1] < LEAST_VISITORS:
        return kb, f"not judged below {LEAST_VISITORS} people"
    return kb, "held" if kb < TARGET_KB_A_PERSON else "missed"


def soak(
    scene: Callable[[Rig, int], Iterator[dict[str, Keypoints2D]]], sets: int, every: int
) -> tuple[Floats, int, float, str]:
    """Run so many sets of a scene; returns samples, assigned ids, CPU ms per set, and a description.

    Samples (N, 5): ids so far, hours, resident MB, threads, descriptors.
    """
    from benchmarks.scene import rig
    from pose3d_ros.estimation.estimator import PoseEstimator
    from pose3d_ros.estimation.options import EstimatorOptions

    publish, description = publisher()
    cameras = rig()
    estimator = PoseEstimator(cameras, options=EstimatorOptions())
    samples, ids, begun_s = [], set[str](), time.process_time()
    for number, keypoints in enumerate(
        tqdm(scene(cameras, sets), total=sets, desc="soak", unit=" sets", mininterval=2), start=1
    ):
        estimate = estimator.estimate_from_keypoints(keypoints)
        ids.update(estimate.pose.ids)
        publish(cameras, estimate, {name: one.stamp_ns for name, one in keypoints.items()})
        if number % every == 0:
            samples.append((len(ids), number / RATE_HZ / 3600, *held()))
    cpu_ms = 1e3 * (time.process_time() - begun_s) / sets
    return np.array(samples, dtype=np.float64), len(ids), cpu_ms, description


def held() -> tuple[float, int, int]:
    """Resident memory in MB, threads and open descriptors of this process (Linux's /proc)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    rss_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return rss_mb, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def scene(cameras: Rig, sets: int) -> Iterator[dict[str, Keypoints2D]]:
    """Keypoints by camera of every set; a camera that fails is left out."""
    from benchmarks.scene import NOISE_PX, PERSON, SCORE
    from pose3d_ros.geometry.projection import project
    from pose3d_ros.skeletons import H36M_17
    from pose3d_ros.structures import Keypoints2D

    random = np.random.default_rng(0)
    covariance = np.tile(NOISE_PX**2 * np.eye(2), (2, H36M_17.size, 1, 1))
    for number in range(sets):
        t_s, stamp_ns = number / RATE_HZ, T0_NS + number * 10**9 // RATE_HZ
        walks = np.array([[0.4 * np.sin(t_s / 3.7), 0.9 * np.sin(t_s / 2.6), 0], [-1.2, 0.9 * np.cos(t_s / 2.2), 0]])
        xyz = PERSON + walks[:, None]
        there = np.array([True, COMES_S <= t_s % ROUND_S < GOES_S])
        found = {}
        for camera in cameras.cameras:
            if camera is cameras.cameras[-1] and 0 <= t_s % FAILS_EVERY_S - FAILS_AT_S < FAILS_FOR_S:
                continue
            seen = there & (random.random(2) > MISSED_SHARE)
            xy = project(camera, xyz[seen]) + random.normal(0, NOISE_PX, (int(seen.sum()), H36M_17.size, 2))
            score = np.full(xy.shape[:2], SCORE)
            found[camera.name] = Keypoints2D(xy, score, H36M_17, stamp_ns, covariance=covariance[: len(xy)])
        yield found


def scene_of_visitors(cameras: Rig, sets: int) -> Iterator[dict[str, Keypoints2D]]:
    """Two people for VISIT_SETS sets, then PAUSE_S later two others, and so on."""
    from benchmarks.scene import NOISE_PX, PERSON, SCORE
    from pose3d_ros.geometry.projection import project
    from pose3d_ros.skeletons import H36M_17
    from pose3d_ros.structures import Keypoints2D

    random = np.random.default_rng(0)
    covariance = np.tile(NOISE_PX**2 * np.eye(2), (2, H36M_17.size, 1, 1))
    places = np.array([[0.2, 0.9, 0.0], [-1.2, -0.9, 0.0]])
    xyz = PERSON + places[:, None]
    for number in range(sets):
        t_s = number / RATE_HZ + number // VISIT_SETS * PAUSE_S
        found = {}
        for camera in cameras.cameras:
            xy = project(camera, xyz) + random.normal(0, NOISE_PX, (2, H36M_17.size, 2))
            score = np.full(xy.shape[:2], SCORE)
            stamp_ns = T0_NS + round(t_s * 1e9)
            found[camera.name] = Keypoints2D(xy, score, H36M_17, stamp_ns, covariance=covariance)
        yield found


def publisher() -> tuple[Any, str]:
    """A function (rig, estimate, stamps by camera) that makes and serialises the node's messages, and what it does."""
    from pose3d_ros.errors import DependencyError
    from pose3d_ros.ros.environment import require_ros

    try:
        require_ros()
    except DependencyError:
        return lambda cameras, estimate, stamps_ns: None, "No ROS here: no messages were made."
    from benchmarks.ros_messages import serialising

    return serialising(), "Every message that the node publishes was made and serialised."
