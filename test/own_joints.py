"""People with every joint of a detector's skeleton, and how cameras see them: the truth for human_pose_3d/keypoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pose3d_ros.estimation import detector_joints
from pose3d_ros.estimation.observation import Grouped2D
from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Skeleton

SPREAD_M = 0.05  # how far a joint that h36m_17 lacks lies from its parent


def own_joints(skeleton: Skeleton, body: Floats) -> Floats:
    """Joints (..., J, 3) m of a skeleton on bodies (..., 17, 3): a joint that h36m_17 lacks is near its parent."""
    rng = np.random.default_rng(skeleton.size)
    offsets = rng.uniform(-SPREAD_M, SPREAD_M, (skeleton.size, 3))
    places: dict[int, Floats] = {}

    def place(joint: int) -> Floats:
        name, parent = skeleton.joint_names[joint], skeleton.parents[joint]
        if joint not in places:
            if name in H36M_17.joint_names:
                places[joint] = body[..., H36M_17.index(name), :]
            else:
                below = place(parent) if parent >= 0 else body[..., H36M_17.index("Thorax"), :]
                places[joint] = below + offsets[joint]
        return places[joint]

    return np.stack([place(joint) for joint in range(skeleton.size)], axis=-2)


def seen_by(
    camera: Camera, people: Floats, skeleton: Skeleton, rng: np.random.Generator, sigma_px: float, stamp_ns: int = 0
) -> Keypoints2D:
    """What a detector whose errors have sigma_px an axis, and say so, gives for people (P, J, 3) m."""
    xy = project(camera, people) + rng.normal(0.0, sigma_px, (*people.shape[:2], 2))
    covariance = np.tile(sigma_px**2 * np.eye(2), (*people.shape[:2], 1, 1))
    return Keypoints2D(xy, np.full(people.shape[:2], 0.9), skeleton, stamp_ns, covariance)


def joints_triangulated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the number of joints each time some of the detector's are triangulated."""
    joints: list[int] = []
    real = detector_joints.triangulate_people

    def counted(cameras: Any, keypoints: Grouped2D, **options: Any) -> Any:
        joints.append(keypoints.score.shape[-1])
        return real(cameras, keypoints, **options)

    monkeypatch.setattr(detector_joints, "triangulate_people", counted)
    return joints
