"""Definition of fit_heads (kernels/heads.py) in NumPy, float64. Axes: G people, J points of a head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from pose3d_ros.geometry.head import (
    MAX_TURN_STD,
    MIN_FACE,
    MIN_POINTS,
    MISFIT,
    MODEL,
    MODEL_STD,
    SIZE_STD,
    STEPS,
    Heads,
)
from pose3d_ros.structures import Floats


def fit_heads(xyz: Floats, covariance: Floats) -> Heads:
    """Heads of points (G, 6, 3) m in the order of HEAD_POINTS, with covariances (G, 6, 3, 3) m^2; NaN where absent."""
    none = Heads(*(np.full((len(xyz), *shape), np.nan) for shape in ((3, 3), (3, 3), (3,), (3, 3))))
    seen = np.isfinite(xyz).all(-1)
    face = seen[:, :5].sum(-1)
    enough = (face >= MIN_FACE) & (face + seen[:, 5] >= MIN_POINTS) & (seen[:, 3] | seen[:, 4])
    if not enough.any():
        return none
    present, points, spread = seen[enough], np.nan_to_num(xyz[enough]), np.nan_to_num(covariance[enough])
    R, t = _start(points, spread, present)
    own = R[:, None] * MODEL_STD[:-1, None]
    # Whitens residuals: L L' is the inverse of a point's covariance, 0 for one that is absent.
    L = np.linalg.cholesky(np.linalg.inv(spread + own @ own.swapaxes(-1, -2)))
    L = np.where(present[..., None, None], L, 0.0).swapaxes(-1, -2)
    size = np.ones(len(R))
    for _ in range(STEPS):
        residual, A, left = _linearised(points, L, R, t, size)
        step = (left @ (A.swapaxes(-1, -2) @ residual[..., None]))[..., 0]
        R, t, size = R @ _rotation(step[:, :3]), t + step[:, 3:6], size * np.exp(step[:, 6])
    residual, _, left = _linearised(points, L, R, t, size)
    scaled = size[:, None, None] * R
    J = _jacobian(scaled, MODEL[-1:])[:, 0]
    own = scaled * MODEL_STD[-1]
    top = J @ left @ J.swapaxes(-1, -2) + own @ own.swapaxes(-1, -2)
    turn = left[:, :3, :3]
    arm = MODEL[-1] - MODEL[:5].mean(axis=0)
    bent = np.trace(turn, axis1=-2, axis2=-1)[:, None] * arm - turn @ arm
    bent = (scaled @ bent[..., None])[..., 0]
    top += bent[..., :, None] * bent[..., None, :]
    found = R, left[:, :3, :3], t + scaled @ MODEL[-1], top
    freedom = 3 * present.sum(-1) - 6
    valid = (residual**2).sum(-1) <= chi2.ppf(norm.cdf(MISFIT), freedom)
    valid &= np.diagonal(left[:, :3, :3], axis1=-2, axis2=-1).max(-1) <= MAX_TURN_STD**2
    rows = np.flatnonzero(enough)[valid]
    for field, numbers in zip(vars(none).values(), found, strict=True):
        field[rows] = numbers[valid]
    return none


def _start(points: Floats, spread: Floats, present: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Rotation (G, 3, 3) and place (G, 3) of the shape of size 1, by weighted least squares (Kabsch 1976)."""
    model = MODEL[:-1]
    weight = np.where(present, 1.0 / (np.trace(spread, axis1=-2, axis2=-1) + (MODEL_STD[:-1] ** 2).sum(-1)), 0.0)
    weight /= weight.sum(-1, keepdims=True)
    middle, centre = (weight[..., None] * points).sum(1), weight @ model
    cross = np.einsum("gj,gja,gjb->gab", weight, points - middle[:, None], model - centre[:, None])
    U, _, Vt = np.linalg.svd(cross)
    U[..., 2] *= np.sign(np.linalg.det(U @ Vt))[:, None]
    R = U @ Vt
    return R, middle - (R @ centre[..., None])[..., 0]


def _linearised(points: Floats, L: Floats, R: Floats, t: Floats, size: Floats) -> tuple[Floats, Floats, Floats]:
    """Whitened residuals (G, 3 J + 1), the size's last, derivatives (G, 3 J + 1, 7), the inverse (G, 7, 7)."""
    G, count = len(R), 3 * len(MODEL) - 3
    J = _jacobian(size[:, None, None] * R, MODEL[:-1])
    residual, A = np.zeros((G, count + 1)), np.zeros((G, count + 1, 7))
    residual[:, :-1] = (L @ (points - t[:, None] - J[..., 6])[..., None]).reshape(G, count)
    residual[:, -1], A[:, -1, 6] = -np.log(size) / SIZE_STD, 1.0 / SIZE_STD
    A[:, :-1] = (L @ J).reshape(G, count, 7)
    return residual, A, np.linalg.inv(A.swapaxes(-1, -2) @ A)


def _jacobian(scaled: Floats, model: Floats) -> Floats:
    """Derivatives (G, J, 3, 7) of points (J, 3) of the shape by a turn about its axes, its place, its log size."""
    x, y, z = model.T
    J = np.zeros((len(scaled), len(model), 3, 7))
    turned = scaled[:, None]
    J[..., 0] = turned[..., 2] * y[:, None] - turned[..., 1] * z[:, None]
    J[..., 1] = turned[..., 0] * z[:, None] - turned[..., 2] * x[:, None]
    J[..., 2] = turned[..., 1] * x[:, None] - turned[..., 0] * y[:, None]
    J[..., 3:6] = np.eye(3)
    J[..., 6] = model @ scaled.swapaxes(-1, -2)
    return J


def _rotation(vector: Floats) -> Floats:
    """Rotations (G, 3, 3) by vectors (G, 3) rad (Rodrigues)."""
    angle = np.maximum(np.linalg.norm(vector, axis=-1), 1e-12)[:, None, None]
    x, y, z = vector.T
    o = np.zeros(len(vector))
    K = np.stack([np.stack([o, -z, y], -1), np.stack([z, o, -x], -1), np.stack([-y, x, o], -1)], -2) / angle
    rotation: Floats = np.eye(3) + np.sin(angle) * K + (1.0 - np.cos(angle)) * (K @ K)
    return rotation
