"""Play real footage through the real ROS graph, then measure and plot the result.

A player publishes the cameras, the multi-view node publishes /human_pose_3d, and a recorder subscribes as a controller
would. With --mono the monocular node runs instead, on one camera. Footage and 2D weights are downloaded once; after
that no network connection is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pose3d_ros import __version__
from pose3d_ros.detection import factory
from pose3d_ros.detection import options as detector_options
from pose3d_ros.errors import DependencyError, InputError, Pose3DError
from pose3d_ros.estimation.refinement.plan import CHOICES
from pose3d_ros.files.door import expanded
from pose3d_ros.files.output_lock import output_lock
from pose3d_ros.plots.summary_table import summary_table
from pose3d_ros.recordings.footage import CAMERAS, SAMPLES, Sample, fetch_sample, reference_single
from pose3d_ros.recordings.playback import with_cameras, write_stills
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.ros.environment import require_ros
from pose3d_ros.ros.harness.processes import (
    HEARS_THE_NODE,
    Child,
    ChildProcesses,
    free_port,
    isolated_environment,
    sigterm_as_interrupt,
)

RESULTS = ("summary.json", "overlay.mp4", "skeleton.png", "people.trc", "people.csv")
STILLS = "stills"  # folder for the first images and their rig
NODES = "pose3d_ros.ros"
# Loading torch and the models took 6 s on 2 idle cores, compiling the kernels for the first time 60 s; a cold disk and
# busy cores take longer.
START_S = 600.0
# Where the footage loops, the person jumps 0.84 m from the last frame to the first.
SEAM_M = 1.5
# Three times the player's timeout for one frame set.
STALL_S = 60.0


class DemoError(Pose3DError):
    """A process of the demo exited or hung; the message ends with its last log lines."""


@dataclass(frozen=True)
class Request:
    """The checked options of the command line."""

    people: str
    cameras: tuple[str, ...]
    rate: float
    frames: int  # 0: all
    loop: int
    output: Path
    view: bool
    device: str
    mono: str = ""  # the camera of the monocular node; "": the multi-view node
    lifter: str = ""
    refine: str = "auto"
    detector: detector_options.DetectorOptions = field(default_factory=detector_options.DetectorOptions)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d demo`."""
    parser.add_argument("--people", choices=tuple(SAMPLES), default="single", help="footage with one or two people")
    parser.add_argument("--cameras", default=",".join(CAMERAS), help="two or more cameras, separated by commas")
    parser.add_argument("--mono", metavar="CAMERA", help="use one camera, through the monocular node")
    parser.add_argument("--lifter", metavar="FILE", help="with --mono: your own lifting network")
    parser.add_argument(
        "--refine", choices=CHOICES, default="auto", help="networks that refine poses of several cameras"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="frame sets per second; 0: paced, none is dropped")
    parser.add_argument("--frames", type=int, help="frame sets to play per loop (default: all)")
    parser.add_argument("--loop", type=int, default=1, help="how often to play the footage")
    parser.add_argument("--output", type=Path, default=Path("pose3d_output"), help="folder for the results")
    parser.add_argument("--view", action="store_true", help="show the skeletons live in a browser")
    detector_options.add_arguments(parser)
    parser.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")
    parser.add_argument(
        "--precision",
        choices=("auto", "full", "half"),
        default="auto",
        help="precision of the 2D models; auto: half if native",
    )


def run(args: argparse.Namespace) -> int:
    """Fetch, play, measure; returns 0 when all is written, 1 for no person or a failure, 2 for wrong usage."""
    with output_lock(args.output):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        request = checked(args)
    except InputError as error:
        print(f"pose3d demo: {error}", file=sys.stderr)
        return 2
    # Imported late: `pose3d --help` must not load SciPy.
    from pose3d_ros.estimation.options import EstimatorOptions
    from pose3d_ros.estimation.recording_evidence import evidence_of

    require_ros()
    footage = with_cameras(fetch_sample(request.people), request.cameras)
    factory.fetch_weights(request.detector)
    logs = request.output / "log"
    with sigterm_as_interrupt(), ChildProcesses(isolated_environment()) as children:
        recording = record(request, children, logs)
        people = evidence_of([recording], recording.rig, EstimatorOptions())
        summary = write_results(request, recording, footage, people.up)
        print(summary_table(summary, (str(request.output), *RESULTS)))
        print("\n".join(people.lines), end="\n" if people.lines else "")
        if request.view:
            print("The view stays open: Ctrl-C closes it.")
            with _until_interrupted():
                threading.Event().wait()
    return int(not people.found)


