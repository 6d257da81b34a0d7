"""People in metres from one image of one calibrated camera, in Python, without ROS.

    .venv/bin/python examples/12_one_camera.py
    .venv/bin/python examples/12_one_camera.py my_folder --camera left --body-height 1.75

Afterwards you can give PoseEstimator a rig of one camera. Depth is what one camera knows least: about 5 % off
(docs/monocular.md). The folder is that of 01_two_images.py. The script prints where each person is in the rig's frame
and how far from the camera, and writes one_camera.png. Without a calibration: `pose3d mono --image FILE`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.encoded_images import read_image
from pose3d_ros.recordings.footage import fetch_sample
from pose3d_ros.recordings.playback import write_stills
from pose3d_ros.rigs.rig_yaml import load_rig
from pose3d_ros.structures import Camera, FrameSet, Pose3D

HEIGHT_PX = 480  # of the picture


def estimate(folder: Path, name: str, body_height_m: float) -> tuple[Pose3D, FrameSet, Camera]:
    """The people in the camera's image, in the frame that the rig file places it in."""
    rig = load_rig(folder / "rig.yaml").subset([name])
    frames = FrameSet({name: read_image(folder / f"{name}.png")}, {name: 0})
    options = EstimatorOptions(min_hits=1, body_height_m=body_height_m)
    return PoseEstimator(rig, options=options)(frames), frames, rig.camera(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("pose3d_output/stills"))
    parser.add_argument("--camera", default="cam03")
    parser.add_argument("--body-height", type=float, default=0.0, help="m, of all people in view; 0: unknown")
    parser.add_argument("--output", type=Path, default=Path("one_camera.png"))
    args = parser.parse_args()
    if not (args.folder / "rig.yaml").exists():
        print(f"{args.folder} has no rig.yaml: writing the sample's first images there")
        write_stills(fetch_sample("single"), args.folder)

    pose, frames, camera = estimate(args.folder, args.camera, args.body_height)
    picture = frames.images[args.camera].copy()
    pelvis = pose.skeleton.index("Pelvis")
    for person, joints, covariance in zip(pose.ids, pose.xyz, pose.covariance, strict=True):
        ray = joints[pelvis] - camera.centre
        distance_m = float(np.linalg.norm(ray))
        std_m = np.sqrt(ray @ covariance[pelvis] @ ray) / distance_m  # along the ray
        print(f"person {person}: pelvis at {joints[pelvis].round(2)} m, {distance_m:.2f} +-{std_m:.2f} m away")
        points = project(camera, joints)
        for parent, child in pose.skeleton.bones:
            if np.isfinite(points[[parent, child]]).all():
                start, end = (tuple(np.round(points[joint]).astype(int).tolist()) for joint in (parent, child))
                cv2.line(picture, start, end, (0, 165, 255), 8, cv2.LINE_AA)
        x, y = np.nan_to_num(points[pelvis]).astype(int).tolist()
        cv2.putText(picture, f"{distance_m:.2f} m", (x + 60, y), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (255, 255, 255), 4)
    width = round(picture.shape[1] * HEIGHT_PX / picture.shape[0])
    cv2.imwrite(str(args.output), cv2.resize(picture, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA))
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
