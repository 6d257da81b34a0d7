"""How certain a bundle adjustment over people is (NumPy, float64).

A detector's errors last, and partly stay: its idea of a joint is away from the bone's end in the same direction while a
person does not turn. So the covariance is not the inverse of the normal equations but a sandwich (White, Econometrica
50(1), 1982): the scores of a person's two seconds are one draw, and each joint has a constant error in each view.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose3d_ros.calibration.people_bundle import reduced
from pose3d_ros.calibration.people_equations import FIXED, Linear, free
from pose3d_ros.calibration.people_residuals import OWN, Evidence
from pose3d_ros.structures import Camera, Floats

# Seconds whose errors are taken for one draw.
BLOCK_S = 2.0
# The constant error of a joint in a view, m across the line of sight.
BIAS_M = 0.008
# What both leave out (places where errors are alike, furniture that hides legs), as a factor on the covariance: 95 %
# regions hold 90 to 98 % of simulated and rendered rigs with it (pose3d evaluate calibration).
WIDENED = 2.5


def covariance(evidence: Evidence, linear: Linear) -> Floats:
    """(G, G) of the parameters of all cameras and the lengths; 0 for those that are fixed."""
    px, weight, one = linear.joints.pixels, linear.joints.weight, reduced(linear)
    (views, moments, joints), count = weight.shape, len(one.g)
    used = free(linear)
    inverse = np.zeros((count, count))
    inverse[np.ix_(used, used)] = np.linalg.inv(one.H[np.ix_(used, used)])
    # (V, M, N, 2, G): derivatives of the pixels by the parameters, the joints following.
    derivative = -px.per_m @ one.to_joints.reshape(moments, joints, 3, count)
    for v in range(views):
        derivative[v, ..., OWN * v : OWN * (v + 1)] += px.own[v]
    score = np.einsum("vmna,vmnag->mg", weight[..., None] * px.residual, derivative, optimize=True)
    block = np.unique(
        np.stack([evidence.person, np.floor(evidence.at_s / BLOCK_S).astype(int)]), axis=1, return_inverse=True
    )[1]
    sums = np.zeros((int(block.max()) + 1, count))
    np.add.at(sums, block.ravel(), score)
    middle = sums.T @ sums * (len(sums) / max(len(sums) - 1, 1)) + np.where(
        linear.prior < FIXED / 10, linear.prior, 0.0
    )
    # (V, M, N, 2): the constant error in px, times its weight.
    size = BIAS_M * np.linalg.norm(px.per_m, axis=-1) * weight[..., None]
    bias = np.einsum("vmna,vmnag->vnag", size, derivative, optimize=True).reshape(-1, count)
    return np.asarray(WIDENED * inverse @ (middle + bias.T @ bias) @ inverse)


def relative_covariances(total: Floats, cameras: Sequence[Camera]) -> dict[str, Floats]:
    """(6, 6) of each camera's motion (rotation rad, translation m) against the first camera, in its own frame.

    total (G, G) is that of the parameters. Moving the first camera by xi moves cam_from_first by -Ad xi.
    """
    first = cameras[0].cam_from_world
    found = {cameras[0].name: np.zeros((6, 6))}
    for v, camera in enumerate(cameras[1:], 1):
        matrix = camera.cam_from_world @ np.linalg.inv(first)
        R, (x, y, z) = matrix[:3, :3], matrix[:3, 3]
        adjoint = np.zeros((6, 6))
        adjoint[:3, :3] = adjoint[3:, 3:] = R
        adjoint[3:, :3] = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ R
        own, zero = slice(OWN * v, OWN * v + 6), slice(0, 6)
        cross = total[own, zero] @ adjoint.T
        found[camera.name] = total[own, own] - cross - cross.T + adjoint @ total[zero, zero] @ adjoint.T
    return found


def at_scale(total: Floats, scale: Floats) -> Floats:
    """The covariance (G, G) for a scale that is known: given that scale (G,) @ parameters, a logarithm, is 0."""
    pull = total @ scale
    variance = float(scale @ pull)
    return total - np.outer(pull, pull) / variance if variance > 0 else total
