"""pose3d calibrate align: put a rig's world on the floor, a robot's base or a board; cameras keep their places.

Give one of: --people, a recording of people who walk before this rig; --points, points measured in both frames;
--board, a board that lies on the floor; --base-from-camera, the transform of one camera.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pose3d_ros.calibration.boards import FORM, parse_board
from pose3d_ros.calibration.people_keypoints import recorded_parts
from pose3d_ros.calibration.world_board import by_board
from pose3d_ros.calibration.world_move import WorldMove, by_camera, onto_floor, recorded_floor
from pose3d_ros.calibration.world_points import by_points, points_of
from pose3d_ros.errors import InputError
from pose3d_ros.files.documents import yaml_content
from pose3d_ros.files.door import POINTS, expanded, read_text
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.rigs.formats.rig_file import read_rig
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.structures import Pose3D, Rig

BASE = "base_link"  # REP-105's name of a robot's base


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d calibrate align`."""
    parser.add_argument("rig", type=Path, metavar="RIG", help="calibration file in any format")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="rig.yaml to write")
    parser.add_argument(
        "--people", type=Path, metavar="RECORDING",
        help="3D people in this rig's frame: recording.npz, or the output folder of `pose3d demo` or `estimate`",
    )  # fmt: skip
    parser.add_argument(
        "--points", type=Path, metavar="FILE", help="3 named points or more in both frames (docs/calibration.md)"
    )
    parser.add_argument(
        "--board", nargs=2, metavar=("FORM", "CAMERA=IMAGE"), help=f"a board on the floor, {FORM}, and a picture of it"
    )
    parser.add_argument("--camera", metavar="CAMERA", help="with --base-from-camera: whose transform it is")
    parser.add_argument(
        "--base-from-camera", nargs=7, type=float, metavar=("X", "Y", "Z", "QX", "QY", "QZ", "QW"),
        help="the camera's optical frame in the new frame, as `ros2 run tf2_ros tf2_echo BASE CAMERA_OPTICAL` prints",
    )  # fmt: skip
    parser.add_argument("--frame", default="", metavar="NAME", help=f"name of the new frame (default: floor or {BASE})")


def run(args: argparse.Namespace) -> int:
    """Move the world, print by how much, write; raises pose3d_ros.errors for what cannot be right."""
    given = [name for name in ("people", "points", "board", "base_from_camera") if getattr(args, name) is not None]
    if len(given) != 1:
        raise InputError(
            f"{' and '.join('--' + name.replace('_', '-') for name in given) or 'nothing to align to is given'}: give "
            "one of --people, --points, --board, --base-from-camera"
        )
    rig = read_rig(expanded(args.rig))
    validate_rig(rig)
    move = _move(args, rig)
    aligned = move.apply(rig)
    for line in (*move.lines, *movement_lines(move)):
        print(line)
    output = expanded(args.output)
    if output.is_dir():
        raise InputError(f"{output} is a folder: give the file to write, for example {output / 'rig.yaml'}")
    output.parent.mkdir(parents=True, exist_ok=True)
    save_rig(aligned, output)
    print(f"rig: {output}, in frame {aligned.frame_id!r}")
    return 0


def movement_lines(move: WorldMove) -> list[str]:
    """By how much the world turned and moved, and how certain that is."""
    turned = np.rad2deg(Rotation.from_matrix(move.new_from_old[:3, :3]).magnitude())
    x, y, z = move.new_from_old[:3, 3]
    known = ""
    if np.isfinite(move.rotation_std_rad):
        known = f" (+-{np.rad2deg(move.rotation_std_rad):.2f} deg, +-{1000 * move.position_std_m:.0f} mm)"
    return [f"the world turns by {turned:.2f} deg, its old origin is at ({x:.3f}, {y:.3f}, {z:.3f}) m{known}"]


def _move(args: argparse.Namespace, rig: Rig) -> WorldMove:
    if args.people is not None:
        return onto_floor(rig, recorded_floor(_poses(args, rig), rig), args.frame)
    if args.points is not None:
        path = expanded(args.points)
        frame, base, inside = points_of(yaml_content(read_text(path, POINTS), str(path), POINTS), str(path), rig)
        return by_points(base, inside, args.frame or frame)
    if args.board is not None:
        form, picture = args.board
        name, sign, path = picture.partition("=")
        if not (sign and name and path):
            raise InputError(f"--board {form} {picture[:80]}: give the picture as CAMERA=IMAGE")
        image = read_image(expanded(path))
        grey = image.mean(axis=2).astype(np.uint8)
        return by_board(rig.camera(name), parse_board(form), grey, args.frame or "floor")
    if not args.camera:
        raise InputError(f"--base-from-camera: give --camera too, one of {', '.join(rig.names)}")
    return by_camera(rig, args.camera, np.array(args.base_from_camera), args.frame or BASE)


def _poses(args: argparse.Namespace, rig: Rig) -> list[Pose3D]:
    parts = recorded_parts(expanded(args.people))
    if parts is None:
        raise InputError(f"--people {args.people}: no recording in this folder: give what `pose3d estimate` wrote")
    if parts[0].rig.calibration_hash != rig.subset(parts[0].rig.names).calibration_hash:
        raise InputError(
            f"--people {args.people} was estimated with another rig than {args.rig}: estimate again with it"
        )
    return [pose for part in parts for pose in part.poses]