def checked(args: argparse.Namespace) -> Request:
    """Check the arguments and create the output folder; raises InputError with how to fix them."""
    cameras = tuple(name.strip() for name in args.cameras.split(",") if name.strip())
    if args.mono is not None:
        cameras = _mono_camera(args)
        if args.refine != "auto":
            raise InputError(
                f"--mono {args.mono} and --refine {args.refine}: only poses of several cameras are refined"
            )
    elif args.lifter:
        raise InputError(f"--lifter {args.lifter}: a lifter applies to one camera: give --mono CAMERA too")
    for name in cameras:
        if name not in CAMERAS:
            raise InputError(f"--cameras: unknown camera {name!r}: use two or more of {', '.join(CAMERAS)}")
    if args.mono is None and (len(set(cameras)) < 2 or len(set(cameras)) < len(cameras)):
        raise InputError(f"--cameras {args.cameras!r}: name two or more different cameras of {', '.join(CAMERAS)}")
    if args.frames is not None and args.frames < 1:
        raise InputError(f"--frames {args.frames}: give 1 or more, or omit it to play all")
    if args.loop < 1:
        raise InputError(f"--loop {args.loop}: give 1 or more")
    if not 0 <= args.rate <= 1000:
        raise InputError(f"--rate {args.rate:g}: give 0 (paced) to 1000 frame sets per second")
    if args.view:
        _require_viewer()
    output = expanded(args.output).resolve()
    _prepare_output(output)
    frames = args.frames or 0
    return Request(
        args.people, cameras, args.rate, frames, args.loop, output, args.view, args.device,
        args.mono or "", str(expanded(args.lifter).resolve()) if args.lifter else "", args.refine,
        detector_options.from_arguments(args, precision=args.precision),
    )  # fmt: skip


def _mono_camera(args: argparse.Namespace) -> tuple[str]:
    if args.mono not in CAMERAS:
        raise InputError(f"--mono: unknown camera {args.mono!r}: use one of {', '.join(CAMERAS)}")
    if args.cameras != ",".join(CAMERAS):
        raise InputError(f"--mono {args.mono} and --cameras {args.cameras}: give one of the two")
    return (args.mono,)


def record(request: Request, children: ChildProcesses, logs: Path) -> Recording:
    """Run the graph once and return the recording; raises DemoError when a process fails."""
    report, file = logs / "player.json", logs / "recording.npz"
    footage = {"footage": request.people, "cameras": list(request.cameras)}
    # Player and recorder share the cores with the node's two torch threads: one thread each.
    single_thread = {"OMP_NUM_THREADS": "1"}
    common = {"fixed_frame": "world", "publish_keypoints": True, "use_sim_time": True, "device": request.device,
              "jump_distance_m": SEAM_M, **detector_options.non_default(request.detector)}  # fmt: skip
    own: dict[str, Any]
    if request.mono:
        own = {"cameras": [request.mono], **({"lifter": request.lifter} if request.lifter else {})}
        node = children.start(f"{NODES}.monocular_node", _parameters(**own, **common), logs / "monocular.log")
    else:
        own = {"cameras": list(request.cameras), "placement": "tf", "refine": request.refine}
        node = children.start(f"{NODES}.multiview_node", _parameters(**own, **common), logs / "multiview.log")
    recorder = children.start(
        f"{NODES}.harness.recorder",
        _parameters(**footage, report=str(report), output=str(file)),
        logs / "recorder.log",
        single_thread,
    )
    if request.view:
        port = free_port(8080)
        children.start(f"{NODES}.viewer", _parameters(port=port), logs / "viewer.log", single_thread)
        print(f"Live view: http://127.0.0.1:{port}")
    _wait_until_heard(recorder, children)
    player = children.start(
        f"{NODES}.harness.player",
        _parameters(**footage, rate=request.rate, frames=request.frames, loop=request.loop, report=str(report),
                    progress=True, pose_subscribers=3 if request.view else 2),
        logs / "player.log",
        single_thread,
        piped=True,
    )  # fmt: skip
    _follow(player, children)
    children.stop([recorder])
    if recorder.process.returncode != 0:
        raise _failure(recorder)
    children.stop([node])
    return replace(Recording.load(file), settings=_settings(request))


