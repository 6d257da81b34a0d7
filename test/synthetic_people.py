"""Made-up walking people, and how the Human3.6M cameras see them: truth for tests of association and tracking."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, Keypoints2D, Rig

# A standing adult, 1.75 m, facing +x, z up, feet on the floor: (17, 3) m in the order of H36M_17.
STANDING = np.array(
    [
        (0.00, 0.00, 0.95), (0.00, -0.13, 0.95), (0.02, -0.13, 0.50), (0.00, -0.13, 0.08),
        (0.00, 0.13, 0.95), (0.02, 0.13, 0.50), (0.00, 0.13, 0.08), (0.00, 0.00, 1.20),
        (0.00, 0.00, 1.45), (0.10, 0.00, 1.58), (0.00, 0.00, 1.75), (0.00, 0.18, 1.43),
        (0.00, 0.22, 1.15), (0.08, 0.23, 0.90), (0.00, -0.18, 1.43), (0.00, -0.22, 1.15), (0.08, -0.23, 0.90),
    ]
)  # fmt: skip
# How far each joint swings forward and back with the stride, m: legs and arms in opposition.
SWING = np.zeros(17)
SWING[[2, 3, 5, 6, 12, 13, 15, 16]] = (0.15, 0.30, -0.15, -0.30, 0.10, 0.20, -0.10, -0.20)


def h36m_rig(subject: str = "S9") -> Rig:
    """The four published cameras of a Human3.6M recording, world z up."""
    published = json.loads((Path(__file__).parent / "data" / "h36m_rigs.json").read_text())
    cameras = []
    for inside, outside in zip(published["intrinsics"], published["extrinsics"][subject], strict=True):
        (fx, fy), (cx, cy) = inside["focal_px"], inside["principal_point_px"]
        w, x, y, z = outside["quaternion_wxyz"]
        world_from_camera = np.array(
            [
                (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
                (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
                (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
            ]
        )
        cam_from_world = np.eye(4)
        cam_from_world[:3, :3] = world_from_camera.T
        cam_from_world[:3, 3] = -world_from_camera.T @ np.array(outside["centre_mm"]) / 1000
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        cameras.append(
            Camera(inside["name"], tuple(inside["size_px"]), K, "plumb_bob", inside["distortion"], cam_from_world)
        )
    return Rig(tuple(cameras))


def walker(start_xy: Sequence[float], velocity_xy: Sequence[float], t_s: float, stature_m: float = 1.75) -> Floats:
    """Joints (17, 3) m of a person who walks straight on; the stride is 1.4 m."""
    velocity = np.asarray(velocity_xy, dtype=np.float64)
    speed = float(np.hypot(*velocity))
    heading = np.arctan2(velocity[1], velocity[0]) if speed > 0 else 0.0
    body = STANDING * (stature_m / 1.75)
    body[:, 0] += SWING * np.sin(2 * np.pi * speed / 1.4 * t_s)
    c, s = np.cos(heading), np.sin(heading)
    body = body @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    body[:, :2] += np.asarray(start_xy) + velocity * t_s
    return np.asarray(body, dtype=np.float64)


def seen(
    camera: Camera,
    people: Floats,
    rng: np.random.Generator,
    *,
    noise_px: float = 4.0,
    order: Sequence[int] | None = None,
    stamp_ns: int = 0,
) -> Keypoints2D:
    """What a detector would give for people (P, 17, 3) m, in the given order of people."""
    xy = project(camera, people) + rng.normal(0.0, noise_px, (len(people), 17, 2))
    order = range(len(people)) if order is None else order
    score = rng.uniform(0.5, 0.9, xy.shape[:2])
    return Keypoints2D(xy, score, H36M_17, stamp_ns).select(list(order))
