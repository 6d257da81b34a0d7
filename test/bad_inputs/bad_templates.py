"""Valid inputs of every kind, small: what is spoilt, and what must be read unspoilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from synthetic_people import walker

from pose3d_ros.geometry.projection import project
from pose3d_ros.rigs.formats.rig_file import FORMATS
from pose3d_ros.skeletons import BODY_25, COCO_17, H36M_17
from pose3d_ros.structures import Camera, Rig

FILE_OF = {"qualisys": "rig.qca.txt", "anipose": "rig.toml", "pose2sim": "rig.toml", "opencv": "rig.yml"}


def rig() -> Rig:
    """Two cameras 2.1 m apart, the first one at the origin, so that every format holds them."""
    cameras = []
    for n, name in enumerate(("left", "right")):
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = Rotation.from_euler("y", 20.0 * n, degrees=True).as_matrix()
        cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ np.array([2.1 * n, 0.1 * n, 0.2 * n])
        K = np.array([[600.0 + n, 0, 320.5], [0, 601.0, 239.5], [0, 0, 1]])
        cameras.append(Camera(name, (640, 480), K, "plumb_bob", [0.01, -0.02, 0.001, 0.002, 0.0], cam_from_world))
    return Rig(tuple(cameras), "left_optical")


def single() -> Rig:
    """The first of them."""
    return Rig(rig().cameras[:1], "left_optical")


def rig_text(name: str) -> str:
    """The text of a format of FORMATS in one file: the pair, of ROS one camera."""
    texts = FORMATS[name].write(single() if name == "ros" else rig())
    return next(iter(texts.values()))


def openpose_frame(frame: int, skeleton_points: int = 25) -> dict[str, Any]:
    """One OpenPose file's content: a person of BODY_25."""
    points = _points(rig().cameras[0], frame)
    body = np.zeros((skeleton_points, 3))
    for row, name in enumerate(BODY_25.joint_names):
        if name in H36M_17.joint_names:
            body[row] = (*points[H36M_17.index(name)], 0.8)
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": body.ravel().round(3).tolist()}]}


def coco_results(camera: Camera, frames: int = 5) -> list[dict[str, Any]]:
    """A file of COCO keypoint results: a person over some frames."""
    entries = []
    for frame in range(frames):
        points = _points(camera, frame)
        body = np.zeros((17, 3))
        for row, name in enumerate(COCO_17.joint_names):
            known = name if name in H36M_17.joint_names else "Nose"
            body[row] = (*points[H36M_17.index(known)], 0.8)
        entries.append({"image_id": frame, "category_id": 1, "keypoints": body.ravel().round(3).tolist(), "score": 0.9})
    return entries


def _points(camera: Camera, frame: int) -> np.ndarray:
    """Joints (17, 2) px of a person 4 m before the first camera."""
    z_up = walker((0.0, 0.0), (0.4, 0.1), frame / 30)
    before = np.stack([z_up[:, 0] + 0.5, 1.0 - z_up[:, 2], z_up[:, 1] + 4.0], axis=-1)
    return np.asarray(project(camera, before))


BVH = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT LeftUpLeg { OFFSET 10 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT LeftLeg { OFFSET 0 -42 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT LeftFoot { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 0 -8 10 } } } }
 JOINT RightUpLeg { OFFSET -10 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT RightLeg { OFFSET 0 -42 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT RightFoot { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 0 -8 10 } } } }
 JOINT Spine { OFFSET 0 45 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT LeftArm { OFFSET 17 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT LeftForeArm { OFFSET 28 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftHand { OFFSET 25 0 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 8 0 0 } } } }
  JOINT RightArm { OFFSET -17 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT RightForeArm { OFFSET -28 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT RightHand { OFFSET -25 0 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET -8 0 0 } } } }
  JOINT Head { OFFSET 0 12 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 0 18 0 } } }
}
MOTION
Frames: 3
Frame Time: 0.0333333
"""
BVH += "".join("0 92 " + str(n) + " 0 0 0 " + "0 1 0 " * 14 + "\n" for n in range(3))

TRC = (
    "PathFileType\t4\t(X/Y/Z)\tpeople.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\n"
    "60\t60\t2\t2\tm\nFrame#\tTime\tLAnkle\t\t\tRAnkle\t\t\n\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
    "1\t0.0\t1.0\t0.1\t2.0\t1.0\t0.1\t2.2\n2\t0.0167\t1.0\t0.1\t2.0\t1.0\t0.1\t2.2\n"
)


def write_json(path: Path, content: Any) -> Path:
    """A JSON file, numbers of any size as Python writes them."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
