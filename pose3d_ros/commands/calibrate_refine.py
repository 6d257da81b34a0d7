"""pose3d calibrate refine: correct the placement of a calibrated rig by the people in front of it.

The frame stays where it is. From recordings, OUTPUT/rig.yaml is written; from a running graph (--topics),
OUTPUT/proposal.yaml, which a person compares and then puts in the rig's place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from pose3d_ros.calibration.people import PeopleCalibration, refine_rig
from pose3d_ros.calibration.people_input import PeopleInput
from pose3d_ros.calibration.rig_reprojection import median_reprojection_px
from pose3d_ros.commands.calibrate_input import (
    add_people_arguments,
    finding_lines,
    make_folder,
    output_folder,
    people_of,
)
from pose3d_ros.commands.calibrate_people import add_clock_arguments, people_options
from pose3d_ros.commands.people_report import camera_std, clock_lines, report_of
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.files.door import expanded
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.rigs.formats.rig_file import read_rig
from pose3d_ros.rigs.rig_checks import validate_rig
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.ros.environment import require_ros
from pose3d_ros.structures import Camera, Rig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d calibrate refine`."""
    add_people_arguments(parser, intrinsics=False, required=False)
    parser.add_argument("--rig", required=True, metavar="FILE", help="the calibrated cameras, in any format")
    parser.add_argument(
        "--topics", type=float, metavar="SECONDS",
        help="instead of recordings: listen to <camera>/keypoints_2d of a running graph for so long",
    )  # fmt: skip
    parser.add_argument("--namespace", default="", metavar="NAME", help="with --topics: in front of the topics")
    add_clock_arguments(parser)
    parser.add_argument("--output", type=Path, default=Path("refined"), help="folder for the corrected rig")
    parser.add_argument("--force", action="store_true", help="write the rig even if the correction is bad")


def run(args: argparse.Namespace) -> int:
    """Refine, print, write; raises pose3d_ros.errors, also for a bad correction without --force."""
    if bool(args.sources) == (args.topics is not None):
        raise InputError("give recordings (CAMERA=PATH ...), or --topics SECONDS for a running graph")
    if args.topics is not None and not 1 <= args.topics <= 3600:
        raise InputError(f"--topics {args.topics:g}: give 1 to 3600 s")
    output = output_folder(args)
    before = read_rig(expanded(args.rig))
    validate_rig(before)
    file = output / ("rig.yaml" if args.topics is None else "proposal.yaml")
    if file == expanded(args.rig).resolve():
        raise InputError(
            f"--output {args.output}: {file} is the rig itself, which stays as it is: choose another folder"
        )
    with output_lock(output):
        people = _heard(args, before, output) if args.topics is not None else people_of(args, output, args.rig)
        names = tuple(view.camera.name for view in people.views)
        options = people_options(args, names, people)
        calibration = refine_rig(before.subset(names), people.views, options)
        return _write(args, before.subset(names), people, calibration, file)


def _heard(args: argparse.Namespace, rig: Rig, output: Path) -> PeopleInput:
    require_ros()
    from pose3d_ros.ros.keypoint_listener import listen_for_people

    make_folder(output)
    views = listen_for_people(rig, args.topics, args.namespace, progress=not args.quiet)
    return PeopleInput(views, True, False)


def _write(
    args: argparse.Namespace, before: Rig, people: PeopleInput, calibration: PeopleCalibration, file: Path
) -> int:
    findings = calibration.findings
    px = [median_reprojection_px(rig, people.views, calibration.clocks) for rig in (before, calibration.rig)]
    report = report_of(calibration, findings)
    moved = {}
    for old, new in zip(before.cameras, calibration.rig.cameras, strict=True):
        mm, degrees = movement(old, new)
        std_deg, std_mm = camera_std(calibration, old.name)
        moved[old.name] = {"moved_mm": round(mm, 2), "turned_deg": round(degrees, 4)}
        # Errors are known against the first camera.
        known = "" if old is before.cameras[0] else f" (+-{std_mm:.1f} mm, +-{std_deg:.3f} deg to {before.names[0]})"
        print(f"{old.name}: moved {mm:.1f} mm, turned {degrees:.3f} deg{known}")
    print("\n".join(clock_lines(calibration.clocks)), end="\n" if len(calibration.clocks) > 1 else "")
    print(f"joints re-project at {px[0]:.2f} px before, {px[1]:.2f} px after (median)")
    report |= {"corrections": moved, "reprojection_px_before_after": [round(one, 3) for one in px]}
    (file.parent / "report.yaml").write_text(yaml.safe_dump(report, sort_keys=False), encoding="utf-8")
    faults = [finding.text for finding in findings if finding.fault]
    printed = findings if args.force else tuple(finding for finding in findings if not finding.fault)
    print("\n".join(finding_lines(printed)), end="\n" if printed else "")
    if faults and not args.force:
        raise CalibrationError("; ".join(faults) + f". {file} is not written (--force writes it), report.yaml is")
    save_rig(calibration.rig, file)
    apply = f"; to apply it: cp {file} {args.rig}" if args.topics is not None else ""
    print(f"rig: {file}{apply}")
    return 0


def movement(old: Camera, new: Camera) -> tuple[float, float]:
    """How far a camera moved, mm, and turned, degrees, in the rig's frame."""
    turn = new.cam_from_world[:3, :3] @ old.cam_from_world[:3, :3].T
    # Of small angles the sine is exact, the cosine is not.
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    angle = np.arctan2(np.linalg.norm(axis), (np.trace(turn) - 1) / 2)
    return float(1000 * np.linalg.norm(new.centre - old.centre)), float(np.rad2deg(angle))
