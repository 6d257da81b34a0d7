"""Rigs of the same footage, each tested on recordings that it was not made from: the published calibration, humancalib,
ours from people alone, and the published one refined.

Each camera is left out in turn and its keypoints are compared with what the others predict. Intrinsics are the
published ones for all; the scale is the published distance of the first two cameras. Agreement is with the published
poses of the single trial, after one rigid transform, as every rig has a world of its own; "in place" is without one.
Association is that of the recordings, made with the published calibration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.humancalib_rig import INSTALL, humancalib_rig
from pose3d_ros.calibration.people import PeopleOptions, calibrate_people, refine_rig
from pose3d_ros.calibration.people_views import PeopleViews
from pose3d_ros.errors import CalibrationError
from pose3d_ros.evaluation.footage_tables import with_reference
from pose3d_ros.evaluation.summary import Reference, left_out_camera_px
from pose3d_ros.evaluation.tables import Cell, Table
from pose3d_ros.geometry.alignment import similarity
from pose3d_ros.geometry.triangulation import triangulate
from pose3d_ros.recordings.observations import observations_2d
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.skeletons import H36M_17, LIMB_JOINTS
from pose3d_ros.structures import Rig

METHODS = ("published", "humancalib", "people", "refined")
IN_PLACE = ("published", "refined")  # those whose world is the published one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recordings and the peer's environment."""
    parser.add_argument("recordings", type=Path, nargs="+", metavar="DIR", help="folders written by `pose3d demo`")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS, help="rows")
    parser.add_argument(
        "--humancalib", type=Path, metavar="PYTHON", help=f"the Python of an environment with humancalib: {INSTALL}"
    )


def measure(args: argparse.Namespace) -> Iterator[Table]:
    """One table: every method's rig of every recording, tested on all."""
    named = {folder.resolve().name: with_reference(folder) for folder in args.recordings}
    if args.quick:
        named = dict(list(named.items())[:1])
    rows: list[tuple[Cell, ...]] = []
    for method in args.methods:
        for name, (recording, _) in named.items():
            rig: Rig | None = None
            note = ""
            try:
                rig = _rigs(args.humancalib)[method](recording)
            except CalibrationError as error:
                note = str(error)
            rows.append((method, name, *_tested(rig, named, method in IN_PLACE), note))
            if method == "published":
                break  # it is made from neither
    columns = ["rig", "made from"]
    for name, (_, reference) in named.items():
        columns += [f"{name}: left-out px", *([f"{name}: agreement mm", "in place mm"] if reference else [])]
    note = f"Medians of left-out px, means of agreement. humancalib: {INSTALL}" if args.humancalib is None else ""
    yield Table("calibration-peers", "rigs tested by left-out cameras", (*columns, "refused"), rows, note, decimals=2)


def _rigs(python: Path | None) -> Mapping[str, Callable[[Recording], Rig | None]]:
    """How each method makes a rig of a recording; None where it cannot run here."""

    def distance(recording: Recording) -> tuple[str, str, float]:
        one, other = recording.rig.cameras[:2]
        return one.name, other.name, float(np.linalg.norm(one.centre - other.centre))

    return {
        "published": lambda recording: recording.rig,
        "humancalib": lambda recording: (
            None if python is None else humancalib_rig(python, recording, distance(recording))
        ),
        "people": lambda recording: (
            calibrate_people(views_of(recording), PeopleOptions(distance=distance(recording), offsets_s={})).rig
        ),
        "refined": lambda recording: refine_rig(recording.rig, views_of(recording)).rig,
    }


def views_of(recording: Recording) -> list[PeopleViews]:
    """A recording's keypoints without its ids and its extrinsics."""
    return [
        PeopleViews(
            camera.placed(np.eye(4)),
            tuple(people for _, (people, _) in sorted(recording.keypoints[camera.name].items())),
        )
        for camera in recording.rig.cameras
    ]


def _tested(rig: Rig | None, named: Mapping[str, tuple[Recording, Reference | None]], in_place: bool) -> Iterator[Cell]:
    """The rig's cells on every recording; in_place: its world is the reference's."""
    for recording, reference in named.values():
        if rig is None:
            yield from (None, *([None, None] if reference else []))
            continue
        own = replace(recording, rig=rig)
        yield float(np.median(left_out_camera_px(own)))
        if reference:
            yield agreement_mm(own, reference, align=True)
            yield agreement_mm(own, reference, align=False) if in_place else None


def agreement_mm(recording: Recording, reference: Reference, *, align: bool) -> float:
    """Mean distance of all cameras' triangulated limb joints from a reference, mm; align: after one rigid transform.

    Of the id that comes nearest; a joint that is missing in either does not count.
    """
    found = observations_2d(recording)
    joints = [H36M_17.index(name) for name in LIMB_JOINTS]
    xyz = triangulate(recording.rig.cameras, found.xy, covariance=found.covariance).xyz[:, joints]
    names, truth = reference
    wanted = truth[:, [list(names).index(name) for name in LIMB_JOINTS]]
    errors = {}
    for one in {name for _, name in found.keys}:
        rows = [number for number, (_, name) in enumerate(found.keys) if name == one]
        frames = np.array([recording.footage_frame(found.keys[number][0]) for number in rows])
        known = frames < len(wanted)
        pair = xyz[rows][known].reshape(-1, 3), wanted[frames[known]].reshape(-1, 3)
        moved = similarity(*pair, with_scale=False).apply(pair[0]) if align else pair[0]
        errors[one] = 1000.0 * float(np.nanmean(np.linalg.norm(moved - pair[1], axis=-1)))
    return min(errors.values())
