"""How long 2D detection takes: ms a frame set over views, people, threads, precision and device.

The images are those of `pose3d demo` (1088x1920 px), one person and a bystander, or two people and a bystander;
consecutive frames, so that people are looked for now and then and followed in between, as by a node.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pose3d_ros.errors import InputError

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Plot, Table
    from pose3d_ros.recordings.footage import Sample
    from pose3d_ros.structures import Floats, FrameSet

VIEWS = (1, 2, 4)
PEOPLE = {"single": "1 person", "multi": "2 people"}
# Frames of each camera that are held in memory and shown over and over: 50 MB each of four.
FRAMES = 8
WARM_UP = 3


@dataclass(frozen=True)
class Case:
    """One row."""

    sample: str
    device: str
    threads: int
    precision: str
    views: int

    @property
    def name(self) -> str:
        """What all cases of one line in the plot share."""
        count = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        threads = "" if self.device.startswith("cuda") else f", {count}"
        return f"{PEOPLE[self.sample]}, {self.device}{threads}, {self.precision}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run, and where the plot goes."""
    parser.add_argument("--sets", type=int, default=24, metavar="N", help="frame sets a row")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N", help="of PyTorch on the CPU (default: 1 and 2)")
    parser.add_argument("--devices", nargs="+", metavar="NAME", help="cpu, cuda, ... (default: what there is)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the times over the views there (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """One table, of medians."""
    import torch
    from tqdm import tqdm

    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.plots.sweep_plot import write_sweep_plot
    from pose3d_ros.recordings.footage import fetch_sample

    sets = 2 if args.quick else args.sets
    if sets < 1 or any(count < 1 for count in args.threads or ()):
        raise InputError(f"--sets {sets}, --threads {args.threads}: give 1 or more of each")
    devices = args.devices or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    cases = _cases(devices, args.threads or [1, 2], quick=args.quick)
    before, times = torch.get_num_threads(), {}
    try:
        for sample in dict.fromkeys(case.sample for case in cases):
            frames = _frames(fetch_sample(sample), 2 if args.quick else FRAMES)
            for case in tqdm([case for case in cases if case.sample == sample], desc=PEOPLE[sample], leave=False):
                times[case] = _timed(case, frames, sets)
    finally:
        torch.set_num_threads(before)
    columns = ("people", "device", "threads", "precision", "views", "median ms", "p95 ms", "CPU ms", "sets/s")
    rows = [
        (PEOPLE[case.sample], case.device, case.threads, case.precision, case.views, *_cells(seconds))
        for case, seconds in times.items()
    ]
    note = (
        "A frame set has one image of 1088x1920 px a view. Median and p95 by the clock; CPU: of all threads, median, "
        "which other processes disturb less. Sets/s: one over the median."
    )
    plot = _plot(times)
    if args.plot:
        write_sweep_plot(
            plot.series, args.plot, title="2D detection, median of a frame set", x_label=plot.x_label,
            y_label=plot.y_label,
        )  # fmt: skip
    return [Table("detector", "2D detection of a frame set", columns, rows, note, plots={"detector": plot})]


def _cases(devices: list[str], threads: list[int], *, quick: bool) -> list[Case]:
    cases = []
    for sample, device in product(PEOPLE, devices):
        counts = threads if device == "cpu" else threads[-1:]
        cases += [Case(sample, device, *rest) for rest in product(counts, ("full", "half"), VIEWS)]
    return cases[:1] if quick else cases


def _frames(sample: Sample, count: int) -> list[FrameSet]:
    from pose3d_ros.recordings.footage import read_video
    from pose3d_ros.structures import FrameSet

    videos = {name: list(read_video(path, 0, count)) for name, path in sample.videos.items()}
    return [
        FrameSet({name: video[number] for name, video in videos.items()}, dict.fromkeys(videos, 0))
        for number in range(count)
    ]


def _timed(case: Case, frames: list[FrameSet], sets: int) -> Floats:
    """Seconds (sets, 2) by the clock and of the CPU."""
    import torch

    from pose3d_ros.detection.factory import make_detector
    from pose3d_ros.detection.options import DetectorOptions
    from pose3d_ros.structures import FrameSet

    torch.set_num_threads(case.threads)
    detector = make_detector(DetectorOptions(precision=case.precision), case.device)
    cameras = list(frames[0].images)[: case.views]
    seconds = np.zeros((WARM_UP + sets, 2))
    for number in range(WARM_UP + sets):
        images = {name: frames[number % len(frames)].images[name] for name in cameras}
        ready = FrameSet(images, dict.fromkeys(cameras, round(number * 1e9 / 30)))
        # Keypoints come back as NumPy arrays: a GPU has finished by then.
        begin = time.perf_counter(), time.process_time()
        detector(ready)
        seconds[number] = time.perf_counter() - begin[0], time.process_time() - begin[1]
    return seconds[WARM_UP:]


def _cells(seconds: Floats) -> tuple[float, ...]:
    median, late = 1e3 * np.percentile(seconds[:, 0], (50, 95))
    return float(median), float(late), float(1e3 * np.median(seconds[:, 1])), float(1e3 / median)


def _plot(times: dict[Case, Floats]) -> Plot:
    from pose3d_ros.evaluation.tables import Plot

    series = {}
    for name in dict.fromkeys(case.name for case in times):
        line = [(case.views, 1e3 * np.median(seconds[:, 0])) for case, seconds in times.items() if case.name == name]
        x, y = np.array(line, dtype=np.float64).T
        series[name] = (x, y)
    return Plot("views", "ms", series)
