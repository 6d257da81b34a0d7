"""People who walk on a Human3.6M floor, as simulated views take them."""

from __future__ import annotations

import numpy as np
from synthetic_people import walker

from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.simulated_rigs import h36m_rig
from pose3d_ros.structures import Floats


def people(windows: int, frames: int = 1, seed: int = 0) -> Floats:
    """(W, T, 17, 3) m of walkers of 1.5 to 1.9 m at 1.2 m/s and 12 frames a second."""
    random = np.random.default_rng(seed)
    walks = [
        [walker((0, 0), (1.2, 0.0), n / 12, random.uniform(1.5, 1.9)) for n in range(frames)] for _ in range(windows)
    ]
    return placed(np.array(walks), h36m_rig("S9").floor, random)
