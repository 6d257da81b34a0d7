"""pose3d rig: draw and check a calibration of any known format, and convert it to another."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from pose3d_ros.errors import InputError, shown
from pose3d_ros.geometry.calibration import baselines_m
from pose3d_ros.options import HelpFormatter
from pose3d_ros.plots.rig_plot import write_rig_plot
from pose3d_ros.rigs.camera_checks import field_of_view_deg
from pose3d_ros.rigs.formats.rig_file import FORMATS, read_rig, write_rig
from pose3d_ros.rigs.rig_checks import axis_angles_deg, axis_hints, check_rig, up_axis
from pose3d_ros.rigs.rig_frames import WORLDS, relative_to, scaled, with_z_up
from pose3d_ros.structures import Rig

UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_FORMAT_LIST = "; ".join(f"{name}: {rig_format.description}" for name, rig_format in FORMATS.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions show and convert."""
    parser.epilog = f"Formats, recognised by content: {_FORMAT_LIST}."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "print and draw the camera positions, and check the calibration (exit code 1 for a fault)"
    show = actions.add_parser("show", help=text, description=text, epilog=parser.epilog, formatter_class=HelpFormatter)
    show.add_argument("inputs", nargs="+", type=Path, metavar="FILE", help="calibration: file, pair of files or folder")
    show.add_argument("--output", type=Path, metavar="PNG", help="plot of the cameras from above and from the side")
    text = "write a calibration in another format; a camera that the format cannot represent is an error"
    convert = actions.add_parser(
        "convert", help=text, description=text, epilog=parser.epilog, formatter_class=HelpFormatter
    )
    convert.add_argument(
        "inputs", nargs="+", type=Path, metavar="IN", help="calibration: file, pair of files or folder"
    )
    convert.add_argument(
        "output", type=Path, metavar="OUT", help="file to write; a folder for a pair in the ROS format"
    )
    convert.add_argument("--format", choices=FORMATS, default="rig", help="format of OUT")
    convert.add_argument("--origin", metavar="CAMERA", help="express the rig in this camera's optical frame")
    for action in (show, convert):
        action.add_argument("--cameras", metavar="A,B,...", help="only these cameras, in this order (default: all)")
        action.add_argument("--unit", choices=UNITS_M, default="m", help="unit of the lengths in the file")
        action.add_argument("--size", metavar="WIDTHxHEIGHT", help="image size in px, for OpenCV files without one")
        action.add_argument(
            "--world", choices=WORLDS, default="z-up",
            help="axis of the file's world that points up (`pose3d estimate` reports it); the rig is rotated to z-up",
        )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Return 0, or 1 when show finds a fault; raises pose3d_ros.errors for files that cannot be read or written."""
    names = [name.strip() for name in (args.cameras or "").split(",") if name.strip()]
    if args.cameras is not None and not names:
        raise InputError(f"--cameras is {shown(args.cameras)}, expected camera names such as left,right")
    rig = read_rig(*args.inputs, size_wh=parse_size(args.size), cameras=names)
    if args.unit != "m":
        rig = scaled(rig, UNITS_M[args.unit])
    rig = with_z_up(rig, WORLDS[args.world])
    return _show(rig, args.output) if args.action == "show" else _convert(rig, args)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Parse "640x480" as width and height; raises InputError."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)
    if not match:
        raise InputError(f"--size is {shown(text)}, expected WIDTHxHEIGHT in px, such as 640x480")
    return int(match[1]), int(match[2])


def _convert(rig: Rig, args: argparse.Namespace) -> int:
    if args.origin:
        rig = relative_to(rig, args.origin)
    for file in write_rig(rig, args.output, args.format):
        print(file)
    has_frame_id = args.format in ("rig", "anipose", "pose2sim")
    if not has_frame_id and rig.frame_id not in ("world", f"{rig.names[0]}_optical"):
        print(f"note: {args.format} cannot store the frame name {rig.frame_id!r}; the extrinsics are kept")
    for finding in (*check_rig(rig), *axis_hints(rig)):
        print(f"{'fault' if finding.fault else 'warning'}: {finding.text}")
    return 0


def _show(rig: Rig, output: Path | None) -> int:
    print_rig(rig)
    findings = (*check_rig(rig), *axis_hints(rig))
    for finding in findings:
        print(f"{'FAULT' if finding.fault else 'warning'}: {finding.text}")
    if not findings:
        print("no fault found")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_rig_plot(rig, output)
        print(f"picture: {output}")
    return int(any(finding.fault for finding in findings))


def print_rig(rig: Rig) -> None:
    """Print the cameras, their positions, and the distances and angles between them."""
    axis, sign = up_axis(rig)
    up = f"{'+' if sign > 0 else '-'}{'xyz'[axis]}"
    print(
        f"{len(rig.cameras)} camera(s) in frame {rig.frame_id!r}; judging by the images, up is {up} (only a hint: "
        "`pose3d estimate` determines it from people)"
    )
    wide = max(len(name) for name in rig.names)
    for camera in rig.cameras:
        across, down = field_of_view_deg(camera)
        x, y, z = camera.centre
        direction = ", ".join(f"{part:+.2f}" for part in camera.cam_from_world[2, :3])
        lens = camera.distortion_model if np.any(camera.distortion) else f"{camera.distortion_model}, no distortion"
        print(
            f"  {camera.name:<{wide}}  {camera.size_wh[0]} x {camera.size_wh[1]} px, f {camera.K[0, 0]:.1f} px, "
            f"{across:.0f} x {down:.0f} deg, {lens}; at ({x:.3f}, {y:.3f}, {z:.3f}) m, facing ({direction})"
        )
    angles = axis_angles_deg(rig)
    for pair, distance in baselines_m(rig).items():
        print(f"  {' - '.join(pair)}: {distance:.4f} m apart, {angles[pair]:.1f} degrees between their axes")
