"""The papers' setting: a detector that gives all 17 joints of h36m_17, each with an error of its own (NumPy, float64).

Detectors trained on Human3.6M give them so, and the papers' figures were got so. Ours speak COCO-17, which simulation
maps as the nodes do. Joints without a keypoint in COCO-17 err here as the keypoints that PASSES names.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose3d_ros.simulation.noise_models import Noise
from pose3d_ros.skeletons import COCO_17, H36M_17, map_matrix
from pose3d_ros.structures import Floats

# What the detector is run on, one independent time after another: {keypoint of COCO-17: joint in its place}. Noses and
# shoulders are never taken for the other side's, as limbs are (detector_noise.LIMBS).
PASSES: tuple[dict[str, str], ...] = (
    {name: name for name in COCO_17.joint_names if name in H36M_17.joint_names},
    {"LShoulder": "Pelvis", "RShoulder": "Thorax", "Nose": "HeadTop"},
    {"LShoulder": "Spine"},
)


def detected(
    true_px: Floats, px_per_crop_px: Floats, noise: Noise, dt_s: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Keypoints (V, W, T, 17, 2) px and scores (V, W, T, 17) of h36m_17 for true ones, NaN and 0 where missed.

    px_per_crop_px (V, W, T) as in noise.crop_scale.
    """
    xy, score = np.full_like(true_px, np.nan), np.zeros(true_px.shape[:-1])
    for one in PASSES:
        keypoints = [COCO_17.index(name) for name in one]
        joints = [H36M_17.index(name) for name in one.values()]
        shown = np.full((*true_px.shape[:-2], COCO_17.size, 2), np.nan)
        shown[..., keypoints, :] = true_px[..., joints, :]
        seen, sure = noise(shown, px_per_crop_px, dt_s, rng)
        xy[..., joints, :], score[..., joints] = seen[..., keypoints, :], sure[..., keypoints]
    return xy, score


def hidden_joints(hide: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which joints (..., 17) of h36m_17 are hidden with keypoints (..., 17) of COCO-17: whose parts all are.

    HeadTop goes with the nose.
    """
    parts = map_matrix(COCO_17, H36M_17) > 0
    parts[H36M_17.index("HeadTop"), COCO_17.index("Nose")] = True
    return np.asarray((hide[..., None, :] | ~parts).all(axis=-1))
