"""pose3d bench: how fast the parts are, beside what else one would use, in one run.

Everything that is compared is timed in turn, repeat by repeat, so that a busy machine slows all alike; figures are
medians, and ratios are of medians. The conditions are printed: CPU, load, threads, versions. OMP_NUM_THREADS=1 in the
environment keeps NumPy and the comparators on one thread each.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path

from pose3d_ros.options import HelpFormatter

# Benchmark -> (module with add_arguments(parser) and measure(args) -> tables, one line of help). A module imports what
# is slow to load inside measure: `pose3d --help` loads every module.
BENCHMARKS = {
    "geometry": ("pose3d_ros.benchmarks.geometry", "triangulate: beside SVD, OpenCV and scipy"),
    "ros": ("pose3d_ros.benchmarks.ros", "the node with a detector that costs nothing: latency, lost frame sets"),
    "runtime": ("pose3d_ros.benchmarks.runtime", "faults over DDS: how soon they are told, how soon poses come again"),
    "age": ("pose3d_ros.benchmarks.age", "how old people are in the messages of a node slower than its cameras"),
    "detector": ("pose3d_ros.benchmarks.detector", "2D detection: time over views, people, threads, precision, device"),
    "time": ("pose3d_ros.benchmarks.time", "clock offsets of cameras: errors, alarms, footage"),
    "health": ("pose3d_ros.benchmarks.health", "cameras moved, exchanged, inverted: what is told, false alarms"),
    "association": ("pose3d_ros.benchmarks.association", "match people across views: time over cameras and people"),
    "scale": (
        "pose3d_ros.benchmarks.scale",
        "the node at 30 Hz by cameras and people: sets it holds, ages",
    ),
    "soak": ("pose3d_ros.benchmarks.soak", "an hour of frame sets in compressed time: memory, threads, descriptors"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand a benchmark."""
    parts = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, (module, line) in BENCHMARKS.items():
        benchmark = import_module(module)
        one = parts.add_parser(name, help=line, description=benchmark.__doc__)
        one.formatter_class = HelpFormatter
        one.add_argument("--json", type=Path, metavar="FILE", help="also write every number and the conditions there")
        one.add_argument("--quick", action="store_true", help="small and few: shows that it runs, not how fast")
        benchmark.add_arguments(one)


def run(args: argparse.Namespace) -> int:
    """Print the conditions and the benchmark's tables; faults raise from pose3d_ros.errors."""
    from pose3d_ros.benchmarks.conditions import conditions
    from pose3d_ros.evaluation.tables import as_json, printed

    found = conditions()
    print(", ".join(f"{name} {value}" for name, value in found.items() if value is not None), flush=True)
    tables = import_module(BENCHMARKS[args.benchmark][0]).measure(args)
    for table in tables:
        print(f"\n{printed(table)}", flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        whole = {"benchmark": args.benchmark, "quick": args.quick, "conditions": found}
        whole["tables"] = {table.name: as_json(table) for table in tables}
        args.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 0
