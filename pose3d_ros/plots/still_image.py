"""The people of one still image: a picture with skeletons and depths, and a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose3d_ros.errors import InputError
from pose3d_ros.plots.overlay import draw_tile, layout
from pose3d_ros.plots.palette import PersonColours
from pose3d_ros.recordings.recording import Seen2D
from pose3d_ros.structures import Camera, Floats, Pose3D

NOT_METRIC = (
    "The focal length is unknown, and so are distances: canonical_depth_m is the pelvis' depth at a focal length of "
    "1000 px (multiply by focal length / 1000 to get metres). Joints are relative to the pelvis."
)
METRIC = "Metres in the camera optical frame: x right, y down, z forward."


@dataclass(frozen=True, eq=False)
class StillPeople:
    """The people of one image; axes P people, J joints."""

    camera: Camera  # of the image; without a focal length its K is only used to draw
    has_focal: bool
    pose: Pose3D  # m in the camera's optical frame
    detections: Seen2D  # 2D people (h36m_17) and the id of each
    canonical_depth_m: Floats  # (P,) of the pelvis, at a focal length of 1000 px
    height_m: Floats  # (P,) by the bones

    @property
    def published(self) -> Pose3D:
        """The pose to publish: without a focal length relative to the pelvis, and without a covariance."""
        if self.has_focal:
            return self.pose
        root = self.pose.xyz[:, :1]
        unknown = np.full(self.pose.covariance.shape, np.nan)
        return replace(self.pose, xyz=self.pose.xyz - root, covariance=unknown, frame_id="pelvis")


def write_still_picture(image: NDArray[np.uint8], people: StillPeople, path: Path | str) -> None:
    """Write a PNG: dots are detected joints, lines the 3D bones projected back, labels id and depth.

    Raises InputError for a path that cannot be written.
    """
    size = people.camera.size_wh
    scale = layout([size])[1]
    small = people.camera.resized((max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
    # draw_tile labels people with their ids; the labels here include the depth.
    labels = {person: f"{person}: {_depth(people, row)}" for row, person in enumerate(people.pose.ids)}
    colours = {labels[person]: rgb[::-1] for person, rgb in PersonColours()(labels).items()}
    pose = replace(people.pose, ids=tuple(labels.values()))
    keypoints, ids = people.detections
    detections = keypoints, tuple(labels.get(person, person) for person in ids)
    if not cv2.imwrite(str(path), draw_tile(small, image, pose, detections, colours)):
        raise InputError(f"image {path} cannot be written: check that its folder exists and is writable")


def write_still_json(people: StillPeople, path: Path | str) -> None:
    """Write all people's joints, m, with their reference frame and standard deviations."""
    pose, K = people.published, people.camera.K
    content = {
        "note": METRIC if people.has_focal else NOT_METRIC,
        "frame": pose.frame_id,
        "image_size_px": list(people.camera.size_wh),
        "focal_px": [float(K[0, 0]), float(K[1, 1])] if people.has_focal else None,
        "principal_point_px": [float(K[0, 2]), float(K[1, 2])],
        "people": [_person(people, pose, row) for row in range(len(pose))],
    }
    Path(path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _person(people: StillPeople, pose: Pose3D, row: int) -> dict[str, Any]:
    joints = {
        name: {
            "xyz_m": _numbers(pose.xyz[row, joint]),
            "std_m": _numbers(np.sqrt(np.diagonal(pose.covariance[row, joint]))),
            "score": round(float(pose.score[row, joint]), 3),
            "seen": bool(pose.n_views[row, joint]),
        }
        for joint, name in enumerate(pose.skeleton.joint_names)
    }
    return {
        "id": pose.ids[row],
        "root_m": joints["Pelvis"]["xyz_m"] if people.has_focal else None,
        "canonical_depth_m": round(float(people.canonical_depth_m[row]), 4),
        "height_m": round(float(people.height_m[row]), 3),
        "joints": joints,
    }


def _numbers(values: Floats) -> list[float | None]:
    """NaN becomes None: JSON has no NaN."""
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]


def _depth(people: StillPeople, row: int) -> str:
    if people.has_focal:
        return f"{people.pose.xyz[row, people.pose.skeleton.index('Pelvis'), 2]:.2f} m"
    return f"{people.canonical_depth_m[row]:.2f} at f 1000"
