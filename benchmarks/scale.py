"""How many cameras and people the node handles at 30 Hz: frame sets per second that become poses, and their ages.

The genuine multi-view node with a detector that costs nothing, cameras of 640x480 px in a ring around the people, each
in view of every camera; the cameras come over DDS from a second process, and a third compares each message's
header.stamp with its own clock. All share the machine's cores. A node that is too slow drops sets: the ages must not
grow. The first columns are the estimator alone, without ROS (CPU time).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.age import LIMITS_S
from benchmarks.node_graph import play
from benchmarks.scene import RATE_HZ

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table

CAMERAS, PEOPLE = (2, 4, 8, 16), (1, 4, 10, 20)
QUICK = (2, 4), (1, 4)
QUICK_S = 3.0
# Frame sets of the estimator alone.
SETS, QUICK_SETS = 100, 20

Figures = tuple[float | None, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The duration and the plots."""
    parser.add_argument("--seconds", type=float, default=10.0, help="of images per row")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw frame sets per second there (PNG)")
    parser.add_argument("--estimator-plot", type=Path, metavar="FILE", help="and the estimator's ms")


def measure(args: argparse.Namespace) -> list[Table]:
    """One row per number of cameras and people."""
    from tqdm import tqdm

    from benchmarks.estimator import WARM_SETS, measured, walked
    from pose3d_ros import kernels
    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.ros.environment import require_ros

    require_ros()
    kernels.load()
    seconds, (cameras, people) = (QUICK_S, QUICK) if args.quick else (args.seconds, (CAMERAS, PEOPLE))
    found: dict[tuple[int, int], Figures] = {}
    for V, P in tqdm([(V, P) for P in people for V in cameras], desc="cameras and people", unit="row"):
        alone_ms = measured(*walked(V, P, WARM_SETS + (QUICK_SETS if args.quick else SETS), 0))["poses"]
        run = play(
            "benchmarks.ros_cameras", [str(seconds), str(V)], {"refine": "none"}, seconds,
            cameras=V, people=P, listener="benchmarks.ros_ages",
        )  # fmt: skip
        found[V, P] = (*np.percentile(alone_ms, (50, 95)).tolist(), *figures(run.report["sent"], run.heard, V, seconds))
    if args.plot:
        _plot(found, 2, args.plot, "frame sets per second with poses, of 30")
    if args.estimator_plot:
        _plot(found, 0, args.estimator_plot, "estimator alone, ms of CPU a set (median)", logarithmic=True)
    columns = (
        "cameras", "people", "estimator alone, median ms", "p95 ms", "sets a second with poses",
        "people in them, mean", "age when heard, median ms", "p95 ms ", "VISIBLE > 0.2 s, % of VISIBLE people",
    )  # fmt: skip
    note = f"{seconds:g} s of {RATE_HZ:g} sets per second per row; refine: none."
    rows = [(V, P, *cells) for (V, P), cells in found.items()]
    return [Table("scale", "the node by cameras and people", columns, rows, note, decimals=1)]


def figures(sent: Sequence[Sequence[int]], heard: Any, cameras: int, seconds: float) -> Figures:
    """Sets per second with poses from all cameras, their people, ages (median, p95) ms, and % VISIBLE too long.

    sent (stamp and time, ns) is from the cameras' process, heard from the listener's.
    """
    first_ns = min(stamp for stamp, _ in sent)
    whole = [one for one in heard if one[3] == cameras and one[4] and one[0] >= first_ns]
    if not whole:
        return 0.0, 0.0, None, None, None
    ages_ms = [(now - stamp) / 1e6 for stamp, _, now, _, _ in whole]
    visible_s = [
        (published - stamp) * 1e-9 for stamp, published, _, _, states in whole for state in states if not state
    ]
    late = 100.0 * float(np.mean([age > LIMITS_S[0] for age in visible_s])) if visible_s else None
    people = float(np.mean([len(states) for *_, states in whole]))
    sets = len({stamp for stamp, *_ in whole})
    return sets / seconds, people, *np.percentile(ages_ms, (50, 95)).tolist(), late


def _plot(
    found: Mapping[tuple[int, int], Figures], cell: int, path: Path, y_label: str, *, logarithmic: bool = False
) -> None:
    from pose3d_ros.plots.sweep_plot import write_sweep_plot

    series = {}
    for people in sorted({P for _, P in found}):
        at = sorted(V for V, P in found if people == P)
        name = f"{people} people" if people > 1 else "1 person"
        series[name] = np.array(at, dtype=float), np.array([found[V, people][cell] for V in at], dtype=float)
    title = "python -m benchmarks scale: detection free, two cameras to sixteen"
    write_sweep_plot(series, path, title=title, x_label="cameras", y_label=y_label, both_log=logarithmic)
