"""pose3d calibrate sync: find how much later each recording began, and clocks that drift, from the people in them.

With --rig, the placement of the cameras is used; without, it is found along the way, which needs more movement.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from pose3d_ros.calibration.people import PeopleOptions, recording_clocks
from pose3d_ros.commands.calibrate_input import add_people_arguments, estimate_command, output_folder, people_of
from pose3d_ros.commands.people_report import clock_lines, clock_report, offset_arguments
from pose3d_ros.errors import InputError
from pose3d_ros.files.door import expanded
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.rigs.formats.rig_file import read_rig
from pose3d_ros.rigs.rig_checks import validate_rig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d calibrate sync`."""
    add_people_arguments(parser)
    parser.add_argument("--rig", metavar="FILE", help="the calibrated cameras, placed, in any format of `pose3d rig`")
    parser.add_argument("--drift", action="store_true", help="clocks may run at different rates (long recordings)")
    parser.add_argument("--output", type=Path, default=Path("calibration"), help="folder for clocks.yaml")


def run(args: argparse.Namespace) -> int:
    """Find, print, write; raises pose3d_ros.errors, also where people do not tell when recordings began."""
    if args.rig and args.intrinsics:
        raise InputError(f"--rig {args.rig} and --intrinsics {args.intrinsics}: give one of the two, a rig has both")
    output = output_folder(args)
    with output_lock(output):
        people = people_of(args, output, args.rig)
        rig = None
        if args.rig:
            rig = read_rig(expanded(args.rig), cameras=[view.camera.name for view in people.views])
            validate_rig(rig)
        clocks = recording_clocks(people.views, rig, PeopleOptions(drift=args.drift, focal=people.guessed))
        report = {name: clock_report(clock) for name, clock in clocks.items()}
        (output / "clocks.yaml").write_text(yaml.safe_dump(report, sort_keys=False), encoding="utf-8")
    print(f"{next(iter(clocks))}: time 0")
    print("\n".join(clock_lines(clocks)))
    offsets = offset_arguments(clocks)
    print(f"for `pose3d estimate`: {' '.join(offsets)}")
    if args.rig and (command := estimate_command(args, args.rig, offsets)):
        print(f"next: {command}")
    return 0
