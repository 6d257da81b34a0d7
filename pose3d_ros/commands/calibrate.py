"""pose3d calibrate: cameras from the people in front of them or from a board; put on the floor, refined, synchronised.

Each action has a file of its own: calibrate_board.py, calibrate_people.py, ...
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import NoReturn

from pose3d_ros.options import HelpFormatter

# Action -> (module with add_arguments(parser) and run(args) -> exit code, one line of help).
ACTIONS = {
    "people": ("calibrate_people", "place cameras by the people in front of them: no board, no common start"),
    "board": ("calibrate_board", "calibrate lenses and placement with a chessboard or Charuco board"),
    "align": ("calibrate_align", "move a rig's world: onto the floor, a robot's base, a board, or by a transform"),
    "refine": ("calibrate_refine", "correct the placement of a calibrated rig by the people in front of it"),
    "sync": ("calibrate_sync", "find when recordings began, and clocks that drift, from the people in them"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    plain = parser.error

    def error(message: str) -> NoReturn:
        plain(f"{message}: with a board the command is `pose3d calibrate board CAMERA=VIDEO ... --board FORM`")

    # What has no action, such as the form of earlier versions, ends here.
    parser.error = error  # type: ignore[method-assign]
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (module, line) in ACTIONS.items():
        action = import_module(f"pose3d_ros.commands.{module}")
        sub = actions.add_parser(name, help=line, description=action.__doc__, formatter_class=HelpFormatter)
        action.add_arguments(sub)
        sub.set_defaults(act=action.run)


def run(args: argparse.Namespace) -> int:
    """Run the action; raises pose3d_ros.errors."""
    return int(args.act(args))
