"""pose3d reproduce: print a paper's table next to ours, on the paper's own data set.

Without arguments it lists the papers, their tables and the data sets, which come from their owners; docs/datasets.md
says how they lie in a folder and how results of other methods are given. What reads CMU Panoptic, COCO, Human3.6M's
metadata.xml, TotalCapture's joints, Shelf's and Campus' actorsGT.mat and JSON and MPII Human Pose's JSON was verified
against original files; the rest, with all of MPI-INF-3DHP and HumanEva-I, is built from the published descriptions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pose3d_ros.commands.train import positive

LIST = "list"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names of paper and table, and where the data lie."""
    parser.add_argument("paper", nargs="?", default=LIST, metavar="PAPER", help="a paper of the list, or `list`")
    parser.add_argument("table", nargs="?", default="", metavar="TABLE", help="one of its tables")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data set, as its owner publishes it")
    parser.add_argument(
        "--method", nargs="+", default=[], metavar="NAME", help="only these of the methods that the list names"
    )
    parser.add_argument(
        "--detections", type=Path, metavar="FILE", help="detected joints (npz) in place of the data set's 2D labels"
    )
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="score these results (npz; COCO: json)")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="only every N-th frame: a quick look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table to this file")


def run(args: argparse.Namespace) -> int:
    """Print the list or a table; raises pose3d_ros.errors."""
    from pose3d_ros.errors import InputError
    from pose3d_ros.evaluation.tables import as_json, printed
    from pose3d_ros.files.door import expanded
    from pose3d_ros.research.data_sets import DATA_SETS
    from pose3d_ros.research.listing import data_sets, paper_tables
    from pose3d_ros.research.papers import paper_table
    from pose3d_ros.research.reproduce import Request, reproduce

    if args.paper == LIST or not args.table:
        print(printed(paper_tables("" if args.paper == LIST else args.paper)))
        if args.paper == LIST:
            print(printed(data_sets()))
        return 0
    wanted = paper_table(args.paper, args.table)
    if args.data is None:
        known = DATA_SETS[wanted.data]
        raise InputError(f"--data is missing: give a folder of {known.name} with {known.expected}; {known.site}")
    made = reproduce(
        wanted,
        Request(expanded(args.data), tuple(args.method), args.predictions, args.detections, args.every),
    )
    print(printed(made))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({made.name: as_json(made)}, indent=1) + "\n")
    return 0
