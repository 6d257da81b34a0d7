"""Render people in motion before the cameras of a rig, with the truth about every joint.

Writes one folder per scene: rig.yaml, the images, truth.npz and scene.json (docs/rendering.md). Bodies differ in
stature, age (from 10 years), sex, clothes, skin and hair; rooms in furniture, light and colours. The same options give
the same bytes on the same machine. `pose3d evaluate rendered DIR` measures the detector and the estimator on them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pose3d_ros.commands.train import natural, positive, seed

if TYPE_CHECKING:
    from pose3d_ros.mocap.motion import Motion
    from pose3d_ros.simulation.rendering.scenes import SceneRequest
    from pose3d_ros.simulation.simulated_rigs import SimulatedRig

# Names of --rig, where it is no file: families of simulated rigs, and the 12 cm stereo head under a plain name.
STEREO = "stereo"
RIGS = ("h36m", "room2", "room3", "room4", STEREO, "mono")
MOST_PEOPLE = 8
LEAST_S = 6.0  # of generated motion: a whole action


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d render`."""
    parser.add_argument(
        "--rig", default="h36m", metavar="RIG",
        help=f"{', '.join(RIGS)} (another one in every scene), or a rig.yaml whose world has z up and the floor at 0",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="FILE",
        help="motion: .npz, .bvh or their folder (docs/training.md); without it people walk, turn, sit, reach, crouch "
        "and fall as a small generator moves them",
    )  # fmt: skip
    parser.add_argument(
        "--walk", action="store_true",
        help="people walk through the whole space for as long as the scene lasts, stopping to sit, reach and gesture: "
        "a recording for `pose3d calibrate people`; not with --data, --split or --in-place",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=("all", "train", "val", "test"), default="all",
        help="whose motion; train also takes the rigs that networks are trained on, the others take held-out ones",
    )  # fmt: skip
    parser.add_argument(
        "--in-place", action="store_true", help="leave people where their motion has them in the rig's world"
    )
    parser.add_argument("--people", type=positive, default=1, metavar="N", help=f"people per scene, 1 to {MOST_PEOPLE}")
    parser.add_argument("--scenes", type=positive, default=1, metavar="N", help="scenes: people, room, rig, cameras")
    parser.add_argument("--frames", type=positive, default=24, metavar="N", help="moments per scene")
    parser.add_argument("--fps", type=float, default=12.0, metavar="RATE", help="moments a second (default: 12)")
    parser.add_argument("--size", type=positive, default=640, metavar="PX", help="longer side of the images, at most")
    parser.add_argument("--samples", type=positive, default=4, metavar="N", help="rays per pixel: more is less grainy")
    parser.add_argument("--occluders", type=natural, default=3, metavar="N", help="pieces of furniture")
    parser.add_argument("--seed", type=seed, default=0, help="of everything that is drawn")
    parser.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--video", action="store_true", help="write <camera>.mp4 instead of JPEGs")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of scene_000, scene_001, ...")


def run(args: argparse.Namespace) -> int:
    """Render every scene that the folder lacks; raises pose3d_ros.errors."""
    from pose3d_ros.errors import InputError
    from pose3d_ros.files.output_lock import output_lock

    if args.people > MOST_PEOPLE:
        raise InputError(f"--people {args.people}: give 1 to {MOST_PEOPLE}")
    if not 0.1 <= args.fps <= 240.0:
        raise InputError(f"--fps {args.fps:g}: give 0.1 to 240")
    if args.walk and (args.data is not None or args.in_place or args.split != "all"):
        raise InputError("--walk is a motion of its own: leave out --data, --split and --in-place")
    with output_lock(args.output):
        return _render(args)


def _render(args: argparse.Namespace) -> int:
    from pose3d_ros.simulation.rendering.renderer import check_installed
    from pose3d_ros.simulation.rendering.scenes import SceneRequest

    check_installed()
    missing = []
    for number in range(args.scenes):
        folder = args.output / f"scene_{number:03d}"
        rig = _rig(args, number)
        request = SceneRequest(
            rig, args.people, args.frames, args.fps, args.seed, number, args.occluders, args.samples, args.in_place
        )
        data = "walk" if args.walk else str(args.data or "generated")
        source = {"rig": rig.name, "data": data, "split": args.split}
        settings = {**source, **request.settings()}
        if not _is_there(folder, settings):
            missing.append((folder, request, settings))
    if missing:
        _render_missing(missing, None if args.walk else _motion(args), args)
    print(f"{args.scenes} scenes: {args.output}")
    return 0


def _render_missing(
    missing: list[tuple[Path, SceneRequest, dict[str, object]]], motion: Motion | None, args: argparse.Namespace
) -> None:
    """Render scenes with their folders and settings, and report the speed."""
    from tqdm import tqdm

    from pose3d_ros.simulation.rendering.rendered_set import write_scene
    from pose3d_ros.simulation.rendering.renderer import Renderer
    from pose3d_ros.simulation.rendering.scenes import plan_scene

    seconds, images, pixels = 0.0, 0, 0
    with Renderer(args.jobs) as renderer:
        for folder, request, settings in missing:
            began = time.monotonic()
            plan = plan_scene(request, motion)
            sizes = [camera.size_wh for camera in plan.rig.cameras]
            written = write_scene(folder, plan, renderer.frames(plan), settings, video=args.video)
            for _ in tqdm(written, total=args.frames, desc=folder.name, unit=" moments", disable=None):
                images += len(sizes)
                pixels += sum(width * height for width, height in sizes)
            seconds += time.monotonic() - began
    print(
        f"{images} images in {seconds:.0f} s: {images / seconds:.2f} a second, as many pixels as "
        f"{pixels / seconds / 256**2:.2f} images of 256 x 256 px a second"
    )


def _motion(args: argparse.Namespace) -> Motion:
    if args.data is None:
        from pose3d_ros.mocap.generated import generated_motion

        # A second more than a scene takes: it is cut anywhere.
        seconds = max(LEAST_S, args.frames / args.fps + 1.0)
        motion = generated_motion(args.seed, seconds=seconds)
    else:
        from pose3d_ros.mocap.load import load_motion

        motion = load_motion(args.data)
    return motion if args.split == "all" else motion.split(args.split)


def _rig(args: argparse.Namespace, number: int) -> SimulatedRig:
    from pose3d_ros.simulation.rendering.scenes import on_floor, resized
    from pose3d_ros.simulation.simulated_rigs import simulated_rig

    if args.rig in RIGS:
        family = "head530" if args.rig == STEREO else args.rig
        return resized(simulated_rig(family, number, held_out=args.split != "train"), args.size)
    return resized(on_floor(args.rig), args.size)


def _is_there(folder: Path, settings: dict[str, object]) -> bool:
    """Whether the scene was rendered by an earlier run; raises InputError where that had other settings."""
    from pose3d_ros.errors import InputError
    from pose3d_ros.simulation.rendering.rendered_set import settings_of

    before = settings_of(folder)
    if before is None:
        return False
    differ = [name for name in settings if before.get(name) != settings[name]]
    if differ:
        name = differ[0]
        raise InputError(
            f"--output: {folder} was rendered with {name} {before.get(name)}, not {settings[name]}: choose another one"
        )
    print(f"{folder} is there already", file=sys.stderr)
    return True
