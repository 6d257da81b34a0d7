"""Your own 2D detector in place of the networks: here one that finds coloured markers.

    .venv/bin/python examples/08_own_detector.py
    .venv/bin/python examples/08_own_detector.py --node --ros-args -p cameras:=[left,right] -p fixed_frame:=map

Afterwards you can put any source of 2D joints (another network, a marker system) before association, triangulation and
tracking. Without --node the script renders a person with twelve coloured markers before two cameras and prints how far
the triangulated joints are from the truth. With --node it runs the multi-view node with this detector on your cameras.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.estimation.estimator import PoseEstimator
from pose3d_ros.estimation.options import EstimatorOptions
from pose3d_ros.geometry.projection import project
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Rig, Skeleton

SIDES = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
# Joints of these names become joints of the message; names that the package does not know are carried along.
MARKERS = Skeleton(
    "twelve_markers",
    tuple(f"{side}{joint}" for side in "LR" for joint in SIDES),
    (-1, 0, 1, 0, 3, 4, 0, 6, 7, 6, 9, 10),
    tuple((joint, joint + len(SIDES)) for joint in range(len(SIDES))),
)
HUES = np.arange(0, 180, 15)  # OpenCV's hue of each marker, one in twelve
# A person of 1.7 m in m, facing along x, in the order of MARKERS.
PERSON = np.array([
    [0, 0.2, 1.4], [0, 0.28, 1.12], [0.1, 0.3, 0.9], [0, 0.13, 0.93], [0.02, 0.13, 0.5], [0, 0.14, 0.08],
    [0, -0.2, 1.4], [0, -0.28, 1.12], [0.1, -0.3, 0.9], [0, -0.13, 0.93], [0.02, -0.13, 0.5], [0, -0.14, 0.08],
])  # fmt: skip


class MarkerDetector:
    """Finds one person by the middle of each colour. A detector has a name, a skeleton, __call__ and reset."""

    name = "coloured_markers"
    skeleton = MARKERS

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """Keypoints of each camera's image, with the stamp of that image; no person is Keypoints2D.empty."""
        return {name: self.detect(image, frames.stamps_ns[name]) for name, image in frames.images.items()}

    def detect(self, image: NDArray[np.uint8], stamp_ns: int) -> Keypoints2D:
        hue, saturation, value = np.moveaxis(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), -1, 0)
        vivid = (saturation > 150) & (value > 150)
        xy = np.full((1, MARKERS.size, 2), np.nan)  # absent is NaN with score 0
        for joint, own in enumerate(HUES):
            apart = np.abs(hue.astype(int) - own)
            rows, columns = np.nonzero(vivid & (np.minimum(apart, 180 - apart) < 5))
            if len(rows) >= 5:
                xy[0, joint] = columns.mean(), rows.mean()
        score = np.isfinite(xy[..., 0]).astype(float)
        if score.sum() < 5:
            return Keypoints2D.empty(MARKERS, stamp_ns)
        # Say how far off a keypoint is (px^2): it decides the weight of each view and the covariance of each joint.
        covariance = np.tile(0.25 * np.eye(2), (1, MARKERS.size, 1, 1))
        return Keypoints2D(xy, score, MARKERS, stamp_ns, covariance=covariance)

    def reset(self) -> None:
        """Nothing is kept from image to image."""


def rendered() -> tuple[Rig, FrameSet]:
    """Two cameras 1.5 m apart, 4 m before the person, and their images."""
    K = np.array([[900.0, 0, 479.5], [0, 900.0, 359.5], [0, 0, 1]])
    cameras, images = [], {}
    for name, y in (("left", 0.75), ("right", -0.75)):
        centre = np.array([4.0, y, 1.2])
        forward = (np.array([0.0, 0.0, 0.9]) - centre) / np.linalg.norm(np.array([0.0, 0.0, 0.9]) - centre)
        right = np.cross(forward, (0.0, 0.0, 1.0)) / np.linalg.norm(np.cross(forward, (0.0, 0.0, 1.0)))
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ centre
        cameras.append(Camera(name, (960, 720), K, cam_from_world=cam_from_world))
        images[name] = np.full((720, 960, 3), 90, np.uint8)
        colours = cv2.cvtColor(np.array([[[hue, 255, 255] for hue in HUES]], np.uint8), cv2.COLOR_HSV2BGR)[0]
        for place, colour in zip(project(cameras[-1], PERSON), colours.tolist(), strict=True):
            # Sub-pixel: with shift=4 OpenCV counts in sixteenths of a pixel.
            centre = np.round(16 * place).astype(int).tolist()
            cv2.circle(images[name], centre, 16 * 7, colour, -1, cv2.LINE_AA, shift=4)
    return Rig(tuple(cameras), "world"), FrameSet(images, dict.fromkeys(images, 0))


def run_node(arguments: list[str]) -> int:
    """The multi-view node with this detector, until Ctrl-C."""
    from pose3d_ros.ros.pose_node import OPTIONS, PoseNode
    from pose3d_ros.ros.running import run_node

    def multiview_with_markers() -> PoseNode:
        return PoseNode(MarkerDetector())

    return run_node(multiview_with_markers, OPTIONS, [sys.argv[0], *arguments])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--output", type=Path, help="write the images with the 3D skeletons as one PNG")
    args, others = parser.parse_known_args()
    if args.node:
        return run_node(others)
    rig, frames = rendered()
    estimator = PoseEstimator(rig, MarkerDetector(), EstimatorOptions(min_hits=1, refine="none"))
    pose = estimator(frames)
    for name, truth in zip(MARKERS.joint_names, PERSON, strict=True):
        error_mm = 1000 * np.linalg.norm(pose.xyz[0, pose.skeleton.index(name)] - truth)
        print(f"{name:10} {pose.xyz[0, pose.skeleton.index(name)].round(3)} m, {error_mm:.1f} mm off")
    if args.output:
        for camera in rig.cameras:
            points = project(camera, pose.xyz[0])
            for parent, child in pose.skeleton.bones:
                if np.isfinite(points[[parent, child]]).all():
                    start, end = (np.round(points[joint]).astype(int).tolist() for joint in (parent, child))
                    cv2.line(frames.images[camera.name], start, end, (255, 255, 255), 2, cv2.LINE_AA)
        cv2.imwrite(str(args.output), np.hstack([image[130:600, 250:710] for image in frames.images.values()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
