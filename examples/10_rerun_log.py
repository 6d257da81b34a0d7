"""Poses, cameras and images as a rerun recording (.rrd), to scrub through in 3D.

    .venv/bin/python -m pip install rerun-sdk
    .venv/bin/python examples/10_rerun_log.py
    .venv/bin/rerun footage.rrd

Afterwards footage.rrd shows the skeletons in the world, the cameras as frustums with their images, the skeletons
projected into them, and the uncertainty of each joint as a curve over time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.recordings.footage import fetch_sample
from pose3d_ros.recordings.playback import play, with_cameras
from pose3d_ros.structures import Camera, Pose3D

IMAGE_HEIGHT_PX = 480


def log_camera(rr: Any, camera: Camera) -> None:
    """A frustum. Rerun knows pinhole cameras only: lines are off by the lens distortion in its 2D views."""
    world_from_cam = np.linalg.inv(camera.cam_from_world)
    place = rr.Transform3D(translation=world_from_cam[:3, 3], mat3x3=world_from_cam[:3, :3])
    lens = rr.Pinhole(image_from_camera=camera.K, resolution=camera.size_wh, camera_xyz=rr.ViewCoordinates.RDF)
    rr.log(f"world/{camera.name}", place, lens, static=True)


def log_pose(rr: Any, pose: Pose3D, colours: PersonColours) -> None:
    """Joints as points with their standard deviation as radius, bones as lines, one entity for each person."""
    rr.log("world/people", rr.Clear(recursive=True))
    colour_of = colours(pose.ids)
    for row, person in enumerate(pose.ids):
        colour = colour_of[person]
        xyz, present = pose.xyz[row], np.isfinite(pose.xyz[row]).all(axis=-1)
        std_m = np.sqrt(np.trace(pose.covariance[row], axis1=-2, axis2=-1) / 3)
        names = np.array(pose.skeleton.joint_names)[present]
        bones = [xyz[list(bone)] for bone in pose.skeleton.bones if present[list(bone)].all()]
        points = rr.Points3D(xyz[present], radii=std_m[present], labels=names, show_labels=False, colors=colour)
        rr.log(f"world/people/{person}/joints", points)
        rr.log(f"world/people/{person}/bones", rr.LineStrips3D(bones, radii=0.015, colors=colour))
        rr.log(f"std_mm/{person}", rr.Scalars(1000 * float(np.median(std_m[present]))))


def write(rr: Any, cameras: list[str], frames: int, path: Path) -> int:
    """The recording of the first frames; returns the number of poses."""
    footage = with_cameras(fetch_sample("single"), cameras)
    small = [
        camera.resized((round(camera.size_wh[0] * IMAGE_HEIGHT_PX / camera.size_wh[1]), IMAGE_HEIGHT_PX))
        for camera in footage.rig.cameras
    ]
    rr.init("pose3d_ros")
    rr.save(str(path))
    rr.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    for camera in small:
        log_camera(rr, camera)
    estimator, colours, count = PoseEstimator(footage.rig), PersonColours(), 0
    for frame_set in play(footage, frames):
        rr.set_time("capture", timestamp=np.datetime64(frame_set.stamp_ns, "ns"))
        log_pose(rr, estimator(frame_set), colours)
        for camera in small:
            image = cv2.resize(frame_set.images[camera.name], camera.size_wh, interpolation=cv2.INTER_AREA)
            rr.log(f"world/{camera.name}", rr.Image(image, color_model="BGR").compress(jpeg_quality=80))
        count += 1
    rr.disconnect()  # writes what is still buffered
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("footage.rrd"))
    parser.add_argument("--cameras", nargs="+", default=["cam01", "cam02"])
    parser.add_argument("--frames", type=int, default=50, help="0: all")
    args = parser.parse_args()
    try:
        import rerun as rr
    except ImportError:
        print(f"rerun is not installed: {sys.executable} -m pip install rerun-sdk", file=sys.stderr)
        return 1
    print(f"{write(rr, args.cameras, args.frames, args.output)} poses in {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
