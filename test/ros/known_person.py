"""A person who is known, cameras that watch, and a detector that knows the answer; no PyTorch is loaded for it.

Every image carries its camera's own grey, so that the detector sees when an image reaches the wrong camera.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pose3d_ros.geometry.projection import project
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Camera, Floats, FrameSet, Keypoints2D, Rig

SIZE_WH = (160, 120)
K = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])
T0_NS = 1_700_000_000 * 10**9
PERIOD_NS = 33_333_333

# A person of 1.7 m who faces along x, joints of h36m_17 in m, the floor at z = 0.
PERSON = np.array([
    [0, 0, 0.95], [0, -0.13, 0.93], [0.02, -0.13, 0.5], [0, -0.14, 0.08], [0, 0.13, 0.93], [0.02, 0.13, 0.5],
    [0, 0.14, 0.08], [0, 0, 1.18], [0, 0, 1.42], [0.1, 0, 1.55], [0, 0, 1.7], [0, 0.2, 1.4],
    [0, 0.28, 1.12], [0.1, 0.3, 0.9], [0, -0.2, 1.4], [0, -0.28, 1.12], [0.1, -0.3, 0.9],
])  # fmt: skip


def truth(stamp_ns: int) -> Floats:
    """(17, 3) m: the person walks along y at 0.5 m/s to and fro."""
    phase = ((stamp_ns - T0_NS) * 1e-9) % 4.0
    return PERSON + np.array([0.0, 0.5 * (phase if phase < 2.0 else 4.0 - phase) - 0.5, 0.0])


def looking_at(name: str, centre: tuple[float, float, float]) -> Camera:
    """A camera at centre (m) that looks at the person's middle."""
    forward = np.array([0.0, 0.0, 1.0]) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ centre
    return Camera(name, SIZE_WH, K, "plumb_bob", np.array([-0.05, 0.02, 0.001, -0.001, 0.0]), cam_from_world)


def ring(*names: str) -> Rig:
    """Cameras 4 m in front of the person, 1.5 m apart."""
    return Rig(tuple(looking_at(name, (4.0, 1.5 * n - 0.75, 1.3 + 0.1 * n)) for n, name in enumerate(names)), "world")


def stereo_head() -> Rig:
    """A rectified pair, 0.5 m apart; the world is the left camera's frame."""
    left = looking_at("left", (4.0, 0.0, 1.3)).rectified()
    right_from_left = np.eye(4)
    right_from_left[0, 3] = -0.5
    return Rig((left, Camera("right", SIZE_WH, K, cam_from_world=right_from_left @ left.cam_from_world)), "world")


def grey_of(camera: int) -> int:
    return 40 + 40 * camera


class KnownDetector:
    """Gives the exact projections of the person where the image carries the grey of its camera."""

    name = "known"
    skeleton = H36M_17
    device = "none"

    def __init__(self, rig: Rig, error: Callable[[FrameSet], None] = lambda frames: None) -> None:
        self.rig = rig
        self.error = error

    def __call__(self, frames: FrameSet) -> dict[str, Keypoints2D]:
        self.error(frames)
        found = {}
        for name, image in frames.images.items():
            stamp_ns = frames.stamps_ns[name]
            right_image = abs(float(image.mean()) - grey_of(self.rig.names.index(name))) < 3
            xy = project(self.rig.camera(name), truth(stamp_ns))[None]
            found[name] = (
                Keypoints2D(
                    xy, np.full((1, 17), 0.9), H36M_17, stamp_ns, covariance=np.tile(0.1 * np.eye(2), (1, 17, 1, 1))
                )
                if right_image
                else Keypoints2D.empty(H36M_17, stamp_ns)
            )
        return found

    def reset(self) -> None:
        pass