def write_results(request: Request, recording: Recording, footage: Sample, up: str = "") -> dict[str, Any]:
    """Write RESULTS into the output folder, with people upright if the axis `up` is given; returns the summary."""
    # Imported late: `pose3d --help` must not load SciPy or matplotlib.
    from pose3d_ros.evaluation.identity import load_people
    from pose3d_ros.evaluation.mono_summary import summarise_mono
    from pose3d_ros.evaluation.summary import summarise
    from pose3d_ros.plots.overlay import write_overlay
    from pose3d_ros.plots.skeleton_plot import write_skeleton_plot
    from pose3d_ros.recordings.writers.pose_files import write_csv, write_trc
    from pose3d_ros.recordings.writers.upright import upright

    reference = reference_single() if request.people == "single" else None
    figures = summarise_mono if request.mono else summarise
    summary = figures(recording, reference, load_people(request.people, recording.frames_per_loop))
    (request.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    write_trc(upright(recording.poses, up), request.output / "people.trc")
    write_csv(recording.poses, request.output / "people.csv")
    write_skeleton_plot(recording, request.output / "skeleton.png")
    write_overlay(recording, footage.videos, request.output / "overlay.mp4")
    if not request.mono:
        write_stills(footage, request.output / STILLS)
    return summary


def _wait_until_heard(recorder: Child, children: ChildProcesses) -> None:
    """Wait until the node's messages reach the recorder: messages sent before DDS has matched the two are lost."""
    begin = time.monotonic()
    while HEARS_THE_NODE not in recorder.log.read_text(encoding="utf-8", errors="replace"):
        time.sleep(0.1)
        if sys.stderr.isatty():
            print(f"\rstarting the nodes ({time.monotonic() - begin:.0f} s)   ", end="", file=sys.stderr, flush=True)
        for child in children.ended():
            raise _failure(child)
        if time.monotonic() - begin > START_S:
            raise _stalled("the nodes did not start", START_S, children)


def _stalled(what: str, timeout_s: float, children: ChildProcesses) -> DemoError:
    logs = "\n".join(f"--- {child.log}\n{child.last_lines()}" for child in children.running())
    return DemoError(f"{what} within {timeout_s:.0f} s;  the logs end with:\n{logs}")


def _follow(player: Child, children: ChildProcesses) -> None:
    """Show the player's progress until it exits normally; raises DemoError when a process fails or hangs."""
    counts = {"sent": 0, "answered": 0, "given_up": 0}
    begin = moved = time.monotonic()
    tail, over = b"", False
    while not over:
        time.sleep(0.2)
        over = player.process.poll() is not None  # polled first, so that its last output is still read
        assert player.process.stdout is not None
        *lines, tail = (tail + (player.process.stdout.read() or b"")).split(b"\n")
        if lines:
            newest = json.loads(lines[-1])
            if newest["answered"] > counts["answered"] or not counts["sent"]:
                moved = time.monotonic()
            counts = newest
        if sys.stderr.isatty():
            print(f"\r{_progress(counts, time.monotonic() - begin)}   ", end="", file=sys.stderr, flush=True)
        for child in children.ended():
            if child is not player or child.process.returncode != 0:
                raise _failure(child)
        timeout_s = STALL_S if counts["sent"] else START_S
        if time.monotonic() - moved > timeout_s:
            raise _stalled("nothing arrived on /human_pose_3d", timeout_s, children)
    print("" if sys.stderr.isatty() else _progress(counts, time.monotonic() - begin), file=sys.stderr)
    if counts["given_up"]:
        print(f"{counts['given_up']} frame sets got no pose: see {player.log}", file=sys.stderr)


def _progress(counts: dict[str, int], seconds: float) -> str:
    if not counts["sent"]:
        return f"starting the nodes ({seconds:.0f} s)"
    return f"frame sets sent {counts['sent']}, poses received {counts['answered']} ({seconds:.0f} s)"


def _failure(child: Child) -> DemoError:
    code = child.process.returncode
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return DemoError(f"the {child.name} process {how}; the last lines of {child.log}:\n{child.last_lines()}")


def _parameters(**values: Any) -> list[str]:
    """Return ROS arguments that set parameters, as JSON, which is valid YAML."""
    # A node's output goes to its log here; a second log file by ROS would only repeat it.
    arguments = ["--ros-args", "--disable-external-lib-logs"]
    for name, value in values.items():
        arguments += ["-p", f"{name}:={json.dumps(value)}"]
    return arguments


def _settings(request: Request) -> dict[str, Any]:
    machine = {"version": __version__, "cpu_count": os.cpu_count()}
    detector = {"detector": request.detector.detector, "precision": request.detector.precision}
    settings = {
        **asdict(request),
        "cameras": list(request.cameras),
        **detector,
        **detector_options.non_default(request.detector),
        **machine,
    }
    del settings["output"], settings["view"]
    return settings


def _prepare_output(output: Path) -> None:
    """Create the folder and delete the results of an earlier run."""
    try:
        shutil.rmtree(output / "log", ignore_errors=True)
        (output / "log").mkdir(parents=True)
        for name in RESULTS:
            (output / name).unlink(missing_ok=True)
        if not os.access(output, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise InputError(f"--output {output}: cannot write there ({error.strerror}): choose another folder") from error


def _require_viewer() -> None:
    from importlib.util import find_spec

    if find_spec("viser") is None:
        raise DependencyError("--view needs viser: pip install 'viser>=1.0'")


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print()
