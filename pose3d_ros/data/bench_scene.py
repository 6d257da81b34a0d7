"""A person who walks before two cameras of 640x480 px, and a detector that knows where: for timing all but detection.

NumPy, float64. Everything is computed before the first frame; asking costs a look into a table.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, FrameSet, Keypoints2D, Rig

SIZE_WH, FOCAL_PX, RATE_HZ = (640, 480), 530.0, 30.0
# A second of walking to and fro, over and over: keypoints of as many frames are kept.
FRAMES = 30
NOISE_PX, SCORE = 2.0, 0.8
# m, the floor at z = 0; somebody of 1.7 m who faces along x.
PERSON = np.array([
    [0.00, 0.00, 0.95], [0.00, -0.13, 0.93], [0.02, -0.13, 0.50], [0.00, -0.14, 0.08], [0.00, 0.13, 0.93],
    [0.02, 0.13, 0.50], [0.00, 0.14, 0.08], [0.00, 0.00, 1.18], [0.00, 0.00, 1.42], [0.10, 0.00, 1.55],
    [0.00, 0.00, 1.70], [0.00, 0.20, 1.40], [0.00, 0.28, 1.12], [0.10, 0.30, 0.90], [0.00, -0.20, 1.40],
    [0.00, -0.28, 1.12], [0.10, -0.30, 0.90],
])  # fmt: skip


def rig() -> Rig:
    """Two cameras 4 m in front of the person, 1.5 m apart."""
    return Rig(tuple(_camera(name, (4.0, y, 1.4)) for name, y in (("left", 0.75), ("right", -0.75))), "world")


def _camera(name: str, centre: tuple[float, float, float]) -> Camera:
    forward = np.array([0.0, 0.0, 1.0]) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ centre
    middle = [(SIZE_WH[0] - 1) / 2, (SIZE_WH[1] - 1) / 2]
    K = np.array([[FOCAL_PX, 0.0, middle[0]], [0.0, FOCAL_PX, middle[1]], [0.0, 0.0, 1.0]])
    return Camera(name, SIZE_WH, K, cam_from_world=cam_from_world)


class KnownDetector:
    """A Detector that costs nothing: the keypoints of a frame are looked up by its stamp."""

    name = "known"
    skeleton = H36M_17
    device = "cpu"

    def __init__(self, cameras: Rig) -> None:
        random = np.random.default_rng(0)
        phase = np.abs(2.0 * np.arange(FRAMES) / FRAMES - 1.0)  # to and fro within the frames: no leap at the seam
        xyz = PERSON + 0.5 * (phase[:, None, None] - 0.5) * (0.0, 1.0, 0.0)
        self._xy = {
            camera.name: project(camera, xyz) + random.normal(0, NOISE_PX, (FRAMES, H36M_17.size, 2))
            for camera in cameras.cameras
        }
        self._score = np.full((1, H36M_17.size), SCORE)
        self._score[:, H36M_17.index("HeadTop")] = 0.0
        for xy in self._xy.values():
            xy[:, H36M_17.index("HeadTop")] = np.nan
        self._covariance = np.tile(NOISE_PX**2 * np.eye(2), (1, H36M_17.size, 1, 1))

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """The person in every camera of the set."""
        found = {}
        for name, stamp_ns in frames.stamps_ns.items():
            xy = self._xy[name][round(stamp_ns * RATE_HZ / 1e9) % FRAMES][None]
            found[name] = Keypoints2D(xy, self._score, H36M_17, stamp_ns, covariance=self._covariance)
        return found

    def reset(self) -> None:
        """There is nothing to forget."""
