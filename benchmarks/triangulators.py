"""Other ways to triangulate, as a user would write them; pinhole cameras P = K [R | t] (V, 3, 4), pixels (V, N, 2)."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import csr_matrix

from pose3d_ros.structures import Floats


def svd_loop(P: Floats, px: Floats) -> Floats:
    """The homogeneous direct linear transform, joint by joint (Hartley & Zisserman, Sec. 12.2), (N, 3) m."""
    out = np.empty((px.shape[1], 3))
    for joint in range(px.shape[1]):
        rows = []
        for view in range(len(P)):
            x, y = px[view, joint]
            rows.append(x * P[view, 2] - P[view, 0])
            rows.append(y * P[view, 2] - P[view, 1])
        homogeneous = np.linalg.svd(np.array(rows))[2][-1]
        out[joint] = homogeneous[:3] / homogeneous[3]
    return out


def svd_batched(P: Floats, px: Floats) -> Floats:
    """The same for all joints in one call of NumPy's SVD."""
    rows = px[..., None] * P[:, None, 2:] - P[:, None, :2]  # (V, N, 2, 4)
    homogeneous = np.linalg.svd(rows.swapaxes(0, 1).reshape(px.shape[1], -1, 4), full_matrices=False)[2][:, -1]
    out: Floats = homogeneous[:, :3] / homogeneous[:, 3:]
    return out


def opencv(P: Floats, px: Floats) -> Floats:
    """cv2.triangulatePoints, which takes two views."""
    homogeneous = cv2.triangulatePoints(P[0], P[1], np.ascontiguousarray(px[0].T), np.ascontiguousarray(px[1].T))
    out: Floats = (homogeneous[:3] / homogeneous[3]).T
    return out


def scipy_huber(P: Floats, px: Floats, start: Floats, sigma_px: float, delta: float, *, analytic: bool) -> Floats:
    """Huber's sum over a whole frame by scipy's least_squares: residual |e| in standard deviations, one a keypoint.

    start (N, 3) m. With analytic, our Jacobian, sparse, for scipy's 2-point differences.
    """
    residual, jacobian = _norm_residual(P, px, sigma_px)
    jac = jacobian if analytic else "2-point"
    solution = least_squares(residual, start.ravel(), jac=jac, loss="huber", f_scale=delta)
    out: Floats = solution.x.reshape(-1, 3)
    return out


def huber_sum(P: Floats, px: Floats, xyz: Floats, sigma_px: float, delta: float) -> float:
    """The objective of all, written down once more: s^2 / 2 up to delta, delta (s - delta / 2) beyond."""
    size = _norm_residual(P, px, sigma_px)[0](xyz.ravel())
    return float(np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).sum())


def cramer_rao_m(P: Floats, xyz: Floats, sigma_px: float) -> float:
    """The least RMSE, m, of any unbiased estimate of xyz (N, 3) m from all views: sqrt(mean tr F^-1)."""
    _, slope = _projected(P, xyz)
    F = np.einsum("vnij,vnik->njk", slope, slope) / sigma_px**2
    return float(np.sqrt(np.trace(np.linalg.inv(F), axis1=1, axis2=2).mean()))


def _projected(P: Floats, xyz: Floats) -> tuple[Floats, Floats]:
    """Pixels (V, N, 2) of xyz (N, 3) m and their derivative (V, N, 2, 3) px/m."""
    h = np.einsum("vij,nj->vni", P[:, :, :3], xyz) + P[:, None, :, 3]
    px = h[..., :2] / h[..., 2:]
    return px, (P[:, None, :2, :3] - px[..., None] * P[:, None, 2:, :3]) / h[..., 2:, None]


def _norm_residual(
    P: Floats, px: Floats, sigma_px: float
) -> tuple[Callable[[Floats], Floats], Callable[[Floats], csr_matrix]]:
    """|e| (V N,) of parameters (3 N,), and its sparse derivative (V N, 3 N)."""
    V, N = px.shape[:2]
    columns = np.broadcast_to(np.arange(3 * N).reshape(N, 3), (V, N, 3)).ravel()
    bounds = np.arange(0, 3 * V * N + 1, 3)

    def residual(parameters: Floats) -> Floats:
        h = np.einsum("vij,nj->vni", P[:, :, :3], parameters.reshape(N, 3)) + P[:, None, :, 3]
        miss = px - h[..., :2] / h[..., 2:]
        size: Floats = np.sqrt((miss**2).sum(axis=-1)).ravel() / sigma_px
        return size

    def jacobian(parameters: Floats) -> csr_matrix:
        seen, slope = _projected(P, parameters.reshape(N, 3))
        miss = px - seen
        direction = miss / np.maximum(np.linalg.norm(miss, axis=-1, keepdims=True), 1e-300)
        values = -(direction[..., None] * slope).sum(axis=2) / sigma_px  # (V, N, 3)
        return csr_matrix((values.ravel(), columns, bounds), shape=(V * N, 3 * N))

    return residual, jacobian
