"""How certain a bundle adjustment over people is (NumPy, float64).

A detector's errors last, and partly stay: its idea of a joint is beside the bone's end in the same direction while a
person does not turn. So the covariance is not the inverse of the normal equations but a sandwich (White, Econometrica
50(1), 1982): the scores of a person's second are one draw, and each joint has a constant error in each view.
"""

from __future__ import annotations

import numpy as np

from pose3d_ros.calibration.people_bundle import Evidence, Normal, free
from pose3d_ros.structures import Floats

# Seconds whose errors are taken for one draw.
BLOCK_S = 1.0
# The constant error of a joint in a view, m across the line of sight.
BIAS_M = 0.01


def covariance(evidence: Evidence, normal: Normal) -> Floats:
    """(G, G) of the parameters of all cameras and the lengths; 0 for those that are fixed."""
    residual, weight, own, per_m = normal.rows
    views, moments, joints = weight.shape
    own_count, count = own.shape[-1], len(normal.g)
    used = free(normal)
    inverse = np.zeros((count, count))
    inverse[np.ix_(used, used)] = np.linalg.inv(normal.H[np.ix_(used, used)])
    to_joints = normal.to_joints.reshape(moments, joints, 3, count)
    pull = weight[..., None] * residual  # (V, M, N, 2)
    score = -np.einsum("vmna,vmnac,mncg->mg", pull, per_m, to_joints, optimize=True)
    for v in range(views):
        part = slice(own_count * v, own_count * (v + 1))
        score[:, part] += np.einsum("mna,mnai->mi", pull[v], own[v], optimize=True)
    block = np.unique(np.stack([evidence.person, np.floor(evidence.at_s / BLOCK_S).astype(int)]), axis=1, return_inverse=True)[1]
    sums = np.zeros((int(block.max()) + 1, count))
    np.add.at(sums, block.ravel(), score)
    middle = sums.T @ sums * (len(sums) / max(len(sums) - 1, 1)) + np.where(normal.prior < 1e15, normal.prior, 0.0)
    size = BIAS_M * np.linalg.norm(per_m, axis=-1) * weight[..., None]  # (V, M, N, 2): px of the constant error, weighed
    bias = -np.einsum("vmna,vmnac,mncg->vnag", size, per_m, to_joints, optimize=True)
    for v in range(views):
        part = slice(own_count * v, own_count * (v + 1))
        bias[v, ..., part] += np.einsum("mna,mnai->nai", size[v], own[v], optimize=True)
    flat = bias.reshape(-1, count)
    return np.asarray(inverse @ (middle + flat.T @ flat) @ inverse)
