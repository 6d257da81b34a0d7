"""The `pose3d` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pose3d_ros import __version__
from pose3d_ros.errors import Pose3DError, cut, shown
from pose3d_ros.options import HelpFormatter

# Command -> (module with add_arguments(parser) and run(args) -> exit code, one line of help).
COMMANDS = {
    "demo": ("pose3d_ros.commands.demo", "run the whole ROS graph on real footage and measure it"),
    "mono": ("pose3d_ros.commands.mono", "people from one camera: a still image, or a live camera"),
    "estimate": ("pose3d_ros.commands.estimate", "people from your own recording: videos of two cameras or more"),
    "calibrate": ("pose3d_ros.commands.calibrate", "calibrate cameras by the people in front of them, or by a board"),
    "rig": ("pose3d_ros.commands.rig", "draw, check and convert the calibration of your cameras"),
    "doctor": ("pose3d_ros.commands.doctor", "inspect a running system and report what is wrong and how to fix it"),
    "models": ("pose3d_ros.commands.models", "list, fetch, verify and locate the 2D models' weights"),
    "render": ("pose3d_ros.commands.render", "render people before cameras, with the truth about every joint"),
    "train": ("pose3d_ros.commands.train", "train PoseRN, CV-UGCN or AbsPoseLifter on motion data"),
    "evaluate": ("pose3d_ros.commands.evaluate", "print the papers' tables next to ours, on held-out people and rigs"),
    "compare": ("pose3d_ros.commands.compare", "train the surveys' systems and print them in one table with ours"),
    "reproduce": ("pose3d_ros.commands.reproduce", "print papers' tables next to ours, on the papers' own data sets"),
    "fit-noise": ("pose3d_ros.commands.fit_noise", "measure a detector's errors on a recording and fit noise to them"),
}


class Parser(argparse.ArgumentParser):
    """argparse's parser with errors of one short line; a user's word is never repeated whole."""

    def error(self, message: str) -> NoReturn:
        """End with 2."""
        self.exit(2, f"{self.prog}: error: {cut(message)}: see `{self.prog} --help`\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(
        prog="pose3d",
        description="Absolute 3D human poses from calibrated cameras, for robots.",
        epilog="`pose3d COMMAND --help` says more of each. ROS nodes are started with `ros2 launch pose3d_ros ...`.",
    )
    parser.add_argument("--version", action="version", version=f"pose3d_ros {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, line) in COMMANDS.items():
        command = import_module(module)
        sub = commands.add_parser(name, help=line, description=command.__doc__)
        sub.formatter_class = HelpFormatter
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 1 on a failure that is reported, 2 on wrong usage, 130 on Ctrl-C."""
    parser = build_parser()
    words = sys.argv[1:] if argv is None else argv
    if odd := [word for word in words if "\0" in word]:  # no shell passes one on; a caller of main may
        parser.error(f"{shown(odd[0])} holds a NUL character")
    arguments = parser.parse_args(words)
    try:
        return int(arguments.run(arguments))
    except Pose3DError as error:
        print(f"pose3d {arguments.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # what errors.py does not foresee: a folder without permission, a full disk
        text = cut(str(error))
        print(f"pose3d {arguments.command}: {text}: check the path, its permissions and the disk", file=sys.stderr)
        return 1
    except MemoryError as error:
        text = cut(str(error)) or "the input asks for more than there is"
        print(
            f"pose3d {arguments.command}: no memory was left ({text}): give smaller files or numbers", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print(f"\npose3d {arguments.command}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
