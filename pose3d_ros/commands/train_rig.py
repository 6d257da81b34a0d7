"""pose3d train rig: tune the shipped CV-UGCN on recordings of your own cameras, by their 2D keypoints alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d_ros.options import HelpFormatter

if TYPE_CHECKING:
    from pose3d_ros.recordings.recording import Recording
    from pose3d_ros.structures import Rig

TEXT = "tune the shipped CV-UGCN on recordings of your own cameras, by their 2D keypoints alone"
ABOUT = """\
Tunes the shipped CV-UGCN on recordings of your own cameras. Labels are the 2D keypoints of all cameras in the
recordings; no 3D is needed. Record people who walk through the whole space and raise their arms, for 20 s or more;
several people are better than one. A camera more than the robot has, a phone on a tripod say, is needed for the
recording only.

Held-out stretches of the recordings decide: where the tuned network is not better than triangulation and than the
weights it began with, nothing is written and the exit code is 1. Otherwise the file OUTPUT/cvugcn.safetensors is for
the option cvugcn_weights of the node, and for `pose3d estimate --param cvugcn_weights:=FILE`, with these cameras placed
as in this rig (docs/training.md).
"""


def add_arguments(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""

    class Formatter(HelpFormatter, argparse.RawDescriptionHelpFormatter):
        pass

    parser = networks.add_parser("rig", help=TEXT, description=ABOUT, formatter_class=Formatter)
    parser.add_argument(
        "recordings", nargs="+", type=Path, metavar="RECORDING",
        help="a folder that `pose3d demo --output` or `pose3d estimate --output` wrote, with all cameras; several of "
        "one rig count as one",
    )  # fmt: skip
    parser.add_argument(
        "--rig", type=Path, metavar="FILE", help="the calibrated cameras (default: the rig in the first recording)"
    )
    parser.add_argument(
        "--cameras", nargs="+", default=[], metavar="CAMERA",
        help="read only these cameras of the recordings (default: all that the rig has)",
    )  # fmt: skip
    parser.add_argument(
        "--use-cameras", nargs="+", default=[], metavar="CAMERA",
        help="cameras whose keypoints the network is given, those that the robot has; the others give labels only "
        "(default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--start", default="cvugcn-rig", metavar="WEIGHTS",
        help="weights to begin with: a shipped network's name or a .safetensors file of `pose3d train cvugcn`",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("tuned"), metavar="DIR", help="folder for the weights")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of the people")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the weights are written, 1 when they are no better; raises pose3d_ros.errors."""
    import torch

    from pose3d_ros.evaluation.rig_tables import tuning_table
    from pose3d_ros.evaluation.tables import printed
    from pose3d_ros.files.output_lock import output_lock
    from pose3d_ros.recordings.observations import joined_observations, observations_2d
    from pose3d_ros.recordings.recording_folder import read_recording
    from pose3d_ros.training.rig import tune_on_rig
    from pose3d_ros.training.rig_people import rig_people
    from pose3d_ros.weights.trained import SUFFIX, load, save

    torch.set_num_threads(max(1, args.threads))
    recordings = [read_recording(path) for path in args.recordings]
    rig = rig_of(recordings, args.rig, args.cameras)
    names = tuple(args.use_cameras) or rig.names
    seen = joined_observations([observations_2d(one, rig) for one in recordings])
    people = rig_people(rig, seen, names)
    others = ", ".join(camera.name for camera in people.cameras[people.views :]) or "no other camera"
    print(f"{len(people)} times a person in view of {', '.join(names)}; further labels of {others}")
    tuning = tune_on_rig(people, rig, load(args.start), args.seed)
    print(printed(tuning_table(tuning)))
    if not tuning.better:
        print(f"pose3d train rig: nothing is written: {tuning.why_not}", file=sys.stderr)
        return 1
    path = args.output / f"cvugcn{SUFFIX}"
    with output_lock(args.output):
        digest = save(path, tuning.network.net, tuning.network.recipe, tuning.network.spread)
    print(f"for use on this rig: {path} ({path.stat().st_size / 1e6:.1f} MB, SHA-256 {digest})")
    print(f"  pose3d estimate ... --cameras {','.join(names)} --param cvugcn_weights:={path}")
    print(f"  the node: cameras {list(names)}, parameter cvugcn_weights {path}")
    return 0


def rig_of(recordings: list[Recording], file: Path | None, cameras: Sequence[str] = ()) -> Rig:
    """The rig in a file, or of the first recording: its cameras that recorded people, or of these the named ones.

    Raises InputError where recordings are of other rigs and no file says which is right, or where fewer than two
    cameras recorded people.
    """
    from pose3d_ros.errors import InputError
    from pose3d_ros.geometry.calibration import same_calibration
    from pose3d_ros.rigs.formats.rig_file import read_rig
    from pose3d_ros.rigs.rig_checks import validate_rig

    rig = recordings[0].rig if file is None else read_rig(file)
    rig = rig.subset(cameras) if cameras else rig
    if file is None and not all(same_calibration(recordings[0].rig.cameras, one.rig.cameras) for one in recordings):
        raise InputError("the recordings are of different rigs: record them with one calibration, or give it by --rig")
    names = [name for name in rig.names if any(one.keypoints.get(name) for one in recordings)]
    if len(names) < 2:
        recorded = sorted({name for one in recordings for name in one.keypoints})
        raise InputError(
            f"the recordings have keypoints of {', '.join(recorded) or 'no camera'}, the rig has {', '.join(rig.names)}"
            ": expected two cameras in common at least"
        )
    validate_rig(rig)
    return rig.subset(names)
