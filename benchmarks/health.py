"""Whether calibration health reports cameras that move, and raises no alarm while they do not.

The people of a recording of `pose3d demo` (log/recording.npz in its folder) are replayed in a loop at the 5 frame sets
per second that the health processes: first for --minutes unchanged, then with a camera moved from second 14 on, with
two swapped or one inverted from the start. Without a recording a simulated person walks in simulated rigs, with a
detector's fitted errors. The health must report a fault within 10 s.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.health_trials import (
    HEALTHY,
    LASTS_S,
    MOTIONS,
    MOVED_AT_S,
    RATE_HZ,
    Fault,
    Replayed,
    Scene,
    Walked,
    trial,
)
from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.monitoring.evidence import mean_of
from pose3d_ros.monitoring.health import WINDOW, CalibrationHealth
from pose3d_ros.plots.sweep_plot import write_sweep_plot
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.structures import Floats

# A fault must be reported within this time.
IN_TIME_S = 10.0
SIMULATED = (("h36m", 0, 4), ("h36m", 1, 3), ("h36m", 0, 2), ("room3", 2, 0), ("head1060", 0, 0))


def measured(recording: Path | None, minutes: float, *, each: bool = False, quick: bool = False) -> list[Table]:
    """One row per scene and fault; each: every camera moves in turn, not only the second."""
    scenes = _scenes(recording, quick)
    return [_silence(scenes, minutes if recording else 1.0), _faults(scenes, each, quick)]


def _scenes(recording: Path | None, quick: bool) -> dict[str, Scene]:
    if recording is None:
        return {
            f"{family}, {cameras or family[-1]} cameras": Walked(family, number, cameras, seed=number)
            for family, number, cameras in SIMULATED[: 1 if quick else None]
        }
    whole = _loaded(recording)
    names = whole.rig.names
    counts = range(len(names), 1, -1) if not quick else [len(names)]
    return {f"{count} cameras": Replayed(whole, names[:count]) for count in counts}


def _loaded(path: Path) -> Recording:
    return Recording.load(path if path.suffix == ".npz" else path / "log" / "recording.npz")


def _silence(scenes: dict[str, Scene], minutes: float) -> Table:
    rows: list[list[Cell]] = []
    for name, scene in scenes.items():
        spent = _Clock()
        outcome = trial(scene, HEALTHY, seconds=60.0 * minutes, health=spent.watched)
        tqdm.write(f"{name}: {outcome.false_alarms} false alarms")
        rows.append([name, round(60 * minutes * RATE_HZ), outcome.false_alarms, outcome.report.state, spent.per_set_ms])
    note = "ms: CPU time of the health's own work, mean over the 5 frame sets per second that it processes."
    columns = ("scene", "frame sets", "with a false alarm", "at the end", "ms per frame set")
    return Table("silence", "no fault", columns, rows, note=note, decimals=3)


class _Clock:
    """Measures the CPU time of an estimator's calibration health."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    @property
    def per_set_ms(self) -> float:
        return 1e3 * self.seconds / max(self.calls, 1)

    def watched(self, health: CalibrationHealth) -> None:
        """Measure its updates from now on."""
        update = health.update

        def timed(*args: object, **named: object) -> None:
            start = time.process_time()
            update(*args, **named)  # type: ignore[arg-type]
            self.seconds += time.process_time() - start
            self.calls += 1

        health.update = timed  # type: ignore[method-assign]


def _faults(scenes: dict[str, Scene], each: bool, quick: bool) -> Table:
    rows: list[list[Cell]] = []
    for name, scene in scenes.items():
        count = len(scene.rig.cameras)
        lasting = [Fault(f"cameras {a + 1} and {b + 1} swapped", swapped=(a, b)) for a, b in ((0, 1),)]
        lasting.append(Fault("transform of camera 2 inverted", inverted=(1,)))
        lasting.append(Fault("all transforms inverted", inverted=tuple(range(count))))
        for fault in tqdm([*(MOTIONS[:2] if quick else MOTIONS), *lasting], desc=name, leave=False):
            moves = fault in MOTIONS
            which = range(count) if moves and each else (1,)
            outcomes = [trial(scene, fault, camera) for camera in which]
            times = [one.after_s for one in outcomes]
            in_time = sum(t <= IN_TIME_S for t in times)
            right = sum(
                t <= IN_TIME_S and _right(scene.rig.names, fault, camera, one.report.cameras)
                for t, one, camera in zip(times, outcomes, which, strict=True)
            )
            either = sum(len(one.report.cameras) > 1 for one in outcomes) if moves and count > 2 else 0
            reported = [t for t in times if np.isfinite(t)]
            rows.append([name, fault.name, len(times), in_time, right, either, max(reported) if reported else None])
    columns = ("scene", "fault", "trials", "reported in 10 s", "right camera", "with a second camera", "slowest, s")
    note = (
        f"Moved from second {MOVED_AT_S:g} on, for {LASTS_S:g} s. Right camera: the report names it (or it is among "
        "those named), with two cameras the pair; a swap or an inversion with its cameras."
    )
    return Table("faults", "reported faults", columns, rows, note=note, decimals=1)


def _right(names: Sequence[str], fault: Fault, camera: int, reported: Sequence[str]) -> bool:
    if fault.inverted or fault.swapped:
        return set(reported) == {names[n] for n in (*fault.inverted, *fault.swapped)}
    return names[camera] in reported


def plot(recording: Path | None, path: Path) -> None:
    """What each camera's motion explains before and after camera 2 turns by 2 deg, and the threshold of a report."""
    scene = next(iter(_scenes(recording, quick=True).values()))
    fault = replace(MOTIONS[1], name="turned")
    estimator = PoseEstimator(scene.rig, options=EstimatorOptions(refine="none"))
    health, names = estimator.calibration_health, scene.rig.names
    times, explained = [], []
    last = None
    for number in range(round((2 * MOVED_AT_S + LASTS_S) * RATE_HZ)):
        now_s = number / RATE_HZ
        keypoints = scene.keypoints(number, (1, fault) if now_s >= 2 * MOVED_AT_S else None)
        stamp_ns = round((1000 + now_s) * 1e9)
        estimator.estimate_from_keypoints({name: replace(k, stamp_ns=stamp_ns) for name, k in keypoints.items()})
        window = health.window()
        if health.baseline is not None and len(window) >= WINDOW and window[-1] is not last:
            last = window[-1]
            times.append(now_s)
            explained.append(health.baseline.above(mean_of(window)))
    x: Floats = np.array(times)
    above = np.array(explained)
    series = {name: (x, np.maximum(above[:, n], 1e-3)) for n, name in enumerate(names)}
    series["threshold of a report"] = (x, np.ones_like(x))
    write_sweep_plot(
        series,
        path,
        title=f"{names[1]} turns by 2 deg at {2 * MOVED_AT_S:g} s",
        x_label="s",
        y_label="what a camera's motion explains, relative to the threshold",
        both_log=True,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recording, its duration, and the plot."""
    parser.add_argument("recording", type=Path, nargs="?", metavar="RECORDING", help="recording.npz, or its folder")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="of unchanged footage")
    parser.add_argument("--each", action="store_true", help="move every camera in turn, not only the second")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw a camera that moves there (PNG)")


def measure(args: argparse.Namespace) -> list[Table]:
    """False alarms, reported faults, and the time per frame set."""

    if args.plot:
        plot(args.recording, args.plot)
        print(f"{args.plot} shows a camera that moves")
    return measured(args.recording, 0.5 if args.quick else args.minutes, each=args.each, quick=args.quick)
