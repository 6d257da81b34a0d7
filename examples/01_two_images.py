"""People in metres from two images of a calibrated pair, in Python, without ROS.

    .venv/bin/python examples/01_two_images.py
    .venv/bin/python examples/01_two_images.py my_folder --cameras left right

Afterwards you can put `PoseEstimator` into your own program. The folder holds rig.yaml and one <camera>.png for each
camera; by default it is the one that `pose3d demo` leaves. The script prints the joints of each person and writes
two_images.png: the 3D skeletons projected back into both images.
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

HEIGHT_PX = 480  # of each image in the picture
COLOURS = ((0, 165, 255), (255, 180, 86), (140, 200, 0))  # BGR


def estimate(folder: Path, cameras: list[str]) -> tuple[Pose3D, FrameSet, list[Camera]]:
    """The people in one image of each camera."""
    rig = load_rig(folder / "rig.yaml").subset(cameras)
    images = {name: read_image(folder / f"{name}.png") for name in rig.names}
    frames = FrameSet(images, stamps_ns=dict.fromkeys(images, 0))
    # A live system publishes a person from the second frame set on; here there is only one.
    estimator = PoseEstimator(rig, options=EstimatorOptions(min_hits=1))
    return estimator(frames), frames, list(rig.cameras)


def draw(pose: Pose3D, image: np.ndarray, camera: Camera) -> np.ndarray:
    """The image with the bones of all people, HEIGHT_PX high."""
    picture = image.copy()
    for number, joints in enumerate(pose.xyz):
        points = project(camera, joints)  # (17, 2) px, NaN for an absent joint
        for parent, child in pose.skeleton.bones:
            if np.isfinite(points[[parent, child]]).all():
                start, end = (tuple(np.round(points[joint]).astype(int).tolist()) for joint in (parent, child))
                cv2.line(picture, start, end, COLOURS[number % len(COLOURS)], 8, cv2.LINE_AA)
    width = round(picture.shape[1] * HEIGHT_PX / picture.shape[0])
    return np.asarray(cv2.resize(picture, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("pose3d_output/stills"))
    parser.add_argument("--cameras", nargs="+", default=["cam01", "cam02"])
    parser.add_argument("--output", type=Path, default=Path("two_images.png"))
    args = parser.parse_args()
    if not (args.folder / "rig.yaml").exists():
        print(f"{args.folder} has no rig.yaml: writing the sample's first images there")
        write_stills(fetch_sample("single"), args.folder)

    pose, frames, cameras = estimate(args.folder, args.cameras)
    for person, joints, covariance in zip(pose.ids, pose.xyz, pose.covariance, strict=True):
        print(f"person {person}")
        for name, xyz, matrix in zip(pose.skeleton.joint_names, joints, covariance, strict=True):
            std_mm = 1000 * np.sqrt(np.trace(matrix))
            where = "({:6.3f}, {:6.3f}, {:6.3f}) m, +-{:.0f} mm".format(*xyz, std_mm)
            print(f"  {name:10} {where if np.isfinite(xyz).all() else 'absent'}")
    cv2.imwrite(str(args.output), np.hstack([draw(pose, frames.images[one.name], one) for one in cameras]))
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
