"""Everybody's poses from your own synchronised videos, without ROS, as fast as the machine goes.

The videos' names are those of the rig's cameras (cam01.mp4 is camera cam01), or are given as CAMERA=FILE. What is found
lies in the folder --output. A run that was stopped goes on with --resume, with the same result.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose3d_ros.data.frame_source import FrameSource
from pose3d_ros.data.recording import Recording
from pose3d_ros.data.recording_log import RecordingLog
from pose3d_ros.data.rigs import load_rig
from pose3d_ros.data.video_frames import assigned, open_videos
from pose3d_ros.detection import choice
from pose3d_ros.errors import InputError
from pose3d_ros.estimation.refine_plan import CHOICES
from pose3d_ros.structures import FrameSet, Pose3D
from pose3d_ros.weights import store

# Writes one file from all poses, in order of capture; the sequence reads them from disk as they are asked for.
PoseWriter = Callable[[Sequence[Pose3D], Path], None]
# Moments that are kept together: some seconds of work, which is what a power cut costs.
PART = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `pose3d estimate`."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="<camera>.mp4, or CAMERA=FILE")
    parser.add_argument("--rig", type=Path, required=True, help="the calibrated cameras, see config/rig_example.yaml")
    parser.add_argument("--output", type=Path, default=Path("pose3d_output"), help="folder for the results")
    parser.add_argument("--refine", choices=CHOICES, default="auto", help="networks that refine the poses")
    choice.add_arguments(parser)
    parser.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, cuda:1, ...")


def run(args: argparse.Namespace) -> int:
    """0 when everything was written; faults raise from pose3d_ros.errors."""
    rig = load_rig(args.rig)
    videos = assigned(rig, args.videos)
    if len(videos) < 2:
        raise InputError(f"{len(videos)} video: give those of two cameras or more (one camera: pose3d mono)")
    source = open_videos(rig, videos)
    args.output.mkdir(parents=True, exist_ok=True)
    folder = args.output / "parts"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.npz"):
        old.unlink()
    for name in choice.weights_of(choice.from_arguments(args)):
        store.fetch(name)
    log = RecordingLog(folder)
    estimate(source, log, args)
    for line in write_results(source, log, args.output):
        print(line)
    return 0


def estimate(source: FrameSource, log: RecordingLog, args: argparse.Namespace) -> None:
    """Estimate every moment that the log lacks, and keep it there."""
    from tqdm import tqdm

    from pose3d_ros.estimation.multiview import MultiViewEstimator
    from pose3d_ros.estimation.multiview_options import MultiViewOptions

    detector = choice.make_detector(choice.from_arguments(args), args.device)
    estimator = MultiViewEstimator(source.rig, detector, MultiViewOptions(refine=args.refine))
    bar = tqdm(source.read(len(log)), total=len(source), initial=len(log), desc="frame sets", unit="set")
    part: list[Any] = []
    for moment in bar:
        of = estimator.estimate(moment) if isinstance(moment, FrameSet) else estimator.estimate_from_keypoints(moment)
        part.append((of, time.monotonic_ns()))
        if len(part) == PART:
            log.append(recorded(source, part))
            part = []
    if part:
        log.append(recorded(source, part))


def recorded(source: FrameSource, part: Sequence[Any]) -> Recording:
    """Some moments' estimates as a Recording."""
    stages = {name for of, _ in part for name in of.stage_ms}
    return Recording(
        rig=source.rig,
        poses=tuple(of.pose for of, _ in part),
        received_ns=np.array([at for _, at in part]),
        published_ns={},
        keypoints={
            camera: {
                of.pose.stamp_ns: (of.keypoints[camera], of.ids[camera]) for of, _ in part if camera in of.keypoints
            }
            for camera in source.rig.names
        },
        t0_ns=source.t0_ns,
        fps=source.fps,
        frames_per_loop=len(source),
        frame_sets_sent=len(part),
        stage_ms={name: float(np.median([of.stage_ms.get(name, 0.0) for of, _ in part])) for name in stages},
    )


def write_results(source: FrameSource, log: RecordingLog, output: Path) -> list[str]:
    """Write the files; returns their names."""
    from pose3d_ros.output.pose_files import write_csv, write_trc

    writers: dict[str, PoseWriter] = {"people.trc": write_trc, "people.csv": write_csv}
    for name, write in writers.items():
        write(log.poses, output / name)
    summary = {"frame_sets": len(log), "source": source.name}
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return [f"wrote {output / name}" for name in (*writers, "summary.json")]
