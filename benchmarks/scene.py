"""People who walk in view of cameras of 640x480 px, and a detector that knows them: for timing all but detection.

NumPy, float64. Everything is computed before the first frame; asking costs a look into a table.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, FrameSet, Keypoints2D, Rig, unchecked

SIZE_WH, FOCAL_PX, RATE_HZ = (640, 480), 530.0, 30.0
# A second of walking to and fro, in a loop: keypoints of as many frames are kept.
FRAMES = 30
NOISE_PX, SCORE = 2.0, 0.8
# m, the floor at z = 0; a person of 1.7 m who faces along x.
PERSON = np.array([
    [0.00, 0.00, 0.95], [0.00, -0.13, 0.93], [0.02, -0.13, 0.50], [0.00, -0.14, 0.08], [0.00, 0.13, 0.93],
    [0.02, 0.13, 0.50], [0.00, 0.14, 0.08], [0.00, 0.00, 1.18], [0.00, 0.00, 1.42], [0.10, 0.00, 1.55],
    [0.00, 0.00, 1.70], [0.00, 0.20, 1.40], [0.00, 0.28, 1.12], [0.10, 0.30, 0.90], [0.00, -0.20, 1.40],
    [0.00, -0.28, 1.12], [0.10, -0.30, 0.90],
])  # fmt: skip


# Of more than two cameras: m from the middle of the floor. People stand on it in a spiral, about so far apart.
RING_M, APART_M = 6.0, 0.55


def rig(cameras: int = 2) -> Rig:
    """Two cameras 4 m in front of the person, 1.5 m apart; more in a ring."""
    if cameras == 2:
        places = {"left": (4.0, 0.75, 1.4), "right": (4.0, -0.75, 1.4)}
    else:
        angles = 2 * np.pi * np.arange(cameras) / cameras
        ring = RING_M * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        places = {f"camera{n}": (x, y, 1.4 + 0.1 * n) for n, (x, y) in enumerate(ring.tolist())}
    return Rig(tuple(_camera(name, place) for name, place in places.items()), "world")


def crowd(people: int) -> Floats:
    """(P, 17, 3) m: the first in the middle, 1.7 m tall; the others from a tenth less to a tenth more."""
    number = np.arange(people)
    angle, radius = 2.4 * number, APART_M * np.sqrt(number)  # the golden angle
    places = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(people)], axis=1)
    stature = np.where(number, 0.9 + 0.2 * (0.618 * number % 1.0), 1.0)
    return np.asarray(stature[:, None, None] * PERSON + places[:, None])


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
    """A Detector without cost: it looks up the keypoints of a frame by its stamp."""

    name = "known"
    skeleton = H36M_17
    device = "cpu"

    def __init__(self, cameras: Rig, people: int = 1) -> None:
        random = np.random.default_rng(0)
        phase = np.abs(2.0 * np.arange(FRAMES) / FRAMES - 1.0)  # to and fro within the frames: no leap at the seam
        xyz = crowd(people) + 0.5 * (phase[:, None, None, None] - 0.5) * (0.0, 1.0, 0.0)
        noise = FRAMES, people, H36M_17.size, 2
        self._xy = {camera.name: project(camera, xyz) + random.normal(0, NOISE_PX, noise) for camera in cameras.cameras}
        self._score = np.full((people, H36M_17.size), SCORE)
        self._score[:, H36M_17.index("HeadTop")] = 0.0
        for xy in self._xy.values():
            xy[..., H36M_17.index("HeadTop"), :] = np.nan
        self._covariance = np.tile(NOISE_PX**2 * np.eye(2), (people, H36M_17.size, 1, 1))

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        """All people in every camera of the set."""
        found = {}
        for name, stamp_ns in frames.stamps_ns.items():
            xy = self._xy[name][round(stamp_ns * RATE_HZ / 1e9) % FRAMES]
            found[name] = unchecked(
                Keypoints2D,
                xy=xy,
                score=self._score,
                skeleton=H36M_17,
                stamp_ns=stamp_ns,
                covariance=self._covariance,
                boxes=None,
            )
        return found

    def reset(self) -> None:
        """Does nothing: it has no state."""
