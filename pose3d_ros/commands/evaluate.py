"""pose3d evaluate: compare our results with the papers' tables, on unseen people and rigs and on real footage.

Without --runs only the shipped networks are measured. Ablations and comparisons need their own networks: with
--runs DIR --train they are trained first, each by `pose3d train` into a folder of DIR, and reused from there.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pose3d_ros.commands.train import duration, natural, positive
from pose3d_ros.detection import options as detector_options
from pose3d_ros.options import HelpFormatter

if TYPE_CHECKING:
    from pose3d_ros.evaluation.tables import Table
    from pose3d_ros.recordings.recording import Recording
    from pose3d_ros.simulation.rendering.rendered_set import RenderedScene

NETWORKS = {
    "multiview": "refined poses of several cameras (CV-UGCN)",
    "posern": "keypoints corrected for the detector's bias (PoseRN)",
    "lifter": "absolute poses of one camera (AbsPoseLifter)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand per part of the system."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, text in NETWORKS.items():
        part = parts.add_parser(name, help=text, description=text)
        part.formatter_class = HelpFormatter
        part.add_argument("--data", metavar="FILE", help="motion data: .npz, .bvh or their folder (docs/training.md)")
        part.add_argument(
            "--tables", nargs="+", default=[], metavar="NAME", help="only these tables (an unknown name lists all)"
        )
        part.add_argument("--people", type=positive, default=1024, metavar="N", help="people per rig")
        part.add_argument("--seed", type=natural, default=0, help="seed of people, camera positions and noise")
        part.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to this file")
        part.add_argument(
            "--plots", type=Path, metavar="DIR", help="also write plots of the sweeps to this folder (PNG)"
        )
        part.add_argument("--runs", type=Path, metavar="DIR", help="folder of the networks that are not shipped")
        part.add_argument("--train", action="store_true", help="train the networks that are missing in --runs")
        part.add_argument("--minutes", type=duration, default=math.inf, help="training time per row")
        part.add_argument(
            "--seeds", type=positive, default=1, metavar="N", help="networks per row, with seeds 0 to N - 1"
        )
        part.add_argument(
            "--recording", type=Path, nargs="+", default=[], metavar="DIR",
            help="folders written by `pose3d demo`: real footage, for the tables that use it",
        )  # fmt: skip
        part.add_argument("--train-with", default="", metavar="'ARGS'", help="further arguments for `pose3d train`")

    _add_footage(parts)
    _add_prediction(parts)
    _add_rendered(parts)
    _add_calibration(parts)
    _add_rig(parts)


def _add_footage(parts: Any) -> None:
    text = "test the covariance of joints, constant bones and motion on real footage, with held-out cameras"
    part = parts.add_parser("footage", help=text, description=text)
    part.formatter_class = HelpFormatter
    part.add_argument("recordings", type=Path, nargs="+", metavar="DIR", help="folders written by `pose3d demo`")
    part.add_argument(
        "--calibration-px", type=float, metavar="PX",
        help="calibration noise to use, as in the estimator's option (default: fitted to the other recordings)",
    )  # fmt: skip
    part.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to this file")
    part.add_argument(
        "--plots", type=Path, metavar="DIR", help="also write left_out.png and bones_<recording>.png to this folder"
    )


def _add_prediction(parts: Any) -> None:
    text = "how much closer predicted poses are than holding the last pose, on real footage"
    part = parts.add_parser("prediction", help=text, description=text)
    part.formatter_class = HelpFormatter
    part.add_argument("recordings", type=Path, nargs="+", metavar="DIR", help="folders written by `pose3d demo`")
    part.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to this file")
    part.add_argument(
        "--plots", type=Path, metavar="DIR", help="also plot the gain over the horizon to this folder (PNG)"
    )


def _add_rendered(parts: Any) -> None:
    text = "the detector and the whole chain on rendered people, whose joints are known"
    part = parts.add_parser("rendered", help=text, description=text)
    part.formatter_class = HelpFormatter
    part.add_argument("scenes", type=Path, nargs="+", metavar="DIR", help="folders written by `pose3d render`")
    part.add_argument(
        "--recording", type=Path, nargs="+", default=[], metavar="DIR",
        help="folders written by `pose3d demo`: compare the detector on rendered people with the detector on footage",
    )  # fmt: skip
    part.add_argument(
        "--node", action="store_true", help="also through the node over DDS; needs scenes rendered with --video"
    )
    part.add_argument(
        "--posern", default="posern-rendered", metavar="WEIGHTS",
        help="PoseRN's weights for the table `bias`: a .safetensors file or a shipped network's name",
    )  # fmt: skip
    detector_options.add_arguments(part)
    part.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")
    part.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to this file")
    part.add_argument(
        "--plots", type=Path, metavar="DIR",
        help="with --recording: also plot the errors of every joint on footage and on rendered people to this folder "
        "(PNG)",
    )  # fmt: skip


def _add_calibration(parts: Any) -> None:
    text = "calibration by people on simulated recordings and rendered ones, whose rig and clocks are known"
    part = parts.add_parser("calibration", help=text, description=text)
    part.formatter_class = HelpFormatter
    part.add_argument(
        "--tables", nargs="+", default=[], metavar="NAME", help="only these tables (an unknown name lists all)"
    )
    part.add_argument("--draws", type=positive, default=10, metavar="N", help="recordings per row")
    part.add_argument("--rigs", nargs="+", metavar="RIG", help="only these families: h36m, room2, room3, room4")
    part.add_argument("--noises", nargs="+", metavar="NOISE", help="only these in the table rigs: a, b, c")
    part.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes")
    part.add_argument("--each", action="store_true", help="also report every recording in a line, on stderr")
    part.add_argument("--seed", type=natural, default=0, help="seed of people, their ways and noise")
    part.add_argument(
        "--data", metavar="FILE",
        help="motion data whose test subjects move, clip by clip (docs/training.md); without it people are generated",
    )  # fmt: skip
    part.add_argument(
        "--rendered", type=Path, nargs="+", default=[], metavar="DIR",
        help="folders written by `pose3d render --walk`, for the tables rendered and clocks; what the detector finds "
        "in a scene is kept in its people.npz",
    )  # fmt: skip
    detector_options.add_arguments(part)
    part.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")
    part.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to this file, table by table")


def _add_rig(parts: Any) -> None:
    text = "what weights tuned on your own cameras gain on another recording of them"
    part = parts.add_parser("rig", help=text, description=text)
    part.formatter_class = HelpFormatter
    part.add_argument("weights", metavar="WEIGHTS", help="the .safetensors file that `pose3d train rig` wrote")
    part.add_argument(
        "recordings", type=Path, nargs="+", metavar="DIR",
        help="folders written by `pose3d demo` or `pose3d estimate`, not those that were tuned on",
    )  # fmt: skip
    part.add_argument(
        "--frames", type=natural, nargs=2, metavar=("FIRST", "END"), help="only frames FIRST to END - 1 count"
    )
    part.add_argument(
        "--truth", type=Path, nargs="+", default=[], metavar="DIR",
        help="for every recording the scene of `pose3d render` that it is of",
    )  # fmt: skip
    part.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to this file")


def run(args: argparse.Namespace) -> int:
    """Print one table after another; raises pose3d_ros.errors."""
    parts = {
        "prediction": _prediction,
        "footage": _footage,
        "rendered": _rendered,
        "calibration": _calibration,
        "rig": _rig,
    }
    return parts.get(args.part, _networks)(args)


def _prediction(args: argparse.Namespace) -> int:
    from pose3d_ros.evaluation.prediction import tables

    return _print(args, tables(args.recordings), args.plots)


def _rig(args: argparse.Namespace) -> int:
    from pose3d_ros.errors import InputError
    from pose3d_ros.evaluation.rig_tables import rig_table

    if args.truth and len(args.truth) != len(args.recordings):
        raise InputError(f"--truth has {len(args.truth)} scenes for {len(args.recordings)} recordings: give one each")
    frames = (args.frames[0], args.frames[1]) if args.frames else None
    scenes = args.truth or [None] * len(args.recordings)
    pairs = zip(args.recordings, scenes, strict=True)
    return _print(args, (rig_table(folder, args.weights, frames, scene) for folder, scene in pairs))


def _rendered(args: argparse.Namespace) -> int:
    from pose3d_ros.detection import factory
    from pose3d_ros.errors import InputError
    from pose3d_ros.estimation.options import EstimatorOptions
    from pose3d_ros.evaluation.evaluated_scenes import evaluated
    from pose3d_ros.evaluation.rendered_tables import tables
    from pose3d_ros.simulation.rendering.rendered_set import load_scenes
    from pose3d_ros.weights import trained

    scenes = load_scenes(args.scenes)
    for scene in scenes if args.node else ():
        if not all((scene.folder / f"{name}.mp4").is_file() for name in scene.rig.names):
            raise InputError(f"--node plays videos, but {scene.folder} holds none: render it again with --video")
    options = detector_options.from_arguments(args)
    factory.fetch_weights(options)
    done = evaluated(scenes, factory.make_detector(options, args.device), EstimatorOptions())
    node = [through_node(scene, options, args.device) for scene in scenes] if args.node else []
    return _print(args, tables(done, args.recording, node, trained.load(args.posern)), args.plots)


def _calibration(args: argparse.Namespace) -> int:
    from pose3d_ros.detection import factory
    from pose3d_ros.detection.detector import Detector
    from pose3d_ros.evaluation.calibration_bench import CalibrationRequest
    from pose3d_ros.evaluation.calibration_tables import tables
    from pose3d_ros.evaluation.calibration_trials import FAMILIES
    from pose3d_ros.evaluation.rendered_walks import rendered_walks
    from pose3d_ros.evaluation.trials import NOISES
    from pose3d_ros.mocap.load import load_motion

    options = detector_options.from_arguments(args)

    name = " ".join((options.detector, *map(str, detector_options.non_default(options).items())))

    def make_detector() -> Detector:
        factory.fetch_weights(options)
        return factory.make_detector(options, args.device)

    request = CalibrationRequest(
        motion=None if args.data is None else load_motion(args.data),
        rendered=rendered_walks(args.rendered, name, make_detector) if args.rendered else (),
        draws=args.draws, seed=args.seed, only=tuple(args.tables), rigs=tuple(args.rigs or FAMILIES),
        noises=tuple(args.noises or NOISES), jobs=args.jobs, each=args.each,
    )  # fmt: skip
    return _print(args, tables(request))


def through_node(scene: RenderedScene, options: detector_options.DetectorOptions, device: str) -> Recording:
    """Play a scene to the node, as `pose3d demo` plays footage."""
    from pose3d_ros.commands.demo import Request, record
    from pose3d_ros.ros.environment import require_ros
    from pose3d_ros.ros.harness.processes import ChildProcesses, isolated_environment, sigterm_as_interrupt

    require_ros()
    with (
        TemporaryDirectory() as folder,
        sigterm_as_interrupt(),
        ChildProcesses(isolated_environment()) as children,
    ):
        logs = Path(folder) / "log"
        logs.mkdir()
        request = Request(
            str(scene.folder.resolve()), scene.rig.names, 0.0, 0, 1, Path(folder), False, device, detector=options
        )
        return record(request, children, logs)


def _print(args: argparse.Namespace, tables: Iterable[Table], plots: Path | None = None) -> int:
    """Print and write tables as they come."""
    from pose3d_ros.evaluation.tables import as_json, printed

    content = []
    for table in tables:
        print(printed(table), flush=True)
        content.append(as_json(table))
        if plots:
            _draw(table, plots)
        if args.json:  # after every table, so that a run that is stopped keeps its results
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps({"part": args.part, "tables": content}, indent=1) + "\n")
    return 0


def _footage(args: argparse.Namespace) -> int:
    from pose3d_ros.errors import InputError
    from pose3d_ros.evaluation.body_tables import body_table, bone_curves
    from pose3d_ros.evaluation.footage_tables import tables, trials, with_reference
    from pose3d_ros.plots.sweep_plot import write_sweep_plot

    if args.calibration_px is not None and not 0 <= args.calibration_px < math.inf:
        raise InputError(f"--calibration-px {args.calibration_px:g}: give 0 px or more")
    made = trials(args.recordings, args.calibration_px)
    _print(args, [*tables(made), *(body_table(folder.name, *with_reference(folder)) for folder in args.recordings)])
    if args.plots:
        _draw_coverage(made, args.plots / "left_out.png")
        for folder in args.recordings:
            path = args.plots / f"bones_{folder.name}.png"
            title = f"{folder.name}: bones by two cameras"
            curves = bone_curves(with_reference(folder)[0])
            write_sweep_plot(curves, path, title=title, x_label="time, s", y_label="length, cm")
            print(f"plot: {path}")
    return 0


def _draw_coverage(made: Any, path: Path) -> None:
    from pose3d_ros.evaluation.footage_tables import curves, shares
    from pose3d_ros.plots.coverage_plot import write_coverage_plot

    levels = [number / 100 for number in range(1, 100)]
    by_part = {trial.name: shares(trial) for trial in made}
    parts = [part for part in next(iter(by_part.values())) if all(part in share for share in by_part.values())]
    dots = {
        name: ([share[part][0] for part in parts], [share[part][1] for part in parts])
        for name, share in by_part.items()
    }
    write_coverage_plot(levels, {trial.name: curves(trial, levels) for trial in made}, parts, dots, path)
    print(f"plot: {path}")


def _networks(args: argparse.Namespace) -> int:
    from pose3d_ros.errors import InputError
    from pose3d_ros.evaluation.tables import EvaluationRequest, as_json, printed
    from pose3d_ros.mocap.load import load_motion

    if args.train and args.runs is None:
        raise InputError("--train needs a folder for the networks: give --runs DIR")
    request = EvaluationRequest(
        motion=load_motion(args.data), data=Path(args.data), runs=args.runs, train=args.train, minutes=args.minutes,
        train_with=tuple(shlex.split(args.train_with)), people=args.people, seed=args.seed, seeds=args.seeds,
        only=tuple(args.tables), recordings=tuple(args.recording),
    )  # fmt: skip
    content: dict[str, Any] = {"part": args.part, "people": args.people, "seed": args.seed, "tables": {}}
    table: Table
    began = time.monotonic()
    for table in import_module(f"pose3d_ros.evaluation.{args.part}_tables").tables(request):
        print(printed(table), flush=True)
        print(f"{table.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        began = time.monotonic()
        content["tables"][table.name] = as_json(table)
        if args.json:  # after every table, so that a run that is stopped keeps its results
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(content, indent=1) + "\n")
        if args.plots:
            _draw(table, args.plots)
    return 0


def _draw(table: Any, folder: Path) -> None:
    from pose3d_ros.evaluation.tables import Panels
    from pose3d_ros.plots.sweep_plot import write_panel_plot, write_sweep_plot

    for name, plot in table.plots.items():
        path = folder / f"{name}.png"
        words = {"title": table.title, "x_label": plot.x_label, "y_label": plot.y_label}
        if isinstance(plot, Panels):
            write_panel_plot(plot.series, path, **words)
        else:
            write_sweep_plot(plot.series, path, **words, points=plot.points, x_log=plot.x_log)
        print(f"plot: {path}")
