"""A made-up body that moves: motion data for tests of training, in the form of docs/training.md."""

from __future__ import annotations

import numpy as np

from pose3d_ros.mocap.motion import Motion, motion_from_arrays
from pose3d_ros.simulation.augmentation import placed
from pose3d_ros.simulation.noise_models import GaussianNoise
from pose3d_ros.simulation.simulated_rigs import SimulatedRig, simulated_rig
from pose3d_ros.simulation.views import SimulatedViews, simulate
from pose3d_ros.skeletons import H36M_17

# Height above the floor and offset to the left of a standing person, m, in the order of h36m_17.
_UP = (0.95, 0.95, 0.5, 0.08, 0.95, 0.5, 0.08, 1.2, 1.45, 1.6, 1.75, 1.42, 1.15, 0.9, 1.42, 1.15, 0.9)
_LEFT = (0, -0.13, -0.13, -0.13, 0.13, 0.13, 0.13, 0, 0, 0, 0, 0.18, 0.25, 0.3, -0.18, -0.25, -0.3)


def arrays(frames: int = 60, subjects: int = 6) -> dict[str, np.ndarray]:
    """One clip a subject, half train, a quarter each val and test or so."""
    rng = np.random.default_rng(0)
    body = np.stack([0.1 * np.ones(17), np.array(_LEFT), np.array(_UP)], axis=-1)
    clips = []
    for _ in range(subjects):
        sway = 0.08 * np.sin(np.linspace(0, 6, frames)[:, None, None] + rng.uniform(0, 6, (1, 17, 3)))
        clips.append(rng.uniform(0.9, 1.1) * body + sway * (np.arange(17) % 3 != 0)[:, None])
    return {
        "xyz": np.concatenate(clips).astype(np.float32),
        "joint_names": np.array(H36M_17.joint_names),
        "clip_start": np.arange(subjects) * frames,
        "clip_len": np.full(subjects, frames),
        "fps": np.full(subjects, 12.0),
        "subject": np.array([f"person{n}" for n in range(subjects)]),
        "split": np.array((["train", "train", "train", "val", "test", "train"] * subjects)[:subjects]),
    }


def tiny_motion() -> Motion:
    """The same, checked."""
    return motion_from_arrays(arrays())


def simulated_views(
    one: SimulatedRig | None = None, people: int = 5, sigma_px: float = 4.0, annotation_px: float | None = None
) -> SimulatedViews:
    """People of this motion, one moment each, before a rig (Human3.6M's first one) with noise of sigma_px."""
    rng, motion = np.random.default_rng(0), tiny_motion()
    one = simulated_rig("h36m", 0, held_out=False) if one is None else one
    xyz = placed(motion.xyz[motion.draw(people, 1, rng)], one.floor, rng)
    more = {} if annotation_px is None else {"annotation_px": annotation_px}
    return simulate(xyz, one, GaussianNoise(sigma_px), rng, **more)
