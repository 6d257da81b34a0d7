"""A recording of a person who walks past Human3.6M's cameras, of which one has a biased detector."""

from __future__ import annotations

import numpy as np
from synthetic_people import h36m_rig, walker

from pose3d_ros.geometry.projection import project
from pose3d_ros.recordings.recording import Recording
from pose3d_ros.simulation.views import to_coco, to_h36m
from pose3d_ros.skeletons import H36M_17
from pose3d_ros.structures import Floats, Keypoints2D, Rig

FRAMES, FPS = 100, 20.0
RIG = h36m_rig("S9")
PAIR = RIG.names[:2]
# Of the detector, in the pair's second camera: seen from the other cameras, the pair's joints are off by 2 cm and more.
BIAS_PX = np.array([12.0, 6.0])


def person(time_s: float, speed: float = 0.5) -> Floats:
    """Joints (17, 3) m of the walker."""
    return walker((-1.0, 0.2), (speed, 0.1 * speed), time_s)


def walking(speed: float = 0.5, frames: int = FRAMES, cameras: int = 4, bias: bool = True) -> Recording:
    """The walker's keypoints, off by a pixel and the bias."""
    random = np.random.default_rng(0)
    keypoints: dict[str, dict] = {}
    for view, camera in enumerate(RIG.cameras[:cameras]):
        seen = keypoints.setdefault(camera.name, {})
        for frame in range(frames):
            px = project(camera, to_coco(person(frame / FPS, speed)))
            px = px + random.normal(scale=1.0, size=px.shape) + (BIAS_PX if bias and view == 1 else 0.0)
            xy, score = to_h36m(px[None], np.where(np.isfinite(px).all(axis=-1), 0.8, 0.0)[None])
            stamp = round(frame * 1e9 / FPS)
            seen[stamp] = Keypoints2D(xy, score, H36M_17, stamp), ("1",)
    return Recording(Rig(RIG.cameras[:cameras]), (), np.zeros(0), {}, keypoints, 0, FPS, frames, frames)
