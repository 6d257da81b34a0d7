"""pose3d calibrate people: write rig.yaml from recordings of people who walk in front of the cameras; no board.

Put the cameras on stands, start them in any order, and have one person or more walk through the whole space for 20 to
60 s, with arms raised now and then. The world has its origin on the floor below the first camera, z up.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from pose3d_ros.calibration.people import PeopleOptions, calibrate_people
from pose3d_ros.calibration.people_cameras import named_sources
from pose3d_ros.calibration.people_input import PeopleInput
from pose3d_ros.commands.calibrate_input import (
    add_people_arguments,
    estimate_command,
    finding_lines,
    offsets_of,
    output_folder,
    people_of,
)
from pose3d_ros.commands.people_report import offset_arguments, report_lines, report_of
from pose3d_ros.errors import CalibrationError, InputError, shown
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.rigs.rig_yaml import save_rig

# Adults and children who walk; cameras of one room.
STATURE_M, DISTANCE_M = (0.8, 2.4), (0.05, 50.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d calibrate people`."""
    add_people_arguments(parser)
    scale = parser.add_argument_group("the scale (default: by the leg length of adults, 4 percent)")
    scale.add_argument("--stature", type=float, metavar="M", help="height of the tallest person in view, m")
    scale.add_argument(
        "--distance", nargs=3, metavar=("CAMERA", "CAMERA", "M"), help="distance between two cameras' lenses, m"
    )
    add_clock_arguments(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("calibration"), help="folder for rig.yaml, report.yaml, people.png"
    )
    parser.add_argument("--force", action="store_true", help="write rig.yaml even if the calibration is bad")


def add_clock_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is known of clocks."""
    clocks = parser.add_argument_group("the clocks (default: when each recording began is found from the people)")
    clocks.add_argument(
        "--synchronised", action=argparse.BooleanOptionalAction, default=None,
        help="all stamps are of one clock: videos were started together (default for recordings of all cameras)",
    )  # fmt: skip
    clocks.add_argument(
        "--offset", action="append", default=[], metavar="CAMERA=SECONDS",
        help="how much later than those without an offset this camera began, where that is known",
    )  # fmt: skip
    clocks.add_argument("--drift", action="store_true", help="clocks may run at different rates (long recordings)")


def run(args: argparse.Namespace) -> int:
    """Calibrate, print, write; raises pose3d_ros.errors, also for a bad calibration without --force."""
    output = output_folder(args)
    with output_lock(output):
        return _run(args, output)


def _run(args: argparse.Namespace, output: Path) -> int:
    if len(args.sources) > 1:  # before anything is detected
        people_options(args, tuple(named_sources(args.sources)), None)
    people = people_of(args, output)
    options = people_options(args, tuple(view.camera.name for view in people.views), people)
    calibration = calibrate_people(people.views, options)
    findings = (*calibration.findings, *people.findings)
    report = report_of(calibration, findings)
    (output / "report.yaml").write_text(yaml.safe_dump(report, sort_keys=False), encoding="utf-8")
    # Imported late: matplotlib.
    from pose3d_ros.plots.people_plot import write_people_plot

    write_people_plot(calibration, output / "people.png")
    print("\n".join(report_lines(calibration)))
    faults = [finding.text for finding in findings if finding.fault]
    printed = findings if args.force else tuple(finding for finding in findings if not finding.fault)
    print("\n".join(finding_lines(printed)), end="\n" if printed else "")
    rig_file = output / "rig.yaml"
    if faults and not args.force:
        rig_file.unlink(missing_ok=True)  # of an earlier run: it is not of these recordings
        raise CalibrationError(
            "; ".join(faults) + f". {rig_file} is not written (--force writes it), report.yaml and people.png are"
        )
    save_rig(calibration.rig, rig_file)
    kept = f", {people.kept.name}" if people.kept is not None else ""
    print(f"rig: {rig_file} (also report.yaml, people.png{kept})")
    if command := estimate_command(args, args.output / "rig.yaml", offset_arguments(calibration.clocks)):
        print(f"next: {command}")
    return 0


def people_options(args: argparse.Namespace, names: tuple[str, ...], people: PeopleInput | None) -> PeopleOptions:
    """Check the options against the cameras' names; raises InputError. people: None before they are read."""
    low, high = STATURE_M
    stature = getattr(args, "stature", None)
    if stature is not None and not low <= stature <= high:
        raise InputError(f"--stature {stature:g}: give {low:g} to {high:g} m")
    distance = _distance(args.distance, names) if getattr(args, "distance", None) else None
    if stature is not None and distance is not None:
        raise InputError("--stature and --distance: give one of the two, the more certain one")
    offsets: dict[str, float] | None = offsets_of(args.offset, names)
    if offsets and args.synchronised:
        raise InputError("--synchronised and --offset: give one of the two")
    if not offsets:
        one_clock = people is not None and people.one_clock
        synchronised = one_clock if args.synchronised is None else args.synchronised
        offsets = {} if synchronised else None
    guessed = people is not None and people.guessed
    return PeopleOptions(
        stature_m=stature, distance=distance, offsets_s=offsets, drift=args.drift, focal=guessed
    )  # fmt: skip


def _distance(words: list[str], names: tuple[str, ...]) -> tuple[str, str, float]:
    a, b, text = words
    for name in (a, b):
        if name not in names:
            raise InputError(f"--distance: no camera {shown(name)}: there are {', '.join(names)}")
    try:
        metres = float(text)
    except ValueError:
        metres = float("nan")
    low, high = DISTANCE_M
    if a == b or not low <= metres <= high:
        raise InputError(
            f"--distance {shown(' '.join(words))}: give two different cameras and {low:g} to {high:g} m between them"
        )
    return a, b, metres
