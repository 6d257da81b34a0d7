"""People in the middle of Human3.6M's cameras, grouped and triangulated: what a refiner is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from synthetic_people import h36m_rig, seen, walker

from pose3d_ros.estimation.observation import Grouped2D, gathered, triangulated
from pose3d_ros.estimation.track import Observed3D
from pose3d_ros.structures import Camera, Floats

RIG = h36m_rig()
CAMERAS = RIG.cameras
TRUTH = np.stack([walker((0, 0), (0, 0), 0), walker((0.8, 0.5), (0, 0), 0)])


def observe(
    truth: Floats = TRUTH,
    cameras: Sequence[Camera] = CAMERAS,
    groups: np.ndarray | None = None,
    noise_px: float = 3.0,
) -> tuple[Grouped2D, Observed3D]:
    """Keypoints of people (P, 17, 3) m and what is triangulated of them; each is the same row in every camera."""
    rng = np.random.default_rng(0)
    groups = np.tile(np.arange(len(truth))[:, None], (1, len(cameras))) if groups is None else groups
    found = gathered([seen(camera, truth, rng, noise_px=noise_px) for camera in cameras], groups)
    return found, triangulated(tuple(cameras), found, min_views=2, max_std_m=np.inf)
