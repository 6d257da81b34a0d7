"""How far off a keypoint may be: the 2D covariance from the crop's scale, the joint and the score."""

from __future__ import annotations

import numpy as np

from pose3d_ros.structures import Floats

# px of the 256 px crop, one axis, at score 1; provisional.
JOINT_SIGMA_PX = np.full(17, 2.0)


def covariance(score: Floats, px_per_crop_px: Floats) -> Floats:
    """Covariance (P, 17, 2, 2) px^2 of keypoints with score (P, 17) from crops of the scale (P,)."""
    sigma = px_per_crop_px[:, None] * JOINT_SIGMA_PX / np.clip(score, 0.1, 1.0)
    return np.asarray(sigma[..., None, None] ** 2 * np.eye(2))
