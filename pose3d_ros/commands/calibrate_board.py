"""pose3d calibrate board: write rig.yaml from images or videos of a chessboard or Charuco board.

Show the board to every camera near and far, tilted, and out to the image corners. For the extrinsics of several
cameras, show it to two or more at the same time (images are paired by number, videos by time).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import yaml

from pose3d_ros.calibration.board_views import BoardViews, find_boards, is_video, pick_diverse
from pose3d_ros.calibration.boards import FORM, Board, board_text, parse_board
from pose3d_ros.calibration.extrinsics import RigExtrinsics, solve_extrinsics
from pose3d_ros.calibration.lenses import LENSES, LensFit, fit_lens
from pose3d_ros.calibration.validation import validate_calibration
from pose3d_ros.errors import CalibrationError, InputError
from pose3d_ros.geometry.calibration import baselines_m
from pose3d_ros.plots.board_plot import write_board_plot
from pose3d_ros.plots.rig_plot import write_rig_plot
from pose3d_ros.recordings.video_times import video_times
from pose3d_ros.rigs.rig_checks import check_rig
from pose3d_ros.rigs.rig_yaml import save_rig
from pose3d_ros.structures import Rig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d calibrate board`."""
    parser.add_argument(
        "sources", nargs="+", metavar="CAMERA=VIDEO|FOLDER|GLOB", help="one per camera; the first camera is the origin"
    )
    parser.add_argument(
        "--board", required=True, help=f"{FORM}: chessboard:9x6:0.025, charuco:7x5:0.04:0.03:DICT_4X4_50"
    )
    parser.add_argument(
        "--lens",
        choices=LENSES,
        default="plumb_bob",
        help="distortion model; plumb_bob is fitted without k3, equidistant is for fisheye",
    )
    parser.add_argument("--every", type=int, default=10, help="search the board in every n-th image of a video")
    parser.add_argument("--most", type=int, default=40, help="boards to use per camera; the most diverse are chosen")
    parser.add_argument(
        "--output", type=Path, default=Path("calibration"), help="folder for rig.yaml, report and plots"
    )
    parser.add_argument("--force", action="store_true", help="write rig.yaml even if the calibration is bad")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Calibrate, print, write; raises pose3d_ros.errors, also for a bad calibration without --force."""
    board = parse_board(args.board)
    sources = _sources(args.sources)
    if args.every < 1 or args.most < 5:
        raise InputError(f"--every is {args.every}, --most is {args.most}, expected at least 1 and 5")
    if len(sources) > 1 and board.turns:
        raise InputError(
            f"a board of {board.columns} x {board.rows} corners looks the same upside down, so cameras may disagree "
            "on its orientation: use one odd and one even number of corners, or Charuco"
        )
    alone = len(sources) == 1
    # Videos of different rates are all sampled at the times of the slowest.
    period_ns = max([0.0, *(video_times(Path(source)).period_ns for source in sources.values() if is_video(source))])
    detections = [
        find_boards(board, name, source, args.every, not args.quiet, alone, period_ns)
        for name, source in sources.items()
    ]
    board = _detected_kind(board, detections)
    views = _select(detections, args.most)
    fits = [fit_lens(board, view, args.lens) for view in views]
    if len(fits) > 1:
        extrinsics = solve_extrinsics(board, views, fits)
    else:
        camera = fits[0].camera
        extrinsics = RigExtrinsics(Rig((camera,), frame_id=f"{camera.name}_optical"), {}, {})
    findings = (*validate_calibration(board, views, fits, extrinsics), *check_rig(extrinsics.rig))
    faults = [finding.text for finding in findings if finding.fault]
    args.output.mkdir(parents=True, exist_ok=True)
    report = {"good": not faults, **_report(board, detections, fits, extrinsics)}
    report["findings"] = [f"{'FAULT' if finding.fault else 'warning'}: {finding.text}" for finding in findings]
    (args.output / "report.yaml").write_text(yaml.safe_dump(report, sort_keys=False), encoding="utf-8")
    write_board_plot(board, views, fits, args.output / "boards.png")
    _print(report)
    for finding in findings:
        if not finding.fault or args.force:
            print(f"{'FAULT' if finding.fault else 'warning'}: {finding.text}")
    if faults and not args.force:
        raise CalibrationError(
            "; ".join(faults) + f". {args.output / 'rig.yaml'} is not written (--force writes it), report.yaml is"
        )
    save_rig(extrinsics.rig, args.output / "rig.yaml")
    if len(fits) > 1:
        write_rig_plot(extrinsics.rig, args.output / "rig.png")
    print(f"rig: {args.output / 'rig.yaml'} (also report.yaml and plots)")
    return 0


def _detected_kind(board: Board, detections: list[BoardViews]) -> Board:
    """Return the board as all cameras detected it; raises CalibrationError when they detected different kinds."""
    kinds = {views.camera: views.board or board for views in detections}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{camera} {board_text(kind)}" for camera, kind in kinds.items())
        raise CalibrationError(f"the cameras see boards of different kinds ({listed}): show all the same board")
    (kind,) = set(kinds.values())
    if kind != board:
        print(f"the board is not the kind that was given: it was detected as --board {board_text(kind)}")
    return kind


def _sources(texts: list[str]) -> dict[str, str]:
    sources = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not (equals and name and source):
            raise InputError(f"{text!r} has no camera name: expected CAMERA=VIDEO, CAMERA=FOLDER or CAMERA='GLOB'")
        if name in sources:
            raise InputError(f"camera {name!r} is given twice: give one video, folder or glob per camera")
        sources[name] = source
    return sources


def _select(detections: list[BoardViews], most: int) -> list[BoardViews]:
    """Select diverse boards for each camera; boards that several cameras see come first."""
    count = Counter(frame for views in detections for frame in views.corners)
    together: set[int] = set()
    for views in detections:
        shared = [frame for frame in views.corners if count[frame] > 1]
        together |= set(pick_diverse(views, shared, max(5, most // 2)))
    selected = []
    for views in detections:
        shared = [frame for frame in views.corners if frame in together]
        alone = [frame for frame in views.corners if frame not in together]
        extra = pick_diverse(views, alone, most - len(shared)) if len(shared) < most else []
        selected.append(views.chosen(sorted([*shared, *extra])))
    return selected


def _report(
    board: Board, detections: list[BoardViews], fits: list[LensFit], extrinsics: RigExtrinsics
) -> dict[str, object]:
    cameras = {
        fit.camera.name: {
            "images": views.image_count,
            "boards_found": len(views.corners),
            "boards_used": len(fit.board_from),
            "boards_left_out": list(fit.left_out),
            "rms_px": round(fit.rms_px, 4),
            "rms_px_together": round(extrinsics.rms_px[fit.camera.name], 4) if extrinsics.rms_px else None,
            "lens": fit.camera.distortion_model,
        }
        for views, fit in zip(detections, fits, strict=True)
    }
    distances = {" - ".join(pair): round(distance, 6) for pair, distance in baselines_m(extrinsics.rig).items()}
    corners = {"across": board.grid[0], "down": board.grid[1], "square_m": board.square_m}
    return {
        "board": corners,
        "cameras": cameras,
        "boards_seen_together": len(extrinsics.frames),
        "baselines_m": distances,
    }


def _print(report: dict[str, object]) -> None:
    cameras, distances = report["cameras"], report["baselines_m"]
    assert isinstance(cameras, dict)
    assert isinstance(distances, dict)
    for name, row in cameras.items():
        together = "" if row["rms_px_together"] is None else f", {row['rms_px_together']:.3f} px with the others"
        left_out = f" ({len(row['boards_left_out'])} did not fit)" if row["boards_left_out"] else ""
        print(
            f"{name}: {row['boards_found']} boards in {row['images']} images, {row['boards_used']} used{left_out}; "
            f"RMS {row['rms_px']:.3f} px alone{together}"
        )
    for pair, distance in distances.items():
        print(f"{pair}: {distance:.4f} m apart")
