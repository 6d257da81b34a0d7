"""Estimate 3D human poses from one camera: a still image, or live.

`pose3d mono --image FILE --focal-px F` estimates all people in an image, in metres in the camera frame. Without the
focal length the distance is unknown: poses are then relative to the pelvis, with their canonical depth.
`pose3d mono --camera NAME` starts the ROS node for a live camera. `pose3d mono --footage single` compares each camera
of the sample footage with all four together; `pose3d demo --mono cam03` plays it through the node.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.detection import factory
from pose3d_ros.detection import options as detector_options
from pose3d_ros.errors import InputError
from pose3d_ros.files.door import expanded
from pose3d_ros.recordings.footage import SAMPLES, fetch_sample
from pose3d_ros.ros.environment import node_command, prepare, require_ros
from pose3d_ros.structures import Camera, FrameSet, Rig

if TYPE_CHECKING:
    from pose3d_ros.plots.still_image import StillPeople

NODE = "pose3d_ros.ros.monocular_node"
RESULTS = ("overlay.png", "people.csv", "people.json")
# Parameters that mono.launch.py takes as arguments; others go into its parameter file.
LAUNCH_ARGUMENTS = (
    "body_height_m", "image_topic", "camera_info_topic", "lifter", "fixed_frame", "image_transport", "device",
    "use_sim_time",
)  # fmt: skip
# Without a focal length, an image is assumed to have Human3.6M's, on which networks train: 1145 px at 1000 px.
# It sets the scale at which the network receives the image, and changes nothing that is printed.
DEFAULT_FOCAL = 1.145
NAME = "image"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pose3d mono`."""
    still = parser.add_argument_group("a still image")
    still.add_argument("--image", type=Path, metavar="FILE", help="an image of people (JPEG, PNG, ...)")
    still.add_argument(
        "--focal-px",
        type=float,
        metavar="F",
        help="focal length in px of this image: from a calibration, or for an uncropped phone photo "
        "35-mm-equivalent / 36 times its longer side; without it distances are unknown",
    )
    still.add_argument(
        "--body-height-m", type=float, metavar="H", help="height of all people, if known: improves the depth"
    )
    still.add_argument("--output", type=Path, default=Path("pose3d_output"), help=f"folder for {', '.join(RESULTS)}")
    footage = parser.add_argument_group("the sample footage")
    footage.add_argument("--footage", choices=tuple(SAMPLES), help="compare each camera alone with all together")
    footage.add_argument("--frames", type=int, metavar="N", help="images per camera (default: all)")
    live = parser.add_argument_group("a live camera (ROS)")
    live.add_argument(
        "--camera", default="camera", metavar="NAME", help="the node subscribes to NAME/image_raw and NAME/camera_info"
    )
    live.add_argument(
        "--param", action="append", default=[], metavar="NAME:=VALUE", help="any node parameter, repeatable"
    )
    detector_options.add_arguments(parser)
    parser.add_argument("--device", default="auto", help="where the 2D models run: auto, cpu, cuda, ... (not live)")
    parser.add_argument("--lifter", metavar="FILE", help="your own lifting network (.safetensors)")


def run(args: argparse.Namespace) -> int:
    """Return 0 when people were found or the node exited normally; raises pose3d_ros.errors."""
    if args.frames is not None and (args.footage is None or args.frames < 1):
        raise InputError(f"--frames {args.frames}: give 1 or more, and --footage single or multi with it")
    if args.footage is not None:
        if args.image is not None:
            raise InputError(f"--footage {args.footage} and --image {args.image}: give one of the two")
        return _footage(args)
    if args.image is None:
        for name, value in (("--focal-px", args.focal_px), ("--body-height-m", args.body_height_m)):
            if value is not None:
                raise InputError(f"{name} belongs to a still image: give --image FILE too")
        return _live(args)
    if args.focal_px is not None and not 10.0 <= args.focal_px <= 1e5:
        raise InputError(f"--focal-px {args.focal_px:g}: give 10 to 100000 px, or omit it if it is unknown")
    if args.body_height_m is not None and not 0.5 <= args.body_height_m <= 2.5:
        raise InputError(f"--body-height-m {args.body_height_m:g}: give 0.5 to 2.5 m, or omit it")
    image = _read(args.image)
    output = expanded(args.output).resolve()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {output}: cannot write there ({error.strerror}): choose another folder") from error
    factory.fetch_weights(detector_options.from_arguments(args))
    # Imported late: `pose3d --help` must not load OpenCV or torch.
    from pose3d_ros.plots.still_image import write_still_json, write_still_picture
    from pose3d_ros.recordings.writers.pose_files import write_csv

    people = still_people(image, args)
    write_still_picture(image, people, output / "overlay.png")
    write_csv([people.published], output / "people.csv")
    write_still_json(people, output / "people.json")
    print(table(people, args.image))
    print("\n".join(f"wrote {output / name}" for name in RESULTS))
    return 0


