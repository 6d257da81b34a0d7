"""python -m benchmarks: how fast the parts are, compared with other ways to do the same, in one run.

Everything that is compared is timed in turn, repeat by repeat, so that a busy machine slows all alike; figures are
medians, and ratios are of medians. The conditions are printed: CPU, load, threads, versions. OMP_NUM_THREADS=1 in the
environment keeps NumPy and the comparators on one thread each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.conditions import conditions
from pose3d_ros.errors import Pose3DError
from pose3d_ros.evaluation.tables import as_json, printed
from pose3d_ros.options import HelpFormatter

# Benchmark -> one line of help. Its module has add_arguments(parser) and measure(args) -> tables.
BENCHMARKS = {
    "geometry": "triangulate: compared with SVD, OpenCV and scipy",
    "ros": "the node with a detector that costs nothing: latency, lost frame sets",
    "runtime": "faults over DDS: how soon they are reported, how soon poses come again",
    "age": "how old people are in the messages of a node slower than its cameras",
    "detector": "2D detection: time over views, people, threads, precision, device",
    "clock_offsets": "clock offsets of cameras: errors, alarms, footage",
    "calibration_peers": "rigs from people: ours, humancalib's, the published one, tested by left-out cameras",
    "health": "cameras moved, swapped, inverted: reports and false alarms",
    "association": "match people across views: time over cameras and people",
    "estimator": "the whole estimator from keypoints to poses: time of poses and of learning",
    "scale": "the node at 30 Hz by cameras and people: sets it holds, ages",
    "soak": "an hour of frame sets in compressed time: memory, threads, descriptors",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the conditions and the tables of one benchmark; 0 on success, 1 on a failure that is reported."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=HelpFormatter)
    parts = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, line in BENCHMARKS.items():
        one = parts.add_parser(name, help=line, formatter_class=HelpFormatter)
        if name not in words:  # so that only the one that runs is loaded
            continue
        benchmark = import_module(f"benchmarks.{name}")
        one.description = benchmark.__doc__
        one.add_argument("--json", type=Path, metavar="FILE", help="also write every number and the conditions there")
        one.add_argument("--quick", action="store_true", help="small and few: shows that it runs, not how fast")
        benchmark.add_arguments(one)
        one.set_defaults(measure=benchmark.measure)
    args = parser.parse_args(words)
    found = conditions()
    print(", ".join(f"{name} {value}" for name, value in found.items() if value is not None), flush=True)
    try:
        tables = args.measure(args)
    except Pose3DError as error:
        print(f"{parser.prog} {args.benchmark}: {error}", file=sys.stderr)
        return 1
    for table in tables:
        print(f"\n{printed(table)}", flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        whole = {"benchmark": args.benchmark, "quick": args.quick, "conditions": found}
        whole["tables"] = {table.name: as_json(table) for table in tables}
        args.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