def still_people(image: NDArray[np.uint8], args: argparse.Namespace) -> StillPeople:
    """Estimate all people in a BGR image (H, W, 3); the principal point is assumed at its centre.

    Raises InputError when no person is detected or lifted.
    """
    import torch

    from pose3d_ros.estimation.estimator import PoseEstimator
    from pose3d_ros.estimation.options import EstimatorOptions
    from pose3d_ros.networks.canonical import ROOT, stature
    from pose3d_ros.plots.still_image import StillPeople

    camera = camera_of((image.shape[1], image.shape[0]), args.focal_px)
    # There is only one image, so a person needs one hit to get an id.
    options = EstimatorOptions(min_hits=1, body_height_m=args.body_height_m or 0.0, lifter=args.lifter or "")
    detector = factory.make_detector(detector_options.from_arguments(args), args.device)
    estimator = PoseEstimator(Rig((camera,), f"{NAME}_optical"), detector, options)
    estimate = estimator.estimate(FrameSet({NAME: image}, {NAME: 0}))
    detected = len(estimate.keypoints[NAME])
    if not detected:
        raise InputError(f"no person found in {args.image}: hips or shoulders must be visible")
    if not len(estimate.pose):
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in estimate.rejected.items())
        raise InputError(
            f"{detected} people detected in {args.image}, none clearly enough for a 3D pose ({reasons or 'score'}): "
            "give an image with more of the body visible"
        )
    pose = estimate.pose
    alpha = math.sqrt(camera.K[0, 0] * camera.K[1, 1])
    return StillPeople(
        camera=camera,
        has_focal=args.focal_px is not None,
        pose=pose,
        detections=(estimate.keypoints[NAME], estimate.ids[NAME]),
        canonical_depth_m=pose.xyz[:, ROOT, 2] * 1000.0 / alpha,
        height_m=stature(torch.from_numpy(pose.xyz)).numpy(),
    )


def camera_of(size_wh: tuple[int, int], focal_px: float | None) -> Camera:
    """Return a camera without distortion whose principal point is the image centre."""
    focal = DEFAULT_FOCAL * max(size_wh) if focal_px is None else focal_px
    K = np.array([[focal, 0, (size_wh[0] - 1) / 2], [0, focal, (size_wh[1] - 1) / 2], [0, 0, 1]])
    return Camera(NAME, size_wh, K)


def table(people: StillPeople, name: Path) -> str:
    """Format the people as a table to print."""
    width, height = people.camera.size_wh
    pose, root = people.pose, people.pose.skeleton.index("Pelvis")
    lines = []
    if people.has_focal:
        lines.append(f"{name}: {width}x{height} px, focal length {people.camera.K[0, 0]:g} px")
        lines.append("pelvis in the camera frame (x right, y down, z forward), m")
        lines.append("person       x       y       z   std of z  canonical depth  height by bones  joints visible")
    else:
        lines.append(f"{name}: {width}x{height} px, focal length unknown, so distances in m are unknown too")
        lines.append("canonical depth: the depth at a focal length of 1000 px; multiply by F / 1000 to get metres")
        lines.append("person  canonical depth  height by bones  joints visible")
    for row, person in enumerate(pose.ids):
        visible = f"{int(pose.n_views[row].astype(bool).sum())} of {pose.skeleton.size}"
        columns = f"{people.canonical_depth_m[row]:15.2f}  {people.height_m[row]:15.2f}  {visible:>14}"
        if people.has_focal:
            std = math.sqrt(pose.covariance[row, root, 2, 2])
            position = "".join(f"{value:8.2f}" for value in pose.xyz[row, root])
            lines.append(f"{person:>6}{position}  {std:9.2f}  {columns}")
        else:
            lines.append(f"{person:>6}  {columns}")
    if only_2d := sum(person == "" for person in people.detections[1]):
        lines.append(f"{only_2d} more detected in 2D only: too few joints visible, or an implausible depth")
    return "\n".join(lines)


def _read(path: Path) -> NDArray[np.uint8]:
    """Read an image as uint8 BGR (H, W, 3), pixels as stored; raises InputError."""
    from pose3d_ros.recordings.encoded_images import read_image

    return read_image(path)


def _footage(args: argparse.Namespace) -> int:
    """Print how much each camera alone differs from all together."""
    footage = fetch_sample(args.footage)
    factory.fetch_weights(detector_options.from_arguments(args))
    # Imported late: `pose3d --help` must not load torch.
    from tqdm import tqdm

    from pose3d_ros.estimation.single_view import load_lifter
    from pose3d_ros.evaluation.mono_depth import mono_depth_table
    from pose3d_ros.evaluation.tables import printed
    from pose3d_ros.recordings.playback import play

    lifter, detector = (
        load_lifter(args.lifter or ""),
        factory.make_detector(detector_options.from_arguments(args), args.device),
    )
    sets = tqdm(play(footage, args.frames or 0), desc="frame sets", disable=None)
    print(printed(mono_depth_table(args.footage, footage.rig, sets, detector, lifter)))
    return 0


def _live(args: argparse.Namespace) -> int:
    """Print how to start the node, and replace this process by it where ROS is installed."""
    values = {"cameras": f"[{args.camera}]", **({"lifter": str(Path(args.lifter).resolve())} if args.lifter else {})}
    values |= detector_options.non_default(detector_options.from_arguments(args))
    for pair in args.param:
        name, sign, value = pair.partition(":=")
        if not name or not sign:
            raise InputError(f"--param {pair}: give it as NAME:=VALUE, for example body_height_m:=1.75")
        values[name] = value
    pairs = [f"{name}:={value}" for name, value in values.items()]
    launch_arguments = " ".join(
        [f"camera:={args.camera}", *(pair for pair in pairs if pair.partition(":=")[0] in LAUNCH_ARGUMENTS)]
    )
    print(f"In a ROS 2 workspace:  ros2 launch pose3d_ros mono.launch.py {launch_arguments}")
    print("A still image:         pose3d mono --image FILE --focal-px F")
    require_ros()
    print(
        f"Starting the node: it waits for {args.camera}/image_raw and {args.camera}/camera_info; Ctrl-C stops it.",
        flush=True,
    )
    prepare()
    parameters = [argument for pair in pairs for argument in ("-p", pair)]
    command = [*node_command(NODE), "--ros-args", *parameters]
    os.execv(command[0], command)
